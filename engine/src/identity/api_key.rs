//! API keys: a secret in a header, of which the policy knows a salted hash.
//!
//! Guarantees: every key of the provider is compared with every try, in constant time, so that the time of an answer tells
//! neither how much of a key was guessed nor whose it nearly was; an expired key is as unknown to the caller as any other. The
//! caller is the id; the key is in no identity, event or error. One round of SHA-256 is enough because keys are random and
//! long, which `veilwire key hash` checks: it would not be for passwords.

use super::Unauthenticated;
use crate::policy::id::ProviderId;
use crate::policy::model::ApiKeys;
use crate::time::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// Most keys of a provider: each costs a hash per try.
pub const MAX_API_KEYS: usize = 128;
/// Bytes of a salt.
pub const API_KEY_SALT: usize = 16;
/// Longest key, in bytes.
const MAX_KEY_LENGTH: usize = 512;
/// Longest id, in bytes.
const MAX_ID_LENGTH: usize = 128;

/// The keys of one provider.
#[derive(Clone, Debug)]
pub(super) struct KeyTable {
    pub(super) provider: ProviderId,
    pub(super) header: String,
    keys: Vec<Entry>,
}

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) groups: Vec<String>,
    salt: Vec<u8>,
    hash: Vec<u8>,
    expires: Option<Timestamp>,
}

impl KeyTable {
    /// Reads the keys of a provider; `None` if one of them is no key.
    pub(super) fn new(provider: ProviderId, keys: &ApiKeys) -> Option<KeyTable> {
        let mut table = KeyTable { provider, header: keys.header.clone(), keys: Vec::new() };
        let header = &keys.header;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let named = !header.is_empty() && header.bytes().all(plain) && header != "authorization";
        if !named || !(1..=MAX_API_KEYS).contains(&keys.keys.len()) {
            return None;
        }
        for key in &keys.keys {
            let (salt, hash) = (unhex(&key.salt)?, unhex(&key.hash)?);
            let fits = salt.len() == API_KEY_SALT && hash.len() == 32 && is_id(&key.id);
            if !fits || table.keys.iter().any(|other| other.id == key.id) {
                return None;
            }
            let expires = key.expires.map(Timestamp::from_unix_seconds);
            table.keys.push(Entry { id: key.id.clone(), groups: key.groups.clone(), salt, hash, expires });
        }
        Some(table)
    }

    /// Whose key this is, at `now`.
    pub(super) fn find(&self, key: &[u8], now: Timestamp) -> Result<&Entry, Unauthenticated> {
        if key.len() > MAX_KEY_LENGTH {
            return Err(Unauthenticated::ApiKeyUnknown);
        }
        let mut found = u32::MAX;
        for (entry, place) in self.keys.iter().zip(0_u32..) {
            let hash = api_key_hash(&entry.salt, key);
            found = u32::conditional_select(&found, &place, hash.as_slice().ct_eq(&entry.hash));
        }
        let entry = usize::try_from(found).ok().and_then(|place| self.keys.get(place));
        let entry = entry.ok_or(Unauthenticated::ApiKeyUnknown)?;
        if entry.expires.is_some_and(|expires| now >= expires) {
            return Err(Unauthenticated::ApiKeyExpired);
        }
        Ok(entry)
    }
}

/// What a policy knows of a key: SHA-256 of salt and key.
#[must_use]
pub fn api_key_hash(salt: &[u8], key: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(key).finalize().into()
}

/// It stands in audit events and, percent-encoded, in a header.
#[must_use]
fn is_id(id: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// The bytes of lower-case hex.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::ApiKey;

    const KEY: &[u8] = b"vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgA";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn entry(id: &str, key: &[u8], expires: Option<u64>) -> ApiKey {
        let salt = Sha256::digest(id)[..API_KEY_SALT].to_vec();
        let hash = hex(&api_key_hash(&salt, key));
        ApiKey { id: id.into(), salt: hex(&salt), hash, groups: vec!["builders".into()], expires }
    }

    fn keys(keys: Vec<ApiKey>) -> ApiKeys {
        ApiKeys { header: "x-api-key".into(), keys }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn a_key_is_its_owner_until_it_expires() {
        let all = keys(vec![
            entry("a", b"another key", None),
            entry("bot", KEY, Some(100)),
            entry("c", b"c", None),
        ]);
        let table = KeyTable::new(ProviderId(0), &all).unwrap();
        assert_eq!(table.find(KEY, at(99)).unwrap().id, "bot");
        assert_eq!(table.find(KEY, at(100)).unwrap_err(), Unauthenticated::ApiKeyExpired);
        assert_eq!(table.find(b"c", at(100)).unwrap().id, "c");
        for bad in [&b""[..], &KEY[..31], &[KEY, b"x"].concat(), &[b'a'; MAX_KEY_LENGTH + 1]] {
            assert_eq!(table.find(bad, at(0)).unwrap_err(), Unauthenticated::ApiKeyUnknown);
        }
        // The hash itself is no key, with or without its salt.
        let hash = entry("bot", KEY, None).hash;
        assert!(table.find(hash.as_bytes(), at(0)).is_err());
        assert!(table.find(&unhex(&hash).unwrap(), at(0)).is_err());
    }

    #[test]
    fn the_hash_is_one_that_other_tools_make() {
        // printf '000102030405060708090a0b0c0d0e0f' | xxd -r -p | cat - <(printf 'key') | sha256sum
        let salt: Vec<u8> = (0..16).collect();
        assert_eq!(
            api_key_hash(&salt, b"key"),
            <[u8; 32]>::from(Sha256::digest([&salt[..], b"key"].concat()))
        );
        assert_ne!(api_key_hash(&salt, b"key"), api_key_hash(&[0; 16], b"key"));
    }

    #[test]
    fn what_is_no_key_is_refused_at_load() {
        let good = entry("bot", KEY, None);
        let refused = |keys: ApiKeys| KeyTable::new(ProviderId(0), &keys).is_none();
        assert!(!refused(keys(vec![good.clone()])));
        for bad in [
            ApiKey { salt: String::new(), ..good.clone() },
            ApiKey { salt: "00".repeat(15), ..good.clone() },
            ApiKey { hash: "00".repeat(31), ..good.clone() },
            ApiKey { hash: "0G".repeat(32), ..good.clone() },
            ApiKey { hash: good.hash.to_ascii_uppercase() + "AA", ..good.clone() },
            ApiKey { id: String::new(), ..good.clone() },
            ApiKey { id: "a\nb".into(), ..good.clone() },
        ] {
            assert!(refused(keys(vec![bad.clone()])), "{bad:?}");
        }
        assert!(refused(keys(vec![good.clone(), good.clone()])));
        assert!(refused(keys(vec![])));
        let many = (0..=MAX_API_KEYS).map(|n| ApiKey { id: format!("k{n}"), ..good.clone() }).collect();
        assert!(refused(keys(many)));
        for header in ["", "Authorization", "authorization", "x api", "X-Api-Key"] {
            assert!(refused(ApiKeys { header: header.into(), keys: vec![good.clone()] }), "{header}");
        }
    }
}
