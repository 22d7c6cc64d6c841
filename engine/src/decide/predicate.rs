//! Predicates: what a rule asks of claims, scopes and the request, answered with yes, no or unknown.
//!
//! Guarantees: a fact that is absent, that has more values than the test is for, or that is of another kind than what it is compared
//! with is unknown, never false. A `may` needs yes; a `mayNot` holds unless no is certain. Comparison is byte for byte.

use super::Facts;
use super::body::{BodyFacts, Stated};
use super::path::is_below;
use crate::identity::{ClaimValue, decode};
use crate::policy::model::{Effect, Fact, Hours, Literal, Network, Predicate, Test};
use std::borrow::Cow;
use std::net::IpAddr;

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    /// Does a rule of this effect match, if this is all that is left to know?
    pub(crate) fn matches(self, effect: Effect) -> bool {
        match effect {
            Effect::May => self == Truth::Yes,
            Effect::MayNot => self != Truth::No,
        }
    }

    fn of(holds: bool) -> Truth {
        if holds { Truth::Yes } else { Truth::No }
    }
}

/// Whether all of them hold: no, if one does not; else unknown, if one is.
pub(crate) fn all<'p>(predicates: impl IntoIterator<Item = &'p Predicate>, facts: &Facts<'_>) -> Truth {
    predicates.into_iter().map(|predicate| holds(predicate, facts)).min().unwrap_or(Truth::Yes)
}

/// What is observed of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observed<'a> {
    Absent,
    Text(Cow<'a, str>),
    Number(u64),
    Literal(&'a Literal),
    /// Several, or none of a list that is there.
    Texts(Vec<Cow<'a, str>>),
    Literals(&'a [Literal]),
    Address(IpAddr),
    /// It is there, and nothing can be said about it.
    Opaque,
}

fn holds(predicate: &Predicate, facts: &Facts<'_>) -> Truth {
    let observed = observe(predicate, facts);
    match (&predicate.test, &observed) {
        (Test::Exists(wanted), observed) => Truth::of((*observed != Observed::Absent) == *wanted),
        (Test::Below(base), Observed::Text(path)) => Truth::of(is_below(path, base)),
        (Test::Matches(pattern), observed) => match observed.text() {
            Some(text) => Truth::of(pattern.matches(text.as_bytes())),
            None => Truth::Unknown,
        },
        (Test::OneOf(wanted), observed) => match observed.single() {
            Some(value) => among(&[value], wanted),
            None => Truth::Unknown,
        },
        (Test::Contains(wanted), observed) => match observed.elements() {
            Some(values) => among(&values, wanted),
            None => Truth::Unknown,
        },
        (Test::Only(wanted), observed) => match observed.elements() {
            // Each for itself: what is unknown of one is unknown of all, and one that is another is enough.
            Some(values) => values.iter().map(|value| among(&[*value], wanted)).min().unwrap_or(Truth::Yes),
            None => Truth::Unknown,
        },
        (Test::Range { least, most }, Observed::Number(number)) => {
            Truth::of(least.is_none_or(|least| *number >= least) && most.is_none_or(|most| *number <= most))
        }
        (Test::Within(networks), Observed::Address(address)) => {
            Truth::of(networks.iter().any(|network| contains(*network, *address)))
        }
        (Test::Hours(hours), Observed::Number(seconds)) => Truth::of(is_open(*hours, *seconds)),
        // A test of another kind of fact, or of one that is not known.
        _ => Truth::Unknown,
    }
}

/// A value that can be compared.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Flag(bool),
}

/// Is one of the values one of these? Where none is, a value of a kind that is not asked for leaves it open.
fn among(values: &[Value<'_>], wanted: &[Literal]) -> Truth {
    let mut answer = Truth::No;
    for value in values {
        let mut comparable = false;
        for literal in wanted {
            let same = match (value, literal) {
                (Value::Text(value), Literal::Text(text)) => *value == text,
                (Value::Integer(value), Literal::Integer(number)) => value == number,
                (Value::Flag(value), Literal::Flag(flag)) => value == flag,
                _ => continue,
            };
            comparable = true;
            if same {
                return Truth::Yes;
            }
        }
        if !comparable {
            answer = Truth::Unknown;
        }
    }
    answer
}

impl Observed<'_> {
    /// The one text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self.single() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn single(&self) -> Option<Value<'_>> {
        match self {
            Observed::Text(text) => Some(Value::Text(text)),
            Observed::Literal(literal) => Some(value(literal)),
            _ => None,
        }
    }

    fn elements(&self) -> Option<Vec<Value<'_>>> {
        match self {
            Observed::Texts(texts) => Some(texts.iter().map(|text| Value::Text(text)).collect()),
            Observed::Literals(literals) => Some(literals.iter().map(value).collect()),
            single => single.single().map(|value| vec![value]),
        }
    }
}

fn value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Text(text) => Value::Text(text),
        Literal::Integer(number) => Value::Integer(*number),
        Literal::Flag(flag) => Value::Flag(*flag),
    }
}

