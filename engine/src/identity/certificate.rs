//! Callers that a client certificate names: a SPIFFE id, a DNS name, or a subject.
//!
//! Guarantees: somebody is named only by a certificate that the host says was presented, on a connection where the policy demands
//! one (`Policy` refuses a provider of certificates without that demand, so that Envoy has verified it); by one name, which is
//! the only one of its kind in the certificate; and by one provider. What the host cannot tell names nobody. Deliberately not
//! done: reading certificates, chains or revocations, which is the host's work.
//!
//! SPIFFE ids are read as the SPIFFE-ID and X509-SVID specifications write them: scheme and trust domain in lower case, a path
//! of segments of letters, digits and `-._`, and nothing else.

use super::Unauthenticated;
use crate::policy::id::ProviderId;
use crate::policy::model::CertificateName;
use crate::transport::{Peer, TransportFacts};

/// Longest SPIFFE id, in bytes (SPIFFE-ID section 2.3).
const MAX_SPIFFE_ID: usize = 2048;
/// Longest name of a trust domain, in bytes (SPIFFE-ID section 2.1).
const MAX_TRUST_DOMAIN: usize = 255;
/// Deepest path of a SPIFFE id: groups are looked up at each depth.
const MAX_SEGMENTS: usize = 32;

/// The providers that know callers by their certificates.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates {
    providers: Vec<(ProviderId, CertificateName)>,
}

impl Certificates {
    /// Adds a provider. `false` if it could never vouch for anybody, or another one would vouch for the same certificates.
    pub(super) fn add(&mut self, id: ProviderId, name: &CertificateName) -> bool {
        let sound = match name {
            CertificateName::Spiffe(domain) => {
                is_trust_domain(domain)
                    && self
                        .providers
                        .iter()
                        .all(|(_, other)| matches!(other, CertificateName::Spiffe(_)) && other != name)
            }
            // SECURITY: every certificate has a subject, so beside another provider the caller could choose who vouches.
            CertificateName::Dns | CertificateName::Subject => self.providers.is_empty(),
        };
        self.providers.push((id, name.clone()));
        sound
    }

    pub(super) fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// What groups of the caller with this name are mapped from.
    pub(super) fn names_of(&self, provider: ProviderId, subject: &str) -> Vec<String> {
        let name = self.providers.iter().find(|(id, _)| *id == provider);
        name.map(|(_, name)| patterns_of(name, subject)).unwrap_or_default()
    }

    /// Whom the certificate of this connection names, and who vouches.
    pub(super) fn caller(&self, transport: &TransportFacts) -> Result<(ProviderId, String), Unauthenticated> {
        let peer = match &transport.peer {
            // SECURITY: names that come without a verified certificate are nobody's.
            Some(peer) if transport.mtls == Some(true) && peer.sha256.is_some() => peer,
            _ => return Err(Unauthenticated::Missing),
        };
        let mut refusal = Unauthenticated::CertificateName;
        for (id, name) in &self.providers {
            let Some(subject) = name_in(peer, name) else { continue };
            match name {
                CertificateName::Spiffe(domain) if trust_domain(subject) != Some(domain) => {
                    refusal = Unauthenticated::CertificateStranger;
                }
                _ => return Ok((*id, subject.to_owned())),
            }
        }
        Err(refusal)
    }
}

/// The one name of this kind, if it is one and well written.
fn name_in<'a>(peer: &'a Peer, name: &CertificateName) -> Option<&'a str> {
    match name {
        CertificateName::Spiffe(_) => {
            only(peer.uri_san.as_deref(), peer.uri_sans.as_deref()).filter(|id| trust_domain(id).is_some())
        }
        CertificateName::Dns => {
            only(peer.dns_san.as_deref(), peer.dns_sans.as_deref()).filter(|name| is_dns_name(name))
        }
        CertificateName::Subject => peer.subject.as_deref().filter(|subject| !subject.is_empty()),
    }
}

/// The first name, if it is all there are.
///
/// SECURITY: all names are one text with commas between them, and a name may hold a comma. So a name that is all there are and
/// holds none is the only one; of every other text nobody can say how many it is.
fn only<'a>(first: Option<&'a str>, all: Option<&str>) -> Option<&'a str> {
    first.filter(|first| all == Some(*first) && !first.contains(','))
}

/// The trust domain of a SPIFFE id with a path; `None` if it is no such id.
fn trust_domain(id: &str) -> Option<&str> {
    let (domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    // SECURITY: a deeper id would be in none of the groups above it, and a `mayNot` may be about one.
    let shallow = path.split('/').count() <= MAX_SEGMENTS;
    let fits =
        id.len() <= MAX_SPIFFE_ID && shallow && is_trust_domain(domain) && path.split('/').all(segment);
    fits.then_some(domain)
}

/// Is this the name of a trust domain (SPIFFE-ID section 2.1)?
#[must_use]
pub fn is_trust_domain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    (1..=MAX_TRUST_DOMAIN).contains(&name.len()) && name.bytes().all(plain)
}

/// Letters, digits and `-_` in labels with dots between them. A wildcard is nobody's name.
fn is_dns_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    name.len() <= 253 && name.split('.').all(label)
}

/// Can a group be mapped from this: a name of that kind, or a pattern of names?
///
/// `…/*` stands for one more segment of a SPIFFE id and `…/**` for one or more; `*.…` stands for one more label of a DNS name.
#[must_use]
pub fn is_name_pattern(name: &CertificateName, pattern: &str) -> bool {
    match name {
        CertificateName::Spiffe(domain) => {
            let base = pattern.strip_suffix("/**").or_else(|| pattern.strip_suffix("/*"));
            // What is below the trust domain itself is a pattern; the trust domain alone is nobody.
            let id = base.map_or_else(|| pattern.to_owned(), |base| format!("{base}/x"));
            trust_domain(&id) == Some(domain)
        }
        CertificateName::Dns => {
            let name = pattern.strip_prefix("*.").unwrap_or(pattern);
            is_dns_name(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase())
        }
        // A `*` would be meant as a pattern, and there are none of subjects.
        CertificateName::Subject => {
            !pattern.is_empty() && !pattern.contains(|c: char| c == '*' || c.is_control())
        }
    }
}

/// What a group of this caller may be mapped from: the name, and the patterns that it fits.
///
/// They are looked up like names: no name has a `*`, so none is taken for a pattern, and a thousand groups cost what one does.
fn patterns_of(name: &CertificateName, subject: &str) -> Vec<String> {
    match name {
        CertificateName::Subject => vec![subject.to_owned()],
        CertificateName::Dns => {
            // Names of hosts are compared without case (RFC 4343).
            let lower = subject.to_ascii_lowercase();
            let wild = lower.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            std::iter::once(lower).chain(wild).collect()
        }
        CertificateName::Spiffe(_) => {
            let mut patterns = vec![subject.to_owned()];
            let root = subject.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
            let Some((domain, _)) = root else { return patterns };
            let mut base = subject;
            for depth in 0..=MAX_SEGMENTS {
                let Some((above, _)) = base.rsplit_once('/') else { break };
                if depth == 0 {
                    patterns.push(format!("{above}/*"));
                }
                patterns.push(format!("{above}/**"));
                if above.len() <= "spiffe://".len() + domain.len() {
                    break;
                }
                base = above;
            }
            patterns
        }
    }
}

#[cfg(test)]
mod tests;
