//! `who.claims`, `who.scopes` and `where` of a rule: what must hold besides groups and routes.
//!
//! A closed set of facts, each with the tests that make sense for it, so that a typing error is an error here and not a rule that
//! never matches. What is unknown makes a `may` not match and a `mayNot` match; that is the engine's business.

use super::reader::{Fields, boolean, list, size, text, texts, wrong_type};
use super::yaml::{Entry, Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Text, did_you_mean, listing};
use std::net::IpAddr;
use veilwire_engine::compile::{WholeError, whole_pattern};
use veilwire_engine::policy::model::{Fact, Hours, Literal, Network, Test};

/// One predicate.
#[derive(Clone, Debug)]
pub struct Predicate {
    /// Where it is asked.
    pub span: Span,
    /// Of what.
    pub subject: Subject,
    /// What is asked.
    pub test: Test,
}

/// What a predicate looks at.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A claim, by its name or path.
    Claim(Text),
    /// Anything else.
    Fact(Fact),
}

/// Facts with one name, and what can be asked of them.
const FACTS: [(&str, Fact, Kinds); 16] = [
    ("method", Fact::Method, Kinds::Text),
    ("path", Fact::Path, Kinds::Path),
    ("host", Fact::Host, Kinds::Text),
    ("tls.version", Fact::TlsVersion, Kinds::Version),
    ("tls.clientCertificate", Fact::ClientCertificate, Kinds::Presence),
    ("peer.uri", Fact::PeerUri, Kinds::Text),
    ("peer.dns", Fact::PeerDns, Kinds::Text),
    ("peer.subject", Fact::PeerSubject, Kinds::Text),
    ("peer.sha256", Fact::PeerSha256, Kinds::Text),
    ("source.address", Fact::Source, Kinds::Address),
    ("request.size", Fact::Size, Kinds::Size),
    ("time", Fact::Time, Kinds::Time),
    ("token.scopes", Fact::Scopes, Kinds::List),
    ("model", Fact::Model, Kinds::Text),
    ("tool", Fact::Tool, Kinds::Set),
    ("mcp.method", Fact::RpcMethod, Kinds::Set),
];

/// What of the language is not built yet.
const LATER: [&str; 1] = ["sql.effects"];

/// Which tests a fact has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    /// `equals`, `oneOf`, `matches`, `exists`.
    Text,
    /// The same, and `below`.
    Path,
    /// The same as text, and `contains`; values may be numbers and truth values.
    Claim,
    /// As text, and `contains`.
    Repeated,
    /// As text, `contains` and `only`.
    Set,
    /// `contains`, `exists`.
    List,
    /// `exists`.
    Presence,
    Version,
    Address,
    Size,
    Time,
}

