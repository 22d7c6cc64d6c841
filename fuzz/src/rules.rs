//! Rules, read as the policy reference says it: each by itself, from first to last, with three answers to every question. Shares no
//! code with what decides but the automata of patterns.

use std::collections::BTreeSet;
use std::net::IpAddr;
use veilwire_engine::decide::{BodyFacts, Facts, Stated};
use veilwire_engine::identity::ClaimValue;
use veilwire_engine::policy::id::{MaskId, RouteId, RuleId};
use veilwire_engine::policy::model::{
    Effect, Fact, Hours, Literal, Model, Network, Predicate, Route, RoutePath, Rule, Test,
};

use crate::form;

/// What is to come of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is no route.
    Nowhere,
    /// It depends on the body, which nobody has read.
    Body(RouteId),
    Denied {
        route: RouteId,
        rules: Vec<RuleId>,
        scopes: Vec<String>,
        would_deny: Vec<RuleId>,
    },
    Allowed {
        route: RouteId,
        rules: Vec<RuleId>,
        masks: Vec<MaskId>,
        would_deny: Vec<RuleId>,
    },
}

/// An answer: `None` is unknown.
type Answer = Option<bool>;

/// What is seen of a fact: nothing, something that cannot be read, or values.
enum Seen {
    Nothing,
    Something,
    One(Literal),
    /// However many.
    List(Vec<Literal>),
    Number(u64),
    Address(IpAddr),
}

pub fn outcome(model: &Model, facts: &Facts<'_>) -> Outcome {
    let Some(route) = model.routes.iter().position(|route| leads(route, facts)) else {
        return Outcome::Nowhere;
    };
    let route = RouteId(u16::try_from(route).expect("there are few"));
    let (mut denying, mut would_deny, mut allowing) = (Vec::new(), Vec::new(), Vec::new());
    let (mut masks, mut scopes) = (BTreeSet::new(), BTreeSet::new());
    let mut open = false;
    let on_route = model.rules.iter().zip(0..).filter(|(rule, _)| rule.routes.contains(&route));
    for (rule, id) in on_route.map(|(rule, id)| (rule, RuleId(id))) {
        let (of_body, of_head): (Vec<&Predicate>, Vec<&Predicate>) =
            rule.predicates.iter().partition(|predicate| needs_body(predicate, facts));
        let head = both(belongs(model, rule, facts), every(&of_head, facts));
        if !of_body.is_empty() {
            open |= matches(rule.effect, head);
            continue;
        }
        match rule.effect {
            Effect::MayNot if !matches(rule.effect, head) => {}
            Effect::MayNot if rule.observe => would_deny.push(id),
            Effect::MayNot => denying.push(id),
            Effect::May if rule.observe => {}
            Effect::May if matches(rule.effect, head) => {
                allowing.push(id);
                masks.extend(rule.masks.iter().copied());
            }
            Effect::May => scopes.extend(lacking(model, rule, facts)),
        }
    }
    if !denying.is_empty() {
        return Outcome::Denied { route, rules: denying, scopes: Vec::new(), would_deny };
    }
    if open {
        return Outcome::Body(route);
    }
    if allowing.is_empty() {
        return Outcome::Denied {
            route,
            rules: Vec::new(),
            scopes: scopes.into_iter().collect(),
            would_deny,
        };
    }
    Outcome::Allowed { route, rules: allowing, masks: masks.into_iter().collect(), would_deny }
}

/// What is unknown is no for `may`, and yes for `mayNot`.
fn matches(effect: Effect, answer: Answer) -> bool {
    answer.unwrap_or(effect == Effect::MayNot)
}

fn leads(route: &Route, facts: &Facts<'_>) -> bool {
    let path = match &route.path {
        RoutePath::Exact(path) => facts.path == path,
        RoutePath::Below(base) => below(facts.path, base),
    };
    let method = route.methods.is_empty() || route.methods.iter().any(|method| method == facts.method);
    path && method && host(facts) == route.host.to_lowercase()
}

fn below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// In lower case, without its port.
fn host(facts: &Facts<'_>) -> String {
    let digits = facts.host.len() - facts.host.trim_end_matches(|last: char| last.is_ascii_digit()).len();
    let (front, port) = facts.host.split_at(facts.host.len() - digits);
    let host = if port.is_empty() { facts.host } else { front.strip_suffix(':').unwrap_or(facts.host) };
    host.to_ascii_lowercase()
}

