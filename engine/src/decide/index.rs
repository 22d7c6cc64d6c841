//! Which rules and routes can concern a request at all, without looking at every one.
//!
//! Guarantees: every rule that could match is among the [`candidates`](RuleIndex::candidates); a rule that is among them need not
//! match. The route is the first that matches. What is looked up is hashed, so that ten thousand rules cost what ten do; what is
//! handed out is in id order. The size of the index is bounded: what multiplies rules by groups and routes is counted.

use super::predicate::observe;
use super::{Facts, host_without_port};
use crate::policy::id::{GroupId, ProviderId, RouteId, RuleId};
use crate::policy::model::{Effect, Fact, Literal, Model, Predicate, Route, RoutePath, Rule, Test};
use std::collections::HashMap;

/// Most entries of an index; a policy of 16,384 rules for eight groups and eight routes each fits.
const MAX_ENTRIES: usize = 1 << 20;

/// The rules and routes of a policy by what selects them.
#[derive(Debug, Default)]
pub(crate) struct RuleIndex {
    /// By lower-case host.
    hosts: HashMap<String, HostRoutes>,
    /// By route.
    rules: Vec<RouteRules>,
    /// Lower-case names of headers that rules look at.
    headers: Vec<String>,
}

#[derive(Debug, Default)]
struct HostRoutes {
    /// Ids ascend in each list.
    exact: HashMap<String, Vec<RouteId>>,
    below: HashMap<String, Vec<RouteId>>,
    /// Length of the longest key of `below`.
    longest: usize,
}

#[derive(Debug, Default)]
struct RouteRules {
    by_group: HashMap<GroupId, Candidates>,
    anyone: Candidates,
    /// `mayNot` rules for groups that a provider asserts: those of whom nobody said in which groups they are may be in them.
    denying: HashMap<ProviderId, Vec<RuleId>>,
}

/// Rules of one group and route, by the text that a fact must be where they ask for one.
#[derive(Debug, Default)]
struct Candidates {
    plain: Vec<RuleId>,
    keyed: Vec<Keyed>,
}

#[derive(Debug)]
struct Keyed {
    /// A predicate on the fact, to observe it by.
    like: Predicate,
    by_text: HashMap<String, Vec<RuleId>>,
    /// `mayNot` rules: where the fact is unknown they match.
    denying: Vec<RuleId>,
}

impl RuleIndex {
    /// The index of a model whose references were checked; `None` if it would be too large.
    pub(crate) fn new(model: &Model) -> Option<RuleIndex> {
        let mut index = RuleIndex::default();
        for (route, id) in model.routes.iter().zip(0..).map(|(route, id)| (route, RouteId(id))) {
            index.hosts.entry(route.host.to_ascii_lowercase()).or_default().add(route, id);
            index.rules.push(RouteRules::default());
        }
        let mut entries = 0_usize;
        for (rule, id) in model.rules.iter().zip(0..).map(|(rule, id)| (rule, RuleId(id))) {
            let cost = rule.routes.len().checked_mul(rule.groups.len().saturating_add(1))?;
            entries = entries
                .checked_add(cost.saturating_mul(1 + texts(rule).map_or(0, |(_, texts)| texts.len())))?;
            if entries > MAX_ENTRIES {
                return None;
            }
            for route in &rule.routes {
                let rules = index.rules.get_mut(route.index())?;
                if rule.anyone {
                    rules.anyone.add(rule, id);
                }
                for group in &rule.groups {
                    rules.by_group.entry(*group).or_default().add(rule, id);
                }
                if rule.effect == Effect::MayNot {
                    let groups = rule.groups.iter().filter_map(|group| model.groups.get(group.index()));
                    for (provider, _) in groups.flat_map(|group| &group.from) {
                        let denying = rules.denying.entry(*provider).or_default();
                        if denying.last() != Some(&id) {
                            denying.push(id);
                        }
                    }
                }
            }
            index.headers.extend(rule.predicates.iter().filter_map(|predicate| match &predicate.fact {
                Fact::Header(name) => Some(name.clone()),
                _ => None,
            }));
        }
        index.headers.sort_unstable();
        index.headers.dedup();
        Some(index)
    }

