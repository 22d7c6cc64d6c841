//! Tokens that were verified a moment ago: the same bytes from the same provider need no second signature check.
//!
//! Guarantees: only a token that passed every check is kept, and it is good again only for the same bytes, compared in
//! constant time, between the moment it was verified and its expiry. The cache belongs to one [`Authenticator`], so other
//! keys, providers or groups start with an empty one. Its size is fixed: a flood of tokens evicts, and never grows it.
//! It deliberately keeps no refusals: a forged token must not push out a good one.
//!
//! [`Authenticator`]: super::Authenticator

use super::Identity;
use super::binding::Thumbprint;
use crate::time::Timestamp;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;

/// Buckets; a power of two.
const BUCKETS: usize = 256;
/// Tokens in a bucket.
const WAYS: usize = 2;
/// Longer tokens are verified each time: the cache holds at most 2 MiB.
const MAX_TOKEN_LENGTH: usize = 4096;

/// Verified tokens.
#[derive(Default)]
pub(super) struct TokenCache {
    /// SECURITY: keyed at random, so that nobody can aim tokens at the bucket of another.
    hasher: RandomState,
    /// By hash; the most recent of a bucket is first. Made with the first token.
    buckets: Mutex<Vec<[Option<Entry>; WAYS]>>,
}

struct Entry {
    token: Vec<u8>,
    known: Known,
    verified: Timestamp,
    /// The first moment at which it is no longer good.
    until: Timestamp,
}

/// What was found out about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Whose it is.
    pub(super) identity: Identity,
    /// The certificate without which it is worth nothing. It is shown by each connection anew.
    pub(super) certificate: Option<Thumbprint>,
    /// Which keys of its provider it was verified with.
    pub(super) generation: u64,
}

impl TokenCache {
    /// What is known of this token, if it was verified before and holds at `now`.
    pub(super) fn get(&self, token: &[u8], now: Timestamp) -> Option<Known> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get_mut(self.bucket(token))?;
        // SECURITY: in constant time: how long a comparison takes would tell how much of a token was guessed.
        let way = bucket
            .iter()
            .position(|entry| entry.as_ref().is_some_and(|entry| is_same(&entry.token, token)))?;
        let entry = bucket.get(way)?.as_ref()?;
        // A clock that was set back asks again: `nbf` and `iat` were only seen to hold from then on.
        if now < entry.verified || now >= entry.until {
            return None;
        }
        let known = entry.known.clone();
        bucket.swap(0, way);
        Some(known)
    }

    /// Keeps a token that was verified at `now` and holds until before `until`.
    pub(super) fn keep(&self, token: &[u8], known: &Known, now: Timestamp, until: Timestamp) {
        if token.len() > MAX_TOKEN_LENGTH {
            return;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.is_empty() {
            buckets.resize_with(BUCKETS, Default::default);
        }
        let Some(bucket) = buckets.get_mut(self.bucket(token)) else { return };
        let same = bucket.iter().position(|entry| entry.as_ref().is_some_and(|entry| entry.token == token));
        // The last of a bucket is the one that was not asked for the longest.
        let way = same.unwrap_or(WAYS - 1);
        if let Some(place) = bucket.get_mut(way) {
            let (token, known) = (token.to_vec(), known.clone());
            *place = Some(Entry { token, known, verified: now, until });
        }
        bucket.swap(0, way);
    }

    fn bucket(&self, token: &[u8]) -> usize {
        // Which bits are taken does not matter; the remainder keeps them below `BUCKETS`.
        usize::try_from(self.hasher.hash_one(token) % BUCKETS as u64).unwrap_or_default()
    }
}

/// Whether two tokens of one length are the same, in time that depends on that length alone; eight bytes at once, for tokens are long.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let ((a, end_of_a), (b, end_of_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let pairs = a.iter().zip(b).map(|(a, b)| u64::from_le_bytes(*a).ct_eq(&u64::from_le_bytes(*b)));
    let same = pairs.fold(end_of_a.ct_eq(end_of_b), |all, same| all & same);
    a.len() == b.len() && bool::from(same)
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SECURITY: tokens are credentials.
        f.write_str("TokenCache(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn known(subject: &str) -> Known {
        Known { identity: Identity::named(subject), certificate: None, generation: 0 }
    }

    #[test]
    fn a_token_is_good_from_when_it_was_verified_until_it_expires() {
        let cache = TokenCache::default();
        assert_eq!(cache.get(b"token", at(100)), None);
        cache.keep(b"token", &known("ada"), at(100), at(200));
        assert_eq!(cache.get(b"token", at(100)), Some(known("ada")));
        assert_eq!(cache.get(b"token", at(199)), Some(known("ada")));
        assert_eq!(cache.get(b"token", at(200)), None, "expired");
        assert_eq!(cache.get(b"token", at(99)), None, "the clock was set back");
        for other in [&b"tokem"[..], b"toke", b"tokens", b""] {
            assert_eq!(cache.get(other, at(150)), None);
        }
    }

    #[test]
    fn tokens_are_the_same_byte_by_byte() {
        for length in 0..40_u8 {
            let token: Vec<u8> = (0..length).collect();
            assert!(is_same(&token, &token.clone()));
            for place in 0..token.len() {
                let mut other = token.clone();
                other[place] ^= 1 << (place % 8);
                assert!(!is_same(&token, &other) && !is_same(&other, &token), "{length} {place}");
                assert!(
                    !is_same(&token, &token[..place]) && !is_same(&token[..place], &token),
                    "{length} {place}"
                );
            }
        }
    }

    #[test]
    fn a_token_that_is_verified_again_replaces_itself() {
        let cache = TokenCache::default();
        cache.keep(b"token", &known("ada"), at(100), at(200));
        cache.keep(b"token", &known("ada"), at(300), at(400));
        assert_eq!(cache.get(b"token", at(150)), None);
        assert_eq!(cache.get(b"token", at(350)), Some(known("ada")));
    }

    #[test]
    fn a_flood_of_tokens_evicts_and_does_not_grow() {
        let cache = TokenCache::default();
        let tokens: Vec<Vec<u8>> = (0..10_000_u32).map(|n| n.to_le_bytes().to_vec()).collect();
        for token in &tokens {
            cache.keep(token, &known("flood"), at(1), at(1_000));
        }
        let kept = tokens.iter().filter(|token| cache.get(token, at(2)).is_some()).count();
        assert!((1..=BUCKETS * WAYS).contains(&kept), "{kept}");
        // The last one is always there.
        cache.keep(b"mine", &known("ada"), at(1), at(1_000));
        assert_eq!(cache.get(b"mine", at(2)), Some(known("ada")));
    }

    #[test]
    fn long_tokens_are_not_kept() {
        let cache = TokenCache::default();
        let token = vec![b'a'; MAX_TOKEN_LENGTH + 1];
        cache.keep(&token, &known("ada"), at(1), at(2));
        assert_eq!(cache.get(&token, at(1)), None);
    }
}
