//! Which masks a body meets: those of every rule that allows its route.

use crate::cli::Outcome;
use crate::diagnostic::{did_you_mean, listing};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{GroupId, MaskId, RouteId};
use veilwire_engine::policy::model::{Effect, Rule};

/// A route and what its rules ask for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The route.
    pub(super) route: RouteId,
    /// Its name.
    pub(super) route_name: String,
    /// Name of its content.
    pub(super) content: String,
    /// The rules that allow it.
    pub(super) rules: Vec<String>,
    /// The masks of all of them.
    pub(super) masks: Vec<MaskId>,
    /// Not every one of the rules has all of these masks.
    pub(super) mixed: bool,
}

/// Why there is nothing to mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTarget {
    /// No such route or group.
    #[error("{what} `{name}` does not exist; {hint}")]
    Unknown {
        /// `route` or `group`.
        what: &'static str,
        /// As it was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// Nobody, or none of these groups, may use the route.
    #[error("no rule allows {who} on route `{route}`: the filter denies every request")]
    NotAllowed {
        /// Who asks.
        who: String,
        /// The route.
        route: String,
    },
    /// A rule denies one of these groups.
    #[error("rule `{rule}` denies {who} on route `{route}`")]
    Denied {
        /// The rule.
        rule: String,
        /// Who asks.
        who: String,
        /// The route.
        route: String,
    },
}

impl Target {
    /// The route of this name, for a caller in these groups; in every group if none is named.
    ///
    /// # Errors
    /// The route or a group does not exist, or no request would get through.
    pub(super) fn find(policy: &Policy, name: &str, groups: &[String]) -> Result<Target, NoTarget> {
        let model = policy.model();
        let names = model.routes.iter().map(|route| route.name.as_str());
        let (id, route) = policy
            .routes()
            .find(|(_, route)| route.name == name)
            .ok_or_else(|| unknown("route", name, names))?;
        let declared = || (0..).map(GroupId).zip(&model.groups);
        let groups = groups
            .iter()
            .map(|asked| {
                let known = declared().find(|(_, group)| group.name == *asked);
                let names = model.groups.iter().map(|group| group.name.as_str());
                known.map(|(id, _)| id).ok_or_else(|| unknown("group", asked, names))
            })
            .collect::<Result<Vec<GroupId>, NoTarget>>()?;
        let who = match groups.as_slice() {
            [] => "anybody".to_owned(),
            groups => listing(
                groups.iter().filter_map(|group| Some(model.groups.get(group.index())?.name.as_str())),
            ),
        };
        // Of claims and requests nothing is known here: what a rule asks of them may hold.
        let of_caller = |rule: &Rule| rule.anyone || rule.groups.iter().any(|group| groups.contains(group));
        let denies = |rule: &Rule| {
            rule.effect == Effect::MayNot && rule.predicates.is_empty() && !rule.observe && of_caller(rule)
        };
        let on_route = || policy.rules().map(|(_, rule)| rule).filter(|rule| rule.routes.contains(&id));
        if let Some(rule) = on_route().find(|rule| denies(rule)) {
            return Err(NoTarget::Denied { rule: rule.name.clone(), who, route: name.to_owned() });
        }
        let allowing: Vec<&Rule> = on_route()
            .filter(|rule| rule.effect == Effect::May && (groups.is_empty() || of_caller(rule)))
            .collect();
        if allowing.is_empty() {
            return Err(NoTarget::NotAllowed { who, route: name.to_owned() });
        }
        let mut masks: Vec<MaskId> = allowing.iter().flat_map(|rule| rule.masks.iter().copied()).collect();
        masks.sort_unstable();
        masks.dedup();
        let mixed = masks.iter().any(|mask| allowing.iter().any(|rule| !rule.masks.contains(mask)));
        let content = route.content.and_then(|id| model.contents.get(id.index()));
        Ok(Target {
            route: id,
            route_name: route.name.clone(),
            content: content.map_or("json", |content| content.name.as_str()).to_owned(),
            rules: allowing.iter().map(|rule| rule.name.clone()).collect(),
            masks,
            // Whoever is named is in all of these groups.
            mixed: mixed && groups.is_empty(),
        })
    }
}

impl NoTarget {
    /// A name that does not exist is wrong usage; a denial is what the policy says.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            NoTarget::Unknown { .. } => Outcome::Usage,
            NoTarget::NotAllowed { .. } | NoTarget::Denied { .. } => Outcome::Findings,
        }
    }
}

fn unknown<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> NoTarget {
    let hint = match did_you_mean(name, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known: {}", listing(known)),
    };
    NoTarget::Unknown { what, name: name.to_owned(), hint }
}
