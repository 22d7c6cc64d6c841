//! Keys of replacements, on their way from where the policy says they are to the filter, which reads no files.
//!
//! A variable is let through to the filter. A file is a secret of Envoy, which puts it into filter state for each exchange. Guarantees:
//! no key is read here or written into a configuration. Filters of the same chain can read filter state: there is none but ours.

use super::super::yaml::Yaml;
use super::{Deployment, message};
use crate::source::Policy;
use crate::source::keys::{From, state};
use std::collections::BTreeSet;

/// The variables that hold keys: the filter sees no others of Envoy's environment.
pub(super) fn environment(policy: &Policy) -> Option<Yaml> {
    let names: BTreeSet<&str> = policy
        .keys
        .iter()
        .filter_map(|key| match &key.body.from {
            Some(From::Environment(name)) => Some(name.value.as_str()),
            _ => None,
        })
        .collect();
    let names: Vec<Yaml> = names.into_iter().map(Yaml::from).collect();
    (!names.is_empty()).then(|| Yaml::map([("host_env_keys", Yaml::list(names))]))
}

/// The secrets that Envoy reads from files.
pub(super) fn secrets(policy: &Policy, deployment: &Deployment) -> Option<Yaml> {
    let secrets = files(policy).map(|(name, file)| {
        let source = Yaml::map([("filename", deployment.locate(file).as_str().into())]);
        Yaml::map([
            ("name", state(name).as_str().into()),
            ("generic_secret", Yaml::map([("secret", source)])),
        ])
    });
    let secrets: Vec<Yaml> = secrets.collect();
    (!secrets.is_empty()).then(|| Yaml::list(secrets))
}

/// The filter that hands them over, and names of certificates, in front of the one that needs them.
pub(super) fn filter(policy: &Policy) -> Option<Yaml> {
    let values = files(policy).map(|(name, _)| {
        let state = state(name);
        let secret = Yaml::map([("name", state.as_str().into())]);
        let formatter = message("envoy.extensions.formatter.generic_secret.v3.GenericSecret")
            .with("secret_configs", Yaml::empty().with(&state, secret));
        let formatters = Yaml::list([Yaml::map([
            ("name", "envoy.formatter.generic_secret".into()),
            ("typed_config", formatter),
        ])]);
        let text = Yaml::map([("inline_string", format!("%SECRET({state})%").as_str().into())]);
        Yaml::map([
            ("object_key", state.as_str().into()),
            ("factory_key", "envoy.string".into()),
            ("format_string", Yaml::map([("text_format_source", text), ("formatters", formatters)])),
        ])
    });
    let values: Vec<Yaml> = values.chain(super::names::states(policy)).collect();
    if values.is_empty() {
        return None;
    }
    let config = message("envoy.extensions.filters.http.set_filter_state.v3.Config")
        .with("on_request_headers", Yaml::list(values));
    Some(Yaml::map([("name", "envoy.filters.http.set_filter_state".into()), ("typed_config", config)]))
}

/// Names and files of the keys that are in files.
fn files(policy: &Policy) -> impl Iterator<Item = (&str, &str)> {
    policy.keys.iter().filter_map(|key| match &key.body.from {
        Some(From::File(file)) => Some((key.name.value.as_str(), file.value.as_str())),
        _ => None,
    })
}
