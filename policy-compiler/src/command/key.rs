//! `veilwire key`: what a policy holds of an API key.
//!
//! Guarantees: the key is read from stdin and written nowhere, in errors neither; the salt is random; a key that is too short to
//! be random is refused, because one round of SHA-256 does not protect what can be guessed.

use crate::cli::Outcome;
use crate::output;
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use std::io::Read as _;
use veilwire_engine::identity::{API_KEY_SALT, api_key_hash};

/// Fewest bits that a key may have, as far as its length and its characters tell.
const MIN_BITS: f64 = 128.0;
/// Fewest different characters of a key.
const MIN_DISTINCT: usize = 8;
/// Longest key in bytes, as in the filter.
const MAX_LENGTH: usize = 512;

/// What to do with a key.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum KeyVerb {
    /// Read an API key from stdin and print its entry under `apiKeys: {keys: …}`
    Hash(HashArguments),
}

#[derive(Clone, Debug, Args)]
struct HashArguments {
    /// The caller's name
    #[arg(long, value_name = "NAME", default_value = "NAME")]
    id: String,
    /// Groups of the caller, as `groups` maps them
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    /// First day on which the key is refused, as in 2027-03-31
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Outcome {
    let KeyVerb::Hash(arguments) = &arguments.verb;
    let plain = |text: &String| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    if !plain(&arguments.id) || !arguments.groups.iter().all(plain) || !arguments.expires.iter().all(plain) {
        output::report("error: names and dates have letters, digits and `-_.`\n");
        return Outcome::Usage;
    }
    let mut key = Vec::new();
    let limit = u64::try_from(MAX_LENGTH + 3).unwrap_or(u64::MAX);
    if let Err(error) = std::io::stdin().lock().take(limit).read_to_end(&mut key) {
        output::report(&format!("error: stdin: {error}\n"));
        return Outcome::Io;
    }
    let key = key.strip_suffix(b"\n").unwrap_or(&key);
    let key = key.strip_suffix(b"\r").unwrap_or(key);
    if let Err(reason) = check(key) {
        output::report(&format!(
            "error: {reason}\nhelp: make one with `openssl rand -base64 32`, and give it to the caller only\n"
        ));
        return Outcome::Findings;
    }
    let mut salt = [0; API_KEY_SALT];
    let filled = std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut salt));
    if let Err(error) = filled {
        output::report(&format!("error: /dev/urandom: {error}\n"));
        return Outcome::Io;
    }
    output::print(&entry(arguments, &salt, key));
    Outcome::Clean
}

fn entry(arguments: &HashArguments, salt: &[u8], key: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let groups = if arguments.groups.is_empty() { "GROUP".to_owned() } else { arguments.groups.join(", ") };
    let expires = arguments.expires.as_ref().map(|date| format!(", expires: {date}")).unwrap_or_default();
    let (salt, hash) = (hex(salt), hex(&api_key_hash(salt, key)));
    format!("{}: {{salt: \"{salt}\", hash: \"{hash}\", groups: [{groups}]{expires}}}\n", arguments.id)
}

/// Could this key be random and long enough? It can be told of short keys only, not of predictable ones.
fn check(key: &[u8]) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("no key on stdin");
    }
    if key.len() > MAX_LENGTH {
        return Err("the key is longer than 512 bytes");
    }
    if !key.iter().all(u8::is_ascii_graphic) || key.contains(&b',') {
        return Err("a key in a header has visible ASCII characters and no comma");
    }
    let any = |of: fn(&u8) -> bool| key.iter().any(of);
    let hex = key.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let classes = [
        (any(u8::is_ascii_digit), 10.0),
        (any(u8::is_ascii_lowercase), if hex { 6.0 } else { 26.0 }),
        (any(u8::is_ascii_uppercase), 26.0),
        (any(u8::is_ascii_punctuation), 2.0),
    ];
    let alphabet: f64 = classes.iter().filter(|(used, _)| *used).map(|(_, size)| size).sum();
    let length = f64::from(u16::try_from(key.len()).unwrap_or(u16::MAX));
    let distinct = key.iter().collect::<BTreeSet<_>>().len();
    if length * alphabet.log2() < MIN_BITS || distinct < MIN_DISTINCT {
        return Err("the key is too easily guessed: fewer than 128 bits, by its length and characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_128_bits_as_far_as_can_be_told() {
        for good in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "vw_7Qb1mZ0rT4uXy9KcEw2",
            "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
        ] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "hunter2",
            "correct horse battery staple",
            "9f86d081884c7d659a2feaa0c55ad01",
            "vw_7Qb1mZ0rT4uXy9KcE",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890123456789012345678",
            "vw_7Qb1mZ0rT4uXy9KcEw2,vw_7Qb1mZ0rT4uXy9KcEw2",
            "vw_7Qb1mZ0rT4uXy9KcEw2é",
            &"aB3_".repeat(129),
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
