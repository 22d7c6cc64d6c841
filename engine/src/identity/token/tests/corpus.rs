//! The rest of the published documents: what is no JWS of one signature in compact form, and what other algorithms sign.

use super::*;

const CRYPTO: &str = include_str!("../../../../tests/data/jwt/wycheproof_crypto.json");
const ENCRYPTION: &str = include_str!("../../../../tests/data/jwt/wycheproof_encryption.json");
/// Documents of the cookbook of which every form is refused, with how many forms they have.
const COOKBOOK: [(&str, &str, usize); 7] = [
    (
        "detached",
        include_str!("../../../../tests/data/jwt/cookbook/4_5.signature_with_detached_content.json"),
        3,
    ),
    (
        "unprotected",
        include_str!("../../../../tests/data/jwt/cookbook/4_6.protecting_specific_header_fields.json"),
        2,
    ),
    ("no header", include_str!("../../../../tests/data/jwt/cookbook/4_7.protecting_content_only.json"), 2),
    ("several", include_str!("../../../../tests/data/jwt/cookbook/4_8.multiple_signatures.json"), 1),
    ("b64", include_str!("../../../../tests/data/jwt/cookbook/rfc7797_hmac-sha2_b64_false.json"), 3),
    (
        "b64, JSON",
        include_str!("../../../../tests/data/jwt/cookbook/rfc7797_4.2.hmac-sha2_b64_false.json"),
        2,
    ),
    ("encrypted", include_str!("../../../../tests/data/jwt/cookbook/rfc8037_ecdh-es.json"), 3),
];
const NESTED: &str = include_str!("../../../../tests/data/jwt/cookbook/6_nested.json");
const KEYS: [(&str, &str, Option<KeySetError>); 6] = [
    ("P-521, public", include_str!("../../../../tests/data/jwt/cookbook/jwk/3_1.ec_public_key.json"), None),
    (
        "P-521, private",
        include_str!("../../../../tests/data/jwt/cookbook/jwk/3_2.ec_private_key.json"),
        refused(KeyError::Private),
    ),
    ("RSA, public", include_str!("../../../../tests/data/jwt/cookbook/jwk/3_3.rsa_public_key.json"), None),
    (
        "RSA, private",
        include_str!("../../../../tests/data/jwt/cookbook/jwk/3_4.rsa_private_key.json"),
        refused(KeyError::Private),
    ),
    (
        "HS256",
        include_str!("../../../../tests/data/jwt/cookbook/jwk/3_5.symmetric_key_mac_computation.json"),
        refused(KeyError::Symmetric),
    ),
    (
        "A256GCM",
        include_str!("../../../../tests/data/jwt/cookbook/jwk/3_6.symmetric_key_encryption.json"),
        refused(KeyError::Symmetric),
    ),
];

const fn refused(cause: KeyError) -> Option<KeySetError> {
    Some(KeySetError::Key { index: 0, cause })
}

/// A verifier that accepts every algorithm, under a good key of RSA.
fn any_verifier() -> TokenVerifier {
    let rfc7520: Value = serde_json::from_str(RFC7520).unwrap();
    verifier_for(&public(&rfc7520["input"]["key"])).unwrap()
}

/// What a caller would send: text as it is, anything else as JSON.
fn sent(token: &Value) -> String {
    token.as_str().map_or_else(|| token.to_string(), str::to_owned)
}

#[test]
fn wycheproof_crypto() {
    let suite: Value = serde_json::from_str(CRYPTO).unwrap();
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for group in suite["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        // What cannot be a key of ours is tried with one that is.
        let verifier = verifier_for(key).unwrap_or_else(any_verifier);
        for test in group["tests"].as_array().unwrap() {
            let token = sent(test.get("jws").or(test.get("jwe")).unwrap_or(&Value::Null));
            let verdict = signature_verdict(&verifier, &token);
            assert_ne!(verdict, Err(TokenError::Unverifiable), "{}", test["tcId"]);
            if verdict.is_ok() {
                assert_eq!(test["result"], "valid", "{}", test["tcId"]);
                accepted.push(test["tcId"].as_u64().unwrap());
            } else {
                refused += 1;
            }
        }
    }
    // HS256, ES256 and RS256; the other valid ones are encrypted.
    assert_eq!((accepted, refused), (vec![1, 18, 33], 80));
}

