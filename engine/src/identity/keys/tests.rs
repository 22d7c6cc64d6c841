use super::*;
use serde_json::json;

const JWKS: &str = include_str!("../../../tests/data/jwt/attacks_jwks.json");
const WYCHEPROOF: &str = include_str!("../../../tests/data/jwt/wycheproof_key.json");

/// One of the three good keys: 0 is RSA, 1 is P-256, 2 is Ed25519.
fn good(index: usize) -> Value {
    serde_json::from_str::<Value>(JWKS).unwrap()["keys"][index].clone()
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn without(mut key: Value, name: &str) -> Value {
    key.as_object_mut().unwrap().remove(name);
    key
}

fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(&json!({ "keys": keys }).to_string())
}

fn cause(key: Value) -> KeyError {
    match parse(&[good(2), key]) {
        Err(KeySetError::Key { index: 1, cause }) => cause,
        other => panic!("{other:?}"),
    }
}

/// The second key is skipped: the set has one key.
fn is_skipped(key: Value) -> bool {
    parse(&[without(good(2), "kid"), key.clone()]).unwrap().keys.len() == 1
        && parse(&[key]).unwrap_err() == KeySetError::NoUsableKey
}

#[test]
fn good_keys_are_bound_to_their_algorithm() {
    let keys = KeySet::parse(JWKS).unwrap();
    let facts = |key: &VerifyingKey| (key.algorithm(), key.signature_length());
    assert_eq!(keys.key("rs-1").map(facts), Some((Algorithm::RS256, 256)));
    assert_eq!(keys.key("es-1").map(facts), Some((Algorithm::ES256, 64)));
    assert_eq!(keys.key("ed-1").map(facts), Some((Algorithm::EdDSA, 64)));
    assert!(keys.key("RS-1").is_none());
    assert!(keys.key("").is_none());
    for algorithm in Algorithm::ALL {
        let own = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].contains(&algorithm);
        assert_eq!(keys.keys_for(algorithm).count(), usize::from(own), "{}", algorithm.name());
    }
}

#[test]
fn an_rsa_key_is_for_one_algorithm() {
    use Algorithm::{ES256, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let bound = |key: Value, accepted: &[Algorithm]| {
        let text = json!({ "keys": [key] }).to_string();
        KeySet::parse_for(&text, accepted).unwrap().keys[0].algorithm()
    };
    for named in [RS256, RS384, RS512, PS256, PS384, PS512] {
        assert_eq!(bound(with(good(0), "alg", json!(named.name())), &Algorithm::ALL), named);
    }
    let silent = without(good(0), "alg");
    for (accepted, expected) in [
        (&[][..], RS256),
        (&[ES256, EdDSA], RS256),
        (&[PS384], PS384),
        (&[ES256, RS512], RS512),
        (&[RS256, PS256], RS256),
        (&[PS256, PS512], RS256),
    ] {
        assert_eq!(bound(silent.clone(), accepted), expected);
    }
}

#[test]
fn spki_is_the_der_of_rfc_5280() {
    let keys = KeySet::parse(JWKS).unwrap();
    let spki = |id: &str| keys.key(id).unwrap().spki_der().to_vec();
    let member =
        |index: usize, name: &str| URL_SAFE_NO_PAD.decode(good(index)[name].as_str().unwrap()).unwrap();
    // RFC 3279 section 2.3.1: rsaEncryption with NULL parameters, then SEQUENCE { n, e }.
    let mut rsa = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00".to_vec();
    rsa.extend(b"\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00");
    rsa.extend(member(0, "n"));
    rsa.extend(b"\x02\x03\x01\x00\x01");
    assert_eq!(spki("rs-1"), rsa);
    // RFC 5480 section 2.1.1: ecPublicKey on secp256r1, an uncompressed point.
    let mut p256 = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01".to_vec();
    p256.extend(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04");
    p256.extend(member(1, "x"));
    p256.extend(member(1, "y"));
    assert_eq!(spki("es-1"), p256);
    // RFC 8410 section 4.
    let mut ed25519 = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    ed25519.extend(member(2, "x"));
    assert_eq!(spki("ed-1"), ed25519);
}

#[test]
fn keys_for_others_are_skipped() {
    for key in [
        with(good(0), "use", json!("enc")),
        with(good(0), "alg", json!("RSA-OAEP")),
        with(good(0), "alg", json!("RS1")),
        with(good(0), "alg", json!("ES256")),
        with(good(0), "key_ops", json!(["encrypt", "wrapKey"])),
        with(good(0), "key_ops", json!([])),
        with(good(1), "crv", json!("P-521")),
        with(good(1), "crv", json!("secp256k1")),
        with(good(1), "alg", json!("ES384")),
        with(good(2), "crv", json!("X25519")),
        with(good(2), "crv", json!("Ed448")),
        with(good(2), "kty", json!("EC")),
        with(good(0), "kty", json!("rsa")),
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA" }),
        json!({ "kty": "unheard of" }),
    ] {
        assert!(is_skipped(key.clone()), "{key}");
    }
    // What says nothing about its use may verify.
    let silent = without(without(good(0), "alg"), "use");
    assert_eq!(parse(std::slice::from_ref(&silent)).unwrap().keys.len(), 1);
    assert_eq!(parse(&[with(silent, "key_ops", json!(["sign", "verify"]))]).unwrap().keys.len(), 1);
}

#[test]
fn symmetric_and_private_keys_refuse_the_set() {
    assert_eq!(cause(json!({ "kty": "oct", "k": "AAAA", "alg": "HS256" })), KeyError::Symmetric);
    assert_eq!(cause(json!({ "kty": "oct" })), KeyError::Symmetric);
    assert_eq!(cause(with(good(0), "k", json!("AAAA"))), KeyError::Symmetric);
    for index in 0..3 {
        let other = with(good(index), "kid", json!("other"));
        assert_eq!(cause(with(other, "d", json!("AAAA"))), KeyError::Private);
    }
    assert_eq!(cause(with(good(0), "p", json!("AAAA"))), KeyError::Private);
    // Also where the public key would be skipped.
    let post_quantum = json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "priv": "AAAA" });
    assert_eq!(cause(post_quantum), KeyError::Private);
    assert_eq!(cause(with(with(good(0), "use", json!("enc")), "d", json!("AAAA"))), KeyError::Private);
}