/// What is known of the fact that a predicate looks at.
pub(crate) fn observe<'a>(predicate: &'a Predicate, facts: &Facts<'a>) -> Observed<'a> {
    let text =
        |text: Option<&'a str>| text.map_or(Observed::Absent, |text| Observed::Text(Cow::Borrowed(text)));
    let peer = facts.transport.peer.as_ref();
    match &predicate.fact {
        Fact::Claim(id) => match facts.identity.claims.get(id.index()) {
            Some(ClaimValue::One(literal)) => Observed::Literal(literal),
            Some(ClaimValue::Many(literals)) => Observed::Literals(literals),
            Some(ClaimValue::Absent) => Observed::Absent,
            // A claim that nobody read: nothing can be said about it.
            Some(ClaimValue::Opaque) | None => Observed::Opaque,
        },
        Fact::Scopes => match &facts.identity.scopes {
            Some(scopes) => {
                Observed::Texts(scopes.iter().map(|scope| Cow::Borrowed(scope.as_str())).collect())
            }
            None => Observed::Absent,
        },
        Fact::Method => Observed::Text(Cow::Borrowed(facts.method)),
        Fact::Path => Observed::Text(Cow::Borrowed(facts.path)),
        Fact::Host => Observed::Text(Cow::Owned(super::host_without_port(facts.host).to_ascii_lowercase())),
        Fact::Header(name) => header(name, facts, matches!(predicate.test, Test::Contains(_))),
        Fact::Query(name) => parameter(name, facts.query),
        Fact::TlsVersion => match facts.transport.version.as_deref() {
            Some("TLSv1.2") => Observed::Number(2),
            Some("TLSv1.3") => Observed::Number(3),
            Some(_) => Observed::Opaque,
            None => Observed::Absent,
        },
        Fact::ClientCertificate => match facts.transport.mtls {
            Some(true) => Observed::Number(1),
            Some(false) => Observed::Absent,
            None => Observed::Opaque,
        },
        Fact::PeerUri => text(peer.and_then(|peer| peer.uri_san.as_deref())),
        Fact::PeerDns => text(peer.and_then(|peer| peer.dns_san.as_deref())),
        Fact::PeerSubject => text(peer.and_then(|peer| peer.subject.as_deref())),
        Fact::PeerSha256 => text(peer.and_then(|peer| peer.sha256.as_deref())),
        Fact::Source => facts.transport.source.map_or(Observed::Absent, Observed::Address),
        Fact::Size => facts.size.map_or(Observed::Absent, Observed::Number),
        Fact::Time => Observed::Number(facts.now.seconds()),
        Fact::Model => match (facts.model_in_path, facts.body) {
            (Some(model), _) | (None, Some(BodyFacts { model, .. })) => stated(model, &predicate.test),
            (None, None) => Observed::Opaque,
        },
        Fact::Tool => facts.body.map_or(Observed::Opaque, |body| stated(&body.tools, &predicate.test)),
        Fact::RpcMethod => facts.body.map_or(Observed::Opaque, |body| stated(&body.methods, &predicate.test)),
    }
}

/// What a body says. One that was read and says nothing is an empty list to a test of lists, and nothing to any other.
fn stated<'a>(stated: &'a Stated, test: &Test) -> Observed<'a> {
    let Stated::Texts(texts) = stated else { return Observed::Opaque };
    match texts.as_slice() {
        [] if !matches!(test, Test::Contains(_) | Test::Only(_)) => Observed::Absent,
        [text] => Observed::Text(Cow::Borrowed(text)),
        texts => Observed::Texts(texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect()),
    }
}

/// The lines of a header; as a list (RFC 9110 section 5.6.1) its elements.
fn header<'a>(name: &str, facts: &Facts<'a>, list: bool) -> Observed<'a> {
    let lines = facts.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    let Some(lines) = lines.map(|(_, value)| std::str::from_utf8(value).ok()).collect::<Option<Vec<&str>>>()
    else {
        return Observed::Opaque;
    };
    match lines.as_slice() {
        [] => Observed::Absent,
        [line] if !list => Observed::Text(Cow::Borrowed(line.trim())),
        lines if list => {
            let elements = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
            Observed::Texts(elements.filter(|element| !element.is_empty()).map(Cow::Borrowed).collect())
        }
        lines => Observed::Texts(lines.iter().map(|line| Cow::Borrowed(line.trim())).collect()),
    }
}

/// The values of a parameter (WHATWG URL, "application/x-www-form-urlencoded").
fn parameter<'a>(name: &str, query: &'a str) -> Observed<'a> {
    let mut values = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(key), decode(value)) {
            (Some(key), Some(value)) if key == name => values.push(Cow::Owned(value)),
            (Some(key), None) if key == name => return Observed::Opaque,
            (Some(_), _) => {}
            // SECURITY: a name that cannot be read could be this one to somebody else.
            (None, _) => return Observed::Opaque,
        }
    }
    match (values.len(), values.pop()) {
        (0, _) | (_, None) => Observed::Absent,
        (1, Some(value)) => Observed::Text(value),
        (_, Some(value)) => {
            values.push(value);
            Observed::Texts(values)
        }
    }
}

/// Addresses of version 4 are compared in their mapped form.
fn contains(network: Network, address: IpAddr) -> bool {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let shift = 128_u32.saturating_sub(u32::from(network.prefix));
    u128::from(bits).checked_shr(shift).unwrap_or(0) == network.address.checked_shr(shift).unwrap_or(0)
}

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// Is it open at this second? Hours that go over midnight belong to the day on which they begin.
fn is_open(hours: Hours, seconds: u64) -> bool {
    let Ok(minutes) = i64::try_from(seconds / 60) else { return false };
    let local = minutes.saturating_add(i64::from(hours.offset));
    let minute = local.rem_euclid(DAY);
    // The epoch was a Thursday.
    let day = (local.div_euclid(DAY) + 3).rem_euclid(7);
    let (from, to) = (i64::from(hours.from), i64::from(hours.to));
    let begins_on = |day: i64| u32::try_from(day).is_ok_and(|day| hours.days >> day & 1 == 1);
    if from < to {
        return begins_on(day) && (from..to).contains(&minute);
    }
    (begins_on(day) && minute >= from) || (begins_on((day + 6) % 7) && minute < to)
}

#[cfg(test)]
mod tests;
