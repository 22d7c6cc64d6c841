//! The one place where an outcome is made: policy + facts -> [`Decision`].
//!
//! Any matching `mayNot` denies; else at least one matching `may` allows; else the default denies. Obligations of all matching `may`
//! rules add up. The order of rules never matters.

use crate::approval::{ApprovalRequest, Verdict};
use crate::decision::{Decision, Denial, Permit, Reason};
use crate::identity::Identity;
use crate::policy::Policy;
use crate::policy::id::{GroupId, RouteId, RuleId};
use crate::policy::model::{Effect, Route, RoutePath};
use crate::time::Timestamp;

/// Key to [`Permit::issue`]: its only value is made here.
#[derive(Debug)]
pub(crate) struct Issuer(());

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// `:authority`, port included or not.
    pub host: &'a str,
    /// `:path` without the query.
    pub path: &'a str,
    /// `:method`.
    pub method: &'a str,
}

/// Decides one exchange.
#[must_use]
pub fn decide(policy: &Policy, facts: &Facts<'_>, now: Timestamp) -> Decision {
    let Some(route) = route_of(policy, facts) else {
        return Decision::Deny(Denial::because(Reason::Default));
    };
    let matching = |effect: Effect| {
        policy.rules().filter(move |(_, rule)| {
            rule.effect == effect
                && rule.routes.contains(&route)
                && rule.groups.iter().any(|group| is_member(policy, facts.identity, *group, effect))
        })
    };
    let denying: Vec<RuleId> = matching(Effect::MayNot).map(|(id, _)| id).collect();
    if !denying.is_empty() {
        return Decision::Deny(Denial { reason: Reason::Rule, rules: denying });
    }
    let mut rules = Vec::new();
    let mut masks = Vec::new();
    let mut approval = None;
    for (id, rule) in matching(Effect::May) {
        rules.push(id);
        masks.extend_from_slice(&rule.masks);
        // Only one approval per exchange exists so far; the compiler refuses policies in which two could meet.
        approval = approval.or(rule.approval.as_ref());
    }
    if rules.is_empty() {
        return Decision::Deny(Denial::because(Reason::Default));
    }
    masks.sort_unstable();
    masks.dedup();
    let permit = Permit::issue(Issuer(()), route, rules, masks);
    match approval {
        None => Decision::Allow(permit),
        Some(approval) => Decision::Hold(ApprovalRequest::new(permit, approval, facts, now)),
    }
}

/// Is the caller in this group, as far as a rule of this effect is concerned?
///
/// SECURITY: a token without a groups claim says nothing about groups: that is no membership for a `may`, and one for a `mayNot`.
fn is_member(policy: &Policy, identity: &Identity, group: GroupId, effect: Effect) -> bool {
    let could_be = || {
        let declared = policy.model().groups.get(group.index());
        declared.is_some_and(|group| group.from.iter().any(|(provider, _)| *provider == identity.provider))
    };
    identity.groups.contains(&group) || (effect == Effect::MayNot && identity.groups_unknown && could_be())
}

/// Turns a checked verdict into a permit. The only other source of permits.
pub(crate) fn decide_held(request: ApprovalRequest, verdict: &Verdict) -> Result<Permit, Denial> {
    if verdict.approves(&request) {
        let (route, rules, masks) = request.into_obligations();
        Ok(Permit::issue(Issuer(()), route, rules, masks))
    } else {
        Err(Denial::because(Reason::ApprovalDenied))
    }
}

/// The first route that matches; the compiler sorted them by specificity, for Envoy alike.
fn route_of(policy: &Policy, facts: &Facts<'_>) -> Option<RouteId> {
    let host = host_without_port(facts.host);
    policy.routes().find(|(_, route)| matches(route, host, facts)).map(|(id, _)| id)
}

fn matches(route: &Route, host: &str, facts: &Facts<'_>) -> bool {
    route.host.eq_ignore_ascii_case(host)
        && (route.methods.is_empty() || route.methods.iter().any(|method| method == facts.method))
        && match &route.path {
            RoutePath::Exact(path) => path == facts.path,
            RoutePath::Below(prefix) => facts
                .path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
}

/// `host:port` -> `host`; an IPv6 literal keeps its brackets.
fn host_without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_not_part_of_a_host() {
        for (authority, host) in [
            ("a.b", "a.b"),
            ("a.b:443", "a.b"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            ("a:", "a:"),
            ("", ""),
        ] {
            assert_eq!(host_without_port(authority), host);
        }
    }
}
