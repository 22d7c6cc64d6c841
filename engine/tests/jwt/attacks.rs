//! The attack corpus: every token has its verdict, and no neighbour of a good token is good.

use super::*;
use TokenError::{
    Algorithm as BadAlgorithm, Audience, Claim, Expired, Extension, Groups, Issuer, KeyMismatch, KeyUnknown,
    Malformed, Signature, TooLong, Type, Unverifiable,
};
use proptest::prelude::{any, proptest};
use std::collections::BTreeMap;
use veilwire_engine::identity::{Authenticator, Unauthenticated};

pub(super) const ATTACKS: &str = include_str!("../data/jwt/attacks.jsonl");

fn attacks() -> BTreeMap<String, (String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    ATTACKS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| (text(&row, "name"), (text(&row, "expect"), text(&row, "token"))))
        .collect()
}

/// Must-reject tokens: the check that refuses each.
const REFUSED: [(&str, TokenError); 50] = [
    ("alg-NONE-empty-sig", BadAlgorithm),
    ("alg-None-empty-sig", BadAlgorithm),
    ("alg-PS256-not-in-jwk", BadAlgorithm),
    ("alg-RS512-not-in-jwk", BadAlgorithm),
    ("alg-key-mismatch-es-kid-rs", KeyMismatch),
    ("alg-key-mismatch-rs-kid-es", KeyMismatch),
    ("alg-missing", Malformed),
    ("alg-nOnE-empty-sig", BadAlgorithm),
    ("alg-none-two-parts", Malformed),
    ("alg-null", Malformed),
    ("attacker-jku-header", Signature),
    ("attacker-key-same-kid", Signature),
    ("attacker-x5c-header", Signature),
    ("attacker-x5u-header", Signature),
    ("aud-array-nonstring", Claim),
    ("aud-empty-array", Audience),
    ("aud-null", Claim),
    ("aud-prefix", Audience),
    ("aud-wrong", Audience),
    ("crit-empty", Extension),
    ("crit-names-missing", Extension),
    ("eddsa-zero-sig", Signature),
    ("es256-r-n-s-n", Signature),
    ("es256-sig-65", Signature),
    ("exp-array", Claim),
    ("exp-past", Expired),
    ("exp-string", Claim),
    ("four-parts", Malformed),
    ("header-array", Malformed),
    ("header-duplicate-alg", Malformed),
    ("hs256-key-confusion-der", BadAlgorithm),
    ("hs256-key-confusion-ec-point", BadAlgorithm),
    ("hs256-key-confusion-ed-x", BadAlgorithm),
    ("hs256-key-confusion-n-b64", BadAlgorithm),
    ("hs256-key-confusion-pem", BadAlgorithm),
    ("hs256-key-confusion-pem-stripped", BadAlgorithm),
    ("iss-missing", Claim),
    ("iss-wrong", Issuer),
    ("json-serialization", Malformed),
    ("kid-int", Malformed),
    ("kid-long", TooLong),
    ("kid-nul", KeyUnknown),
    ("kid-traversal", KeyUnknown),
    ("nbf-string", Claim),
    ("padding-equals", Malformed),
    ("payload-bom", Malformed),
    ("payload-changed", Signature),
    ("payload-invalid-utf8", Malformed),
    ("payload-nan", Malformed),
    ("std-base64-alphabet", Malformed),
];

/// Tokens that the specifications leave to policy: our decision and the reason.
pub(super) const DECIDED: [(&str, Option<TokenError>, &str); 14] = [
    ("valid-no-kid-RS256", None, "exactly one key fits the algorithm, so no choice is left to the caller"),
    ("valid-groups-string", None, "one string is a list of one; several providers write it so"),
    ("groups-wildcard", None, "compared byte for byte; the value means itself"),
    ("proto-pollution", None, "a claim nobody asked for; no object inherits anything"),
    ("kid-empty", Some(KeyUnknown), "a key id that is present must name a key; no key may be called nothing"),
    ("kid-null", Some(Malformed), "RFC 7515 section 4.1.4: a key id is a string"),
    (
        "claims-duplicate-groups",
        Some(Malformed),
        "RFC 7519 section 4 allows to refuse; two readings are an attack",
    ),
    (
        "sig-noncanonical-tail-bits",
        Some(Malformed),
        "a token has one spelling, or caches and denylists can be passed by",
    ),
    ("payload-lone-surrogate", Some(Malformed), "no Unicode text; what comes of it differs between readers"),
    ("payload-deep-nesting", Some(TooLong), "longer than any honest token; depth is bounded as well"),
    ("huge-1MiB", Some(TooLong), "longer than any honest token"),
    ("typ-JOSE-logout", Some(Type), "RFC 8725 section 3.11: another kind of JWT is no access token"),
    ("groups-nested-array", Some(Groups), "to skip a value could skip the group that a `mayNot` names"),
    ("groups-numbers", Some(Groups), "to skip a value could skip the group that a `mayNot` names"),
];