/// Reads `who.claims`.
pub fn claims(node: &Node, out: &mut Diagnostics) -> Vec<Predicate> {
    let Kind::Map(entries) = &node.kind else {
        out.push(wrong_type(node, "claims and what they must be"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let tests = read_tests(&entry.value, &format!("claim `{}`", entry.key.value), Kinds::Claim, out);
        all.extend(tests.into_iter().map(|test| Predicate {
            span: entry.key.span,
            subject: Subject::Claim(entry.key.clone()),
            test,
        }));
    }
    all
}

/// Reads `who.scopes`: all of them are required.
pub fn scopes(node: &Node, out: &mut Diagnostics) -> Vec<Predicate> {
    let mut all = Vec::new();
    for scope in texts(node, out) {
        // RFC 6749 section 3.3, `scope-token`.
        if !scope.value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            let message = format!("`{}` cannot be a scope", scope.value);
            out.push(
                Diagnostic::at(Code::E0205, scope.span, message).help("one scope per entry of the list"),
            );
            continue;
        }
        let test = Test::Contains(vec![Literal::Text(scope.value)]);
        all.push(Predicate { span: scope.span, subject: Subject::Fact(Fact::Scopes), test });
    }
    all
}

/// Reads `where`.
pub fn conditions(node: &Node, out: &mut Diagnostics) -> Vec<Predicate> {
    let Kind::Map(entries) = &node.kind else {
        out.push(wrong_type(node, "attributes and what they must be"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let Some((fact, kinds)) = read_fact(entry, out) else { continue };
        let tests = read_tests(&entry.value, &format!("`{}`", entry.key.value), kinds, out);
        let span = entry.key.span;
        all.extend(tests.into_iter().map(|test| Predicate {
            span,
            subject: Subject::Fact(fact.clone()),
            test,
        }));
    }
    all
}

fn read_fact(entry: &Entry, out: &mut Diagnostics) -> Option<(Fact, Kinds)> {
    let key = &entry.key;
    if let Some((_, fact, kinds)) = FACTS.iter().find(|(name, ..)| *name == key.value) {
        return Some((fact.clone(), *kinds));
    }
    if let Some(name) = key.value.strip_prefix("header.") {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        };
        let hidden = ["authorization", "cookie", "host"].contains(&name) || name.starts_with("x-veilwire-");
        if !name.is_empty() && name.bytes().all(plain) && !hidden {
            return Some((Fact::Header(name.to_owned()), Kinds::Repeated));
        }
        let message = format!("`{name}` is not a header that rules can look at");
        out.push(
            Diagnostic::at(Code::E0205, key.span, message)
                .help("write it in lower case; credentials and `x-veilwire-*` are not for rules"),
        );
        return None;
    }
    if let Some(name) = key.value.strip_prefix("query.").filter(|name| !name.is_empty()) {
        return Some((Fact::Query(name.to_owned()), Kinds::Repeated));
    }
    if LATER.contains(&key.value.as_str()) {
        out.push(super::reader::not_yet(key.span, &format!("`{}`", key.value)));
        return None;
    }
    let known = || FACTS.iter().map(|(name, ..)| *name).chain(["header.NAME", "query.NAME"]);
    let diagnostic = Diagnostic::at(Code::E0203, key.span, format!("unknown attribute `{}`", key.value));
    out.push(match did_you_mean(&key.value, known()) {
        Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
        None => diagnostic.help(format!("attributes are: {}", listing(known()))),
    });
    None
}

/// Reads the tests of one fact; all of them must hold.
fn read_tests(node: &Node, what: &str, kinds: Kinds, out: &mut Diagnostics) -> Vec<Test> {
    let Some(mut fields) = Fields::open(node, what, out) else { return Vec::new() };
    let mut tests = Vec::new();
    let typed = kinds == Kinds::Claim;
    let before = out.items().len();
    if matches!(kinds, Kinds::Text | Kinds::Path | Kinds::Claim | Kinds::Repeated | Kinds::Set) {
        tests.extend(
            fields
                .take("equals")
                .and_then(|node| literal(node, typed, out))
                .map(|one| Test::OneOf(vec![one])),
        );
        tests.extend(
            fields
                .take("oneOf")
                .map(|node| Test::OneOf(list(node, |node, out| literal(node, typed, out), out))),
        );
        tests.extend(fields.take("matches").and_then(|node| pattern(node, out)).map(Test::Matches));
    }
    let mut several = |key, out: &mut Diagnostics| {
        fields.take(key).map(|node| match &node.kind {
            Kind::List(_) => list(node, |node, out| literal(node, typed, out), out),
            _ => literal(node, typed, out).into_iter().collect(),
        })
    };
    if matches!(kinds, Kinds::Claim | Kinds::Repeated | Kinds::List | Kinds::Set) {
        tests.extend(several("contains", out).map(Test::Contains));
    }
    if kinds == Kinds::Set {
        tests.extend(several("only", out).map(Test::Only));
    }
    match kinds {
        Kinds::Path => {
            let below = fields.take("below").and_then(|node| text(node, out));
            tests.extend(below.and_then(|text| base(&text, out)).map(Test::Below));
        }
        Kinds::Version => {
            let version = |node: &Node, out: &mut Diagnostics| {
                super::choice(node, "version of TLS", &[("1.2", 2), ("1.3", 3)], &[], out)
                    .map(|found| found.value)
            };
            let least = fields.take("atLeast").and_then(|node| version(node, out));
            tests.extend(least.map(|least| Test::Range { least: Some(least), most: None }));
        }
        Kinds::Address => {
            let networks = fields.take("in").map(|node| list(node, network, out));
            tests.extend(networks.map(Test::Within));
        }
        Kinds::Size => {
            let mut bound = |key, out: &mut Diagnostics| {
                fields.take(key).and_then(|node| size(node, 0, 1 << 40, out)).map(|bound| bound.value)
            };
            let (least, most) = (bound("atLeast", out), bound("atMost", out));
            tests.extend((least.is_some() || most.is_some()).then_some(Test::Range { least, most }));
        }
        Kinds::Time => tests.extend(read_time(&mut fields, out)),
        Kinds::Text | Kinds::Claim | Kinds::Repeated | Kinds::Set | Kinds::List | Kinds::Presence => {}
    }
    if !matches!(kinds, Kinds::Time | Kinds::Size | Kinds::Version | Kinds::Address) {
        tests.extend(fields.take("exists").and_then(|node| boolean(node, out)).map(Test::Exists));
    }
    fields.close(out);
    if tests.is_empty() && out.items().len() == before {
        let example = match kinds {
            Kinds::Version => "{atLeast: \"1.3\"}",
            Kinds::Address => "{in: [10.0.0.0/8]}",
            Kinds::Size => "{atMost: 1MiB}",
            Kinds::Time => "{days: [mon, tue]}",
            _ => "{exists: true}",
        };
        let message = format!("nothing is asked of {what}");
        out.push(Diagnostic::at(Code::E0209, node.span, message).help(format!("for example `{example}`")));
    }
    tests
}

/// A value to compare with; numbers and truth values only where the fact can be one.
fn literal(node: &Node, typed: bool, out: &mut Diagnostics) -> Option<Literal> {
    let Kind::Scalar(scalar) = &node.kind else {
        out.push(wrong_type(node, "a text, whole number or truth value"));
        return None;
    };
    if typed && scalar.plain {
        match scalar.text.as_str() {
            "true" => return Some(Literal::Flag(true)),
            "false" => return Some(Literal::Flag(false)),
            digits => {
                // As `parse` alone would also take `+1` and `007`, which nobody would write for a number.
                if let Some(value) = digits.parse::<i64>().ok().filter(|value| value.to_string() == digits) {
                    return Some(Literal::Integer(value));
                }
            }
        }
    }
    Some(Literal::Text(scalar.text.clone()))
}

fn pattern(node: &Node, out: &mut Diagnostics) -> Option<veilwire_engine::policy::pattern::Pattern> {
    let expression = text(node, out)?;
    match whole_pattern(&expression.value) {
        Ok(pattern) => Some(pattern),
        Err(WholeError::TooLarge) => {
            out.push(
                Diagnostic::at(Code::E0504, expression.span, "this pattern needs too large an automaton")
                    .help("bound its loops, or name the values with `oneOf`"),
            );
            None
        }
        Err(WholeError::Syntax(reason)) => {
            let first = reason.lines().last().unwrap_or_default().to_owned();
            out.push(
                Diagnostic::at(Code::E0502, expression.span, "this pattern is not understood").note(first),
            );
            None
        }
    }
}

/// A path whose subtree is meant; as the engine has it, without a slash at its end.
fn base(text: &Text, out: &mut Diagnostics) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@/".contains(&byte);
    let path = text.value.strip_suffix('/').unwrap_or(&text.value);
    let segments = path.split('/').skip(1);
    let usable = (path.is_empty() || path.starts_with('/'))
        && path.bytes().all(plain)
        && !segments.into_iter().any(|segment| ["", ".", ".."].contains(&segment));
    if !usable {
        let message = format!("`{}` is not a path this compiler can match", text.value);
        out.push(
            Diagnostic::at(Code::E0210, text.span, message)
                .help("write it without query and escapes, as in `/v1/items`"),
        );
        return None;
    }
    Some(path.to_owned())
}

/// `10.0.0.0/8`, `2001:db8::/32`, or one address.
fn network(node: &Node, out: &mut Diagnostics) -> Option<Network> {
    let text = text(node, out)?;
    let (address, prefix) = match text.value.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text.value.as_str(), None),
    };
    let read = || {
        let (bits, width) = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => (u128::from(address.to_ipv6_mapped()), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let prefix = prefix.map_or(Some(width), |digits| {
            digits.parse::<u8>().ok().filter(|prefix| *prefix <= width && prefix.to_string() == digits)
        })?;
        let prefix = prefix + (128 - width);
        // Bits behind the prefix would be ignored, so whoever wrote them meant something else.
        let host = if prefix == 0 { bits } else { bits.checked_shl(u32::from(prefix)).unwrap_or(0) };
        (host == 0).then_some(Network { address: bits, prefix })
    };
    let network = read();
    if network.is_none() {
        let message = format!("`{}` is not a range of addresses", text.value);
        out.push(
            Diagnostic::at(Code::E0205, text.span, message).help(
                "as in `10.0.0.0/8` or `2001:db8::/32`, without bits behind the prefix, or one address",
            ),
        );
    }
    network
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn read_time(fields: &mut Fields<'_>, out: &mut Diagnostics) -> Vec<Test> {
    let mut tests = Vec::new();
    let mut date = |key: &'static str, out: &mut Diagnostics| {
        let text = fields.take(key).and_then(|node| text(node, out))?;
        let seconds = seconds_of(&text.value);
        if seconds.is_none() {
            let message = format!("`{}` is not a date", text.value);
            out.push(
                Diagnostic::at(Code::E0206, text.span, message)
                    .help("as in `2027-03-31`, which begins at midnight UTC"),
            );
        }
        seconds
    };
    let (least, before) = (date("after", out), date("before", out));
    if least.is_some() || before.is_some() {
        tests.push(Test::Range { least, most: before.map(|before| before.saturating_sub(1)) });
    }
    let days = fields.take("days").map(|node| {
        let day = |node: &Node, out: &mut Diagnostics| {
            let numbered: Vec<(&str, u8)> = DAYS.iter().copied().zip(0..).collect();
            super::choice(node, "day", &numbered, &[], out).map(|found| 1_u8 << found.value)
        };
        list(node, day, out).into_iter().fold(0, |all, day| all | day)
    });
    let hours = fields.take("hours").and_then(|node| text(node, out)).and_then(|text| {
        let hours =
            text.value.split_once('-').and_then(|(from, to)| Some((minute_of(from)?, minute_of(to)?)));
        let hours = hours.filter(|(from, _)| *from < 24 * 60);
        if hours.is_none() {
            let message = format!("`{}` are not hours of a day", text.value);
            out.push(
                Diagnostic::at(Code::E0206, text.span, message)
                    .help("as in `\"08:00-18:00\"`; over midnight is possible"),
            );
        }
        hours
    });
    let zone = fields.take("zone").and_then(|node| text(node, out)).and_then(|text| {
        let offset = offset_of(&text.value);
        if offset.is_none() {
            let message = format!("`{}` is not a distance from UTC", text.value);
            out.push(
                Diagnostic::at(Code::E0206, text.span, message)
                    .help("as in `\"+01:00\"`; it is the same all year"),
            );
        }
        offset
    });
    if days.is_some() || hours.is_some() || zone.is_some() {
        let (from, to) = hours.unwrap_or((0, 0));
        tests.push(Test::Hours(Hours { days: days.unwrap_or(0x7f), from, to, offset: zone.unwrap_or(0) }));
    }
    tests
}

