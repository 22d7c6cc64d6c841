//! Identity: who is calling, proved by a token of a provider that the policy trusts.
//!
//! [`Authenticator`] is built once per policy. It guarantees that an [`Identity`] comes from exactly one
//! credential, verified in full under the keys of the one provider that owns its issuer; a bad credential is
//! never ignored in favour of another one or of none. What was verified is remembered until it expires. It
//! deliberately does not decide what a caller may do, fetch keys or read a clock.
//!
//! The credential is a bearer token in the `authorization` header (RFC 6750 section 2.1). The token must
//! leave the request before it goes on.

mod cache;
mod claims;
mod der;
mod json;
mod jws;
mod keys;
mod token;
mod verifier;

pub use claims::Claims;
pub use der::ecdsa_signature;
pub use keys::{KeyError, KeySet, KeySetError, VerifyingKey};
pub use token::{TokenError, TokenVerifier};
pub use verifier::{JwtSimpleVerifier, SignatureVerifier, VerifierError};

use crate::policy::id::{GroupId, ProviderId};
use crate::policy::model::{Group, Provider};
use crate::time::Timestamp;
use cache::TokenCache;
use std::collections::BTreeMap;
use token::UnverifiedToken;

/// A caller, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who vouches.
    pub provider: ProviderId,
    /// The caller's name at the provider (`sub`): any Unicode text without control characters.
    pub subject: String,
    /// The declared groups of the caller, ascending, each once.
    pub groups: Vec<GroupId>,
}

impl Identity {
    /// The subject as the value of a header: UTF-8, percent-encoded (RFC 3986 section 2.1, upper-case
    /// digits).
    ///
    /// Letters, digits and `-._~@:/|=` stay as they are; every other byte is encoded, `%` and `+` included.
    /// Percent-decoding gives the subject back, and no subject can end the header or begin another.
    #[must_use]
    pub fn header_subject(&self) -> String {
        const HEX: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
        let mut encoded = String::with_capacity(self.subject.len());
        for byte in self.subject.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~@:/|=".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                let digits = [byte >> 4, byte & 0xF].map(|digit| HEX.get(usize::from(digit)).copied());
                encoded.push('%');
                encoded.extend(digits.into_iter().flatten());
            }
        }
        encoded
    }
}

/// Tells who is calling. Built when a policy is loaded.
#[derive(Debug)]
pub struct Authenticator {
    /// By `ProviderId`.
    providers: Vec<TokenVerifier>,
    /// By provider and value of its groups claim.
    groups: BTreeMap<ProviderId, BTreeMap<String, Vec<GroupId>>>,
    verified: TokenCache,
}

impl Authenticator {
    /// Prepares the providers and groups of a policy; positions become ids.
    ///
    /// # Errors
    /// If a provider could never vouch for anybody, or two would vouch for the same issuer: see
    /// [`AuthenticatorError`].
    pub fn new(providers: &[Provider], groups: &[Group]) -> Result<Self, AuthenticatorError> {
        let mut verifiers: Vec<TokenVerifier> = Vec::with_capacity(providers.len());
        for (index, provider) in providers.iter().enumerate() {
            let id = ProviderId(u16::try_from(index).map_err(|_| AuthenticatorError::TooMany)?);
            if provider.issuer.is_empty() {
                return Err(AuthenticatorError::NoIssuer(id));
            }
            // RFC 8725 section 3.9: without it, a token that was meant for another service would do.
            if provider.audiences.is_empty() {
                return Err(AuthenticatorError::NoAudience(id));
            }
            if verifiers.iter().any(|other| other.issuer() == provider.issuer) {
                return Err(AuthenticatorError::DuplicateIssuer(id));
            }
            let keys = KeySet::parse(&provider.jwks)
                .map_err(|cause| AuthenticatorError::Keys { provider: id, cause })?;
            let verifier = TokenVerifier::new(provider, keys);
            if !verifier.has_usable_key() {
                return Err(AuthenticatorError::NoKeyForAlgorithms(id));
            }
            verifiers.push(verifier);
        }
        let groups = index_groups(groups, verifiers.len())?;
        Ok(Authenticator { providers: verifiers, groups, verified: TokenCache::default() })
    }