#[test]
fn every_attack_token_gets_its_verdict() {
    let provider = provider(ATTACKS_JWKS);
    let authenticator = Authenticator::new(std::slice::from_ref(&provider), &[]).unwrap();
    let refused: BTreeMap<&str, TokenError> = REFUSED.into();
    let decided: BTreeMap<&str, Option<TokenError>> =
        DECIDED.into_iter().map(|(name, verdict, _)| (name, verdict)).collect();
    let mut seen = [0; 3];
    for (name, (expect, token)) in attacks() {
        let expected = match expect.as_str() {
            "accept" => None,
            "reject" => Some(refused[name.as_str()]),
            "policy" => decided[name.as_str()],
            other => panic!("{name}: {other}"),
        };
        seen[["accept", "reject", "policy"].iter().position(|kind| *kind == expect).unwrap()] += 1;
        assert_eq!(verify_with(&provider, &token, seconds(NOW)).err(), expected, "{name}");
        let by_header = authenticator.authenticate(&bearer(&token), seconds(NOW), &JwtSimpleVerifier);
        match (expected, by_header) {
            (None, Ok(identity)) => assert!(!identity.subject.is_empty()),
            // As a header, this one is two things at once.
            (Some(Malformed), Err(Unauthenticated::MoreThanOne)) => assert_eq!(name, "json-serialization"),
            (Some(error), Err(refusal)) => assert_eq!(refusal, error.into(), "{name}"),
            (expected, found) => panic!("{name}: {expected:?}, {found:?}"),
        }
    }
    assert_eq!(seen, [13, REFUSED.len(), DECIDED.len()]);
}

#[test]
fn accepted_tokens_say_what_they_said() {
    let attacks = attacks();
    let claims = |name: &str| verify_with(&provider(ATTACKS_JWKS), &attacks[name].1, seconds(NOW)).unwrap();
    let expected = Claims {
        issuer: "https://idp.test".into(),
        subject: "alice".into(),
        groups: Some(vec!["sre".into(), "oncall".into()]),
        expires: Some(seconds(4_000_000_000)),
        good_until: seconds(4_000_000_000 + u64::from(LEEWAY)),
        scopes: None,
        values: vec![],
        certificate: None,
    };
    for name in ["valid-RS256", "valid-ES256", "valid-EdDSA", "valid-aud-array", "proto-pollution"] {
        assert_eq!(claims(name), expected, "{name}");
    }
    let groups = |name: &str| claims(name).groups.unwrap();
    assert_eq!(groups("valid-groups-string"), ["sre"]);
    assert_eq!(groups("groups-wildcard"), ["*"]);
    assert_eq!(groups("valid-groups-500").len(), 500);
    assert_eq!(claims("valid-unicode-claims").subject, "álïçé 😀");
    assert_eq!(claims("valid-exp-float").expires, Some(seconds(4_000_000_000).saturating_add_millis(500)));
}

#[test]
fn every_flipped_bit_is_refused() {
    let attacks = attacks();
    let provider = provider(ATTACKS_JWKS);
    let tokens = TokenVerifier::new(&provider, KeySet::parse(ATTACKS_JWKS).unwrap());
    let mut checked = 0;
    for name in ["valid-RS256", "valid-ES256", "valid-EdDSA"] {
        let token = attacks[name].1.as_bytes();
        for position in 0..token.len() {
            for bit in 0..8 {
                let mut flipped = token.to_vec();
                flipped[position] ^= 1 << bit;
                let verdict = tokens.verify(&flipped, seconds(NOW), &JwtSimpleVerifier);
                assert!(verdict.is_err(), "{name}: byte {position}, bit {bit}");
                assert_ne!(verdict, Err(Unverifiable), "{name}: byte {position}, bit {bit}");
                checked += 1;
            }
        }
        for length in 0..token.len() {
            assert!(
                tokens.verify(&token[..length], seconds(NOW), &JwtSimpleVerifier).is_err(),
                "{name}: {length}"
            );
        }
    }
    assert_eq!(checked, 8 * (598 + 342 + 342));
}

proptest! {
    #[test]
    fn no_bytes_are_a_token(bytes in any::<Vec<u8>>()) {
        let authenticator = Authenticator::new(&[provider(ATTACKS_JWKS)], &[]).unwrap();
        let header = |value: Vec<u8>| [(b"authorization".to_vec(), value)];
        let value = [b"Bearer ", &bytes[..]].concat();
        assert!(authenticator.authenticate(&header(value), seconds(NOW), &JwtSimpleVerifier).is_err());
        assert!(authenticator.authenticate(&header(bytes), seconds(NOW), &JwtSimpleVerifier).is_err());
    }

    #[test]
    fn no_other_part_makes_a_token(bytes in any::<Vec<u8>>(), part in 0..3_usize, encoded in any::<bool>()) {
        let token = signed(&standard_header(), &standard_claims());
        let mut parts: Vec<Vec<u8>> = token.split('.').map(|part| part.as_bytes().to_vec()).collect();
        parts[part] = if encoded { URL_SAFE_NO_PAD.encode(&bytes).into_bytes() } else { bytes };
        let changed = parts.join(&b'.');
        let tokens = TokenVerifier::new(&own_provider(), KeySet::parse(&own_jwks()).unwrap());
        assert!(tokens.verify(&changed, seconds(NOW), &JwtSimpleVerifier).is_err());
    }
}
