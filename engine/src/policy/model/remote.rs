//! Keys that are fetched from a service of the provider. Plain data, no behaviour.

use serde::{Deserialize, Serialize};

/// Where the keys of a provider are, and how long they count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteKeys {
    /// The host's name for the service, whose certificate it verifies.
    pub cluster: String,
    /// Host and, unless it is 443, port of the service, as in its URLs.
    pub authority: String,
    /// What is asked first.
    pub document: Document,
    /// Path of that document, with its query if it has one.
    pub path: String,
    /// Age in seconds at which keys are fetched again.
    pub refresh_seconds: u32,
    /// Seconds after that during which keys count although no fetch succeeds.
    pub stale_seconds: u32,
}

/// What is at the path of [`RemoteKeys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Document {
    /// A key set (RFC 7517 section 5).
    KeySet,
    /// The metadata of the issuer (OpenID Connect Discovery 1.0 section 4, RFC 8414), which says where the key set is.
    Discovery,
}
