//! `spec.rules`: groups, routes and masks exist.

use crate::diagnostic::{Code, Diagnostics};
use crate::source::Policy;
use crate::source::rules::Effect;

/// Checks what rules refer to.
pub(super) fn resolve(policy: &Policy, out: &mut Diagnostics) {
    for rule in &policy.rules {
        let denies = matches!(rule.body.effect, Some(Effect::MayNot(_)));
        for group in &rule.body.groups {
            if policy.groups.iter().any(|declared| declared.name.value == group.value) {
                continue;
            }
            let declared = policy.groups.iter().map(|declared| declared.name.value.as_str());
            let diagnostic = super::undeclared(Code::E0311, "group", group, declared);
            out.push(if denies {
                diagnostic.note("a misspelt group in a `mayNot` rule would let everybody in")
            } else {
                diagnostic
            });
        }
        for route in rule.body.effect.iter().flat_map(Effect::routes) {
            super::refer(Code::E0305, "route", route, &policy.routes, out);
        }
        for mask in &rule.body.masks {
            super::refer(Code::E0304, "mask", mask, &policy.masks, out);
        }
    }
}
