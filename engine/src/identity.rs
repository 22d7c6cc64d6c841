//! Identity: who is calling, proved by a token, an API key or a certificate that the policy trusts.
//!
//! [`Authenticator`] is built once per policy. It guarantees that an [`Identity`] comes from exactly one
//! credential, verified in full under the keys of the one provider that owns its issuer; a bad credential is
//! never ignored in favour of another one or of none. What was verified is remembered until it expires, or the keys
//! of its provider are others. It deliberately does not decide what a caller may do or read a clock; keys that are not
//! in the policy are fetched by a [`KeyKeeper`].
//!
//! The order is fixed. A request with a token or an API key is whose these are, or is refused; the client's certificate is then
//! a fact of the connection, and what a token may be bound to. Only a request without either is whose its certificate is,
//! if the policy has a provider of certificates.
//!
//! The credential is a bearer token, by default in the `authorization` header (RFC 6750 section 2.1); see
//! [`Credential`]. It leaves the request before it goes on, unless its provider keeps it.

mod algorithm;
mod api_key;
mod binding;
mod cache;
mod certificate;
mod claims;
mod der;
mod json;
mod jws;
mod keys;
mod refresh;
mod source;
mod token;
mod value;
mod verifier;
mod vouched;

pub use api_key::{API_KEY_SALT, MAX_API_KEYS, api_key_hash};
pub use certificate::{is_name_pattern, is_trust_domain};
pub use claims::Claims;
pub use der::ecdsa_signature;
pub use keys::{KeyError, KeySet, KeySetError, VerifyingKey};
pub(crate) use refresh::Ticket;
pub use refresh::{
    FetchError, KeyAnswer, KeyHost, KeyHostError, KeyKeeper, KeyReport, KeyRequest, KeyState, LiveKeys,
    MAX_ANSWER_LENGTH, MAX_WAITING,
};
pub(crate) use source::decode;
pub use source::{Credential, Remainder};
pub use token::{TokenError, TokenVerifier};
pub use value::ClaimValue;
pub use verifier::{JwtSimpleVerifier, SignatureVerifier, VerifierError};
pub use vouched::failure_of;

use crate::policy::id::{GroupId, ProviderId};
use crate::policy::model::{Group, Provider, ProviderKind, RemoteKeys, TokenSource};
use crate::time::Timestamp;
use crate::transport::TransportFacts;
use api_key::KeyTable;
use cache::{Known, TokenCache};
use certificate::Certificates;
use std::collections::BTreeMap;
use std::sync::Arc;
use token::UnverifiedToken;

/// A caller, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who vouches.
    pub provider: ProviderId,
    /// The caller's name at the provider (`sub`, the name in a certificate, the id of an API key): any Unicode text without control
    /// characters.
    pub subject: String,
    /// The declared groups of the caller, ascending, each once.
    pub groups: Vec<GroupId>,
    /// The token has no groups claim, so in which groups the caller is nobody said.
    pub groups_unknown: bool,
    /// What the token says under the claims that rules look at, by `ClaimId`.
    pub claims: Vec<ClaimValue>,
    /// The scopes of the token (`scope`, RFC 8693 section 4.2, or `scp`); `None` if it has none of these claims.
    pub scopes: Option<Vec<String>>,
}

impl Identity {
    /// A caller of whom only the name is known.
    #[cfg(test)]
    fn named(subject: &str) -> Identity {
        Identity {
            provider: ProviderId(0),
            subject: subject.to_owned(),
            groups: Vec::new(),
            groups_unknown: true,
            claims: Vec::new(),
            scopes: None,
        }
    }

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
    /// By `ProviderId`; none where callers are known by something else than a token.
    providers: Vec<Option<TokenVerifier>>,
    certificates: Certificates,
    /// One table for each provider of API keys.
    api_keys: Vec<KeyTable>,
    /// How many claims rules look at.
    claims: usize,
    /// By provider and value of its groups claim.
    groups: BTreeMap<ProviderId, BTreeMap<String, Vec<GroupId>>>,
    /// Where any provider has tokens, `authorization` aside.
    sources: Vec<TokenSource>,
    verified: TokenCache,
    /// Keys that are not in the policy.
    live: Arc<LiveKeys>,
}

impl Authenticator {
    /// Prepares the providers and groups of a policy; positions become ids.
    ///
    /// # Errors
    /// If a provider could never vouch for anybody, or two would vouch for the same issuer: see
    /// [`AuthenticatorError`].
    pub fn new(providers: &[Provider], groups: &[Group]) -> Result<Self, AuthenticatorError> {
        Authenticator::with_claims(providers, groups, &[])
    }

