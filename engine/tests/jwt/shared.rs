//! Secrets that a provider shares: HMAC (RFC 7518 section 3.2), and only there.

use super::*;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::prelude::{HS256Key, HS384Key, HS512Key, MACLike as _};
use veilwire_engine::identity::{
    Authenticator, AuthenticatorError, SignatureVerifier, Unauthenticated, VerifierError, VerifyingKey,
};
use veilwire_engine::policy::id::{KeyId, ProviderId};
use veilwire_engine::policy::model::{Document, RemoteKeys, SharedSecret};
use veilwire_engine::policy::secret::Secret;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// A host that must not be asked.
struct Unasked;

impl SignatureVerifier for Unasked {
    fn verify(&self, _: Algorithm, _: &VerifyingKey, _: &[u8], _: &[u8]) -> Result<bool, VerifierError> {
        panic!("the host was asked about a secret")
    }

    fn vouched(&self, _: &[&str]) -> Result<Option<Vec<u8>>, VerifierError> {
        panic!("the host was asked about a secret")
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(place * 7 % 251).unwrap()).collect()
}

fn shared(secret: &[u8], key_id: Option<&str>) -> SharedSecret {
    let secret = Secret::read(STANDARD.encode(secret).as_bytes()).unwrap_or_default();
    SharedSecret { key: KeyId(0), key_id: key_id.map(str::to_owned), secret }
}

fn sharing(algorithms: &[Algorithm], secret: SharedSecret) -> Provider {
    Provider { algorithms: algorithms.to_vec(), secret: Some(secret), ..provider("") }
}

fn mac(algorithm: Algorithm, secret: &[u8], text: &str) -> Vec<u8> {
    match algorithm {
        Algorithm::HS256 => HS256Key::from_bytes(secret).authentication_tag(text.as_bytes()),
        Algorithm::HS384 => HS384Key::from_bytes(secret).authentication_tag(text.as_bytes()),
        _ => HS512Key::from_bytes(secret).authentication_tag(text.as_bytes()),
    }
}

fn header(algorithm: Algorithm, key_id: Option<&str>) -> String {
    let mut header = json!({ "alg": algorithm.name() });
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    header.to_string()
}

fn token(algorithm: Algorithm, secret: &[u8], key_id: Option<&str>) -> String {
    let text = signed_text(&header(algorithm, key_id), &standard_claims());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac(algorithm, secret, &text)))
}

fn verdict(provider: Provider, token: &str) -> Option<Unauthenticated> {
    let authenticator = Authenticator::new(&[provider], &[]).unwrap();
    authenticator.authenticate(&bearer(token), seconds(NOW), &Unasked).err()
}

const fn invalid(error: TokenError) -> Option<Unauthenticated> {
    Some(Unauthenticated::Invalid(error))
}

#[test]
fn a_token_with_the_right_mac_is_good() {
    for algorithm in ALGORITHMS {
        let secret = bytes(algorithm.mac_length().unwrap());
        for key_id in [None, Some("k1")] {
            let provider = sharing(&[algorithm], shared(&secret, key_id));
            assert_eq!(verdict(provider, &token(algorithm, &secret, key_id)), None, "{algorithm:?}");
        }
    }
    // Longer than a block of the hash: HMAC hashes it first.
    let long = bytes(300);
    assert_eq!(
        verdict(sharing(&ALGORITHMS, shared(&long, None)), &token(Algorithm::HS512, &long, None)),
        None
    );
}

#[test]
fn every_other_mac_is_refused() {
    for algorithm in ALGORITHMS {
        let length = algorithm.mac_length().unwrap();
        let secret = bytes(64);
        let text = signed_text(&header(algorithm, None), &standard_claims());
        let good = mac(algorithm, &secret, &text);
        assert_eq!(good.len(), length);
        let with = |mac: &[u8]| {
            let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac));
            verdict(sharing(&ALGORITHMS, shared(&secret, None)), &token)
        };
        assert_eq!(with(&good), None);
        for bit in 0..length * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(with(&bad), invalid(TokenError::Signature), "{algorithm:?} {bit}");
        }
        let longer = [&good[..], &[0]].concat();
        for bad in [&good[..length - 1], &good[..16], &longer, &vec![0; length], &[]] {
            assert_eq!(with(bad), invalid(TokenError::Signature), "{algorithm:?}");
        }
        let other = mac(algorithm, &bytes(65), &text);
        assert_eq!(with(&other), invalid(TokenError::Signature), "{algorithm:?}");
    }
}

