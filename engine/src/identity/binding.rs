//! Tokens that are bound to a key or certificate (RFC 7800, `cnf`): who has the token alone is not the caller.
//!
//! Guarantees: a token with `cnf` is good only together with the client certificate that it names (RFC 8705 section 3.1,
//! `x5t#S256`), which the host has verified; every other kind of proof is refused, and so is a `cnf` that asks for two. DPoP
//! (RFC 9449, `jkt`) is refused by its name: its proofs must be used once, and no memory is shared between all workers and
//! proxies in which that could be seen.

use super::token::TokenError;
use crate::transport::TransportFacts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

/// SHA-256 of a certificate (DER).
pub(super) type Thumbprint = [u8; 32];

/// The certificate to which a token with these claims is bound, if it is bound.
pub(super) fn bound_to(claims: &Map<String, Value>) -> Result<Option<Thumbprint>, TokenError> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(None) };
    let confirmation = confirmation.as_object().ok_or(TokenError::Bound)?;
    if confirmation.contains_key("jkt") {
        return Err(TokenError::Dpop);
    }
    // SECURITY: a member that is not understood is a proof that nobody would ask for.
    match (confirmation.get("x5t#S256"), confirmation.len()) {
        (Some(Value::String(text)), 1) => {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Claim)?;
            bytes.try_into().map(Some).map_err(|_| TokenError::Claim)
        }
        _ => Err(TokenError::Bound),
    }
}

/// Whether a token that is bound to this certificate, if to any, comes over a connection with it.
pub(super) fn check(bound: Option<Thumbprint>, transport: &TransportFacts) -> Result<(), TokenError> {
    let Some(thumbprint) = bound else { return Ok(()) };
    let shown = transport.peer.as_ref().and_then(|peer| super::api_key::unhex(peer.sha256.as_deref()?));
    match shown {
        Some(shown) if transport.mtls == Some(true) && bool::from(shown.as_slice().ct_eq(&thumbprint)) => {
            Ok(())
        }
        _ => Err(TokenError::Certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Peer;
    use serde_json::json;

    fn of(confirmation: Value) -> Result<Option<Thumbprint>, TokenError> {
        let claims = json!({ "cnf": confirmation });
        bound_to(claims.as_object().unwrap())
    }

    #[test]
    fn only_certificates_can_be_bound_to() {
        let hash = URL_SAFE_NO_PAD.encode([7; 32]);
        assert_eq!(bound_to(&Map::new()), Ok(None));
        assert_eq!(of(json!({ "x5t#S256": hash })), Ok(Some([7; 32])));
        for dpop in [json!({ "jkt": "x" }), json!({ "jkt": null }), json!({ "jkt": hash, "x5t#S256": hash })]
        {
            assert_eq!(of(dpop), Err(TokenError::Dpop));
        }
        for other in [
            json!(null),
            json!({}),
            json!("x"),
            json!([]),
            json!({ "jwk": {} }),
            json!({ "kid": "a" }),
            json!({ "jwe": "a" }),
            json!({ "jku": "https://idp.test" }),
            json!({ "x5t#S256": hash, "kid": "a" }),
            json!({ "x5t#S256": null }),
            json!({ "x5t#S256": [hash] }),
            json!({ "x5t#s256": hash }),
        ] {
            assert_eq!(of(other.clone()), Err(TokenError::Bound), "{other}");
        }
        for text in [String::new(), URL_SAFE_NO_PAD.encode([7; 31]), format!("{hash}="), "07".repeat(32)] {
            assert_eq!(of(json!({ "x5t#S256": text })), Err(TokenError::Claim), "{text}");
        }
    }

    #[test]
    fn a_bound_token_needs_the_certificate_itself() {
        let facts = |mtls: Option<bool>, sha256: Option<&str>| TransportFacts {
            mtls,
            peer: Some(Peer { sha256: sha256.map(str::to_owned), ..Peer::default() }),
            ..TransportFacts::default()
        };
        let hex = "07".repeat(32);
        assert_eq!(check(Some([7; 32]), &facts(Some(true), Some(&hex))), Ok(()));
        assert_eq!(check(None, &TransportFacts::default()), Ok(()));
        for facts in [
            TransportFacts::default(),
            facts(None, Some(&hex)),
            facts(Some(false), Some(&hex)),
            facts(Some(true), None),
            facts(Some(true), Some("")),
            facts(Some(true), Some(&"08".repeat(32))),
            facts(Some(true), Some(&"07".repeat(31))),
        ] {
            assert_eq!(check(Some([7; 32]), &facts), Err(TokenError::Certificate), "{facts:?}");
        }
    }
}