    /// The first route that matches; the compiler sorted them by specificity, for Envoy alike.
    pub(crate) fn route(&self, model: &Model, facts: &Facts<'_>) -> Option<RouteId> {
        let host = host_without_port(facts.host);
        let routes = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.hosts.get(&host.to_ascii_lowercase())?
        } else {
            self.hosts.get(host)?
        };
        let fits = |id: &RouteId| {
            let methods = model.routes.get(id.index()).map(|route| &route.methods);
            methods.is_some_and(|methods| {
                methods.is_empty() || methods.iter().any(|method| method == facts.method)
            })
        };
        let mut first = routes.exact.get(facts.path).and_then(|ids| ids.iter().copied().find(fits));
        let mut base = Some(facts.path);
        while let Some(path) = base {
            if path.len() <= routes.longest
                && let Some(ids) = routes.below.get(path)
            {
                let found = ids.iter().copied().find(fits);
                first = match (first, found) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            base = path.rsplit_once('/').map(|(rest, _)| rest);
        }
        first
    }

    /// Every rule that could match, in id order, each once.
    pub(crate) fn candidates(&self, route: RouteId, facts: &Facts<'_>) -> Vec<RuleId> {
        let Some(rules) = self.rules.get(route.index()) else { return Vec::new() };
        let mut found = Vec::new();
        rules.anyone.collect(facts, &mut found);
        for group in &facts.identity.groups {
            if let Some(candidates) = rules.by_group.get(group) {
                candidates.collect(facts, &mut found);
            }
        }
        if facts.identity.groups_unknown
            && let Some(denying) = rules.denying.get(&facts.identity.provider)
        {
            found.extend_from_slice(denying);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Lower-case names of headers that rules look at.
    pub(crate) fn headers(&self) -> &[String] {
        &self.headers
    }
}

impl HostRoutes {
    fn add(&mut self, route: &Route, id: RouteId) {
        match &route.path {
            RoutePath::Exact(path) => self.exact.entry(path.clone()).or_default().push(id),
            RoutePath::Below(base) => {
                self.longest = self.longest.max(base.len());
                self.below.entry(base.clone()).or_default().push(id);
            }
        }
    }
}

impl Candidates {
    fn add(&mut self, rule: &Rule, id: RuleId) {
        let Some((like, texts)) = texts(rule) else {
            self.plain.push(id);
            return;
        };
        let place = self.keyed.iter().position(|keyed| keyed.like.fact == like.fact);
        let place = place.unwrap_or_else(|| {
            // What is observed must not depend on the values, or each policy would be kept twice.
            let like = Predicate { fact: like.fact.clone(), test: Test::OneOf(Vec::new()) };
            self.keyed.push(Keyed { like, by_text: HashMap::new(), denying: Vec::new() });
            self.keyed.len() - 1
        });
        let Some(keyed) = self.keyed.get_mut(place) else { return };
        for text in texts {
            keyed.by_text.entry(text.to_owned()).or_default().push(id);
        }
        if rule.effect == Effect::MayNot {
            keyed.denying.push(id);
        }
    }

    fn collect(&self, facts: &Facts<'_>, found: &mut Vec<RuleId>) {
        found.extend_from_slice(&self.plain);
        for keyed in &self.keyed {
            match observe(&keyed.like, facts).text() {
                Some(text) => found.extend(keyed.by_text.get(text).into_iter().flatten()),
                None => found.extend_from_slice(&keyed.denying),
            }
        }
    }
}

/// The first predicate of a rule that asks for one of some texts, by which the rule is found.
fn texts(rule: &Rule) -> Option<(&Predicate, Vec<&str>)> {
    rule.predicates.iter().find_map(|predicate| {
        let Test::OneOf(wanted) = &predicate.test else { return None };
        // What is in the body is not known when rules are looked up for the first time.
        if predicate.fact.is_of_body() {
            return None;
        }
        let text = |literal: &'_ Literal| matches!(literal, Literal::Text(_));
        if !wanted.iter().all(text) {
            return None;
        }
        let texts = wanted.iter().filter_map(|literal| match literal {
            Literal::Text(text) => Some(text.as_str()),
            Literal::Integer(_) | Literal::Flag(_) => None,
        });
        Some((predicate, texts.collect()))
    })
}

/// What the index stands for: every route, one after the other.
#[cfg(test)]
pub(super) mod naive {
    use super::super::path::is_below;
    use super::*;

    pub(in crate::decide) fn route(model: &Model, facts: &Facts<'_>) -> Option<RouteId> {
        let host = host_without_port(facts.host);
        let matches = |route: &Route| {
            route.host.eq_ignore_ascii_case(host)
                && (route.methods.is_empty() || route.methods.iter().any(|method| method == facts.method))
                && match &route.path {
                    RoutePath::Exact(path) => path == facts.path,
                    RoutePath::Below(base) => is_below(facts.path, base),
                }
        };
        model.routes.iter().zip(0..).find(|(route, _)| matches(route)).map(|(_, id)| RouteId(id))
    }
}