#[test]
fn wycheproof_encryption() {
    let suite: Value = serde_json::from_str(ENCRYPTION).unwrap();
    let verifier = any_verifier();
    let groups = suite["testGroups"].as_array().unwrap();
    let mut refused = 0;
    for test in groups.iter().flat_map(|group| group["tests"].as_array().unwrap()) {
        let verdict = signature_verdict(&verifier, &sent(&test["jwe"]));
        // Five parts, or a header that is no JWS header.
        let expected = matches!(verdict, Err(TokenError::Malformed | TokenError::Algorithm));
        assert!(expected, "{} {verdict:?}", test["tcId"]);
        refused += 1;
    }
    assert_eq!(refused, 139);
}

#[test]
fn cookbook_documents_that_are_no_token_of_ours() {
    for (name, text, forms) in COOKBOOK {
        let document: Value = serde_json::from_str(text).unwrap();
        // Its own key, where it has one of ours: it is the form that is refused.
        let verifier = verifier_for(&public(&document["input"]["key"])).unwrap_or_else(any_verifier);
        let output = document["output"].as_object().unwrap();
        assert_eq!(output.len(), forms, "{name}");
        for token in output.values() {
            let verdict = signature_verdict(&verifier, &sent(token));
            let expected = match verdict {
                Err(TokenError::Malformed | TokenError::Algorithm | TokenError::Extension) => true,
                // Header and MAC: an empty payload was not signed.
                Err(TokenError::Signature) => name == "detached",
                _ => false,
            };
            assert!(expected, "{name} {verdict:?}");
        }
    }
    let verifier = any_verifier();
    // A JWS in a JWE: the outer form is encrypted; the inner one would be good.
    let nested: Value = serde_json::from_str(NESTED).unwrap();
    let outer = sent(&nested["encrypt"]["output"]["compact"]);
    assert_eq!(signature_verdict(&verifier, &outer), Err(TokenError::Malformed));
    let inner = sent(&nested["sign"]["output"]["compact"]);
    let mut key = public(&nested["sign"]["input"]["key"]);
    key["alg"] = header_of(&inner)["alg"].clone();
    assert_eq!(signature_verdict(&verifier_for(&key).unwrap(), &inner), Ok(()));
}

#[test]
fn cookbook_keys() {
    for (name, text, expected) in KEYS {
        assert_eq!(KeySet::parse(&format!("{{\"keys\":[{text}]}}")).err(), expected, "{name}");
    }
}

/// The same as objects: a token of ours is a text.
#[test]
fn cookbook_forms_that_are_no_text() {
    for (text, key) in [
        (RFC7520_P521, "bilbo.baggins@hobbiton.example"),
        (RFC7520_MAC, "018c0ae5-4d9b-471b-bfd6-eef314bc7037"),
    ] {
        let document: Value = serde_json::from_str(text).unwrap();
        let verifier = verifier_for(&public(&document["input"]["key"])).unwrap();
        let output = document["output"].as_object().unwrap();
        assert_eq!((output.len(), &document["input"]["key"]["kid"]), (3, &json!(key)));
        for (form, token) in output {
            let expected = if form == "compact" { Ok(()) } else { Err(TokenError::Malformed) };
            assert_eq!(signature_verdict(&verifier, &sent(token)), expected, "{key} {form}");
        }
    }
}

#[test]
fn rfc_7515_examples_of_other_algorithms() {
    let examples: Value = serde_json::from_str(RFC7515).unwrap();
    let examples = examples.as_array().unwrap();
    let others =
        examples.iter().filter(|example| Algorithm::named(example["alg"].as_str().unwrap()).is_none());
    let verdict = |example: &Value| signature_verdict(&any_verifier(), example["token"].as_str().unwrap());
    let verdicts: Vec<_> = others.map(verdict).collect();
    assert_eq!(verdicts, [Err(TokenError::Algorithm)], "none");
}