#[test]
fn weak_and_wrong_keys_refuse_the_set() {
    let encoded = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let modulus = URL_SAFE_NO_PAD.decode(good(0)["n"].as_str().unwrap()).unwrap();
    let mut even = modulus.clone();
    even[255] ^= 1;
    for n in [&modulus[1..], &even, &[&[0, 0], &modulus[..]].concat(), &[], &[0; 256], &[0xff; 513]] {
        assert_eq!(cause(with(good(0), "n", encoded(n))), KeyError::RsaParameters);
    }
    for e in [&[1][..], &[3], &[0, 1, 0, 1], &[1, 0, 0], &[], &[1, 0, 0, 0, 1], &[0]] {
        assert_eq!(cause(with(good(0), "e", encoded(e))), KeyError::RsaParameters);
    }
    // The sign byte of Java's BigInteger is no part of the number.
    let signed = with(with(good(0), "n", encoded(&[&[0], &modulus[..]].concat())), "kid", json!("java"));
    assert_eq!(parse(&[signed]).unwrap().key("java").map(VerifyingKey::signature_length), Some(256));

    assert_eq!(cause(with(good(1), "x", good(1)["y"].clone())), KeyError::NotOnCurve);
    assert_eq!(cause(with(good(1), "x", encoded(&[0xff; 32]))), KeyError::NotOnCurve);
    assert_eq!(cause(with(good(1), "y", encoded(&[1; 31]))), KeyError::NotOnCurve);
    // Coordinates of the other curve.
    let other_curve = with(without(good(1), "alg"), "crv", json!("P-384"));
    assert_eq!(cause(other_curve.clone()), KeyError::NotOnCurve);
    let long = |name: &str| with(other_curve.clone(), name, encoded(&[1; 48]));
    assert_eq!(cause(with(long("x"), "y", encoded(&[1; 48]))), KeyError::NotOnCurve);
    for x in [
        vec![0; 32],    // order 4
        vec![0; 31],    // short
        vec![0xff; 32], // not canonical
        {
            let mut one = vec![0; 32];
            one[0] = 1;
            one
        }, // the identity
    ] {
        let other = with(without(good(2), "kid"), "x", encoded(&x));
        assert_eq!(cause(other), KeyError::NotOnCurve);
    }
}

