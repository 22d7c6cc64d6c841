//! Tokens: a JWT of one provider is verified, or refused with one word.
//!
//! Order of work: form of the token and types of its claims, algorithm, key, signature, then what the claims
//! say (RFC 7519 section 7.2, RFC 8725). No claim decides before the signature is good. Time is an argument.
//! Refusals never carry bytes of the token.

use super::claims::{Claims, Demands, UnverifiedClaims};
use super::jws::Jws;
use super::keys::{KeySet, VerifyingKey};
use super::verifier::{SignatureVerifier, VerifierError, verify_mac};
use super::vouched::Vouching;
use crate::policy::model::{Algorithm, Provider, SharedSecret, TokenSource};
use crate::time::Timestamp;

/// Verifies the tokens of one provider.
#[derive(Clone, Debug)]
pub struct TokenVerifier {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    groups_claim: String,
    leeway_ms: u64,
    max_age_ms: Option<u64>,
    expiry_optional: bool,
    required_type: Option<String>,
    authorized_parties: Vec<String>,
    sources: Vec<TokenSource>,
    keep_token: bool,
    /// Only tokens that are bound to a certificate.
    bound: bool,
    /// Claims that rules look at.
    claims: Vec<String>,
    trust: Trust,
}

/// What makes the signature of a token good.
#[derive(Clone, Debug)]
enum Trust {
    /// Keys of the policy.
    Keys(KeySet),
    /// Keys that are fetched, and come with each token.
    Fetched,
    /// A secret, of which the signature is a MAC.
    Secret(SharedSecret),
    /// The word of the host.
    Host(Vouching),
}

impl TokenVerifier {
    /// A verifier for what `provider` demands, under `keys` (the `jwks` of the provider is not read).
    #[must_use]
    pub fn new(provider: &Provider, keys: KeySet) -> Self {
        TokenVerifier::with_claims(provider, Some(keys), &[])
    }

    /// The same; [`Claims::values`] are those of `claims`. Without keys, a secret or a host that verifies, every token needs
    /// the keys that are current with it.
    #[must_use]
    pub(super) fn with_claims(provider: &Provider, keys: Option<KeySet>, claims: &[String]) -> Self {
        TokenVerifier {
            issuer: provider.issuer.clone(),
            audiences: provider.audiences.clone(),
            algorithms: provider.algorithms.clone(),
            groups_claim: provider.groups_claim.clone(),
            leeway_ms: u64::from(provider.leeway_seconds) * 1000,
            max_age_ms: provider.max_age_seconds.map(|seconds| u64::from(seconds) * 1000),
            expiry_optional: provider.expiry_optional,
            required_type: provider.required_type.clone(),
            authorized_parties: provider.authorized_parties.clone(),
            sources: provider.sources.clone(),
            keep_token: provider.keep_token,
            bound: provider.bound,
            claims: claims.to_vec(),
            trust: match (keys, &provider.secret) {
                (Some(keys), _) => Trust::Keys(keys),
                (None, Some(secret)) => Trust::Secret(secret.clone()),
                (None, None) if provider.verified_by_host => {
                    let decisive = claims.iter().chain([&provider.groups_claim]);
                    Trust::Host(Vouching::new(&provider.name, decisive))
                }
                (None, None) => Trust::Fetched,
            },
        }
    }

    /// The `iss` that this verifier demands.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether the policy has a key for at least one accepted algorithm, or leaves keys to others.
    #[must_use]
    pub fn can_verify(&self) -> bool {
        let Trust::Keys(keys) = &self.trust else { return !self.algorithms.is_empty() };
        self.algorithms.iter().any(|algorithm| keys.keys_for(*algorithm).next().is_some())
    }