/// `hh:mm`; 24:00 is the end of the day.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())?
    };
    let at = digits(hour)? * 60 + digits(minute).filter(|minute| *minute < 60)?;
    (at <= 24 * 60).then_some(at)
}

/// `+hh:mm`, `-hh:mm` or `Z`, in minutes.
fn offset_of(text: &str) -> Option<i16> {
    if text == "Z" {
        return Some(0);
    }
    let (ahead, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('-')?),
    };
    let minutes = i16::try_from(minute_of(rest)?).ok().filter(|minutes| *minutes <= 14 * 60)?;
    Some(if ahead { minutes } else { -minutes })
}

/// Midnight UTC at which the day `yyyy-mm-dd` begins, in seconds since the epoch.
fn seconds_of(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let text = parts
            .next()
            .filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        text.parse::<u64>().ok()
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = months.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if parts.next().is_some() || !(1970..=2553).contains(&year) || !(1..=*length).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let before: u64 = months.iter().take(usize::try_from(month - 1).ok()?).sum();
    Some((years + before + day - 1) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_the_epoch() {
        for (text, days) in [
            ("1970-01-01", Some(0)),
            ("1970-02-28", Some(58)),
            ("2000-02-29", Some(11_016)),
            ("2026-11-22", Some(20_779)),
            ("2100-03-01", Some(47_541)),
            ("2100-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-1-1", None),
            ("2026-11-22T00:00:00Z", None),
            ("1969-12-31", None),
        ] {
            assert_eq!(seconds_of(text), days.map(|days: u64| days * 86_400), "{text}");
        }
    }

    #[test]
    fn hours_and_zones() {
        assert_eq!(minute_of("08:30"), Some(510));
        assert_eq!(minute_of("24:00"), Some(1440));
        for bad in ["8:30", "08:60", "25:00", "24:01", "08", "", "+8:30"] {
            assert_eq!(minute_of(bad), None, "{bad}");
        }
        assert_eq!(
            [offset_of("+01:00"), offset_of("-05:30"), offset_of("Z")],
            [Some(60), Some(-330), Some(0)]
        );
        for bad in ["01:00", "+15:00", "UTC", ""] {
            assert_eq!(offset_of(bad), None, "{bad}");
        }
    }
}