#[test]
fn ill_formed_keys_refuse_the_set() {
    assert_eq!(cause(json!("key")), KeyError::NotAnObject);
    assert_eq!(cause(without(good(0), "kty")), KeyError::Missing("kty"));
    assert_eq!(cause(without(good(0), "n")), KeyError::Missing("n"));
    assert_eq!(cause(without(good(0), "e")), KeyError::Missing("e"));
    assert_eq!(cause(without(good(1), "crv")), KeyError::Missing("crv"));
    assert_eq!(cause(without(good(1), "y")), KeyError::Missing("y"));
    assert_eq!(cause(with(good(0), "kty", json!(1))), KeyError::WrongType("kty"));
    assert_eq!(cause(with(good(0), "n", json!(1))), KeyError::WrongType("n"));
    assert_eq!(cause(with(good(0), "kid", json!(null))), KeyError::WrongType("kid"));
    assert_eq!(cause(with(good(0), "use", json!(["sig"]))), KeyError::WrongType("use"));
    assert_eq!(cause(with(good(0), "key_ops", json!("verify"))), KeyError::WrongType("key_ops"));
    assert_eq!(cause(with(good(0), "key_ops", json!(["verify", 1]))), KeyError::WrongType("key_ops"));
    assert_eq!(cause(with(good(0), "kid", json!(""))), KeyError::KeyIdLength);
    assert_eq!(cause(with(good(0), "kid", json!("k".repeat(257)))), KeyError::KeyIdLength);
    assert_eq!(cause(with(good(0), "kid", json!("ed-1"))), KeyError::DuplicateKeyId);
    for bad in ["AQAB=", "AQ AB", "AQA+", "AQAB\n", "AQAC5"] {
        assert_eq!(cause(with(good(0), "e", json!(bad))), KeyError::NotBase64Url("e"), "{bad}");
    }
    // Bits that no byte holds.
    assert_eq!(cause(with(good(0), "e", json!("AR"))), KeyError::NotBase64Url("e"));
}

#[test]
fn ill_formed_sets_are_refused() {
    for (text, error) in [
        ("", KeySetError::NotStrictJson),
        ("{", KeySetError::NotStrictJson),
        (r#"{"keys":[],"keys":[]}"#, KeySetError::NotStrictJson),
        (r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#, KeySetError::NotStrictJson),
        ("{}", KeySetError::NoKeysMember),
        ("[]", KeySetError::NoKeysMember),
        (r#"{"keys":{}}"#, KeySetError::NoKeysMember),
        (r#"{"keys":[]}"#, KeySetError::NoUsableKey),
    ] {
        assert_eq!(KeySet::parse(text).unwrap_err(), error, "{text}");
    }
    let many = vec![json!({ "kty": "unheard of" }); 129];
    assert_eq!(parse(&many).unwrap_err(), KeySetError::TooManyKeys);
    let padded = format!("{JWKS}{}", " ".repeat(256 * 1024));
    assert_eq!(KeySet::parse(&padded).unwrap_err(), KeySetError::TooLong);
}

#[test]
fn errors_do_not_quote_the_key() {
    let error = parse(&[good(0), json!({ "kty": "oct", "k": "c2VjcmV0" })]).unwrap_err();
    assert_eq!(error.to_string(), "key 1: symmetric keys are refused");
    let debug = format!("{:?}", KeySet::parse(JWKS).unwrap().key("rs-1").unwrap().native());
    assert_eq!(debug, "Rsa(..)");
}

#[test]
fn wycheproof_keys() {
    let suite: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    let groups = suite["testGroups"].as_array().unwrap();
    let mut accepted = Vec::new();
    for group in groups {
        let comment = group["comment"].as_str().unwrap();
        let set = KeySet::parse(&group.get("public").unwrap_or(&group["private"]).to_string());
        let cause = match set {
            Ok(_) => {
                accepted.push(group["tests"][0]["comment"].as_str().unwrap());
                continue;
            }
            Err(KeySetError::Key { cause, .. }) => Some(cause),
            Err(KeySetError::NoUsableKey) => None,
            Err(other) => panic!("{comment}: {other}"),
        };
        let expected = match comment {
            "jws_rsa_roca_key" => Some(KeyError::RsaFactorable),
            "keysize_too_small" | "exponentOne" => Some(KeyError::RsaParameters),
            "invalid_point" => Some(KeyError::NotOnCurve),
            // For encryption, for other algorithms or curves, or with a type that does not fit.
            "rs256" | "wrong_algorithm" | "invalid_algorithm" | "invalid_use" | "wrong_curve"
            | "wrong_kty" => None,
            _ => Some(KeyError::Symmetric),
        };
        assert_eq!(cause, expected, "{comment}");
    }
    assert_eq!((accepted, groups.len()), (vec!["acceptsValid"], 25));
}
