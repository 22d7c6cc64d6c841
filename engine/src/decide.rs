//! The one place where an outcome is made: policy + facts -> [`Decision`].
//!
//! A rule matches when the caller is in one of its groups, the request is on one of its routes and every predicate holds. Any
//! matching `mayNot` denies; else at least one matching `may` allows; else the default denies. What is unknown makes a `may` not
//! match and a `mayNot` match. Obligations of all matching `may` rules add up. The order of rules never matters. A rule that is
//! only observed is told, and changes no outcome; its requests wait for their bodies as those of other rules do.

mod body;
mod index;
mod path;
mod predicate;

use crate::approval::{ApprovalRequest, Verdict};
use crate::decision::{Decision, Denial, Permit, Reason};
use crate::identity::Identity;
use crate::policy::Policy;
use crate::policy::id::{GroupId, RouteId, RuleId};
use crate::policy::model::{Effect, Fact, Literal, Model, Predicate, Rule, Test};
use crate::time::Timestamp;
use crate::transport::TransportFacts;
pub(crate) use body::BodyReader;
pub use body::{BodyFacts, Stated};
pub(crate) use index::RuleIndex;
pub use path::normal as normal_path;
use predicate::Truth;

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
    /// `:path` without the query, normalised.
    pub path: &'a str,
    /// `:method`.
    pub method: &'a str,
    /// The query, without its `?`.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a [(Vec<u8>, Vec<u8>)],
    /// The client's connection.
    pub transport: &'a TransportFacts,
    /// Bytes of the body, if its head says how many.
    pub size: Option<u64>,
    /// When.
    pub now: Timestamp,
    /// What the body says; none before it was read.
    pub body: Option<&'a BodyFacts>,
    /// The model that the path names, where the content of the route says that it does; found by [`decide`].
    pub model_in_path: Option<&'a Stated>,
}

/// The outcome on this route depends on the body: it must be read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyWanted(pub RouteId);

/// An outcome, and what rules that are only observed would have made of it.
#[derive(Debug)]
pub struct Ruling {
    /// What is to happen.
    pub decision: Decision,
    /// The route of the request, if it is on one.
    pub route: Option<RouteId>,
    /// `mayNot` rules that matched, and are only observed.
    pub would_deny: Vec<RuleId>,
}

