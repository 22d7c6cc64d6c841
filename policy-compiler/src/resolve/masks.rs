//! `spec.masks`: detectors and tags exist, and a mask hides something.

use super::detectors::Catalogued;
use super::tags::{self, Replaced};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text, did_you_mean, listing};
use crate::source::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// The detectors of each mask, by full name, sorted.
pub(super) fn resolve(
    policy: &Policy,
    tags: &BTreeMap<String, Replaced>,
    detectors: &BTreeMap<String, Catalogued>,
    out: &mut Diagnostics,
) -> Vec<Vec<String>> {
    let mut all = Vec::with_capacity(policy.masks.len());
    for entry in &policy.masks {
        let mask = &entry.body;
        let mut chosen: BTreeSet<String> = BTreeSet::new();
        for pattern in &mask.detectors {
            chosen.extend(expand(pattern, detectors, out));
        }
        for field in &mask.fields {
            tags::refer(&field.tag, tags, out);
        }
        if mask.detectors.is_empty() && mask.fields.is_empty() && !mask.unreadable {
            let message = format!("mask `{}` hides nothing", entry.name.value);
            let help = "give it `scan: {detectors: […], in: […]}` or `fields: […]`, or remove it";
            out.push(Diagnostic::at(Code::E0803, entry.name.span, message).help(help));
        }
        // A detector that two packs carry is one detector.
        let known_as = |name: String| detectors.get(&name).map_or(name, |found| found.known_as.clone());
        let chosen: BTreeSet<String> = chosen.into_iter().map(known_as).collect();
        all.push(chosen.into_iter().collect());
    }
    all
}

/// The detectors that a name or a glob such as `secrets.*` stands for.
fn expand(pattern: &Text, detectors: &BTreeMap<String, Catalogued>, out: &mut Diagnostics) -> Vec<String> {
    let names = || detectors.keys().map(String::as_str);
    if let Some(prefix) = pattern.value.strip_suffix('*') {
        if prefix.contains('*') || !(prefix.is_empty() || prefix.ends_with('.')) {
            let message = format!("`{}` is not a pattern for detectors", pattern.value);
            let help = "write a name, `*` for all, or `pack.*` for all of a pack";
            out.push(Diagnostic::at(Code::E0205, pattern.span, message).help(help));
            return Vec::new();
        }
        let found: Vec<String> = names().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        if found.is_empty() {
            let message = format!("`{}` stands for no detector", pattern.value);
            let help = format!("known detectors: {}; is the pack imported?", listing(names()));
            out.push(Diagnostic::at(Code::E0303, pattern.span, message).help(help));
        }
        return found;
    }
    if detectors.contains_key(&pattern.value) {
        return vec![pattern.value.clone()];
    }
    let diagnostic =
        Diagnostic::at(Code::E0303, pattern.span, format!("detector `{}` is not declared", pattern.value));
    out.push(match did_you_mean(&pattern.value, names()) {
        Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
        None => diagnostic.help(format!("known detectors: {}", listing(names()))),
    });
    Vec::new()
}