#[test]
fn algorithm_and_key_id_are_those_of_the_policy() {
    let secret = bytes(64);
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let provider = sharing(&[Algorithm::HS256], shared(&secret, None));
        assert_eq!(verdict(provider, &token(algorithm, &secret, None)), invalid(TokenError::Algorithm));
    }
    for (demanded, sent) in
        [(None, Some("k1")), (Some("k1"), None), (Some("k1"), Some("k2")), (None, Some(""))]
    {
        let provider = sharing(&ALGORITHMS, shared(&secret, demanded));
        assert_eq!(
            verdict(provider, &token(Algorithm::HS256, &secret, sent)),
            invalid(TokenError::KeyUnknown),
            "{demanded:?} {sent:?}"
        );
    }
    let provider = sharing(&ALGORITHMS, shared(&secret, Some("own")));
    let signed = signed(&standard_header(), &standard_claims());
    assert_eq!(verdict(provider, &signed), invalid(TokenError::Algorithm), "a good signature of a key");
}

/// RFC 8725 section 2.1: a public key is no secret.
#[test]
fn a_public_key_is_never_a_secret() {
    let keys: Value = serde_json::from_str(ATTACKS_JWKS).unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(keys["keys"][0]["n"].as_str().unwrap()).unwrap();
    for public in [modulus, ATTACKS_JWKS.as_bytes().to_vec(), keys["keys"][0].to_string().into_bytes()] {
        for key_id in [None, keys["keys"][0]["kid"].as_str()] {
            let forged = token(Algorithm::HS256, &public, key_id);
            assert_eq!(verdict(provider(ATTACKS_JWKS), &forged), invalid(TokenError::Algorithm));
        }
    }
}

/// A secret that is not known, or too short, is nobody's fault who calls, and nothing to wait for.
#[test]
fn without_its_secret_a_provider_vouches_for_nobody() {
    let secret = bytes(47);
    let unknown = sharing(&ALGORITHMS, shared(&[], None));
    let short = sharing(&ALGORITHMS, shared(&secret, None));
    for (provider, algorithm) in [(unknown, Algorithm::HS256), (short, Algorithm::HS384)] {
        let refused = verdict(provider, &token(algorithm, &secret, None)).unwrap();
        assert_eq!(refused, Unauthenticated::Invalid(TokenError::KeysUnavailable));
        assert!(!refused.is_caller_fault());
    }
    // What an empty secret would make is no way in.
    let empty = sharing(&ALGORITHMS, shared(&[], None));
    assert_eq!(
        verdict(empty, &token(Algorithm::HS256, &[0; 32], None)),
        invalid(TokenError::KeysUnavailable)
    );
}

#[test]
fn secrets_and_public_keys_do_not_mix() {
    let refused = |change: &dyn Fn(&mut Provider)| {
        let mut provider = sharing(&[Algorithm::HS256], shared(&bytes(32), None));
        change(&mut provider);
        Authenticator::new(&[provider], &[]).unwrap_err()
    };
    let id = ProviderId(0);
    let remote = || RemoteKeys {
        cluster: "id".into(),
        authority: "id.test".into(),
        path: "/keys".into(),
        document: Document::KeySet,
        refresh_seconds: 300,
        stale_seconds: 0,
    };
    assert_eq!(refused(&|provider| provider.jwks = own_jwks()), AuthenticatorError::Remote(id));
    assert_eq!(refused(&|provider| provider.remote = Some(remote())), AuthenticatorError::Remote(id));
    assert_eq!(refused(&|provider| provider.verified_by_host = true), AuthenticatorError::Remote(id));
    assert_eq!(refused(&|provider| provider.algorithms.clear()), AuthenticatorError::NoKeyForAlgorithms(id));
    let mixed = vec![Algorithm::HS256, Algorithm::EdDSA];
    assert_eq!(refused(&|provider| provider.algorithms.clone_from(&mixed)), AuthenticatorError::Secret(id));
    // HMAC without a secret, wherever the keys are.
    let keyless: [&dyn Fn(&mut Provider); 3] =
        [&|provider| provider.jwks = own_jwks(), &|provider| provider.remote = Some(remote()), &|provider| {
            provider.verified_by_host = true
        }];
    for keys in keyless {
        for algorithms in [vec![Algorithm::HS512], mixed.clone()] {
            let error = refused(&|provider| {
                provider.secret = None;
                provider.algorithms.clone_from(&algorithms);
                keys(provider);
            });
            assert_eq!(error, AuthenticatorError::Secret(id));
        }
    }
}
