//! Declarations that nothing refers to: usually the other half of a slip.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use crate::resolve::Resolved;
use crate::source::key_sets::Keys;
use crate::source::reader::Named;
use std::collections::BTreeSet;

/// Runs the lints of this module.
pub(super) fn run(resolved: &Resolved<'_>, out: &mut Diagnostics) {
    let policy = resolved.policy;
    let used =
        |texts: Vec<&Text>| texts.into_iter().map(|text| text.value.clone()).collect::<BTreeSet<String>>();

    let upstreams = used(policy.routes.iter().filter_map(|route| route.body.upstream.as_ref()).collect());
    declared("upstream", &policy.upstreams, &upstreams, out);

    let services = policy.identity.iter().filter_map(|provider| match provider.body.keys.as_ref()? {
        Keys::Fetched(fetched) => Some(&fetched.service),
        Keys::File(_) | Keys::Secret(_) => None,
    });
    declared("service", &policy.services, &used(services.collect()), out);

    let trust = policy.upstreams.iter().filter_map(|upstream| upstream.body.trust.as_ref());
    let trust = trust.chain(policy.services.iter().filter_map(|service| service.body.peer.trust.as_ref()));
    let trust = used(trust.chain(policy.tls.client.iter().map(|client| &client.trust)).collect());
    declared("trust", &policy.tls.trust, &trust, out);

    let providers =
        used(policy.groups.iter().flat_map(|group| &group.body.from).map(|(provider, _)| provider).collect());
    declared("identity provider", &policy.identity, &providers, out);

    let groups = used(policy.rules.iter().flat_map(|rule| &rule.body.groups).collect());
    declared("group", &policy.groups, &groups, out);

    let masks = used(policy.rules.iter().flat_map(|rule| &rule.body.masks).collect());
    declared("mask", &policy.masks, &masks, out);

    let detectors: BTreeSet<String> = resolved.mask_detectors.iter().flatten().cloned().collect();
    declared("detector", &policy.detectors, &detectors, out);

    let field_tags =
        policy.masks.iter().flat_map(|mask| &mask.body.fields).map(|field| field.tag.value.clone());
    let detector_tags = resolved.detectors.values().map(|detector| detector.tag.clone());
    let tags: BTreeSet<String> = field_tags.chain(detector_tags).collect();
    declared("tag", &policy.tags, &tags, out);

    for import in &policy.packs {
        let Some(pack) = resolved.packs.iter().find(|pack| pack.reference == import.value) else { continue };
        let names = pack.contents.iter().map(|(name, _)| name);
        let contents = names.clone().any(|name| {
            policy
                .routes
                .iter()
                .filter_map(|route| route.body.content.as_ref())
                .any(|content| content.value == *name)
        });
        let brings = pack.detectors.iter().any(|detector| {
            let known = resolved.detectors.get(&pack.full_name(&detector.name));
            known.is_some_and(|known| detectors.contains(&known.known_as))
        }) || pack.tags.iter().any(|tag| {
            policy
                .masks
                .iter()
                .flat_map(|mask| &mask.body.fields)
                .any(|field| field.tag.value == tag.name.value)
        });
        if !contents && !brings {
            let message = format!("pack `{}` is imported, but nothing of it is used", import.value);
            out.push(Diagnostic::at(Code::W0708, import.span, message));
        }
    }
}

fn declared<T>(what: &str, all: &[Named<T>], used: &BTreeSet<String>, out: &mut Diagnostics) {
    for entry in all.iter().filter(|entry| !used.contains(&entry.name.value)) {
        let message = format!("{what} `{}` is declared, but nothing uses it", entry.name.value);
        out.push(Diagnostic::at(Code::W0708, entry.name.span, message));
    }
}
