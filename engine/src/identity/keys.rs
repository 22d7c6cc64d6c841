//! Key sets: a JWKS document (RFC 7517, RFC 7518 section 6, RFC 8037) becomes keys that can verify.
//!
//! Guarantees: every key is sound (RSA 2048 to 4096 bits, exponent 65537, not from a generator with known
//! weak primes; P-256, P-384 and P-521 on the curve; Ed25519 canonical and not of small order), bound to one
//! algorithm, and no key id names two keys. Symmetric and private keys refuse the whole set: a set that holds them was
//! published by mistake. What the set is allowed to hold for others is skipped: other key types, curves,
//! algorithms and uses. Fetching and rotation are not done here. Errors name the position and the cause,
//! never the content.

use super::json;
use super::verifier::NativeKey;
use crate::policy::model::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest key set that is read, in bytes.
const MAX_SET_LENGTH: usize = 256 * 1024;
/// Most keys in a set, skipped ones included.
const MAX_KEYS: usize = 128;
/// Longest key id, in bytes.
const MAX_KEY_ID_LENGTH: usize = 256;

/// The keys of one provider that can verify signatures; at least one.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
}

impl KeySet {
    /// Reads a JWKS document. RSA keys without `alg` are for RS256.
    ///
    /// # Errors
    /// See [`KeySetError`]. One bad key refuses the set: what else is wrong in it is anyone's guess.
    pub fn parse(jwks_json: &str) -> Result<KeySet, KeySetError> {
        KeySet::parse_for(jwks_json, &[])
    }

    /// Reads the JWKS document of a provider that signs with these algorithms.
    ///
    /// RFC 8725 section 3.1: a key is for one algorithm. An RSA key that does not say which (`alg`) is for the one
    /// RSA algorithm that the provider uses, and for RS256 if it uses several or none.
    ///
    /// # Errors
    /// As [`KeySet::parse`].
    pub fn parse_for(jwks_json: &str, algorithms: &[Algorithm]) -> Result<KeySet, KeySetError> {
        if jwks_json.len() > MAX_SET_LENGTH {
            return Err(KeySetError::TooLong);
        }
        let document = json::parse(jwks_json.as_bytes()).ok_or(KeySetError::NotStrictJson)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoKeysMember)?;
        if entries.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut rsa = algorithms.iter().copied().filter(|algorithm| algorithm.is_rsa());
        let rsa_default = match (rsa.next(), rsa.next()) {
            (Some(only), None) => only,
            _ => Algorithm::RS256,
        };
        let mut ids = BTreeSet::new();
        let mut keys = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let at = |cause| KeySetError::Key { index, cause };
            let jwk = Jwk::new(entry).map_err(at)?;
            if let Some(id) = jwk.key_id().map_err(at)?
                && !ids.insert(id)
            {
                return Err(at(KeyError::DuplicateKeyId));
            }
            keys.extend(jwk.verifying_key(rsa_default).map_err(at)?);
        }
        if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(KeySet { keys }) }
    }

    /// The key with this id (`kid`), compared byte for byte.
    #[must_use]
    pub fn key(&self, key_id: &str) -> Option<&VerifyingKey> {
        // At most one: `parse` refuses duplicates.
        self.keys.iter().find(|key| key.key_id() == Some(key_id))
    }

    /// The keys for one algorithm.
    pub fn keys_for(&self, algorithm: Algorithm) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().filter(move |key| key.algorithm() == algorithm)
    }
}

/// Why a key set was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than 256 KiB.
    #[error("key set is longer than {MAX_SET_LENGTH} bytes")]
    TooLong,
    /// Not JSON, nested too deeply, or a member name occurs twice in one object.
    #[error("key set is not JSON with one reading")]
    NotStrictJson,
    /// Not an object with an array `keys`.
    #[error("key set has no array `keys`")]
    NoKeysMember,
    /// More than 128 keys.
    #[error("key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// The key at `index`, counted from 0, is bad.
    #[error("key {index}: {cause}")]
    Key {
        /// Position in `keys`.
        index: usize,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// No key is one that verifies signatures of a supported algorithm.
    #[error("key set has no usable key")]
    NoUsableKey,
}

