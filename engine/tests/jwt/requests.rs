//! From the headers of a request to an identity and its groups.

use super::*;
use TokenError::{Groups, Issuer, Signature};
use veilwire_engine::identity::{Authenticator, AuthenticatorError, Identity, KeySetError, Unauthenticated};
use veilwire_engine::policy::id::{GroupId, ProviderId};
use veilwire_engine::policy::model::Group;

#[test]
fn groups_are_those_the_policy_declares() {
    let group = |name: &str, from: &[(u16, &str)]| Group {
        name: name.into(),
        from: from.iter().map(|(provider, value)| (ProviderId(*provider), (*value).into())).collect(),
    };
    let mut second = own_provider();
    second.issuer = "https://second.test".into();
    let groups = [
        group("engineers", &[(0, "eng"), (1, "eng-second")]),
        group("everyone", &[(0, "eng"), (0, "sre"), (0, "*")]),
        group("on-call", &[(0, "sre")]),
        group("second-only", &[(1, "eng")]),
    ];
    let authenticator = Authenticator::new(&[own_provider(), second], &groups).unwrap();
    let identify = |issuer: &str, value: Value| {
        let token = signed(&standard_header(), &claims_with(&[("iss", json!(issuer)), ("groups", value)]));
        authenticator.authenticate(&bearer(&token), seconds(NOW), &JwtSimpleVerifier)
    };
    let groups_of = |issuer: &str, value: Value| identify(issuer, value).unwrap().groups;
    let first = "https://idp.test";
    assert_eq!(
        groups_of(first, json!(["sre", "eng", "eng", "unknown"])),
        [GroupId(0), GroupId(1), GroupId(2)]
    );
    assert_eq!(groups_of(first, json!("eng")), [GroupId(0), GroupId(1)]);
    assert_eq!(groups_of(first, json!(["*"])), [GroupId(1)]);
    assert_eq!(groups_of(first, json!(["ENG", "eng ", "engineers", "", "eng,sre"])), []);
    assert_eq!(groups_of(first, json!([])), []);
    assert_eq!(groups_of(first, Value::Null), []);
    assert_eq!(groups_of("https://second.test", json!(["eng"])), [GroupId(3)]);
    assert_eq!(groups_of("https://second.test", json!(["eng-second", "sre"])), [GroupId(0)]);
    assert_eq!(
        identify("https://second.test", json!("eng")),
        Ok(Identity {
            provider: ProviderId(1),
            subject: "alice".into(),
            groups: vec![GroupId(3)],
            groups_unknown: false,
            claims: vec![],
            scopes: None,
        })
    );
    for value in [json!([["eng"]]), json!([1]), json!(["eng", 1]), json!({ "eng": true }), json!(true)] {
        assert_eq!(identify(first, value.clone()), Err(Groups.into()), "{value}");
    }
}

#[test]
fn group_claims_may_be_nested() {
    let groups = |claim: &str, changes: &[(&str, Value)]| {
        let mut provider = own_provider();
        provider.groups_claim = claim.into();
        verify_with(&provider, &signed(&standard_header(), &claims_with(changes)), seconds(NOW))
            .map(|claims| claims.groups)
    };
    let roles = json!({ "roles": ["admin"], "other": 1 });
    assert_eq!(
        groups("realm_access.roles", &[("realm_access", roles.clone())]),
        Ok(Some(vec!["admin".into()]))
    );
    assert_eq!(groups("realm_access.missing", &[("realm_access", roles.clone())]), Ok(None));
    assert_eq!(groups("realm_access.other", &[("realm_access", roles.clone())]), Err(Groups));
    assert_eq!(groups("realm_access.roles.deeper", &[("realm_access", roles.clone())]), Ok(None));
    assert_eq!(groups("realm_access", &[("realm_access", roles.clone())]), Err(Groups));
    // Names with dots of their own, as in namespaced claims.
    let url = "https://claims.example.com/groups";
    assert_eq!(groups(url, &[(url, json!(["sre"]))]), Ok(Some(vec!["sre".into()])));
    assert_eq!(
        groups("realm_access.roles", &[("realm_access.roles", json!("flat"))]),
        Ok(Some(vec!["flat".into()]))
    );
    let both = [("realm_access.roles", json!("flat")), ("realm_access", roles)];
    assert_eq!(groups("realm_access.roles", &both), Err(Groups));
}

