//! Identity providers whose callers bring no token: certificates and API keys. Plain data, no behaviour.

use serde::{Deserialize, Serialize};

/// By what the callers of a provider are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProviderKind {
    /// A token: what the other members of a [`Provider`](super::Provider) are about.
    #[default]
    Token,
    /// The certificate with which the client connects. Groups are mapped from names, and from patterns of names.
    Certificate(CertificateName),
    /// An API key in a header.
    ApiKeys(ApiKeys),
}

/// Which name of a client certificate is the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateName {
    /// Its only URI SAN, a SPIFFE id of this trust domain.
    Spiffe(String),
    /// Its only DNS SAN.
    Dns,
    /// Its subject (RFC 2253), as the host writes it.
    Subject,
}

/// API keys of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
    /// The header, in lower case; its value is the key and nothing else.
    pub header: String,
    /// All keys.
    pub keys: Vec<ApiKey>,
}

/// An API key, of which only a hash is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The caller's name.
    pub id: String,
    /// 16 bytes, lower-case hex.
    pub salt: String,
    /// SHA-256 of salt and key, lower-case hex.
    pub hash: String,
    /// The provider groups of the caller.
    pub groups: Vec<String>,
    /// Seconds since the epoch from which on it is refused.
    #[serde(default)]
    pub expires: Option<u64>,
}
