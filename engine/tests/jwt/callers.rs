//! Several credentials in one request: which one counts, and that a bad one is never ignored for a good one.

use super::*;
use veilwire_engine::identity::{
    API_KEY_SALT, Authenticator, AuthenticatorError, Identity, Unauthenticated, api_key_hash,
};
use veilwire_engine::policy::id::{GroupId, ProviderId};
use veilwire_engine::policy::model::{ApiKey, ApiKeys, CertificateName, Group, ProviderKind, TokenSource};
use veilwire_engine::transport::{Peer, TransportFacts};

const KEY: &str = "vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgA";
const AGENT: &str = "spiffe://acme.test/agent/7";
/// Of the client's certificate, and of another one.
const SHA256: [u8; 32] = [7; 32];
const OTHER_SHA256: [u8; 32] = [8; 32];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn spire() -> Provider {
    let kind = ProviderKind::Certificate(CertificateName::Spiffe("acme.test".into()));
    Provider { name: "spire".into(), kind, ..Provider::default() }
}

fn api_keys() -> Provider {
    let salt = [1; API_KEY_SALT];
    let key = ApiKey {
        id: "build-bot".into(),
        salt: hex(&salt),
        hash: hex(&api_key_hash(&salt, KEY.as_bytes())),
        groups: vec!["builders".into()],
        expires: Some(NOW + 60),
    };
    let kind = ProviderKind::ApiKeys(ApiKeys { header: "x-api-key".into(), keys: vec![key] });
    Provider { name: "ci".into(), kind, ..Provider::default() }
}

/// Tokens, certificates and keys, and a group of each.
fn everybody() -> Authenticator {
    let group = |name: &str, provider, value: &str| Group {
        name: name.into(),
        from: vec![(ProviderId(provider), value.into())],
    };
    let groups = [
        group("sre", 0, "sre"),
        group("agents", 1, "spiffe://acme.test/agent/*"),
        group("ci", 2, "builders"),
    ];
    Authenticator::with_claims(&[own_provider(), spire(), api_keys()], &groups, &["department".into()])
        .unwrap()
}

/// A connection with a verified certificate.
fn certificate(uri: &str) -> TransportFacts {
    let peer = Peer {
        uri_san: Some(uri.into()),
        uri_sans: Some(uri.into()),
        sha256: Some(hex(&SHA256)),
        ..Peer::default()
    };
    TransportFacts { mtls: Some(true), peer: Some(peer), ..TransportFacts::default() }
}

fn token(changes: &[(&str, Value)]) -> String {
    signed(&standard_header(), &claims_with(changes))
}

fn ask(
    authenticator: &Authenticator,
    headers: &[(&str, &str)],
    transport: &TransportFacts,
) -> Result<(Identity, Option<TokenSource>), Unauthenticated> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    authenticator
        .caller(&headers, transport, seconds(NOW), &JwtSimpleVerifier)
        .map(|(identity, credential)| (identity, credential.map(|credential| credential.source().clone())))
}

#[test]
fn a_token_is_the_caller_then_a_key_then_a_certificate() {
    let everybody = everybody();
    let good = format!("Bearer {}", token(&[]));
    let cert = certificate(AGENT);
    let caller = |headers: &[(&str, &str)], transport: &TransportFacts| {
        let (identity, source) = ask(&everybody, headers, transport).unwrap();
        (identity.provider.0, identity.subject, identity.groups, source)
    };
    let bearer = (0, "alice".to_owned(), vec![GroupId(0)], Some(TokenSource::Authorization));
    assert_eq!(caller(&[("authorization", &good)], &cert), bearer);
    assert_eq!(caller(&[("authorization", &good)], &TransportFacts::default()), bearer);
    let header = Some(TokenSource::Header("x-api-key".into()));
    assert_eq!(caller(&[("x-api-key", KEY)], &cert), (2, "build-bot".into(), vec![GroupId(2)], header));
    assert_eq!(caller(&[], &cert), (1, AGENT.into(), vec![GroupId(1)], None));
}

#[test]
fn a_bad_credential_is_never_ignored_for_a_good_certificate() {
    let everybody = everybody();
    let good = format!("Bearer {}", token(&[]));
    let bad = format!("Bearer {}", token(&[("exp", json!(NOW - 3600))]));
    let cert = certificate(AGENT);
    let refusal = |headers: &[(&str, &str)]| ask(&everybody, headers, &cert).unwrap_err();
    assert_eq!(refusal(&[("authorization", &bad)]), TokenError::Expired.into());
    assert_eq!(refusal(&[("authorization", "Bearer x")]), TokenError::Malformed.into());
    assert_eq!(refusal(&[("authorization", "Bearer ")]), Unauthenticated::Malformed);
    assert_eq!(refusal(&[("authorization", "Basic YTpi")]), Unauthenticated::OtherScheme);
    assert_eq!(refusal(&[("authorization", "DPoP a.b.c")]), Unauthenticated::Dpop);
    assert_eq!(refusal(&[("x-api-key", "wrong")]), Unauthenticated::ApiKeyUnknown);
    assert_eq!(refusal(&[("x-api-key", KEY), ("x-api-key", KEY)]), Unauthenticated::MoreThanOne);
    // Two good ones are one too many.
    assert_eq!(refusal(&[("authorization", &good), ("x-api-key", KEY)]), Unauthenticated::MoreThanOne);
    // A key where tokens are, and a token where keys are.
    assert_eq!(refusal(&[("authorization", &format!("Bearer {KEY}"))]), TokenError::Malformed.into());
    assert_eq!(refusal(&[("x-api-key", &token(&[]))]), Unauthenticated::ApiKeyUnknown);
}

