//! Texts without credentials: what diagnostics may quote.
//!
//! SECURITY: a policy that wrongly holds a credential is printed into terminals and CI logs line by line. Whatever has the form of one is
//! overwritten first, byte by byte, so that places stay right. It recognises forms, not meanings: a password without form stays.

use veilwire_engine::policy::secret::Secret;

/// Prefixes that nothing but a credential has.
const PREFIXES: &[&str] = &["sk-", "AKIA", "ASIA", "ghp_", "github_pat_", "xoxb-", "hvs.", "eyJhbGciOi"];
/// What follows a prefix in a live credential is at least this long.
const MIN_REST: usize = 16;
const PEM_KEY: &str = "PRIVATE KEY-----";

/// Whether all of `text` has the form of a credential, or it holds a private key in PEM.
#[must_use]
pub fn looks_like_secret(text: &str) -> bool {
    text.contains(PEM_KEY)
        || PREFIXES.iter().any(|prefix| {
            text.strip_prefix(prefix).is_some_and(|rest| {
                rest.len() >= MIN_REST
                    && rest.chars().all(part_of_token)
                    && rest.bytes().any(|byte| byte.is_ascii_digit())
            })
        })
}

/// `text` with every credential in it overwritten by as many `*`.
#[must_use]
pub fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = key_block(rest) {
            overwrite(&mut out, rest.get(..rest.len() - after.len()).unwrap_or(rest));
            rest = after;
            continue;
        }
        if let Some((key, after)) = key_text(rest) {
            overwrite(&mut out, key);
            rest = after;
            continue;
        }
        let token = rest.find(|char| !part_of_token(char)).unwrap_or(rest.len());
        let (token, after) = match token {
            0 => rest.split_at(rest.chars().next().map_or(rest.len(), char::len_utf8)),
            length => rest.split_at(length),
        };
        if looks_like_secret(token) {
            overwrite(&mut out, token)
        } else {
            out.push_str(token)
        }
        rest = after;
    }
    out
}

fn part_of_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
}

/// The base64 of a key of replacements that begins here, and what follows it. A path without dots may look like one too, so one
/// with a slash must end as only base64 does, as must long words and digests.
fn key_text(text: &str) -> Option<(&str, &str)> {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/');
    let end = text.find(|char| !plain(char)).unwrap_or(text.len());
    let padding = text.get(end..)?.bytes().take_while(|&byte| byte == b'=').count();
    let (key, after) = text.split_at_checked(end + padding)?;
    let digest = key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let word = !key.bytes().any(|byte| byte.is_ascii_digit());
    let sure = padding > 0 || !(digest || word || key.contains('/'));
    (sure && Secret::read(key.as_bytes()).is_some()).then_some((key, after))
}

/// What follows a private key that begins here; to the end of the text if the key does not end.
fn key_block(text: &str) -> Option<&str> {
    let label = text.strip_prefix("-----BEGIN ")?;
    let line = label.get(..label.find('\n').unwrap_or(label.len())).unwrap_or(label);
    line.contains(PEM_KEY).then_some(())?;
    let after = label.split_once("-----END ").map_or("", |(_, after)| after);
    Some(after.split_once(PEM_KEY).map_or("", |(_, after)| after))
}

fn overwrite(out: &mut String, secret: &str) {
    for char in secret.chars() {
        match char {
            '\n' => out.push('\n'),
            char => (0..char.len_utf8()).for_each(|_| out.push('*')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_overwritten_in_place() {
        let text = "a: [sk-abcdefghijklmnop0123, ok]\nkey: |\n  -----BEGIN EC PRIVATE KEY-----\n  MHcé\n  -----END EC PRIVATE KEY-----\nend";
        let safe = redacted(text);
        assert_eq!(safe.len(), text.len());
        assert_eq!(safe.matches('\n').count(), text.matches('\n').count());
        for secret in ["abcdef", "MHc", "PRIVATE"] {
            assert!(!safe.contains(secret), "{safe}");
        }
        assert!(safe.contains(", ok]") && safe.ends_with("\nend"), "{safe}");
    }

    #[test]
    fn keys_of_replacements_are_overwritten() {
        for key in
            ["QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "q7/+Zs0YJmqB1wVn0r8c3C4mC0kGJ5y1n8Xw2b3d4e0="]
        {
            let safe = redacted(&format!("{{file: {key}}}"));
            assert_eq!(safe, format!("{{file: {}}}", "*".repeat(key.len())));
        }
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "",
            "task-sk-short",
            "a8f5f167f44f4964e6c998dee827110ca8f5f167f44f4964e6c998dee827110c",
            "/var/lib/secrets/of/the/proxy/replacements/key1",
            "pattern: '\\bsk-[a-z]{20,}'",
            "é: ü",
            "-----BEGIN CERTIFICATE-----\nMIIB\n",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