#[test]
fn the_issuer_chooses_the_provider_and_nobody_else_is_tried() {
    // Both providers trust a key of the same name; only the first one trusts ours.
    let mut second = provider(&ATTACKS_JWKS.replace("ed-1", "own"));
    second.issuer = "https://second.test".into();
    let authenticator = Authenticator::new(&[own_provider(), second], &[]).unwrap();
    let authenticate = |issuer: &str| {
        let token = signed(&standard_header(), &claims_with(&[("iss", json!(issuer))]));
        authenticator
            .authenticate(&bearer(&token), seconds(NOW), &JwtSimpleVerifier)
            .map(|caller| caller.provider)
    };
    assert_eq!(authenticate("https://idp.test"), Ok(ProviderId(0)));
    assert_eq!(authenticate("https://second.test"), Err(Signature.into()));
    assert_eq!(authenticate("https://third.test"), Err(Issuer.into()));
    assert_eq!(
        authenticator.authenticate(&[], seconds(NOW), &JwtSimpleVerifier),
        Err(Unauthenticated::Missing)
    );
}

#[test]
fn policies_that_could_vouch_for_nobody_do_not_load() {
    let changed = |change: fn(&mut Provider)| {
        let mut provider = own_provider();
        change(&mut provider);
        Authenticator::new(&[provider], &[]).unwrap_err()
    };
    let id = ProviderId(0);
    assert_eq!(changed(|provider| provider.issuer.clear()), AuthenticatorError::NoIssuer(id));
    assert_eq!(changed(|provider| provider.audiences.clear()), AuthenticatorError::NoAudience(id));
    assert_eq!(changed(|provider| provider.algorithms.clear()), AuthenticatorError::NoKeyForAlgorithms(id));
    assert_eq!(
        changed(|provider| provider.algorithms = vec![Algorithm::RS256]),
        AuthenticatorError::NoKeyForAlgorithms(id)
    );
    let bad_keys = AuthenticatorError::Keys { provider: id, cause: KeySetError::NotStrictJson };
    assert_eq!(changed(|provider| provider.jwks = "{".into()), bad_keys);
    assert_eq!(bad_keys.to_string(), "provider 0: key set is not JSON with one reading");

    let twice = Authenticator::new(&[own_provider(), own_provider()], &[]).unwrap_err();
    assert_eq!(twice, AuthenticatorError::DuplicateIssuer(ProviderId(1)));
    let stray = Group { name: "stray".into(), from: vec![(ProviderId(1), "eng".into())] };
    let stray = Authenticator::new(&[own_provider()], &[stray]).unwrap_err();
    assert_eq!(stray, AuthenticatorError::UnknownProvider(GroupId(0)));
}

#[test]
fn refusals_do_not_quote_the_token() {
    let secret = "planted-value";
    let token = signed(&standard_header(), &claims_with(&[("sub", json!(secret)), ("exp", json!(secret))]));
    let authenticator = Authenticator::new(&[own_provider()], &[]).unwrap();
    let refusal = authenticator.authenticate(&bearer(&token), seconds(NOW), &JwtSimpleVerifier).unwrap_err();
    for text in [
        refusal.to_string(),
        format!("{refusal:?}"),
        refusal.reason().into(),
        refusal.www_authenticate().into(),
    ] {
        assert!(!text.contains("planted") && !text.contains("eyJ"), "{text}");
    }
}

/// Counts the signature checks.
#[derive(Default)]
struct Counting(std::cell::Cell<usize>);

impl veilwire_engine::identity::SignatureVerifier for Counting {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &veilwire_engine::identity::VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, veilwire_engine::identity::VerifierError> {
        self.0.set(self.0.get() + 1);
        JwtSimpleVerifier.verify(algorithm, key, signed_text, signature)
    }
}

#[test]
fn a_verified_token_is_not_verified_again_until_it_expires() {
    let authenticator = Authenticator::new(&[own_provider()], &[]).unwrap();
    let checks = Counting::default();
    let good = signed(&standard_header(), &standard_claims());
    let ask = |token: &str, now| authenticator.authenticate(&bearer(token), seconds(now), &checks);
    assert_eq!(ask(&good, NOW), ask(&good, NOW + 1));
    assert_eq!(checks.0.get(), 1);
    // Expiry, with its leeway, ends it; a clock that was set back asks again.
    let expires = NOW + 60 + u64::from(LEEWAY);
    assert!(ask(&good, expires - 1).is_ok());
    assert_eq!(ask(&good, expires), Err(TokenError::Expired.into()));
    assert!(ask(&good, NOW - 1).is_ok());
    assert_eq!(checks.0.get(), 3);
}

