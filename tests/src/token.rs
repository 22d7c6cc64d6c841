//! An identity provider for tests: signing keys, their JWKS, good tokens and forged ones.

use std::fmt;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::RS256KeyPair;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

const RSA_BITS: usize = 2048;

/// Algorithm of a signing key; its name is also the key's `kid` in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, for tests that must hold for each.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Name in a token's header (RFC 7518, RFC 8037).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Identifier of the key in the JWKS.
    #[must_use]
    pub const fn kid(self) -> &'static str {
        match self {
            Self::Rs256 => "rs256",
            Self::Es256 => "es256",
            Self::EdDsa => "eddsa",
        }
    }
}

/// Signing keys of one issuer.
pub struct TokenIssuer {
    rsa: RsaKeyPair,
    /// PEM of the RSA public key: what a confused verifier takes for an HMAC secret.
    rsa_public_pem: String,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    random: SystemRandom,
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenIssuer(..)")
    }
}

impl TokenIssuer {
    /// The issuer of this process. Making an RSA key takes about a second, so tests share it.
    ///
    /// # Errors
    /// As [`TokenIssuer::generate`].
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<TokenIssuer> = OnceLock::new();
        if let Some(issuer) = SHARED.get() {
            return Ok(issuer);
        }
        let made = Self::generate()?;
        Ok(SHARED.get_or_init(|| made))
    }

    /// Makes new keys.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let random = SystemRandom::new();
        let rsa = RS256KeyPair::generate(RSA_BITS).map_err(|e| anyhow!("no RSA key: {e}"))?;
        let rsa_public_pem = rsa.public_key().to_pem().map_err(|e| anyhow!("no RSA PEM: {e}"))?;
        let der = rsa.to_der().map_err(|e| anyhow!("no RSA DER: {e}"))?;
        let rsa = RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der));
        let rsa = rsa.map_err(|e| anyhow!("RSA key: {e}"))?;
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| anyhow!("no P-256 key"))?;
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random)
            .map_err(|e| anyhow!("P-256 key: {e}"))?;
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| anyhow!("no Ed25519 key"))?;
        let ed25519 =
            Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).map_err(|e| anyhow!("Ed25519 key: {e}"))?;
        Ok(Self { rsa, rsa_public_pem, p256, ed25519, random })
    }

    /// The public keys as a JWK Set (RFC 7517).
    ///
    /// # Errors
    /// When a public key has an unexpected shape.
    pub fn jwks(&self) -> Result<Value> {
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let point =
            self.p256.public_key().as_ref().strip_prefix(&[4]).context("P-256 point is compressed")?;
        let (x, y) = point.split_at_checked(32).context("P-256 point is short")?;
        Ok(json!({ "keys": [
            { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rs256",
              "n": encode(&rsa.n),
              "e": encode(&rsa.e) },
            { "kty": "EC", "use": "sig", "alg": "ES256", "kid": "es256", "crv": "P-256",
              "x": encode(x), "y": encode(y) },
            { "kty": "OKP", "use": "sig", "alg": "EdDSA", "kid": "eddsa", "crv": "Ed25519",
              "x": encode(self.ed25519.public_key().as_ref()) },
        ] }))
    }

    /// A well-formed token with a true signature; whether its claims are good is up to `claims`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn mint(&self, algorithm: Algorithm, claims: &Claims) -> Result<String> {
        let header = json!({ "alg": algorithm.name(), "kid": algorithm.kid(), "typ": "JWT" });
        self.sign(algorithm, &header, &claims.0)
    }

    /// A token with any header and claims, truly signed with the key of `algorithm`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> Result<String> {
        let text = signed_part(header, claims);
        let signature = match algorithm {
            Algorithm::Rs256 => {
                let mut out = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, text.as_bytes(), &mut out)
                    .map_err(|_| anyhow!("RS256 signing failed"))?;
                out
            }
            Algorithm::Es256 => {
                let signed = self.p256.sign(&self.random, text.as_bytes());
                signed.map_err(|_| anyhow!("ES256 signing failed"))?.as_ref().to_vec()
            }
            Algorithm::EdDsa => self.ed25519.sign(text.as_bytes()).as_ref().to_vec(),
        };
        Ok(format!("{text}.{}", encode(&signature)))
    }

    /// RS/HS confusion: says HS256, keyed with the PEM of the RSA public key, and names the RSA key.
    #[must_use]
    pub fn hs256_with_public_key(&self, claims: &Claims) -> String {
        let header = json!({ "alg": "HS256", "kid": Algorithm::Rs256.kid(), "typ": "JWT" });
        let text = signed_part(&header, &claims.0);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.rsa_public_pem.as_bytes());
        format!("{text}.{}", encode(ring::hmac::sign(&key, text.as_bytes()).as_ref()))
    }

    /// A token of an issuer that shares this secret: HMAC with SHA-512.
    #[must_use]
    pub fn hs512(&self, secret: &[u8], key_id: &str, claims: &Claims) -> String {
        let text = signed_part(&json!({ "alg": "HS512", "kid": key_id }), &claims.0);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, secret);
        format!("{text}.{}", encode(ring::hmac::sign(&key, text.as_bytes()).as_ref()))
    }

    /// No signature and `"alg": "none"`.
    #[must_use]
    pub fn unsigned(&self, claims: &Claims) -> String {
        format!("{}.", signed_part(&json!({ "alg": "none", "typ": "JWT" }), &claims.0))
    }

    /// A token whose claims were exchanged after signing.
    ///
    /// # Errors
    /// When signing fails.
    pub fn tampered(&self, algorithm: Algorithm, signed: &Claims, shown: &Claims) -> Result<String> {
        let token = self.mint(algorithm, signed)?;
        let mut parts = token.split('.');
        let header = parts.next().context("token has no header")?;
        let signature = parts.nth(1).context("token has no signature")?;
        Ok(format!("{header}.{}.{signature}", encode(shown.0.to_string().as_bytes())))
    }
}

/// Claims of a token, built up from a valid set.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Value);

impl Claims {
    /// Valid for ten minutes from `now` (seconds since 1970), no groups.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, subject: &str, now: u64) -> Self {
        let expires = now.saturating_add(600);
        Self(
            json!({ "iss": issuer, "aud": audience, "sub": subject, "iat": now, "nbf": now, "exp": expires }),
        )
    }

    /// The claim `groups`.
    #[must_use]
    pub fn groups(self, groups: &[&str]) -> Self {
        self.with("groups", json!(groups))
    }

    /// Expired `seconds` ago, counted from `now`.
    #[must_use]
    pub fn expired(self, now: u64, seconds: u64) -> Self {
        let end = now.saturating_sub(seconds);
        self.with("exp", json!(end))
            .with("iat", json!(end.saturating_sub(600)))
            .with("nbf", json!(end.saturating_sub(600)))
    }

    /// Sets or replaces any claim.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(object) = self.0.as_object_mut() {
            object.insert(name.to_owned(), value);
        }
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(object) = self.0.as_object_mut() {
            object.remove(name);
        }
        self
    }
}

fn signed_part(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