#[test]
fn without_any_credential_the_certificate_must_be_a_good_one() {
    let everybody = everybody();
    let refusal = |transport: &TransportFacts| ask(&everybody, &[], transport).unwrap_err();
    assert_eq!(refusal(&TransportFacts::default()), Unauthenticated::Missing);
    assert_eq!(refusal(&certificate("spiffe://evil.test/agent/7")), Unauthenticated::CertificateStranger);
    assert_eq!(refusal(&certificate("https://acme.test/agent/7")), Unauthenticated::CertificateName);
    let mut two = certificate(AGENT);
    two.peer.as_mut().unwrap().uri_sans = Some(format!("{AGENT},spiffe://acme.test/admin"));
    assert_eq!(refusal(&two), Unauthenticated::CertificateName);
    // Where no provider of certificates is, a certificate is nobody.
    let tokens = Authenticator::new(&[own_provider()], &[]).unwrap();
    assert_eq!(ask(&tokens, &[], &certificate(AGENT)).unwrap_err(), Unauthenticated::Missing);
}

#[test]
fn whoever_has_no_token_has_no_claims_and_is_in_no_other_group() {
    let (identity, _) = ask(&everybody(), &[], &certificate("spiffe://acme.test/other/7")).unwrap();
    assert_eq!((identity.groups, identity.groups_unknown), (vec![], false));
    assert_eq!((identity.claims.len(), identity.scopes), (1, None));
}

#[test]
fn an_api_key_ends() {
    let everybody = everybody();
    let headers = [(b"x-api-key".to_vec(), KEY.as_bytes().to_vec())];
    let ask = |now| everybody.authenticate(&headers, seconds(now), &JwtSimpleVerifier);
    assert!(ask(NOW + 59).is_ok());
    assert_eq!(ask(NOW + 60), Err(Unauthenticated::ApiKeyExpired));
    assert_eq!(ask(NOW + 59).map(|caller| caller.subject), Ok("build-bot".to_owned()));
}

fn bound_to(thumbprint: [u8; 32]) -> String {
    format!("Bearer {}", token(&[("cnf", json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint) }))]))
}

#[test]
fn a_bound_token_is_good_with_its_certificate_only_remembered_or_not() {
    let everybody = everybody();
    let (mine, other) = (bound_to(SHA256), bound_to(OTHER_SHA256));
    let cert = certificate(AGENT);
    let plain = TransportFacts::default();
    let stolen = Err(TokenError::Certificate.into());
    let ask = |token: &str, transport: &TransportFacts| {
        ask(&everybody, &[("authorization", token)], transport).map(|(identity, _)| identity.subject)
    };
    for _ in 0..2 {
        assert_eq!(ask(&mine, &plain), stolen);
        assert_eq!(ask(&other, &cert), stolen);
        assert_eq!(ask(&mine, &cert), Ok("alice".into()));
    }
    // The one certificate is not the other.
    let mut theirs = cert.clone();
    theirs.peer.as_mut().unwrap().sha256 = Some(hex(&OTHER_SHA256));
    assert_eq!(ask(&mine, &theirs), stolen);
    assert_eq!(ask(&other, &theirs), Ok("alice".into()));
}

#[test]
fn other_proofs_are_refused_by_name() {
    let verdict = |confirmation: Value| claim_verdict("cnf", confirmation);
    let thumbprint = URL_SAFE_NO_PAD.encode(SHA256);
    assert_eq!(verdict(json!({ "jkt": thumbprint })), Some(TokenError::Dpop));
    assert_eq!(verdict(json!({ "jwk": { "kty": "OKP" } })), Some(TokenError::Bound));
    // Whoever verifies a token alone has no certificate to show.
    assert_eq!(verdict(json!({ "x5t#S256": thumbprint })), Some(TokenError::Certificate));
}

#[test]
fn a_provider_can_demand_that_its_tokens_are_bound() {
    let bound = Provider { bound: true, ..own_provider() };
    let authenticator = Authenticator::new(&[bound], &[]).unwrap();
    let ask = |token: &str| {
        ask(&authenticator, &[("authorization", token)], &certificate(AGENT))
            .map(|(identity, _)| identity.subject)
    };
    for _ in 0..2 {
        assert_eq!(ask(&format!("Bearer {}", token(&[]))), Err(TokenError::Unbound.into()));
        assert_eq!(ask(&bound_to(SHA256)), Ok("alice".into()));
    }
}

#[test]
fn providers_that_contradict_each_other_are_refused() {
    let refused = |providers: &[Provider]| Authenticator::new(providers, &[]).unwrap_err();
    assert_eq!(refused(&[spire(), spire()]), AuthenticatorError::Certificates(ProviderId(1)));
    assert_eq!(refused(&[api_keys(), api_keys()]), AuthenticatorError::ApiKeys(ProviderId(1)));
    let in_header = Provider { sources: vec![TokenSource::Header("x-api-key".into())], ..own_provider() };
    assert_eq!(refused(&[in_header, api_keys()]), AuthenticatorError::ApiKeys(ProviderId(1)));
    let none = Provider { kind: ProviderKind::ApiKeys(ApiKeys::default()), ..Provider::default() };
    assert_eq!(refused(&[none]), AuthenticatorError::ApiKeys(ProviderId(0)));
}
