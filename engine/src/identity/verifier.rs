//! Is this the signature of this text under this key.
//!
//! The only file that knows jwt-simple and the one curve that it has not. A host with a faster implementation (Envoy's `verify_signature`)
//! gives its own [`SignatureVerifier`]. Parsing, the choice of the key, the length of the signature and every
//! claim are decided by [`TokenVerifier`](super::TokenVerifier) before and after, so that all implementations
//! give the same verdicts.

use super::keys::VerifyingKey;
use crate::policy::model::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey,
    Ed25519PublicKey, EdDSAPublicKeyLike as _, HS256Key, HS384Key, HS512Key, JWTClaims, MACLike as _,
    NoCustomClaims, PS256PublicKey, PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey,
    RS512PublicKey, RSAPublicKeyLike, Token, UnixTimeStamp, VerificationOptions,
};
use jwt_simple::{Error, JWTError};
use p521::ecdsa::signature::Verifier as _;
use p521::pkcs8::EncodePublicKey as _;
use std::fmt;

/// Checks signatures.
pub trait SignatureVerifier {
    /// Whether `signature` is the `algorithm` signature of `signed_text` under `key`.
    ///
    /// The caller has checked that `algorithm` is the algorithm of `key`, that `signature` has the length
    /// that the key demands (raw `r || s` for ECDSA, RFC 7518 section 3.4), and that `signed_text` is a JWS
    /// signing input: base64url of a JOSE header, a dot, base64url of the claims.
    ///
    /// # Errors
    /// If the question could not be answered. The token is refused then, too.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError>;

    /// What is at this path of what the host itself has verified: the name of a provider, then names of members and places in lists
    /// of the payload of its token. Texts are bytes, truth values one byte, numbers eight (an IEEE 754 double, little-endian).
    ///
    /// # Errors
    /// The host cannot tell. One that verifies no tokens says that there is nothing.
    fn vouched(&self, path: &[&str]) -> Result<Option<Vec<u8>>, VerifierError> {
        let _ = path;
        Ok(None)
    }
}

/// Why a verifier could not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// The key is not one for the algorithm.
    #[error("key and algorithm do not fit")]
    KeyMismatch,
    /// Header or claims cannot be read by the verifying library.
    #[error("header or claims are unreadable to the verifying library")]
    Unreadable,
    /// Anything else that went wrong inside the host or the library.
    #[error("signature check failed to run")]
    Failed,
}

/// The verifier that works in every host: jwt-simple, pure Rust.
///
/// jwt-simple verifies whole tokens, so the token is put together again, and its own checks of time, issuer
/// and audience are switched off. It reads no clock: the time it compares with is an option.
#[derive(Clone, Copy, Debug, Default)]
pub struct JwtSimpleVerifier;

impl SignatureVerifier for JwtSimpleVerifier {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError> {
        if let (Algorithm::ES512, NativeKey::P521(key)) = (algorithm, key.native()) {
            // One half of zero, or above the order of the curve, is no signature.
            let signature = p521::ecdsa::Signature::from_slice(signature);
            return Ok(signature.is_ok_and(|signature| key.verify(signed_text, &signature).is_ok()));
        }
        let token = whole(signed_text, signature)?;
        let options = signature_only(&token)?;
        let verified = match (algorithm, key.native()) {
            (Algorithm::RS256, NativeKey::Rsa(key)) => {
                key.verify_token::<NoCustomClaims>(&token, Some(options))
            }
            (Algorithm::RS384, NativeKey::Rsa(key)) => {
                rsa(key, RS384PublicKey::from_components, &token, options)
            }
            (Algorithm::RS512, NativeKey::Rsa(key)) => {
                rsa(key, RS512PublicKey::from_components, &token, options)
            }
            (Algorithm::PS256, NativeKey::Rsa(key)) => {
                rsa(key, PS256PublicKey::from_components, &token, options)
            }
            (Algorithm::PS384, NativeKey::Rsa(key)) => {
                rsa(key, PS384PublicKey::from_components, &token, options)
            }
            (Algorithm::PS512, NativeKey::Rsa(key)) => {
                rsa(key, PS512PublicKey::from_components, &token, options)
            }
            (Algorithm::ES256, NativeKey::P256(key)) => key.verify_token(&token, Some(options)),
            (Algorithm::ES384, NativeKey::P384(key)) => key.verify_token(&token, Some(options)),
            (Algorithm::EdDSA, NativeKey::Ed25519(key)) => key.verify_token(&token, Some(options)),
            _ => return Err(VerifierError::KeyMismatch),
        };
        match verified {
            Ok(_) => Ok(true),
            Err(error) => refusal(&error),
        }
    }
}