    /// Verifies a token in JWS compact serialization. One that is bound to a certificate is refused, for none is shown here.
    ///
    /// # Errors
    /// The first check that failed. Callers hear nothing of it; see
    /// [`Unauthenticated`](super::Unauthenticated).
    pub fn verify(
        &self,
        token: &[u8],
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Claims, TokenError> {
        let claims = self.verify_unverified(UnverifiedToken::parse(token)?, None, now, verifier)?;
        if claims.certificate.is_some() { Err(TokenError::Certificate) } else { Ok(claims) }
    }

    /// Whether tokens of this provider may be there.
    pub(super) fn reads(&self, source: &TokenSource) -> bool {
        if self.sources.is_empty() {
            *source == TokenSource::Authorization
        } else {
            self.sources.contains(source)
        }
    }

    /// Whether the host verifies the signatures of this provider.
    pub(super) fn asks_host(&self) -> bool {
        matches!(self.trust, Trust::Host(_))
    }

    pub(super) fn keeps_token(&self) -> bool {
        self.keep_token
    }

    /// The claims of a good token. `fetched`: the keys that are current, where they are not in the policy.
    ///
    /// SECURITY: the caller checks [`Claims::certificate`]; the token may come from a client that does not have it.
    pub(super) fn verify_unverified(
        &self,
        token: UnverifiedToken<'_>,
        fetched: Option<&KeySet>,
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Claims, TokenError> {
        if self.required_type.is_some() && self.required_type != token.jws.token_type {
            return Err(TokenError::Type);
        }
        if !self.algorithms.contains(&token.jws.algorithm) {
            return Err(TokenError::Algorithm);
        }
        match &self.trust {
            Trust::Keys(keys) => verify_signature(&token.jws, keys, verifier)?,
            Trust::Fetched => {
                verify_signature(&token.jws, fetched.ok_or(TokenError::KeysUnavailable)?, verifier)?
            }
            Trust::Secret(shared) => verify_shared(&token.jws, shared)?,
            Trust::Host(vouching) => vouching.check(verifier, token.claims.members())?,
        }
        let demands = Demands {
            issuer: &self.issuer,
            audiences: &self.audiences,
            authorized_parties: &self.authorized_parties,
            groups_claim: &self.groups_claim,
            claims: &self.claims,
            leeway_ms: self.leeway_ms,
            max_age_ms: self.max_age_ms,
            expiry_optional: self.expiry_optional,
        };
        let claims = token.claims.check(demands, now)?;
        if self.bound && claims.certificate.is_none() {
            return Err(TokenError::Unbound);
        }
        Ok(claims)
    }
}

fn verify_signature(
    jws: &Jws<'_>,
    keys: &KeySet,
    verifier: &dyn SignatureVerifier,
) -> Result<(), TokenError> {
    let key = key_for(jws, keys)?;
    // SECURITY: RFC 8725 section 3.1, the key decides which algorithm it is for, not the token.
    if key.algorithm() != jws.algorithm {
        return Err(TokenError::KeyMismatch);
    }
    // SECURITY: implementations differ in what they do with surplus bytes; all of them see the one good
    // length.
    if key.signature_length() != jws.signature.len() {
        return Err(TokenError::Signature);
    }
    verdict(verifier.verify(jws.algorithm, key, jws.signed_text, &jws.signature))
}

/// SECURITY: the secret is bytes that were handed over as a secret, never those of a public key.
fn verify_shared(jws: &Jws<'_>, shared: &SharedSecret) -> Result<(), TokenError> {
    if jws.key_id != shared.key_id {
        return Err(TokenError::KeyUnknown);
    }
    let secret = shared.secret.bytes().ok_or(TokenError::KeysUnavailable)?;
    match jws.algorithm.mac_length() {
        None => return Err(TokenError::KeyMismatch),
        // SECURITY: RFC 7518 section 3.2. A policy is not loaded with such a secret.
        Some(length) if secret.len() < length => return Err(TokenError::KeysUnavailable),
        Some(length) if jws.signature.len() != length => return Err(TokenError::Signature),
        Some(_) => {}
    }
    verdict(verify_mac(jws.algorithm, secret, jws.signed_text, &jws.signature))
}

fn verdict(answer: Result<bool, VerifierError>) -> Result<(), TokenError> {
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(TokenError::Signature),
        Err(_) => Err(TokenError::Unverifiable),
    }
}

/// The key that the token names, or, if it names none, the only one that fits.
fn key_for<'k>(jws: &Jws<'_>, keys: &'k KeySet) -> Result<&'k VerifyingKey, TokenError> {
    if let Some(id) = &jws.key_id {
        return keys.key(id).ok_or(TokenError::KeyUnknown);
    }
    let mut fitting = keys.keys_for(jws.algorithm);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(TokenError::KeyUnknown),
        // SECURITY: to try one key after another multiplies the cost of a forged token.
        (Some(_), Some(_)) => Err(TokenError::KeyAmbiguous),
    }
}

/// A token of good form, of which nothing is true yet.
#[derive(Clone, Debug)]
pub(super) struct UnverifiedToken<'a> {
    jws: Jws<'a>,
    claims: UnverifiedClaims,
}