fn both(one: Answer, other: Answer) -> Answer {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn every(predicates: &[&Predicate], facts: &Facts<'_>) -> Answer {
    predicates.iter().map(|predicate| answer(predicate, facts)).fold(Some(true), both)
}

fn needs_body(predicate: &Predicate, facts: &Facts<'_>) -> bool {
    matches!(predicate.fact, Fact::Model | Fact::Tool | Fact::RpcMethod) && facts.body.is_none()
}

fn belongs(model: &Model, rule: &Rule, facts: &Facts<'_>) -> Answer {
    let identity = facts.identity;
    if rule.anyone || rule.groups.iter().any(|group| identity.groups.contains(group)) {
        return Some(true);
    }
    let asserts =
        |group: usize| model.groups[group].from.iter().any(|(provider, _)| *provider == identity.provider);
    let may_be = identity.groups_unknown && rule.groups.iter().any(|group| asserts(group.index()));
    if may_be { None } else { Some(false) }
}

/// The scopes of a rule that lacks nothing else.
fn lacking(model: &Model, rule: &Rule, facts: &Facts<'_>) -> Vec<String> {
    let (scopes, others): (Vec<&Predicate>, Vec<&Predicate>) =
        rule.predicates.iter().partition(|predicate| predicate.fact == Fact::Scopes);
    if both(belongs(model, rule, facts), every(&others, facts)) != Some(true) {
        return Vec::new();
    }
    let texts = |predicate: &&Predicate| match &predicate.test {
        Test::Contains(wanted) => wanted.iter().filter_map(text).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    scopes.iter().flat_map(texts).collect()
}

fn text(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) => Some(text),
        _ => None,
    }
}

fn answer(predicate: &Predicate, facts: &Facts<'_>) -> Answer {
    let seen = see(predicate, facts);
    match (&predicate.test, seen) {
        (Test::Exists(wanted), seen) => Some(!matches!(seen, Seen::Nothing) == *wanted),
        (Test::OneOf(wanted), Seen::One(value)) => among(&value, wanted),
        (Test::Contains(wanted), Seen::One(value)) => among(&value, wanted),
        (Test::Contains(wanted), Seen::List(values)) => {
            let answers: Vec<Answer> = values.iter().map(|value| among(value, wanted)).collect();
            if answers.contains(&Some(true)) {
                Some(true)
            } else {
                // What is of another kind may mean what is asked for.
                (!answers.contains(&None)).then_some(false)
            }
        }
        (Test::Only(wanted), Seen::One(value)) => among(&value, wanted),
        (Test::Only(wanted), Seen::List(values)) => {
            values.iter().map(|value| among(value, wanted)).fold(Some(true), both)
        }
        (Test::Matches(pattern), Seen::One(Literal::Text(text))) => Some(pattern.matches(text.as_bytes())),
        (Test::Below(base), Seen::One(Literal::Text(path))) => Some(below(&path, base)),
        (Test::Range { least, most }, Seen::Number(number)) => {
            Some(number >= least.unwrap_or(0) && number <= most.unwrap_or(u64::MAX))
        }
        (Test::Within(networks), Seen::Address(address)) => {
            Some(networks.iter().any(|network| within(*network, address)))
        }
        (Test::Hours(hours), Seen::Number(seconds)) => Some(is_open(*hours, seconds)),
        _ => None,
    }
}

/// Is it one of these? Unknown where none is of its kind.
fn among(value: &Literal, wanted: &[Literal]) -> Answer {
    let same_kind = |other: &&Literal| std::mem::discriminant(value) == std::mem::discriminant(*other);
    let comparable: Vec<&Literal> = wanted.iter().filter(same_kind).collect();
    (!comparable.is_empty()).then(|| comparable.contains(&value))
}

