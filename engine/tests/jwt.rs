//! JWT verification from outside: what callers send, what the engine says.
//!
//! `data/jwt/README.md` names the sources. Signatures of published vectors are checked beside the code
//! (`src/identity/token/tests.rs`); here whole tokens go through `TokenVerifier` and `Authenticator`.
#![cfg(test)]

#[path = "jwt/attacks.rs"]
mod attacks;
#[path = "jwt/callers.rs"]
mod callers;
#[path = "jwt/requests.rs"]
mod requests;
#[path = "jwt/shared.rs"]
mod shared;
#[path = "jwt/table.rs"]
mod table;
#[path = "jwt/tokens.rs"]
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{Ed25519KeyPair, EdDSAKeyPairLike as _};
use serde_json::{Value, json};
use veilwire_engine::identity::{Claims, JwtSimpleVerifier, KeySet, TokenError, TokenVerifier};
use veilwire_engine::policy::model::{Algorithm, Provider};
use veilwire_engine::time::Timestamp;

const ATTACKS_JWKS: &str = include_str!("data/jwt/attacks_jwks.json");
/// The tokens of `attacks.jsonl` were issued an hour before; `exp-past` expired two hours before.
const NOW: u64 = 1_795_331_080 + 3600;
const LEEWAY: u32 = 30;

fn provider(jwks: &str) -> Provider {
    Provider {
        name: "idp".into(),
        issuer: "https://idp.test".into(),
        audiences: vec!["other-gateway".into(), "envoy-gateway".into()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        jwks: jwks.into(),
        groups_claim: "groups".into(),
        leeway_seconds: LEEWAY,
        ..Provider::default()
    }
}

fn verify_with(provider: &Provider, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
    let keys = KeySet::parse(&provider.jwks).unwrap();
    TokenVerifier::new(provider, keys).verify(token.as_bytes(), now, &JwtSimpleVerifier)
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn bearer(token: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())]
}

// === Tokens of our own, signed with the published key of RFC 8037, Appendix A ===

const SIGNING_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"own",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn own_key(key_id: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn own_jwks() -> String {
    json!({ "keys": [own_key("own")] }).to_string()
}

fn own_provider() -> Provider {
    provider(&own_jwks())
}

fn signed_text(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn signed(header: &str, claims: &str) -> String {
    let text = signed_text(header, claims);
    let key = Ed25519KeyPair::from_jwk(SIGNING_KEY).unwrap();
    let signature = key.key_pair().as_ref().sk.sign(&text, None);
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

fn standard_header() -> String {
    r#"{"alg":"EdDSA","typ":"JWT","kid":"own"}"#.into()
}

fn standard_claims() -> String {
    claims_with(&[])
}

/// The good claims, with these members replaced (`Null` takes one away).
fn claims_with(changes: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": "https://idp.test", "aud": "envoy-gateway", "sub": "alice", "groups": ["sre"],
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 60,
    });
    for (name, value) in changes {
        claims.as_object_mut().unwrap().remove(*name);
        if !value.is_null() {
            claims[*name] = value.clone();
        }
    }
    claims.to_string()
}

fn verdict(header: &str, claims: &str) -> Result<Claims, TokenError> {
    verify_with(&own_provider(), &signed(header, claims), seconds(NOW))
}

fn claim_verdict(name: &str, value: Value) -> Option<TokenError> {
    verdict(&standard_header(), &claims_with(&[(name, value)])).err()
}
