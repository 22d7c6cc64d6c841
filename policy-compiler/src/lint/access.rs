//! Rules that can never do what they say, and routes that nobody may use.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use crate::source::Policy;
use crate::source::rules::{Effect, Rule};

/// Runs the lints of this module.
pub(super) fn run(policy: &Policy, out: &mut Diagnostics) {
    for rule in &policy.rules {
        match &rule.body.effect {
            Some(Effect::MayNot(routes)) => denies_nothing(policy, &rule.name, &rule.body, routes, out),
            Some(Effect::May(routes)) => {
                allows_nothing(policy, &rule.name, &rule.body, routes, out);
                unmasked(&rule.name, &rule.body, out);
            }
            None => {}
        }
    }
    for route in &policy.routes {
        let allowed = |rule: &Rule| match &rule.effect {
            Some(Effect::May(routes)) => routes.iter().any(|named| named.value == route.name.value),
            Some(Effect::MayNot(_)) => false,
            // Unreadable: it may be the one.
            None => true,
        };
        if !policy.rules.is_empty() && !policy.rules.iter().any(|rule| allowed(&rule.body)) {
            let message =
                format!("no rule allows route `{}`: every request to it is denied", route.name.value);
            out.push(Diagnostic::at(Code::W0704, route.name.span, message));
        }
    }
}

/// A `mayNot` takes away what a `may` gives. Callers can be in several groups, so a rule for another group counts as well.
fn denies_nothing(policy: &Policy, name: &Text, rule: &Rule, routes: &[Text], out: &mut Diagnostics) {
    let declared = |route: &Text| policy.routes.iter().any(|known| known.name.value == route.value);
    let given = |route: &Text| {
        policy.rules.iter().any(|other| match &other.body.effect {
            Some(Effect::May(given)) => given.iter().any(|named| named.value == route.value),
            Some(Effect::MayNot(_)) => false,
            None => true,
        })
    };
    let groups_known =
        rule.groups.iter().all(|group| policy.groups.iter().any(|known| known.name.value == group.value));
    if !routes.is_empty() && groups_known && routes.iter().all(declared) && !routes.iter().any(given) {
        let message = format!("rule `{}` can never deny: no `may` rule gives what it takes away", name.value);
        out.push(
            Diagnostic::at(Code::W0702, name.span, message).note("what no rule allows is denied anyway"),
        );
    }
}

/// A `may` all of whose groups are denied the same routes.
fn allows_nothing(policy: &Policy, name: &Text, rule: &Rule, routes: &[Text], out: &mut Diagnostics) {
    let denied = |group: &Text, route: &Text| {
        policy.rules.iter().find(|other| {
            // Only what denies always does.
            other.body.predicates.is_empty()
                && !other.body.observe
                && matches!(&other.body.effect, Some(Effect::MayNot(taken)) if taken.iter().any(|named| named.value == route.value))
                && other.body.groups.iter().any(|named| named.value == group.value)
        })
    };
    let mut cover = None;
    for group in &rule.groups {
        for route in routes {
            let Some(other) = denied(group, route) else { return };
            cover = Some(other);
        }
    }
    if let Some(other) = cover {
        let message = format!("rule `{}` can never allow: its groups are denied all its routes", name.value);
        out.push(
            Diagnostic::at(Code::W0703, name.span, message)
                .also(other.name.span, "denied here")
                .note("`mayNot` beats `may`, in any order"),
        );
    }
}

fn unmasked(name: &Text, rule: &Rule, out: &mut Diagnostics) {
    if rule.masks.is_empty() {
        let message = format!("rule `{}` allows without a mask: bodies pass as they are", name.value);
        out.push(Diagnostic::at(Code::W0711, name.span, message).help("add `mask: [NAME]`"));
    }
}