/// Whether `mac` is the `algorithm` MAC of `signed_text` under `secret`, compared in constant time. No host is asked: a secret
/// does not leave the filter.
///
/// The caller has checked the length of the MAC and of the secret.
pub(super) fn verify_mac(
    algorithm: Algorithm,
    secret: &[u8],
    signed_text: &[u8],
    mac: &[u8],
) -> Result<bool, VerifierError> {
    let token = whole(signed_text, mac)?;
    let options = signature_only(&token)?;
    let verified = match algorithm {
        Algorithm::HS256 => {
            HS256Key::from_bytes(secret).verify_token::<NoCustomClaims>(&token, Some(options))
        }
        Algorithm::HS384 => HS384Key::from_bytes(secret).verify_token(&token, Some(options)),
        Algorithm::HS512 => HS512Key::from_bytes(secret).verify_token(&token, Some(options)),
        _ => return Err(VerifierError::KeyMismatch),
    };
    match verified {
        Ok(_) => Ok(true),
        Err(error) => refusal(&error),
    }
}

/// The token that a signing input and a signature or MAC are the parts of.
fn whole(signed_text: &[u8], signature: &[u8]) -> Result<String, VerifierError> {
    let text = std::str::from_utf8(signed_text).map_err(|_| VerifierError::Unreadable)?;
    let mut token = String::with_capacity(text.len() + 1 + signature.len().div_ceil(3) * 4);
    token.push_str(text);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// jwt-simple has a type of key for each algorithm of RSA; all hold the same numbers.
fn rsa<K: RSAPublicKeyLike>(
    key: &RS256PublicKey,
    make: fn(&[u8], &[u8]) -> Result<K, Error>,
    token: &str,
    options: VerificationOptions,
) -> Result<JWTClaims<NoCustomClaims>, Error> {
    let numbers = key.to_components();
    make(&numbers.n, &numbers.e)?.verify_token(token, Some(options))
}

/// Options under which jwt-simple checks the signature and the types of registered claims, and nothing else.
fn signature_only(token: &str) -> Result<VerificationOptions, VerifierError> {
    let header = Token::decode_metadata(token).map_err(|_| VerifierError::Unreadable)?;
    Ok(VerificationOptions {
        // The `typ` that the token has: which types are good was decided before, in one place.
        required_signature_type: header.signature_type().map(str::to_owned),
        // At the epoch nothing has expired, and what lies in the future is accepted.
        artificial_time: Some(UnixTimeStamp::from_secs(0)),
        time_tolerance: None,
        accept_future: true,
        max_token_length: None,
        ..VerificationOptions::default()
    })
}

/// SECURITY: only "the signature is wrong" is a verdict; every other error is an error, never a good
/// signature.
fn refusal(error: &Error) -> Result<bool, VerifierError> {
    if let Some(JWTError::InvalidSignature | JWTError::InvalidAuthenticationTag) = error.downcast_ref() {
        Ok(false)
    } else if error.is::<jwt_simple::reexports::serde_json::Error>() {
        Err(VerifierError::Unreadable)
    } else {
        Err(VerifierError::Failed)
    }
}

/// A public key in the form of jwt-simple, which checked it: RSA modulus and exponent, point on the curve, no
/// point of small order.
#[derive(Clone)]
pub(super) enum NativeKey {
    Rsa(Box<RS256PublicKey>),
    P256(Box<ES256PublicKey>),
    P384(Box<ES384PublicKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Box<Ed25519PublicKey>),
}

impl NativeKey {
    /// RSA key from big-endian modulus and exponent.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        RS256PublicKey::from_components(modulus, exponent).ok().map(|key| NativeKey::Rsa(Box::new(key)))
    }

    /// P-256 key from its coordinates, 32 bytes each.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        // SEC 1 section 2.3.3: 0x04 marks an uncompressed point.
        let point = [&[4], x, y].concat();
        ES256PublicKey::from_bytes(&point).ok().map(|key| NativeKey::P256(Box::new(key)))
    }

    /// P-384 key from its coordinates, 48 bytes each.
    pub(super) fn p384(x: &[u8], y: &[u8]) -> Option<Self> {
        let point = [&[4], x, y].concat();
        ES384PublicKey::from_bytes(&point).ok().map(|key| NativeKey::P384(Box::new(key)))
    }

    /// P-521 key from its coordinates, 66 bytes each.
    pub(super) fn p521(x: &[u8], y: &[u8]) -> Option<Self> {
        let point = [&[4], x, y].concat();
        p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok().map(|key| NativeKey::P521(Box::new(key)))
    }

    /// Ed25519 key from its 32 bytes.
    pub(super) fn ed25519(point: &[u8]) -> Option<Self> {
        Ed25519PublicKey::from_bytes(point).ok().map(|key| NativeKey::Ed25519(Box::new(key)))
    }

    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), DER.
    pub(super) fn spki_der(&self) -> Option<Vec<u8>> {
        match self {
            NativeKey::Rsa(key) => key.to_der().ok(),
            NativeKey::P256(key) => key.to_der().ok(),
            NativeKey::P384(key) => key.to_der().ok(),
            NativeKey::P521(key) => key.to_public_key_der().ok().map(|der| der.into_vec()),
            NativeKey::Ed25519(key) => Some(key.to_der()),
        }
    }
}

impl fmt::Debug for NativeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NativeKey::Rsa(_) => "Rsa(..)",
            NativeKey::P256(_) => "P256(..)",
            NativeKey::P384(_) => "P384(..)",
            NativeKey::P521(_) => "P521(..)",
            NativeKey::Ed25519(_) => "Ed25519(..)",
        })
    }
}