/// Why a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an object.
    #[error("not an object")]
    NotAnObject,
    /// A member that must be there is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has the wrong type.
    #[error("`{0}` has the wrong type")]
    WrongType(&'static str),
    /// A member is not canonical base64url without padding.
    #[error("`{0}` is not canonical base64url")]
    NotBase64Url(&'static str),
    /// A symmetric key: whoever can read the policy could sign.
    #[error("symmetric keys are refused")]
    Symmetric,
    /// A private key.
    #[error("private keys are refused")]
    Private,
    /// Two keys have the same id.
    #[error("`kid` occurs twice")]
    DuplicateKeyId,
    /// The key id is empty or longer than 256 bytes.
    #[error("`kid` is empty or too long")]
    KeyIdLength,
    /// The modulus is not an odd number of 2048 to 4096 bits without leading zeros, or the exponent is not
    /// 65537.
    #[error("RSA modulus must be odd and have 2048 to 4096 bits, the exponent must be 65537")]
    RsaParameters,
    /// The modulus was made by a generator whose keys can be factored (CVE-2017-15361).
    #[error("RSA modulus is factorable (CVE-2017-15361)")]
    RsaFactorable,
    /// The coordinates are not a good point of the curve.
    #[error("not a point of the curve")]
    NotOnCurve,
    /// The key has no DER form.
    #[error("key cannot be encoded")]
    Unencodable,
}

/// A public key that verifies signatures of one algorithm.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    key_id: Option<String>,
    algorithm: Algorithm,
    signature_length: usize,
    spki: Vec<u8>,
    native: NativeKey,
}

impl VerifyingKey {
    /// `kid`, if the set has one for this key.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The one algorithm that this key may verify.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The one length of a signature under this key, in bytes: the length of the modulus for RSA, 132 for P-521,
    /// 96 for P-384, 64 for the others.
    #[must_use]
    pub fn signature_length(&self) -> usize {
        self.signature_length
    }

    /// The key as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    pub(super) fn native(&self) -> &NativeKey {
        &self.native
    }
}

// === impl Jwk ===

/// One entry of `keys`.
#[derive(Clone, Copy)]
struct Jwk<'a> {
    members: &'a Map<String, Value>,
}

impl<'a> Jwk<'a> {
    fn new(entry: &'a Value) -> Result<Self, KeyError> {
        Ok(Jwk { members: entry.as_object().ok_or(KeyError::NotAnObject)? })
    }

