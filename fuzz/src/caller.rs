//! Callers: unsigned tokens, and a verifier that believes them, so that what comes after the signature is reached.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use veilwire_engine::identity::{SignatureVerifier, VerifierError, VerifyingKey};
use veilwire_engine::policy::model::Algorithm;
use veilwire_engine::time::Timestamp;

/// The fixed time of all targets.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Believes every signature. What it lets through is for targets only.
#[derive(Clone, Copy, Debug)]
pub struct Credulous;

impl SignatureVerifier for Credulous {
    fn verify(&self, _: Algorithm, _: &VerifyingKey, _: &[u8], _: &[u8]) -> Result<bool, VerifierError> {
        Ok(true)
    }
}

/// A token of any header and payload, with a signature of the right length and no meaning.
pub fn token(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(header), part(payload), part(&[0; 64])).into_bytes()
}

/// A token that only lacks a true signature.
pub fn good_token(group: &str) -> Vec<u8> {
    let payload = format!(
        r#"{{"iss":"https://idp.test","aud":"gateway","sub":"agent-7","iat":1799999990,"exp":1800000600,"groups":["{group}"]}}"#
    );
    token(br#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#, payload.as_bytes())
}