    /// The same, for a policy whose rules look at these claims: names of members, or paths with dots between the names.
    ///
    /// # Errors
    /// As [`Authenticator::new`].
    pub fn with_claims(
        providers: &[Provider],
        groups: &[Group],
        claims: &[String],
    ) -> Result<Self, AuthenticatorError> {
        let mut verifiers: Vec<Option<TokenVerifier>> = Vec::with_capacity(providers.len());
        let (mut certificates, mut api_keys) = (Certificates::default(), Vec::<KeyTable>::new());
        for (index, provider) in providers.iter().enumerate() {
            let id = ProviderId(u16::try_from(index).map_err(|_| AuthenticatorError::TooMany)?);
            match &provider.kind {
                ProviderKind::Token => {}
                ProviderKind::Certificate(name) => {
                    if !certificates.add(id, name) {
                        return Err(AuthenticatorError::Certificates(id));
                    }
                    verifiers.push(None);
                    continue;
                }
                ProviderKind::ApiKeys(keys) => {
                    let table = KeyTable::new(id, keys).ok_or(AuthenticatorError::ApiKeys(id))?;
                    api_keys.push(table);
                    verifiers.push(None);
                    continue;
                }
            }
            if provider.issuer.is_empty() {
                return Err(AuthenticatorError::NoIssuer(id));
            }
            // RFC 8725 section 3.9: without it, a token that was meant for another service would do.
            if provider.audiences.is_empty() {
                return Err(AuthenticatorError::NoAudience(id));
            }
            if verifiers.iter().flatten().any(|other| other.issuer() == provider.issuer) {
                return Err(AuthenticatorError::DuplicateIssuer(id));
            }
            // A token without an end must have one all the same.
            if provider.expiry_optional && provider.max_age_seconds.is_none() {
                return Err(AuthenticatorError::NoLifetime(id));
            }
            // SECURITY: what verifies a MAC can make one, so it is never what a public key set holds, nor left to others.
            if provider
                .algorithms
                .iter()
                .any(|algorithm| algorithm.mac_length().is_some() != provider.secret.is_some())
            {
                return Err(AuthenticatorError::Secret(id));
            }
            let elsewhere = u8::from(provider.remote.is_some())
                + u8::from(provider.verified_by_host)
                + u8::from(provider.secret.is_some());
            let keys = match &provider.remote {
                None if elsewhere == 0 => Some(
                    KeySet::parse_for(&provider.jwks, &provider.algorithms)
                        .map_err(|cause| AuthenticatorError::Keys { provider: id, cause })?,
                ),
                remote
                    if elsewhere == 1 && provider.jwks.is_empty() && remote.as_ref().is_none_or(is_sound) =>
                {
                    None
                }
                _ => return Err(AuthenticatorError::Remote(id)),
            };
            let verifier = TokenVerifier::with_claims(provider, keys, claims);
            if !verifier.can_verify() {
                return Err(AuthenticatorError::NoKeyForAlgorithms(id));
            }
            verifiers.push(Some(verifier));
        }
        let groups = index_groups(groups, verifiers.len())?;
        let mut sources: Vec<TokenSource> =
            providers.iter().flat_map(|provider| &provider.sources).cloned().collect();
        for table in &api_keys {
            // SECURITY: a header says of itself whether a key or a token is in it.
            let source = TokenSource::Header(table.header.clone());
            if sources.contains(&source) {
                return Err(AuthenticatorError::ApiKeys(table.provider));
            }
            sources.push(source);
        }
        sources.sort();
        sources.dedup();
        let live = Arc::new(LiveKeys::new(providers));
        Ok(Authenticator {
            providers: verifiers,
            certificates,
            api_keys,
            claims: claims.len(),
            groups,
            sources,
            verified: TokenCache::default(),
            live,
        })
    }

