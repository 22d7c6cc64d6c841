//! Published signature vectors. Their payloads are no claims, so they are fed in below the claims.

mod corpus;

use super::super::keys::{KeyError, KeySetError};
use super::super::verifier::{JwtSimpleVerifier, VerifierError};
use super::*;
use crate::policy::id::KeyId;
use crate::policy::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const WYCHEPROOF: &str = include_str!("../../../tests/data/jwt/wycheproof_signature.json");
const RFC7515: &str = include_str!("../../../tests/data/jwt/rfc7515_appendix_A.json");
const RFC7520: &str = include_str!("../../../tests/data/jwt/cookbook/4_1.rsa_v15_signature.json");
const RFC7520_PSS: &str = include_str!("../../../tests/data/jwt/cookbook/4_2.rsa-pss_signature.json");
const RFC7520_P521: &str = include_str!("../../../tests/data/jwt/cookbook/4_3.ecdsa_signature.json");
const RFC7520_MAC: &str =
    include_str!("../../../tests/data/jwt/cookbook/4_4.hmac-sha2_integrity_protection.json");
const RFC8037: &str = include_str!("../../../tests/data/jwt/cookbook/rfc8037_jws.json");

/// jwt-simple says nothing of a signature over a payload that is no claims: it refuses the payload, after the
/// signature. That it came so far is shown by the same text with a wrong signature, which is refused for the
/// signature.
struct AnyPayload;

impl SignatureVerifier for AnyPayload {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError> {
        let verdict = JwtSimpleVerifier.verify(algorithm, key, signed_text, signature);
        if verdict != Err(VerifierError::Unreadable) {
            return verdict;
        }
        let mut wrong = signature.to_vec();
        wrong[signature.len() / 2] ^= 1;
        assert_eq!(JwtSimpleVerifier.verify(algorithm, key, signed_text, &wrong), Ok(false));
        Ok(true)
    }
}

/// A verifier under a public key, or one that shares a secret for the algorithm that the key names.
fn verifier_for(key: &Value) -> Option<TokenVerifier> {
    let secret = key["k"].as_str().map(|text| shared_secret(key, text));
    let algorithms = match &secret {
        Some(_) => vec![Algorithm::named(key["alg"].as_str()?)?],
        None => Algorithm::ALL.to_vec(),
    };
    let provider = Provider {
        name: "idp".into(),
        issuer: "https://idp.test".into(),
        audiences: vec!["here".into()],
        algorithms,
        groups_claim: "groups".into(),
        secret: secret.flatten(),
        ..Provider::default()
    };
    let keys = match &provider.secret {
        Some(_) => None,
        None => Some(KeySet::parse(&json!({ "keys": [key] }).to_string()).ok()?),
    };
    Some(TokenVerifier::with_claims(&provider, keys, &[]))
}

fn shared_secret(key: &Value, text: &str) -> Option<SharedSecret> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let secret = Secret::read(STANDARD.encode(bytes).as_bytes())?;
    Some(SharedSecret { key: KeyId(0), key_id: key["kid"].as_str().map(str::to_owned), secret })
}

fn signature_verdict(verifier: &TokenVerifier, token: &str) -> Result<(), TokenError> {
    let jws = Jws::parse(token.as_bytes())?;
    if !verifier.algorithms.contains(&jws.algorithm) {
        return Err(TokenError::Algorithm);
    }
    match &verifier.trust {
        Trust::Keys(keys) => verify_signature(&jws, keys, &AnyPayload),
        Trust::Secret(shared) => match verify_shared(&jws, shared) {
            // As with signatures: the payload is refused after the MAC.
            Err(TokenError::Unverifiable) => {
                let mut wrong = jws.clone();
                wrong.signature[0] ^= 1;
                assert_eq!(verify_shared(&wrong, shared), Err(TokenError::Signature));
                Ok(())
            }
            verdict => verdict,
        },
        Trust::Fetched | Trust::Host(_) => panic!("no verifier of these tests"),
    }
}