#[test]
fn a_refused_token_is_never_remembered() {
    let authenticator = Authenticator::new(&[own_provider()], &[]).unwrap();
    let checks = Counting::default();
    let good = signed(&standard_header(), &standard_claims());
    let forged = format!("{}AAAA", good.get(..good.len() - 4).unwrap());
    let other = signed(&standard_header(), &claims_with(&[("sub", json!("mallory"))]));
    // The text of one token with the signature of another.
    let swapped = format!("{}.{}", other.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    for _ in 0..3 {
        assert!(authenticator.authenticate(&bearer(&good), seconds(NOW), &checks).is_ok());
        for token in [&forged, &swapped] {
            assert_eq!(
                authenticator.authenticate(&bearer(token), seconds(NOW), &checks),
                Err(Signature.into())
            );
        }
    }
    assert_eq!(checks.0.get(), 1 + 3 * 2);
}

#[test]
fn a_token_is_good_only_where_its_provider_has_tokens() {
    use veilwire_engine::policy::model::TokenSource;
    let mut browser = own_provider();
    browser.issuer = "https://second.test".into();
    browser.sources = vec![TokenSource::Cookie("session".into()), TokenSource::Authorization];
    let authenticator = Authenticator::new(&[own_provider(), browser], &[]).unwrap();
    let token = |issuer: &str| signed(&standard_header(), &claims_with(&[("iss", json!(issuer))]));
    let (first, second) = (token("https://idp.test"), token("https://second.test"));
    let cookie = |token: &str| vec![(b"cookie".to_vec(), format!("a=b; session={token}").into_bytes())];
    let ask = |headers: Vec<(Vec<u8>, Vec<u8>)>| {
        authenticator.authenticate(&headers, seconds(NOW), &JwtSimpleVerifier).map(|caller| caller.provider)
    };
    assert_eq!(ask(bearer(&first)), Ok(ProviderId(0)));
    assert_eq!(ask(bearer(&second)), Ok(ProviderId(1)));
    assert_eq!(ask(cookie(&second)), Ok(ProviderId(1)));
    // Not even after it was verified where it belongs.
    assert_eq!(ask(cookie(&first)), Err(Unauthenticated::Misplaced));
    assert_eq!(ask([bearer(&first), cookie(&first)].concat()), Err(Unauthenticated::MoreThanOne));
}

#[test]
fn claims_for_rules_are_kept_as_they_are() {
    use veilwire_engine::identity::ClaimValue::{Absent, Many, One, Opaque};
    use veilwire_engine::policy::model::Literal::{Flag, Integer, Text};
    let names =
        ["dept", "level", "admin", "tags", "org.unit", "mixed", "deep", "none", "half", "empty", "two.ways"];
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let authenticator = Authenticator::with_claims(&[own_provider()], &[], &names).unwrap();
    let token = signed(
        &standard_header(),
        &claims_with(&[
            ("dept", json!("fraud")),
            ("level", json!(3)),
            ("admin", json!(true)),
            ("tags", json!(["a", 1, false])),
            ("org", json!({ "unit": "x" })),
            ("mixed", json!(["a", ["b"]])),
            ("deep", json!({ "a": 1 })),
            ("half", json!(0.5)),
            ("empty", json!([])),
            ("two", json!({ "ways": 1 })),
            ("two.ways", json!(1)),
        ]),
    );
    let identity = authenticator.authenticate(&bearer(&token), seconds(NOW), &JwtSimpleVerifier).unwrap();
    let text = |text: &str| Text(text.into());
    assert_eq!(
        identity.claims,
        [
            One(text("fraud")),
            One(Integer(3)),
            One(Flag(true)),
            Many(vec![text("a"), Integer(1), Flag(false)]),
            One(text("x")),
            Opaque,
            Opaque,
            Absent,
            Opaque,
            Many(vec![]),
            Opaque,
        ]
    );
    assert!(!format!("{identity:?}").contains("fraud"), "claims are not printed");
}

#[test]
fn tokens_without_end_do_not_load() {
    let mut provider = own_provider();
    provider.expiry_optional = true;
    let error = Authenticator::new(&[provider.clone()], &[]).unwrap_err();
    assert_eq!(error, AuthenticatorError::NoLifetime(ProviderId(0)));
    provider.max_age_seconds = Some(3600);
    assert!(Authenticator::new(&[provider], &[]).is_ok());
}
