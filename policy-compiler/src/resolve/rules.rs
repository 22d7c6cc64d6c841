//! `spec.rules`: groups, routes and masks exist, and requests say what rules ask of their bodies.

use super::routes::JSON;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text, listing};
use crate::pack::Pack;
use crate::source::Policy;
use crate::source::predicates::Subject;
use crate::source::rules::{Effect, Rule};
use veilwire_engine::policy::model::{Content, Fact};

/// Checks what rules refer to.
pub(super) fn resolve(policy: &Policy, packs: &[Pack], out: &mut Diagnostics) {
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
        check_contents(policy, packs, &rule.body, out);
    }
}

/// What a rule asks of bodies is what the content of each of its routes says.
fn check_contents(policy: &Policy, packs: &[Pack], rule: &Rule, out: &mut Diagnostics) {
    for predicate in &rule.predicates {
        let Subject::Fact(fact) = &predicate.subject else { continue };
        let Some(name) = attribute(fact) else { continue };
        let silent = rule.effect.iter().flat_map(Effect::routes).find(|route| {
            let route = policy.routes.iter().find(|declared| declared.name.value == route.value);
            // A content that is not known is a mistake of its own.
            let content = route.and_then(|route| route.body.content.as_ref());
            content.is_some_and(|content| {
                content_of(content, packs)
                    .is_some_and(|content| content.is_none_or(|content| !says(content, fact)))
            })
        });
        let Some(route) = silent else { continue };
        let message = format!("requests of route `{}` do not say `{name}`", route.value);
        let with: Vec<&str> = packs
            .iter()
            .flat_map(|pack| &pack.contents)
            .filter(|(_, content)| says(content, fact))
            .map(|(name, _)| name.as_str())
            .collect();
        let diagnostic =
            Diagnostic::at(Code::E0804, predicate.span, message).also(route.span, "asked of this route");
        out.push(if with.is_empty() {
            diagnostic.help("it depends on the content of the route, which comes with a pack")
        } else {
            diagnostic.help(format!("contents that do: {}", listing(with.into_iter())))
        });
    }
}

/// What is said in bodies, by its name in policies.
fn attribute(fact: &Fact) -> Option<&'static str> {
    match fact {
        Fact::Model => Some("model"),
        Fact::Tool => Some("tool"),
        Fact::RpcMethod => Some("mcp.method"),
        _ => None,
    }
}

/// Plain JSON says nothing.
fn content_of<'p>(name: &Text, packs: &'p [Pack]) -> Option<Option<&'p Content>> {
    if name.value == JSON {
        return Some(None);
    }
    let mut contents = packs.iter().flat_map(|pack| &pack.contents);
    contents.find(|(known, _)| *known == name.value).map(|(_, content)| Some(content))
}

fn says(content: &Content, fact: &Fact) -> bool {
    match fact {
        Fact::Model => content.request.names_model(),
        Fact::Tool => content.json_rpc || !content.request.tools.is_empty(),
        Fact::RpcMethod => content.json_rpc,
        _ => true,
    }
}