    /// Who sent a request with these headers (lower- or mixed-case names, raw values), at `now`, over a connection of which
    /// nothing is known.
    ///
    /// # Errors
    /// [`Unauthenticated`]; the request is answered 401.
    pub fn authenticate(
        &self,
        headers: &[(Vec<u8>, Vec<u8>)],
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Identity, Unauthenticated> {
        self.caller(headers, &TransportFacts::default(), now, verifier).map(|(identity, _)| identity)
    }

    /// Who sent a request with these headers over this connection, at `now`, and the credential that says so; none where it is the
    /// certificate.
    ///
    /// # Errors
    /// [`Unauthenticated`]; the request is answered 401.
    pub fn caller<'a>(
        &self,
        headers: &'a [(Vec<u8>, Vec<u8>)],
        transport: &TransportFacts,
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(Identity, Option<Credential<'a>>), Unauthenticated> {
        match self.credential(headers) {
            Ok(credential) => {
                // SECURITY: from here on no other credential decides, however good it is.
                let identity = self.identify(&credential, transport, now, verifier)?;
                Ok((identity, Some(credential)))
            }
            Err(Unauthenticated::Missing) if !self.certificates.is_empty() => {
                let (provider, subject) = self.certificates.caller(transport)?;
                let groups = self.groups_of_certificate(provider, &subject);
                Ok((self.tokenless(provider, subject, groups), None))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The one credential in these headers; nothing of it is verified.
    ///
    /// # Errors
    /// None, more than one, or one that cannot be read.
    pub fn credential<'a>(
        &self,
        headers: &'a [(Vec<u8>, Vec<u8>)],
    ) -> Result<Credential<'a>, Unauthenticated> {
        source::find(headers, &self.sources)
    }

    /// Whose credential this is, at `now`, over this connection.
    ///
    /// # Errors
    /// [`Unauthenticated`]; the request is answered 401.
    pub fn identify(
        &self,
        credential: &Credential<'_>,
        transport: &TransportFacts,
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Identity, Unauthenticated> {
        let bytes: &[u8] = &credential.token;
        if let TokenSource::Header(name) = credential.source()
            && let Some(table) = self.api_keys.iter().find(|table| table.header == *name)
        {
            let key = table.find(bytes, now)?;
            let groups = self.groups_of(table.provider, &key.groups);
            return Ok(self.tokenless(table.provider, key.id.clone(), groups));
        }
        // SECURITY: keys that are gone, or that were exchanged since, vouch for nobody.
        let generation = |provider| self.live.current(provider, now).map_or(0, |current| current.generation);
        if let Some(Known { identity, certificate, generation: verified_with }) =
            self.verified.get(bytes, now)
            && generation(identity.provider) == verified_with
        {
            self.check_place(identity.provider, credential)?;
            binding::check(certificate, transport)?;
            return Ok(identity);
        }
        let token = UnverifiedToken::parse(bytes)?;
        // SECURITY: the unverified issuer only chooses whose keys decide; that provider checks the claim
        // again. There is no second try with another provider.
        let (provider, tokens) = self.provider_of(&token)?;
        self.check_place(provider, credential)?;
        let current = self.live.current(provider, now);
        let (keys, generation) = match &current {
            Some(current) => (Some(current.keys.as_ref()), current.generation),
            None => (None, 0),
        };
        let claims = tokens.verify_unverified(token, keys, now, verifier)?;
        let identity = Identity {
            provider,
            groups: self.groups_of(provider, claims.groups.iter().flatten()),
            groups_unknown: claims.groups.is_none(),
            subject: claims.subject,
            claims: claims.values,
            scopes: claims.scopes,
        };
        // SECURITY: a token without its certificate is not remembered, so that nobody learns by time that it is good.
        binding::check(claims.certificate, transport)?;
        let known = Known { identity, certificate: claims.certificate, generation };
        // SECURITY: what the host vouches for now it need not vouch for later.
        if !tokens.asks_host() {
            self.verified.keep(bytes, &known, now, claims.good_until);
        }
        Ok(known.identity)
    }

    /// A caller of whom nobody says more than this; it is known that there is no more.
    fn tokenless(&self, provider: ProviderId, subject: String, groups: Vec<GroupId>) -> Identity {
        let claims = vec![ClaimValue::Absent; self.claims];
        Identity { provider, subject, groups, groups_unknown: false, claims, scopes: None }
    }

    /// A place to wait for other keys, where this refusal may be none with them.
    pub(crate) fn wait_for_keys(
        &self,
        credential: &Credential<'_>,
        refused: Unauthenticated,
        now: Timestamp,
    ) -> Option<Ticket> {
        match refused {
            Unauthenticated::Invalid(TokenError::KeysUnavailable | TokenError::KeyUnknown) => {
                let token = UnverifiedToken::parse(&credential.token).ok()?;
                let (provider, _) = self.provider_of(&token).ok()?;
                self.live.wait(provider, now)
            }
            _ => None,
        }
    }

    /// The keys that are not in the policy.
    pub(crate) fn live_keys(&self) -> &Arc<LiveKeys> {
        &self.live
    }

    /// Verifies with the fetched keys of another authenticator for the same providers.
    pub(crate) fn share_keys(&mut self, live: &Arc<LiveKeys>) {
        self.live = Arc::clone(live);
    }

    fn provider_of(&self, token: &UnverifiedToken<'_>) -> Result<(ProviderId, &TokenVerifier), TokenError> {
        let providers = (0..=u16::MAX).map(ProviderId).zip(&self.providers);
        let mut tokens = providers.filter_map(|(id, tokens)| Some((id, tokens.as_ref()?)));
        tokens.find(|(_, tokens)| tokens.issuer() == token.issuer()).ok_or(TokenError::Issuer)
    }

    /// Whether the provider keeps the token on the request.
    #[must_use]
    pub fn keeps_token(&self, provider: ProviderId) -> bool {
        matches!(self.providers.get(provider.index()), Some(Some(tokens)) if tokens.keeps_token())
    }

    /// SECURITY: a token where its provider never has one was put there by somebody else: a cookie that another site can make
    /// a browser send is no header.
    fn check_place(&self, provider: ProviderId, credential: &Credential<'_>) -> Result<(), Unauthenticated> {
        match self.providers.get(provider.index()) {
            Some(Some(tokens)) if tokens.reads(&credential.source) => Ok(()),
            _ => Err(Unauthenticated::Misplaced),
        }
    }

    fn groups_of_certificate(&self, provider: ProviderId, subject: &str) -> Vec<GroupId> {
        let names = self.certificates.names_of(provider, subject);
        self.groups_of(provider, &names)
    }

    fn groups_of<'v>(
        &self,
        provider: ProviderId,
        values: impl IntoIterator<Item = &'v String>,
    ) -> Vec<GroupId> {
        let Some(by_value) = self.groups.get(&provider) else { return Vec::new() };
        // Compared byte for byte: a value such as `*` means itself.
        let mut groups: Vec<GroupId> =
            values.into_iter().filter_map(|value| by_value.get(value)).flatten().copied().collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

/// What a request to the service is made of cannot be misread.
fn is_sound(remote: &RemoteKeys) -> bool {
    let plain =
        |text: &str| (1..=2_048).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain(&remote.cluster)
        && plain(&remote.authority)
        && plain(&remote.path)
        && remote.path.starts_with('/')
        && remote.refresh_seconds > 0
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
    /// A provider has keys in two places, or cannot say where they are.
    #[error("provider {}: keys are in two places, or in none that can be asked", .0.0)]
    Remote(ProviderId),
    /// A provider has MACs without a secret, or a secret and signatures.
    #[error("provider {}: a secret is for HMAC, and HMAC for a secret", .0.0)]
    Secret(ProviderId),
    /// The key set of a provider has no key for any of its algorithms.
    #[error("provider {}: no key for the accepted algorithms", .0.0)]
    NoKeyForAlgorithms(ProviderId),
    /// Tokens of a provider may lack `exp`, and no age ends them.
    #[error("provider {}: tokens without `exp` need a maximum age", .0.0)]
    NoLifetime(ProviderId),
    /// Nobody could be known by the certificates of a provider, or another one knows them too.
    #[error("provider {}: certificates belong to another provider or to nobody", .0.0)]
    Certificates(ProviderId),
    /// An API key of a provider is none, or its header carries something else.
    #[error("provider {}: api keys that are none, or in a header of tokens", .0.0)]
    ApiKeys(ProviderId),
    /// A provider looks at certificates that no client has to show.
    #[error("provider {}: client certificates are not required", .0.0)]
    NoCertificate(ProviderId),
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
    /// A credential of the scheme `DPoP` (RFC 9449), which is not supported.
    #[error("credential of the scheme dpop")]
    Dpop,
    /// An API key that is nobody's.
    #[error("api key is unknown")]
    ApiKeyUnknown,
    /// An API key after its end.
    #[error("api key has expired")]
    ApiKeyExpired,
    /// A certificate without exactly one name of the kind that counts.
    #[error("certificate has no usable name")]
    CertificateName,
    /// A certificate of a trust domain that no provider vouches for.
    #[error("certificate is of another trust domain")]
    CertificateStranger,
    /// An `authorization` header that is not RFC 6750.
    #[error("authorization header is malformed")]
    Malformed,
    /// A token where its provider does not have one.
    #[error("credential in a place that its provider does not use")]
    Misplaced,
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
            Unauthenticated::Dpop => "credential-dpop",
            Unauthenticated::ApiKeyUnknown => "api-key-unknown",
            Unauthenticated::ApiKeyExpired => "api-key-expired",
            Unauthenticated::CertificateName => "certificate-name",
            Unauthenticated::CertificateStranger => "certificate-stranger",
            Unauthenticated::Malformed => "credential-malformed",
            Unauthenticated::Misplaced => "credential-misplaced",
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
            Unauthenticated::Missing
            | Unauthenticated::OtherScheme
            | Unauthenticated::Dpop
            | Unauthenticated::CertificateName
            | Unauthenticated::CertificateStranger => r#"Bearer realm="veilwire""#,
            Unauthenticated::ApiKeyUnknown
            | Unauthenticated::ApiKeyExpired
            | Unauthenticated::Malformed
            | Unauthenticated::Misplaced
            | Unauthenticated::MoreThanOne
            | Unauthenticated::Invalid(_) => r#"Bearer realm="veilwire", error="invalid_token""#,
        }
    }

    /// Whether the caller sent no or a bad credential; otherwise it may be good, but could not be checked.
    #[must_use]
    pub fn is_caller_fault(self) -> bool {
        !matches!(self, Unauthenticated::Invalid(error) if !error.is_caller_fault())
    }
}

#[cfg(test)]
mod tests;
