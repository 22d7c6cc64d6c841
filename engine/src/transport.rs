//! What is known about the two connections of an exchange, and the require-TLS check.
//!
//! The configuration of Envoy already refuses plaintext; this is the second, independent check at run time. Facts that the
//! host could not tell count as plaintext.

use crate::policy::model::{TlsRequirement, TlsVersion};
use serde::Serialize;
use std::net::IpAddr;

/// Facts about one connection, as the host reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportFacts {
    /// `TLSv1.2`, `TLSv1.3`; `None` is plaintext, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A client certificate was presented and verified. `None`: nobody knows, as on the way to an upstream, where a host knows
    /// which certificate it would have shown, not whether it was asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<bool>,
    /// The peer's certificate: the client's downstream, the server's upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// The address of the client, as the host sees it. For rules only: it is in no audit event.
    #[serde(skip)]
    pub source: Option<IpAddr>,
}

/// Filter state in which the host has all URI SANs of the client's certificate, with commas between them.
pub const URI_SANS_STATE: &str = "veilwire.peer.uri-sans";
/// The same of DNS SANs.
pub const DNS_SANS_STATE: &str = "veilwire.peer.dns-sans";

/// Names in a verified certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// First URI SAN, such as a SPIFFE id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_san: Option<String>,
    /// First DNS SAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_san: Option<String>,
    /// Subject distinguished name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// SHA-256 of the certificate, lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// All URI SANs with commas between them: only of a client, and only where an identity hangs on it.
    #[serde(skip)]
    pub uri_sans: Option<String>,
    /// All DNS SANs, likewise.
    #[serde(skip)]
    pub dns_sans: Option<String>,
}

/// Why a connection is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No TLS.
    #[error("plaintext connection")]
    Plaintext,
    /// A version below the policy's, or one that nobody knows.
    #[error("tls version below the policy's minimum")]
    Version,
    /// No verified client certificate.
    #[error("no client certificate")]
    ClientCertificate,
}

impl TransportFacts {
    /// Checks the client's connection.
    ///
    /// # Errors
    /// The first requirement that does not hold.
    pub fn check_downstream(&self, requirement: &TlsRequirement) -> Result<(), TransportError> {
        self.check_version(requirement)?;
        if requirement.client_certificate && self.mtls != Some(true) {
            return Err(TransportError::ClientCertificate);
        }
        Ok(())
    }

    /// Checks the connection to the upstream. Whether Envoy presented a certificate there is the upstream's to check.
    ///
    /// # Errors
    /// The first requirement that does not hold.
    pub fn check_upstream(&self, requirement: &TlsRequirement) -> Result<(), TransportError> {
        self.check_version(requirement)
    }

    fn check_version(&self, requirement: &TlsRequirement) -> Result<(), TransportError> {
        if !requirement.require {
            return Ok(());
        }
        let version = match self.version.as_deref() {
            None | Some("") => return Err(TransportError::Plaintext),
            Some("TLSv1.2") => TlsVersion::V1_2,
            Some("TLSv1.3") => TlsVersion::V1_3,
            Some(_) => return Err(TransportError::Version),
        };
        if version < requirement.min_version {
            return Err(TransportError::Version);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: TlsRequirement =
        TlsRequirement { require: true, min_version: TlsVersion::V1_3, client_certificate: true };

    fn facts(version: Option<&str>, mtls: impl Into<Option<bool>>) -> TransportFacts {
        let mtls = mtls.into();
        TransportFacts { version: version.map(str::to_owned), mtls, ..TransportFacts::default() }
    }

    #[test]
    fn unknown_is_refused() {
        for (version, mtls, expected) in [
            (None, true, Err(TransportError::Plaintext)),
            (Some(""), true, Err(TransportError::Plaintext)),
            (Some("TLSv1.1"), true, Err(TransportError::Version)),
            (Some("TLSv1.2"), true, Err(TransportError::Version)),
            (Some("SSLv3"), true, Err(TransportError::Version)),
            (Some("TLSv1.3"), false, Err(TransportError::ClientCertificate)),
            (Some("TLSv1.3"), true, Ok(())),
        ] {
            assert_eq!(facts(version, mtls).check_downstream(&STRICT), expected, "{version:?} {mtls}");
        }
        assert_eq!(
            facts(Some("TLSv1.3"), None).check_downstream(&STRICT),
            Err(TransportError::ClientCertificate)
        );
        assert_eq!(facts(Some("TLSv1.3"), None).check_upstream(&STRICT), Ok(()));
        assert_eq!(facts(None, false).check_upstream(&STRICT), Err(TransportError::Plaintext));
    }
}
