//! Keys of replacements and secrets of providers, on their way from where the policy says they are to the filter, which reads no files.
//!
//! A variable is let through to the filter. A file is a secret of Envoy, and so is what Envoy discovers; it puts them into filter state for
//! each exchange. Guarantees: no key is read here or written into a configuration. Filters of the same chain can read filter state: there is none but ours.

use super::super::yaml::Yaml;
use super::{Deployment, message};
use crate::source::Policy;
use crate::source::keys::{From, handed, state};
use std::collections::BTreeSet;

/// The variables that hold keys: the filter sees no others of Envoy's environment.
pub(super) fn environment(policy: &Policy) -> Option<Yaml> {
    let names: BTreeSet<&str> = handed(policy)
        .iter()
        .filter_map(|key| match key.from() {
            Some(From::Environment(name)) => Some(name.value.as_str()),
            _ => None,
        })
        .collect();
    let names: Vec<Yaml> = names.into_iter().map(Yaml::from).collect();
    (!names.is_empty()).then(|| Yaml::map([("host_env_keys", Yaml::list(names))]))
}

/// The secrets that Envoy reads from files when it starts.
pub(super) fn secrets(policy: &Policy, deployment: &Deployment) -> Option<Yaml> {
    let secrets = handed(policy).into_iter().filter_map(|key| match key.from() {
        Some(From::File(file)) => {
            let source = Yaml::map([("filename", deployment.locate(&file.value).as_str().into())]);
            Some(Yaml::map([
                ("name", state(&key.name()).as_str().into()),
                ("generic_secret", Yaml::map([("secret", source)])),
            ]))
        }
        _ => None,
    });
    let secrets: Vec<Yaml> = secrets.collect();
    (!secrets.is_empty()).then(|| Yaml::list(secrets))
}

/// The filter that hands them over, and names of certificates, in front of the one that needs them.
pub(super) fn filter(policy: &Policy, deployment: &Deployment) -> Option<Yaml> {
    let values = handed(policy).into_iter().filter_map(|key| {
        let state = state(&key.name());
        let secret = match key.from()? {
            From::Environment(_) => return None,
            From::File(_) => Yaml::map([("name", state.as_str().into())]),
            From::Sds(discovered) => Yaml::map([
                ("name", discovered.name.value.as_str().into()),
                ("sds_config", watched(&deployment.locate(&discovered.file.value))),
            ]),
        };
        let formatter = message("envoy.extensions.formatter.generic_secret.v3.GenericSecret")
            .with("secret_configs", Yaml::empty().with(&state, secret));
        let formatters = Yaml::list([Yaml::map([
            ("name", "envoy.formatter.generic_secret".into()),
            ("typed_config", formatter),
        ])]);
        let text = Yaml::map([("inline_string", format!("%SECRET({state})%").as_str().into())]);
        Some(Yaml::map([
            ("object_key", state.as_str().into()),
            ("factory_key", "envoy.string".into()),
            ("format_string", Yaml::map([("text_format_source", text), ("formatters", formatters)])),
        ]))
    });
    let values: Vec<Yaml> = values.chain(super::names::states(policy)).collect();
    if values.is_empty() {
        return None;
    }
    let config = message("envoy.extensions.filters.http.set_filter_state.v3.Config")
        .with("on_request_headers", Yaml::list(values));
    Some(Yaml::map([("name", "envoy.filters.http.set_filter_state".into()), ("typed_config", config)]))
}

/// A file of resources that is read again when something is moved into its folder: over the file itself, or over the link that
/// mounted secrets of Kubernetes are behind.
fn watched(file: &str) -> Yaml {
    let folder = match file.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    let path =
        Yaml::map([("path", file.into()), ("watched_directory", Yaml::map([("path", folder.into())]))]);
    Yaml::map([("path_config_source", path), ("resource_api_version", "V3".into())])
}
