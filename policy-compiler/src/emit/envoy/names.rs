//! All names of a client certificate, on their way to the filter: what Envoy tells filters of a connection is only the first one.

use super::super::yaml::Yaml;
use crate::source::Policy;
use crate::source::identity::tokenless::Tokenless;
use veilwire_engine::policy::model::CertificateName;
use veilwire_engine::transport::{DNS_SANS_STATE, URI_SANS_STATE};

/// Filter states for the names that identities hang on.
pub(super) fn states(policy: &Policy) -> Vec<Yaml> {
    let asked = |wanted: fn(&CertificateName) -> bool| {
        policy.identity.iter().any(|provider| match &provider.body.tokenless {
            Some(Tokenless::Certificate(Some(name))) => wanted(&name.value),
            _ => false,
        })
    };
    let uri = asked(|name| matches!(name, CertificateName::Spiffe(_)));
    let dns = asked(|name| matches!(name, CertificateName::Dns));
    let states = [
        (uri, URI_SANS_STATE, "%DOWNSTREAM_PEER_URI_SAN%"),
        (dns, DNS_SANS_STATE, "%DOWNSTREAM_PEER_DNS_SAN%"),
    ];
    let state = |(_, key, text): (bool, &str, &str)| {
        let format = Yaml::map([("text_format_source", Yaml::map([("inline_string", text.into())]))]);
        Yaml::map([
            ("object_key", key.into()),
            ("factory_key", "envoy.string".into()),
            ("format_string", format),
        ])
    };
    states.into_iter().filter(|(wanted, ..)| *wanted).map(state).collect()
}