    fn key_id(self) -> Result<Option<&'a str>, KeyError> {
        match self.optional_string("kid")? {
            Some(id) if id.is_empty() || id.len() > MAX_KEY_ID_LENGTH => Err(KeyError::KeyIdLength),
            id => Ok(id),
        }
    }

    /// The key, or `None` if it is one for other purposes.
    fn verifying_key(self, rsa_default: Algorithm) -> Result<Option<VerifyingKey>, KeyError> {
        let key_type = self.optional_string("kty")?.ok_or(KeyError::Missing("kty"))?;
        if key_type == "oct" || self.members.contains_key("k") {
            return Err(KeyError::Symmetric);
        }
        // RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2, and the post-quantum type `AKP`.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"]
            .iter()
            .any(|name| self.members.contains_key(*name))
        {
            return Err(KeyError::Private);
        }
        let default = match (key_type, self.optional_string("crv")?) {
            ("RSA", None) => rsa_default,
            ("EC", Some("P-256")) => Algorithm::ES256,
            ("EC", Some("P-384")) => Algorithm::ES384,
            ("EC", Some("P-521")) => Algorithm::ES512,
            ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
            ("EC" | "OKP", None) => return Err(KeyError::Missing("crv")),
            _ => return Ok(None),
        };
        let Some(algorithm) = self.algorithm(default)? else { return Ok(None) };
        if !self.is_for_verifying()? {
            return Ok(None);
        }
        let (native, signature_length) = match algorithm {
            Algorithm::ES256 => (NativeKey::p256(&self.coordinate("x", 32)?, &self.coordinate("y", 32)?), 64),
            Algorithm::ES384 => (NativeKey::p384(&self.coordinate("x", 48)?, &self.coordinate("y", 48)?), 96),
            Algorithm::ES512 => {
                (NativeKey::p521(&self.coordinate("x", 66)?, &self.coordinate("y", 66)?), 132)
            }
            Algorithm::EdDSA => (NativeKey::ed25519(&self.bytes("x")?), 64),
            _ => {
                let (native, length) = self.rsa()?;
                (Some(native), length)
            }
        };
        let native = native.ok_or(KeyError::NotOnCurve)?;
        let spki = native.spki_der().ok_or(KeyError::Unencodable)?;
        let key_id = self.key_id()?.map(str::to_owned);
        Ok(Some(VerifyingKey { key_id, algorithm, signature_length, spki, native }))
    }

    /// The one algorithm it may be used with (RFC 7517 section 4.4), if that is one for keys of its kind.
    fn algorithm(self, default: Algorithm) -> Result<Option<Algorithm>, KeyError> {
        let Some(name) = self.optional_string("alg")? else { return Ok(Some(default)) };
        let fits = |algorithm: &Algorithm| *algorithm == default || (algorithm.is_rsa() && default.is_rsa());
        Ok(Algorithm::named(name).filter(fits))
    }

    /// Whether `use` and `key_ops` allow verifying (RFC 7517 sections 4.2 and 4.3).
    fn is_for_verifying(self) -> Result<bool, KeyError> {
        let use_fits = self.optional_string("use")?.is_none_or(|key_use| key_use == "sig");
        let operations_fit = match self.members.get("key_ops") {
            None => true,
            Some(Value::Array(operations)) if operations.iter().all(Value::is_string) => {
                operations.iter().any(|operation| operation == "verify")
            }
            Some(_) => return Err(KeyError::WrongType("key_ops")),
        };
        Ok(use_fits && operations_fit)
    }

    fn rsa(self) -> Result<(NativeKey, usize), KeyError> {
        let modulus = self.bytes("n")?;
        // RFC 7518 section 2 forbids leading zeros. One is tolerated where it is the sign byte that Java's
        // BigInteger writes before a set top bit: several large providers publish such keys.
        let modulus = match modulus.split_first() {
            Some((0, rest)) if rest.first().is_some_and(|top| *top >= 0x80) => rest,
            _ => modulus.as_slice(),
        };
        let exponent = self.bytes("e")?;
        if modulus.first() == Some(&0) || exponent.first() == Some(&0) {
            return Err(KeyError::RsaParameters);
        }
        let native = NativeKey::rsa(modulus, &exponent).ok_or(KeyError::RsaParameters)?;
        if has_roca_fingerprint(modulus) {
            return Err(KeyError::RsaFactorable);
        }
        Ok((native, modulus.len()))
    }

    /// RFC 7518 section 6.2.1.2: the full length, leading zeros included.
    fn coordinate(self, name: &'static str, length: usize) -> Result<Vec<u8>, KeyError> {
        let bytes = self.bytes(name)?;
        if bytes.len() == length { Ok(bytes) } else { Err(KeyError::NotOnCurve) }
    }

    fn optional_string(self, name: &'static str) -> Result<Option<&'a str>, KeyError> {
        self.members.get(name).map(|value| value.as_str().ok_or(KeyError::WrongType(name))).transpose()
    }

    fn bytes(self, name: &'static str) -> Result<Vec<u8>, KeyError> {
        let text = self.optional_string(name)?.ok_or(KeyError::Missing(name))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::NotBase64Url(name))
    }
}

/// Primes whose residues betray a modulus of the broken generator.
const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus is, modulo every one of these primes, a power of 65537.
///
/// The primes of the broken generator have the form k*M + (65537^a mod M) with M a product of small primes
/// ("The Return of Coppersmith's Attack", CCS 2017, section 3). An honest modulus passes for all of them with
/// a probability below 2^-27.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|&prime| {
        let residue = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * (65_537 % prime) % prime;
            power == residue
        })
    })
}

#[cfg(test)]
mod tests;
