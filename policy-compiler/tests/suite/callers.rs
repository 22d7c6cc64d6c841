//! Providers of certificates and API keys: what the filter and Envoy are told.

use crate::support::{deployment, files, source};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{CertificateName, ProviderKind};
use veilwire_policy_compiler::compile_policy;
use veilwire_policy_compiler::diagnostic::render;

#[test]
fn callers_without_tokens_are_lowered_and_their_names_handed_over() {
    let case = source("tests/ui/clean-callers.yaml");
    let compiled = compile_policy(&case, &files(), &deployment())
        .unwrap_or_else(|diagnostics| panic!("{}", render::human(&case, &diagnostics, false)));
    let providers = &compiled.model.providers;
    let names: Vec<(&str, bool)> =
        providers.iter().map(|provider| (provider.name.as_str(), provider.bound)).collect();
    assert_eq!(names, [("ci", false), ("idp", true), ("other", false), ("spire", false)]);
    assert_eq!(providers[3].kind, ProviderKind::Certificate(CertificateName::Spiffe("acme.internal".into())));
    let ProviderKind::ApiKeys(keys) = &providers[0].kind else { panic!("not of API keys") };
    let keys: Vec<_> = keys.keys.iter().map(|key| (key.id.as_str(), key.expires)).collect();
    assert_eq!(keys, [("backup", None), ("build-bot", Some(1_806_451_200))]);
    assert_eq!(compiled.model.groups[0].from.len(), 5);
    // The filter accepts what was written.
    assert_eq!(Policy::load(&compiled.artifact).unwrap().model().providers, compiled.model.providers);

    let (_, filters) = compiled.envoy_yaml.split_once("http_filters:").unwrap();
    let order = [
        "name: envoy.filters.http.set_filter_state",
        "object_key: veilwire.peer.uri-sans",
        "factory_key: envoy.string",
        "%DOWNSTREAM_PEER_URI_SAN%",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
    ];
    let places: Vec<_> =
        order.iter().map(|text| filters.find(text).unwrap_or_else(|| panic!("{text}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(!filters.contains("DNS_SAN"), "nobody asks for DNS names");
    assert!(compiled.envoy_yaml.contains("require_client_certificate: true"));
}
