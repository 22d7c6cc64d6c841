//! The table of refusals in `docs/reference/refusals.md` and the enums say the same.

use super::*;
use crate::identity::{TokenError, Unauthenticated};
use crate::transport::TransportError;
use std::collections::BTreeSet;

/// Every reason; a cause that changes nothing stands for the others.
fn all() -> Vec<Reason> {
    let mut all = vec![
        Reason::Downstream(TransportError::Plaintext),
        Reason::Upstream(TransportError::Plaintext),
        Reason::Malformed,
        Reason::Unauthenticated(Unauthenticated::Missing),
        Reason::Rule,
        Reason::Default,
        Reason::PathFinding,
        Reason::RouteMismatch,
        Reason::ApprovalDenied,
        Reason::ApprovalUnavailable,
        Reason::ContentType,
        Reason::ContentEncoding,
        Reason::PartialContent,
        Reason::UpstreamUnavailable,
        Reason::BodyLimit,
        Reason::Busy,
        Reason::Host,
    ];
    let errors = [
        MaskError::InvalidJson,
        MaskError::Truncated,
        MaskError::TooDeep,
        MaskError::Budget,
        MaskError::Overflow,
        MaskError::SignedReasoning,
        MaskError::EventId,
        MaskError::LateMember,
        MaskError::NoCarrier,
        MaskError::Charset,
        MaskError::Coding,
        MaskError::Multipart,
        MaskError::Part,
        MaskError::Mislabelled,
        MaskError::AmbiguousForm,
        MaskError::InflateRatio,
        MaskError::InvalidFrame,
        MaskError::MessageLimit,
        MaskError::Compressed,
    ];
    all.extend(errors.map(Reason::Content));
    all
}

/// The variants that the text of an enum declares.
fn declared<'s>(source: &'s str, head: &str) -> BTreeSet<&'s str> {
    let (_, body) = source.split_once(head).expect("the enum is gone");
    let (body, _) = body.split_once("\n}\n").expect("the enum has no end");
    let names = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    names.map(|line| line.split(['(', ',']).next().unwrap_or(line)).collect()
}

#[test]
fn no_variant_is_missing_from_the_walk() {
    let name = |text: String| text.split('(').next().unwrap_or_default().to_owned();
    let walked = |errors: bool| -> BTreeSet<String> {
        let names = all().into_iter().filter_map(|reason| match reason {
            Reason::Content(error) if errors => Some(format!("{error:?}")),
            _ if errors => None,
            reason => Some(name(format!("{reason:?}"))),
        });
        names.collect()
    };
    let same = |declared: BTreeSet<&str>, walked: BTreeSet<String>| {
        assert_eq!(declared.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), walked);
    };
    same(declared(include_str!("../../decision.rs"), "pub enum Reason {"), walked(false));
    same(declared(include_str!("../../mask.rs"), "pub enum MaskError {"), walked(true));
}

#[test]
fn every_reason_has_a_row_with_its_answers_and_every_row_a_reason() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/refusals.md");
    let text = std::fs::read_to_string(path).expect("docs/reference/refusals.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 5)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let words: Vec<&str> =
        rows.iter().filter_map(|row| row.first()).map(|word| word.trim_matches('`')).collect();
    let expected: Vec<&str> = all().into_iter().map(Reason::word).collect();
    let sorted = |mut words: Vec<&'static str>| {
        words.sort_unstable();
        words
    };
    let mut documented = words.clone();
    documented.sort_unstable();
    assert_eq!(documented, sorted(expected), "one row for each word");
    for reason in all() {
        let row = rows.iter().zip(&words).find(|(_, word)| **word == reason.word()).map(|(row, _)| row);
        let row = row.expect("checked above");
        for (column, direction) in [(2, Direction::Request), (3, Direction::Response)] {
            let status = reason.status(direction);
            assert_ne!(title(status), "Refused", "{} has a status without a name", reason.word());
            let answer = format!("{status} / {}", grpc_status(reason, status));
            let written = row.get(column).copied().unwrap_or_default();
            assert!(written == answer || written == "-", "{}: {answer}, not {written}", reason.word());
        }
        assert!(row.get(2..4) != Some(["-", "-"].as_slice()), "{} never happens", reason.word());
    }
    let keys = Reason::Unauthenticated(Unauthenticated::Invalid(TokenError::Unverifiable));
    assert_eq!(keys.status(Direction::Request), 503);
}

#[test]
fn words_can_be_names_of_counters() {
    let mut seen = BTreeSet::new();
    for reason in all() {
        let word = reason.word();
        assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{word}");
        assert!(seen.insert(word), "{word} stands for two reasons");
    }
}
