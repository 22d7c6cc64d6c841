//! What a provider's service answered: the metadata of an issuer, or its key set. Nothing of it is believed before it was read in full.

use super::super::json;
use super::super::keys::{KeySet, KeySetError};
use crate::policy::model::Algorithm;
use serde_json::Value;

/// Longest metadata that are read, in bytes.
const MAX_METADATA_LENGTH: usize = 64 * 1024;
/// Longest path of a key set.
const MAX_PATH_LENGTH: usize = 2_048;

/// Why keys were not fetched. Never quotes what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No whole answer: not reached, not in time, or cut.
    #[error("the service did not answer")]
    Unanswered,
    /// A redirection; it is not followed, because whoever can redirect could name the keys.
    #[error("status {0}: redirections are not followed")]
    Redirected(u32),
    /// Another status than 200. 503 and 504 are Envoy's own when the service cannot be reached, proves another name, or is slow.
    #[error("status {0}")]
    Status(u32),
    /// Longer than metadata or key sets may be.
    #[error("the answer is too long")]
    TooLong,
    /// Not text.
    #[error("the answer is not UTF-8")]
    NotText,
    /// The metadata are not a JSON object of one reading with `issuer` and `jwks_uri`.
    #[error("the metadata of the issuer cannot be read")]
    Metadata,
    /// The metadata are those of another issuer.
    #[error("the metadata are of another issuer")]
    Issuer,
    /// `jwks_uri` is not `https` on the host and port of the service.
    #[error("`jwks_uri` is not on the same service")]
    Elsewhere,
    /// The key set is bad.
    #[error("{0}")]
    Keys(#[from] KeySetError),
    /// The key set has no key for any accepted algorithm.
    #[error("no key for the accepted algorithms")]
    NoKeyForAlgorithms,
}

/// The path of the key set, as the metadata of `issuer` say it (OpenID Connect Discovery 1.0 section 4.3).
///
/// SECURITY: the certificate of the service vouches for what it answers; another host would need a trust of its own.
pub(super) fn key_set_path(body: &[u8], issuer: &str, authority: &str) -> Result<String, FetchError> {
    if body.len() > MAX_METADATA_LENGTH {
        return Err(FetchError::TooLong);
    }
    let document = json::parse(body).ok_or(FetchError::Metadata)?;
    let member = |name: &str| document.get(name).and_then(Value::as_str).ok_or(FetchError::Metadata);
    if member("issuer")? != issuer {
        return Err(FetchError::Issuer);
    }
    let place = member("jwks_uri")?.strip_prefix("https://").ok_or(FetchError::Elsewhere)?;
    let (host, path) =
        place.find('/').and_then(|at| place.split_at_checked(at)).ok_or(FetchError::Elsewhere)?;
    let same = host.eq_ignore_ascii_case(authority)
        || host.strip_suffix(":443").is_some_and(|host| host.eq_ignore_ascii_case(authority));
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if same && path.len() <= MAX_PATH_LENGTH && path.bytes().all(plain) {
        Ok(path.to_owned())
    } else {
        Err(FetchError::Elsewhere)
    }
}

/// The keys of a key set with at least one for these algorithms.
pub(super) fn key_set(body: &[u8], algorithms: &[Algorithm]) -> Result<KeySet, FetchError> {
    let text = std::str::from_utf8(body).map_err(|_| FetchError::NotText)?;
    let keys = KeySet::parse_for(text, algorithms)?;
    if algorithms.iter().any(|algorithm| keys.keys_for(*algorithm).next().is_some()) {
        Ok(keys)
    } else {
        Err(FetchError::NoKeyForAlgorithms)
    }
}