impl<'a> UnverifiedToken<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, TokenError> {
        let jws = Jws::parse(token)?;
        let claims = UnverifiedClaims::parse(&jws.payload)?;
        Ok(UnverifiedToken { jws, claims })
    }

    pub(super) fn issuer(&self) -> &str {
        self.claims.issuer()
    }
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Longer than 16 KiB, or its header than 8 KiB.
    #[error("token is too long")]
    TooLong,
    /// Not three parts of canonical base64url with JSON objects of one reading in the first two.
    #[error("token is malformed")]
    Malformed,
    /// `alg` is not supported or not accepted from this provider.
    #[error("algorithm is not accepted")]
    Algorithm,
    /// `typ` is that of another kind of JWT.
    #[error("token is not an access token")]
    Type,
    /// The header demands an extension or carries a key (`crit`, `b64`, `jwk`, `salt`).
    #[error("header demands an extension")]
    Extension,
    /// No key has the `kid`, or none fits the algorithm.
    #[error("no key for this token")]
    KeyUnknown,
    /// The keys of the provider are fetched and there are none that count now, or its secret is not known: the fault of
    /// nobody who calls.
    #[error("the keys of the provider are not available")]
    KeysUnavailable,
    /// No `kid`, and several keys fit.
    #[error("more than one key for this token")]
    KeyAmbiguous,
    /// The key named by `kid` is for another algorithm.
    #[error("key is for another algorithm")]
    KeyMismatch,
    /// The host, which verifies the signatures of this provider, has not vouched for the token.
    #[error("the proxy has not verified the token")]
    NotVouched,
    /// The signature is wrong.
    #[error("signature is wrong")]
    Signature,
    /// The signature could not be checked: the fault of the host, not of the caller.
    #[error("signature could not be checked")]
    Unverifiable,
    /// A required claim is absent, or a registered claim has the wrong type or range.
    #[error("claim is missing or has the wrong type")]
    Claim,
    /// The token is bound to a key (`cnf`) in a way that is not supported.
    #[error("token is bound to a key")]
    Bound,
    /// The token is bound to a key by DPoP (RFC 9449), which is not supported.
    #[error("token is bound by DPoP")]
    Dpop,
    /// The token is bound to a certificate (RFC 8705) that the client has not shown.
    #[error("token is bound to another certificate")]
    Certificate,
    /// The token is not bound to a certificate, which its provider demands.
    #[error("token is not bound to a certificate")]
    Unbound,
    /// `iss` is that of no provider.
    #[error("issuer is not accepted")]
    Issuer,
    /// `aud` has none of the accepted audiences.
    #[error("audience is not accepted")]
    Audience,
    /// `azp` is none of the accepted parties.
    #[error("authorized party is not accepted")]
    AuthorizedParty,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// Issued longer ago than the provider's maximum age.
    #[error("token is too old")]
    TooOld,
    /// `nbf` is still to come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` is still to come.
    #[error("token was issued in the future")]
    IssuedInFuture,
    /// `sub` is empty, too long or has control characters.
    #[error("subject is not acceptable")]
    Subject,
    /// The groups claim is neither a string nor a list of strings, or there are two of it.
    #[error("groups claim has the wrong type")]
    Groups,
}

impl TokenError {
    /// The stable name of this refusal in audit events.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            TokenError::TooLong => "token-too-long",
            TokenError::Malformed => "token-malformed",
            TokenError::Algorithm => "token-algorithm",
            TokenError::Type => "token-type",
            TokenError::Extension => "token-extension",
            TokenError::KeyUnknown => "token-key-unknown",
            TokenError::KeysUnavailable => "token-keys-unavailable",
            TokenError::KeyAmbiguous => "token-key-ambiguous",
            TokenError::KeyMismatch => "token-key-mismatch",
            TokenError::NotVouched => "token-not-vouched",
            TokenError::Signature => "token-signature",
            TokenError::Unverifiable => "token-unverifiable",
            TokenError::Claim => "token-claim",
            TokenError::Bound => "token-bound",
            TokenError::Dpop => "token-dpop",
            TokenError::Certificate => "token-certificate",
            TokenError::Unbound => "token-unbound",
            TokenError::Issuer => "token-issuer",
            TokenError::Audience => "token-audience",
            TokenError::AuthorizedParty => "token-authorized-party",
            TokenError::Expired => "token-expired",
            TokenError::TooOld => "token-too-old",
            TokenError::NotYetValid => "token-not-yet-valid",
            TokenError::IssuedInFuture => "token-issued-in-future",
            TokenError::Subject => "token-subject",
            TokenError::Groups => "token-groups",
        }
    }

    /// Whether the caller sent a bad token; otherwise the token may be good, but could not be checked.
    #[must_use]
    pub fn is_caller_fault(self) -> bool {
        !matches!(self, TokenError::Unverifiable | TokenError::KeysUnavailable)
    }
}

#[cfg(test)]
mod tests;