fn see(predicate: &Predicate, facts: &Facts<'_>) -> Seen {
    let one = |text: &str| Seen::One(Literal::Text(text.to_owned()));
    let optional = |text: Option<&String>| text.map_or(Seen::Nothing, |text| one(text));
    let list = |texts: &[String]| Seen::List(texts.iter().map(|text| Literal::Text(text.clone())).collect());
    let peer = facts.transport.peer.as_ref();
    let is_list = matches!(predicate.test, Test::Contains(_) | Test::Only(_));
    let stated = |stated: fn(&BodyFacts) -> &Stated| match facts.body.map(stated) {
        None | Some(Stated::Opaque) => Seen::Something,
        Some(Stated::Texts(texts)) => match texts.as_slice() {
            [] if is_list => Seen::List(Vec::new()),
            [] => Seen::Nothing,
            [text] => one(text),
            texts => list(texts),
        },
    };
    match &predicate.fact {
        Fact::Claim(id) => match facts.identity.claims.get(id.index()) {
            Some(ClaimValue::Absent) => Seen::Nothing,
            Some(ClaimValue::One(literal)) => Seen::One(literal.clone()),
            Some(ClaimValue::Many(literals)) => Seen::List(literals.clone()),
            Some(ClaimValue::Opaque) | None => Seen::Something,
        },
        Fact::Scopes => facts.identity.scopes.as_ref().map_or(Seen::Nothing, |scopes| list(scopes)),
        Fact::Method => one(facts.method),
        Fact::Path => one(facts.path),
        Fact::Host => one(&host(facts)),
        Fact::Header(name) => {
            let lines: Vec<String> = facts
                .headers
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| String::from_utf8(value.clone()).expect("headers of this target are text"))
                .collect();
            match lines.as_slice() {
                [] => Seen::Nothing,
                lines if matches!(predicate.test, Test::Contains(_)) => {
                    let joined = lines.join(",");
                    let elements = joined.split(',').map(str::trim).filter(|element| !element.is_empty());
                    Seen::List(elements.map(|element| Literal::Text(element.to_owned())).collect())
                }
                [line] => one(line.trim()),
                lines => list(&lines.iter().map(|line| line.trim().to_owned()).collect::<Vec<_>>()),
            }
        }
        Fact::Query(name) => {
            let pairs = form::pairs(facts.query.as_bytes())
                .filter(|(name, value)| !name.is_empty() || value.is_some());
            let named = pairs.filter(|(key, _)| form::decode(key) == name.as_bytes());
            let values: Vec<String> = named
                .map(|(_, value)| String::from_utf8(form::decode(value.unwrap_or_default())).expect("text"))
                .collect();
            match values.as_slice() {
                [] => Seen::Nothing,
                [value] => one(value),
                values => list(values),
            }
        }
        Fact::TlsVersion => match facts.transport.version.as_deref() {
            None => Seen::Nothing,
            Some("TLSv1.2") => Seen::Number(2),
            Some("TLSv1.3") => Seen::Number(3),
            Some(_) => Seen::Something,
        },
        Fact::ClientCertificate => match facts.transport.mtls {
            Some(true) => Seen::Number(1),
            Some(false) => Seen::Nothing,
            None => Seen::Something,
        },
        Fact::PeerUri => optional(peer.and_then(|peer| peer.uri_san.as_ref())),
        Fact::PeerDns => optional(peer.and_then(|peer| peer.dns_san.as_ref())),
        Fact::PeerSubject => optional(peer.and_then(|peer| peer.subject.as_ref())),
        Fact::PeerSha256 => optional(peer.and_then(|peer| peer.sha256.as_ref())),
        Fact::Source => facts.transport.source.map_or(Seen::Nothing, Seen::Address),
        Fact::Size => facts.size.map_or(Seen::Nothing, Seen::Number),
        Fact::Time => Seen::Number(facts.now.seconds()),
        Fact::Model => stated(|body| &body.model),
        Fact::Tool => stated(|body| &body.tools),
        Fact::RpcMethod => stated(|body| &body.methods),
    }
}

fn within(network: Network, address: IpAddr) -> bool {
    let bits = |number: u128| (0..network.prefix).map(move |bit| number >> (127 - bit) & 1);
    let address = match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    };
    bits(network.address).eq(bits(address))
}

/// Asks every minute at which hours began, back to the day before.
fn is_open(hours: Hours, seconds: u64) -> bool {
    let local = i64::try_from(seconds / 60).expect("it fits") + i64::from(hours.offset);
    let (from, to) = (i64::from(hours.from), i64::from(hours.to));
    let length = if from < to { to - from } else { to - from + 24 * 60 };
    let today = local.div_euclid(24 * 60);
    [today - 1, today].into_iter().any(|day| {
        // 1970-01-05 was a Monday.
        let weekday = (day - 4).rem_euclid(7);
        let start = day * 24 * 60 + from;
        hours.days >> weekday & 1 == 1 && (start..start + length).contains(&local)
    })
}