/// Decides one exchange.
///
/// # Errors
/// [`BodyWanted`], if a rule that could match asks for what is in the body, which nobody has read yet. A request that is denied
/// whatever its body says is denied at once.
pub fn decide(policy: &Policy, facts: &Facts<'_>) -> Result<Ruling, BodyWanted> {
    let model = policy.model();
    let Some(route) = policy.index().route(model, facts) else {
        let decision = Decision::Deny(Denial::because(Reason::Default));
        return Ok(Ruling { decision, route: None, would_deny: Vec::new() });
    };
    let place = policy.content(route).and_then(|content| content.request.model_in_path.as_ref());
    let model_in_path = place.map(|place| body::model_of_path(facts.path, place));
    let facts = &Facts { model_in_path: model_in_path.as_ref(), ..*facts };
    let mut body_wanted = false;
    let (mut denying, mut would_deny, mut rules, mut masks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut approval = None;
    let mut scopes = Vec::new();
    for id in policy.index().candidates(route, facts) {
        let Some(rule) = model.rules.get(id.index()) else { continue };
        if wants_body(model, rule, facts) {
            body_wanted = true;
            continue;
        }
        if !rule_matches(model, rule, facts) {
            if rule.effect == Effect::May && !rule.observe {
                scopes.extend(missing_scopes(model, rule, facts));
            }
            continue;
        }
        match (rule.effect, rule.observe) {
            (Effect::MayNot, false) => denying.push(id),
            (Effect::MayNot, true) => would_deny.push(id),
            // SECURITY: what is only observed never allows.
            (Effect::May, true) => {}
            (Effect::May, false) => {
                rules.push(id);
                masks.extend_from_slice(&rule.masks);
                // Only one approval per exchange exists so far; the compiler refuses policies in which two could meet.
                approval = approval.or(rule.approval.as_ref());
            }
        }
    }
    let decision = if !denying.is_empty() {
        Decision::Deny(Denial { rules: denying, ..Denial::because(Reason::Rule) })
    } else if body_wanted {
        return Err(BodyWanted(route));
    } else if rules.is_empty() {
        scopes.sort_unstable();
        scopes.dedup();
        Decision::Deny(Denial { scopes, ..Denial::because(Reason::Default) })
    } else {
        masks.sort_unstable();
        masks.dedup();
        let permit = Permit::issue(Issuer(()), route, rules, masks);
        match approval {
            None => Decision::Allow(permit),
            Some(approval) => Decision::Hold(ApprovalRequest::new(permit, approval, facts, facts.now)),
        }
    };
    Ok(Ruling { decision, route: Some(route), would_deny })
}

/// Does it depend on the body, which nobody has read yet, whether a rule of the route matches?
fn wants_body(model: &Model, rule: &Rule, facts: &Facts<'_>) -> bool {
    let is_open = |predicate: &Predicate| match predicate.fact {
        Fact::Model => facts.body.is_none() && facts.model_in_path.is_none(),
        Fact::Tool | Fact::RpcMethod => facts.body.is_none(),
        _ => false,
    };
    let (open, known): (Vec<&Predicate>, Vec<&Predicate>) =
        rule.predicates.iter().partition(|predicate| is_open(predicate));
    // A `may` rule of which something else is unknown does not match, whatever the body says.
    !open.is_empty() && member(model, rule, facts).min(predicate::all(known, facts)).matches(rule.effect)
}

/// Does a rule of the route match?
fn rule_matches(model: &Model, rule: &Rule, facts: &Facts<'_>) -> bool {
    let member = member(model, rule, facts);
    // No beats unknown, wherever it comes from.
    member != Truth::No && member.min(predicate::all(&rule.predicates, facts)).matches(rule.effect)
}

/// Is the caller one of those whom the rule means?
fn member(model: &Model, rule: &Rule, facts: &Facts<'_>) -> Truth {
    if rule.anyone {
        return Truth::Yes;
    }
    let groups = rule.groups.iter().map(|group| membership(model, facts.identity, *group));
    groups.max().unwrap_or(Truth::No)
}

/// The scopes that a `may` rule asks for, if they are all that is missing.
fn missing_scopes(model: &Model, rule: &Rule, facts: &Facts<'_>) -> Vec<String> {
    let (scopes, others): (Vec<&Predicate>, Vec<&Predicate>) =
        rule.predicates.iter().partition(|predicate| predicate.fact == Fact::Scopes);
    if member(model, rule, facts) != Truth::Yes || predicate::all(others, facts) != Truth::Yes {
        return Vec::new();
    }
    let wanted = scopes.into_iter().filter_map(|predicate| match &predicate.test {
        Test::Contains(wanted) => Some(wanted),
        _ => None,
    });
    let text = wanted.flatten().filter_map(|literal| match literal {
        Literal::Text(text) => Some(text.clone()),
        Literal::Integer(_) | Literal::Flag(_) => None,
    });
    text.collect()
}

/// Is the caller in this group?
///
/// SECURITY: a token without a groups claim says nothing about groups that its provider asserts.
fn membership(model: &Model, identity: &Identity, group: GroupId) -> Truth {
    let asserted = || {
        let declared = model.groups.get(group.index());
        declared.is_some_and(|group| group.from.iter().any(|(provider, _)| *provider == identity.provider))
    };
    if identity.groups.contains(&group) {
        Truth::Yes
    } else if identity.groups_unknown && asserted() {
        Truth::Unknown
    } else {
        Truth::No
    }
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

/// `host:port` -> `host`; an IPv6 literal keeps its brackets.
fn host_without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod properties;

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
