//! JWS compact serialization, read strictly (RFC 7515 sections 3.1, 4.1 and 7.1, RFC 8725).
//!
//! Guarantees: exactly three parts, each the canonical base64url of its bytes without padding; a header that
//! is a JSON object with one reading, names a supported algorithm, and asks for nothing that this verifier
//! does not understand. Nothing is verified here. Keys and addresses of keys in a header are never used: the
//! keys of a provider come from the policy alone.

use super::json;
use super::token::TokenError;
use crate::policy::model::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Longest token, in bytes. A token with 500 groups has 8 KiB, and Envoy's limit for all headers together is
/// 60 KiB.
const MAX_TOKEN_LENGTH: usize = 16 * 1024;
/// Longest encoded header, in bytes.
const MAX_HEADER_LENGTH: usize = 8 * 1024;

/// A JWS whose form is good and whose signature nobody has checked yet.
#[derive(Clone, Debug)]
pub(super) struct Jws<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// `typ` in lower case, without `application/`.
    pub(super) token_type: Option<String>,
    /// What the signature signs: encoded header, dot, encoded payload (RFC 7515 section 5.1 step 8).
    pub(super) signed_text: &'a [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed);
        };
        if header.len() > MAX_HEADER_LENGTH {
            return Err(TokenError::TooLong);
        }
        let signed_text = token.get(..header.len() + 1 + payload.len()).ok_or(TokenError::Malformed)?;
        let header = json::parse(&decode(header)?).ok_or(TokenError::Malformed)?;
        let header = header.as_object().ok_or(TokenError::Malformed)?;
        let (algorithm, key_id, token_type) = read_header(header)?;
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        Ok(Jws { algorithm, key_id, token_type, signed_text, payload, signature })
    }
}

fn decode(part: &[u8]) -> Result<Vec<u8>, TokenError> {
    // The engine refuses padding, foreign characters and non-zero trailing bits.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

/// Algorithm, key id and type.
type Header = (Algorithm, Option<String>, Option<String>);

fn read_header(header: &Map<String, Value>) -> Result<Header, TokenError> {
    // SECURITY: `crit` demands extensions, and none is supported; `b64` (RFC 7797) changes what is signed
    // even where `crit` is forgotten; `jwk` brings a key along (and belongs to DPoP proofs, which are no
    // access tokens); `salt` is a private extension of jwt-simple.
    if ["crit", "b64", "jwk", "salt"].iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::Extension);
    }
    // SECURITY: RFC 8725 section 3.11, other kinds of JWT (logout tokens, ID token hints) are no access
    // tokens.
    let token_type = string(header, "typ")?.map(token_type);
    if !token_type.as_deref().is_none_or(|name| ["jwt", "at+jwt"].contains(&name)) {
        return Err(TokenError::Type);
    }
    // Never used, but what has the wrong type has no meaning (and is refused by jwt-simple).
    for name in ["cty", "jku", "x5u", "x5t", "x5t#S256"] {
        string(header, name)?;
    }
    if let Some(chain) = header.get("x5c")
        && !chain.as_array().is_some_and(|chain| chain.iter().all(Value::is_string))
    {
        return Err(TokenError::Malformed);
    }
    let algorithm = string(header, "alg")?.ok_or(TokenError::Malformed)?;
    let algorithm = Algorithm::named(algorithm).ok_or(TokenError::Algorithm)?;
    let key_id = string(header, "kid")?.map(str::to_owned);
    Ok((algorithm, key_id, token_type))
}

/// Media types of access tokens are `JWT` (RFC 7519 section 5.1) and `at+jwt` (RFC 9068 section 2.1), compared
/// without case; the prefix `application/` may be left out (RFC 7515 section 4.1.9).
fn token_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

fn string<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, TokenError> {
    header.get(name).map(|value| value.as_str().ok_or(TokenError::Malformed)).transpose()
}