    /// Who sent a request with these headers (lower- or mixed-case names, raw values), at `now`.
    ///
    /// # Errors
    /// [`Unauthenticated`]; the request is answered 401.
    pub fn authenticate(
        &self,
        headers: &[(Vec<u8>, Vec<u8>)],
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Identity, Unauthenticated> {
        let bytes = bearer_token(headers)?;
        if let Some(identity) = self.verified.get(bytes, now) {
            return Ok(identity);
        }
        let token = UnverifiedToken::parse(bytes)?;
        // SECURITY: the unverified issuer only chooses whose keys decide; that provider checks the claim
        // again. There is no second try with another provider.
        let (provider, tokens) = (0..=u16::MAX)
            .map(ProviderId)
            .zip(&self.providers)
            .find(|(_, tokens)| tokens.issuer() == token.issuer())
            .ok_or(TokenError::Issuer)?;
        let claims = tokens.verify_unverified(token, now, verifier)?;
        let groups = self.groups_of(provider, &claims);
        let until = tokens.good_until(&claims);
        let identity = Identity { provider, subject: claims.subject, groups };
        self.verified.keep(bytes, &identity, now, until);
        Ok(identity)
    }

    fn groups_of(&self, provider: ProviderId, claims: &Claims) -> Vec<GroupId> {
        let Some(by_value) = self.groups.get(&provider) else { return Vec::new() };
        // Compared byte for byte: a value such as `*` means itself.
        let mut groups: Vec<GroupId> =
            claims.groups.iter().filter_map(|value| by_value.get(value)).flatten().copied().collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

type GroupIndex = BTreeMap<ProviderId, BTreeMap<String, Vec<GroupId>>>;

fn index_groups(groups: &[Group], providers: usize) -> Result<GroupIndex, AuthenticatorError> {
    let mut index = GroupIndex::new();
    for (position, group) in groups.iter().enumerate() {
        let id = GroupId(u16::try_from(position).map_err(|_| AuthenticatorError::TooMany)?);
        for (provider, value) in &group.from {
            if provider.index() >= providers {
                return Err(AuthenticatorError::UnknownProvider(id));
            }
            index.entry(*provider).or_default().entry(value.clone()).or_default().push(id);
        }
    }
    Ok(index)
}

/// Why no authenticator can be made of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorError {
    /// The key set of a provider is bad.
    #[error("provider {}: {cause}", provider.0)]
    Keys {
        /// Whose.
        provider: ProviderId,
        /// What is wrong with it.
        cause: KeySetError,
    },
    /// A provider has no issuer.
    #[error("provider {}: issuer is empty", .0.0)]
    NoIssuer(ProviderId),
    /// A provider has no audience.
    #[error("provider {}: no audience", .0.0)]
    NoAudience(ProviderId),
    /// Two providers have the same issuer.
    #[error("provider {}: issuer belongs to another provider", .0.0)]
    DuplicateIssuer(ProviderId),
    /// The key set of a provider has no key for any of its algorithms.
    #[error("provider {}: no key for the accepted algorithms", .0.0)]
    NoKeyForAlgorithms(ProviderId),
    /// A group names a provider that does not exist.
    #[error("group {}: unknown provider", .0.0)]
    UnknownProvider(GroupId),
    /// More providers or groups than ids.
    #[error("more than 65536 providers or groups")]
    TooMany,
}

/// Why nobody is known to be calling. What failed is for audit; the caller only hears
/// [`Unauthenticated::www_authenticate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unauthenticated {
    /// No credential.
    #[error("no credential")]
    Missing,
    /// A credential of another scheme than `Bearer`.
    #[error("credential of another scheme")]
    OtherScheme,
    /// An `authorization` header that is not RFC 6750.
    #[error("authorization header is malformed")]
    Malformed,
    /// More than one credential: which one decides would be a guess.
    #[error("more than one credential")]
    MoreThanOne,
    /// The token is bad.
    #[error(transparent)]
    Invalid(#[from] TokenError),
}

impl Unauthenticated {
    /// The stable name of this refusal in audit events.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Unauthenticated::Missing => "credential-missing",
            Unauthenticated::OtherScheme => "credential-other-scheme",
            Unauthenticated::Malformed => "credential-malformed",
            Unauthenticated::MoreThanOne => "credential-more-than-one",
            Unauthenticated::Invalid(error) => error.reason(),
        }
    }

    /// The value of `www-authenticate` in the answer (RFC 6750 section 3).
    ///
    /// SECURITY: it tells "no token" from "bad token", as the RFC asks, and nothing else: which check failed
    /// would help a forger.
    #[must_use]
    pub fn www_authenticate(self) -> &'static str {
        match self {
            Unauthenticated::Missing | Unauthenticated::OtherScheme => r#"Bearer realm="veilwire""#,
            Unauthenticated::Malformed | Unauthenticated::MoreThanOne | Unauthenticated::Invalid(_) => {
                r#"Bearer realm="veilwire", error="invalid_token""#
            }
        }
    }

    /// Whether the caller sent no or a bad credential; otherwise it may be good, but could not be checked.
    #[must_use]
    pub fn is_caller_fault(self) -> bool {
        !matches!(self, Unauthenticated::Invalid(error) if !error.is_caller_fault())
    }
}

/// The token in the one `authorization` header.
fn bearer_token(headers: &[(Vec<u8>, Vec<u8>)]) -> Result<&[u8], Unauthenticated> {
    let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"authorization"));
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Unauthenticated::Missing),
        (Some((_, value)), None) => value.trim_ascii(),
        (Some(_), Some(_)) => return Err(Unauthenticated::MoreThanOne),
    };
    if value.is_empty() {
        return Err(Unauthenticated::Missing);
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).ok_or(Unauthenticated::Malformed)?;
    // RFC 9110 section 5.6.2: a scheme is a token; anything else is no header that was meant for anybody.
    if !scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)) {
        return Err(Unauthenticated::Malformed);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Unauthenticated::OtherScheme);
    }
    let token = rest.trim_ascii_start();
    // SECURITY: proxies join repeated headers with commas (RFC 9110 section 5.3).
    if token.contains(&b',') {
        return Err(Unauthenticated::MoreThanOne);
    }
    // RFC 6750 section 2.1, `b64token`; what the token is made of is checked when it is parsed.
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(Unauthenticated::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests;
