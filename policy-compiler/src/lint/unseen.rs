//! What passes without a look because the policy says so: said aloud, once for each place that says it. And attributes that
//! are masked where no content has any.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::resolve::Resolved;
use crate::source::masks::{At, Mask};
use crate::source::reader::Named;
use crate::source::rules::Effect;
use veilwire_engine::policy::model::Thinking;

/// Runs the lints of this module.
pub(super) fn run(resolved: &Resolved<'_>, out: &mut Diagnostics) {
    let policy = resolved.policy;
    if let Some(passing) = &policy.settings.passing {
        let all = passing.value.iter().any(|name| name == "*/*");
        let what = if all { "every type that nobody can read".to_owned() } else { passing.value.join(", ") };
        let message = format!("content passes without a look: {what}");
        let diagnostic = Diagnostic::at(Code::W0713, passing.span, message)
            .note("what passes is in the audit (`notInspected`), and no mask sees it");
        out.push(if all {
            diagnostic.help("name the types: `unknownContent: {pass: [image/*]}`")
        } else {
            diagnostic
        });
    }
    for route in &policy.routes {
        if let Some(thinking) =
            route.body.thinking.as_ref().filter(|thinking| thinking.value == Thinking::Leave)
        {
            let message = format!("signed reasoning on route `{}` passes without a look", route.name.value);
            let note = "what passes is in the audit (`notInspected`), and no mask sees it";
            out.push(Diagnostic::at(Code::W0714, thinking.span, message).note(note));
        }
    }
    for mask in &policy.masks {
        attributes(resolved, mask, out);
    }
}

/// A mask by attribute on routes whose contents have none hides nothing.
fn attributes(resolved: &Resolved<'_>, mask: &Named<Mask>, out: &mut Diagnostics) {
    let places = mask.body.fields.iter().flat_map(|field| &field.at);
    let Some(at) = places.filter(|at| matches!(at.value, At::Attribute(_))).map(|at| at.span).next() else {
        return;
    };
    let routes = || {
        let rules = resolved
            .policy
            .rules
            .iter()
            .filter(|rule| rule.body.masks.iter().any(|named| named.value == mask.name.value));
        rules
            .filter_map(|rule| match &rule.body.effect {
                Some(Effect::May(routes)) => Some(routes),
                _ => None,
            })
            .flatten()
    };
    let has_attributes = |name: &str| {
        let contents = resolved.packs.iter().flat_map(|pack| &pack.contents);
        contents.filter(|(known, _)| known == name).any(|(_, content)| !content.attributes.is_empty())
    };
    let known = |name: &str| {
        let route = resolved.policy.routes.iter().find(|route| route.name.value == name);
        route
            .and_then(|route| route.body.content.as_ref())
            .is_some_and(|content| has_attributes(&content.value))
    };
    if routes().next().is_some() && !routes().any(|route| known(&route.value)) {
        let message =
            format!("mask `{}` names attributes, but no content of its routes has any", mask.name.value);
        let help = "attributes are in `otel.traces`, `otel.logs` and `otel.metrics`; elsewhere name the place, as in `json.$..email`";
        out.push(Diagnostic::at(Code::E0802, at, message).help(help));
    }
}
