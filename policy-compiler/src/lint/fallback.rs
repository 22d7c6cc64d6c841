//! Replacements that depend on the value, where the value never comes as a whole: fragments of a stream, by their path.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::resolve::Resolved;
use crate::source::masks::At;
use crate::source::rules::Effect;
use std::collections::BTreeSet;
use veilwire_engine::policy::model::{Content, Replacement};
use veilwire_engine::policy::path::{PathPattern, PathStep};

/// Runs the lints of this module.
pub(super) fn run(resolved: &Resolved<'_>, out: &mut Diagnostics) {
    let policy = resolved.policy;
    for mask in &policy.masks {
        let rules = policy
            .rules
            .iter()
            .filter(|rule| rule.body.masks.iter().any(|name| name.value == mask.name.value));
        let routes: BTreeSet<&str> = rules
            .filter_map(|rule| match &rule.body.effect {
                Some(Effect::May(routes)) => Some(routes),
                _ => None,
            })
            .flatten()
            .map(|route| route.value.as_str())
            .collect();
        let contents: Vec<&Content> = policy
            .routes
            .iter()
            .filter(|route| routes.contains(route.name.value.as_str()))
            .filter_map(|route| content(resolved, &route.body.content.as_ref()?.value))
            .collect();
        for field in &mask.body.fields {
            let replacement = resolved.tags.get(&field.tag.value).and_then(|tag| tag.replacement.as_ref());
            if replacement.is_none_or(|how| matches!(how, Replacement::Placeholder(_) | Replacement::Drop)) {
                continue;
            }
            for at in &field.at {
                let paths: &[PathPattern] = match &at.value {
                    At::Json(path) => std::slice::from_ref(path),
                    At::Keys(paths) => paths,
                    At::Form(_) | At::Attribute(_) | At::Query(_) | At::Header(_) => &[],
                };
                let hit = contents.iter().find_map(|content| fragment(content, paths));
                if let Some(fragment) = hit {
                    let message =
                        format!("the placeholder of `{}` stands for fragments here", field.tag.value);
                    let note = format!(
                        "`{fragment}` comes in pieces, and what stands for a value depends on all of it"
                    );
                    let help = "name the placeholder you want, or let a detector find the value: it sees the joined text";
                    out.push(Diagnostic::at(Code::W0512, at.span, message).note(note).help(help));
                }
            }
        }
    }
}

fn content<'r>(resolved: &'r Resolved<'_>, name: &str) -> Option<&'r Content> {
    let contents = resolved.packs.iter().flat_map(|pack| &pack.contents);
    contents.filter(|(known, _)| known == name).map(|(_, content)| content).next()
}

/// A path of fragments that one of these paths leads to.
fn fragment<'c>(content: &'c Content, paths: &[PathPattern]) -> Option<&'c PathPattern> {
    let mut fragments = content.channels.iter().flat_map(|channel| &channel.fragments);
    fragments.find(|fragment| paths.iter().any(|path| leads(path.steps(), fragment.steps())))
}

/// Does a path lead to a place that has only names and elements on its way?
fn leads(path: &[PathStep], place: &[PathStep]) -> bool {
    match (path.split_first(), place.split_first()) {
        (None, _) => place.is_empty(),
        (Some((PathStep::Descend, rest)), None) => leads(rest, place),
        (Some((PathStep::Descend, rest)), Some((_, deeper))) => leads(rest, place) || leads(path, deeper),
        (Some(_), None) => false,
        (Some((step, rest)), Some((known, deeper))) => {
            let same = match step {
                PathStep::AnyKey => matches!(known, PathStep::Key(_)),
                _ => step == known,
            };
            same && leads(rest, deeper)
        }
    }
}