/// Does the key say that it is for another algorithm than the token?
fn is_mislabelled(key: &Value, test: &Value) -> bool {
    header_of(test["jws"].as_str().unwrap())["alg"] != key["alg"]
}

fn header_of(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

fn public(key: &Value) -> Value {
    let mut key = key.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        key.as_object_mut().map(|members| members.remove(name));
    }
    key
}

/// Names of algorithms in the vectors that are none: their keys are skipped, so nothing verifies.
const UNSUPPORTED: [&str; 1] = ["ES521"];

/// What a verdict must be. The suite errs about four: 367 and 370 are the valid 357, letter by letter, and 372 and 373 have a
/// character that base64url has not.
fn result_of(test: &Value) -> &str {
    match test["tcId"].as_u64() {
        Some(367 | 370) => "valid",
        Some(372 | 373) => "invalid",
        _ => test["result"].as_str().unwrap(),
    }
}

#[test]
fn wycheproof_signatures() {
    let suite: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    let (mut valid, mut invalid, mut unsupported, mut other_use, mut mislabelled) = (0, 0, 0, 0, 0);
    for group in suite["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let verifier = verifier_for(key);
        let is_supported = key["alg"].as_str().is_none_or(|algorithm| !UNSUPPORTED.contains(&algorithm));
        for test in group["tests"].as_array().unwrap() {
            let (name, expected) = (&test["comment"], result_of(test));
            let Some(verifier) = &verifier else {
                if is_supported {
                    assert_eq!(expected, "invalid", "{name}: a good key was refused");
                    other_use += 1;
                } else {
                    unsupported += 1;
                }
                continue;
            };
            assert!(is_supported, "{name}: a key for an unsupported algorithm was taken");
            let verdict = signature_verdict(verifier, test["jws"].as_str().unwrap());
            match expected {
                // RFC 7520 signs with PS384 under a key that the suite says is for PS256.
                "valid" if is_mislabelled(key, test) => {
                    assert_eq!(verdict, Err(TokenError::KeyMismatch), "{}", test["tcId"]);
                    mislabelled += 1;
                    continue;
                }
                "valid" => assert_eq!(verdict, Ok(()), "{} {name}", test["tcId"]),
                _ => assert!(verdict.is_err(), "{} {name}", test["tcId"]),
            }
            assert_ne!(verdict, Err(TokenError::Unverifiable), "{} {name}", test["tcId"]);
            *(if expected == "valid" { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid, unsupported, other_use, mislabelled), (42, 351, 2, 4, 2));
}

#[test]
fn rfc_examples() {
    let rfc7515: Value = serde_json::from_str(RFC7515).unwrap();
    let rfc7520: Value = serde_json::from_str(RFC7520).unwrap();
    let rfc7520_pss: Value = serde_json::from_str(RFC7520_PSS).unwrap();
    let rfc7520_p521: Value = serde_json::from_str(RFC7520_P521).unwrap();
    let rfc7520_mac: Value = serde_json::from_str(RFC7520_MAC).unwrap();
    let rfc8037: Value = serde_json::from_str(RFC8037).unwrap();
    let mut examples: Vec<(Value, String)> = rfc7515
        .as_array()
        .unwrap()
        .iter()
        .filter(|example| example["alg"] != "none")
        .map(|example| (public(&example["key"]), example["token"].as_str().unwrap().to_owned()))
        .collect();
    for example in [&rfc7520, &rfc7520_pss, &rfc7520_p521, &rfc7520_mac, &rfc8037] {
        let compact = example["output"]["compact"].as_str().unwrap();
        examples.push((public(&example["input"]["key"]), compact.to_owned()));
    }
    assert_eq!(examples.len(), 9);
    for (mut key, token) in examples {
        // Not all of them say their algorithm; here it is told.
        if key.get("alg").is_none() && ["RSA", "oct"].contains(&key["kty"].as_str().unwrap()) {
            key["alg"] = header_of(&token)["alg"].clone();
        }
        let verifier = verifier_for(&key).unwrap();
        assert_eq!(signature_verdict(&verifier, &token), Ok(()));
        let mut forged = token.clone().into_bytes();
        let position = forged.len() - 6;
        forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(signature_verdict(&verifier, &forged), Err(TokenError::Signature));
    }
}

/// To careless arithmetic a number plus the modulus is the same number: callers could respell a token.
#[test]
fn signatures_have_one_form() {
    let suite: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    let mut respelt = 0;
    for group in suite["testGroups"].as_array().unwrap() {
        let Some(verifier) = group.get("public").and_then(verifier_for) else { continue };
        let Some(modulus) = group["public"]["n"].as_str() else { continue };
        let modulus = URL_SAFE_NO_PAD.decode(modulus).unwrap();
        for test in group["tests"].as_array().unwrap().iter().filter(|test| test["result"] == "valid") {
            if is_mislabelled(&group["public"], test) {
                continue;
            }
            let token = test["jws"].as_str().unwrap();
            assert_eq!(signature_verdict(&verifier, token), Ok(()));
            let (text, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let Some(sum) = sum(&signature, &modulus) else { continue };
            let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(sum));
            assert_eq!(signature_verdict(&verifier, &token), Err(TokenError::Signature));
            respelt += 1;
        }
    }
    assert!(respelt >= 2, "{respelt}");

    // RFC 8032 section 5.1.7: the second half, little-endian, must be below the order of the group.
    let example: Value = serde_json::from_str(RFC8037).unwrap();
    let verifier = verifier_for(&public(&example["input"]["key"])).unwrap();
    let (text, signature) = example["output"]["compact"].as_str().unwrap().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (point, scalar) = signature.split_at(32);
    let order =
        b"\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\xde\xf9\xde\xa2\xf7\x9c\xd6\x58\x12\x63\x1a\x5c\xf5\xd3\xed";
    let scalar: Vec<u8> = scalar.iter().rev().copied().collect();
    let respelt: Vec<u8> = sum(&scalar, order).unwrap().into_iter().rev().collect();
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode([point, &respelt].concat()));
    assert_eq!(signature_verdict(&verifier, &token), Err(TokenError::Signature));
}

/// The sum of two big-endian numbers of one length, if it has that length.
fn sum(left: &[u8], right: &[u8]) -> Option<Vec<u8>> {
    assert_eq!(left.len(), right.len());
    let mut carry = 0;
    let mut digits = Vec::new();
    for (left, right) in left.iter().zip(right).rev() {
        let digit = u16::from(*left) + u16::from(*right) + carry;
        digits.push((digit % 256) as u8);
        carry = digit / 256;
    }
    digits.reverse();
    (carry == 0).then_some(digits)
}

#[test]
fn refusals_have_names_of_their_own() {
    let all = [
        TokenError::TooLong,
        TokenError::Malformed,
        TokenError::Algorithm,
        TokenError::Type,
        TokenError::Extension,
        TokenError::KeyUnknown,
        TokenError::KeyAmbiguous,
        TokenError::KeysUnavailable,
        TokenError::KeyMismatch,
        TokenError::Signature,
        TokenError::Unverifiable,
        TokenError::Claim,
        TokenError::Bound,
        TokenError::Dpop,
        TokenError::Certificate,
        TokenError::Unbound,
        TokenError::Issuer,
        TokenError::Audience,
        TokenError::AuthorizedParty,
        TokenError::Expired,
        TokenError::TooOld,
        TokenError::NotYetValid,
        TokenError::IssuedInFuture,
        TokenError::Subject,
        TokenError::Groups,
    ];
    let names: std::collections::BTreeSet<_> = all.iter().map(|error| error.reason()).collect();
    assert_eq!(names.len(), all.len());
    assert!(names.iter().all(|name| name.starts_with("token-")));
    let not_the_callers: Vec<_> = all.iter().filter(|error| !error.is_caller_fault()).collect();
    assert_eq!(not_the_callers, [&TokenError::KeysUnavailable, &TokenError::Unverifiable]);
}
