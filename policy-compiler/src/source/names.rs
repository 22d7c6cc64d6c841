//! The names that a pattern of keys stands for.
//!
//! A filter compares keys with names, which costs nothing where they are not met. So a pattern is written out here: it must be
//! anchored at both ends and stand for a few names only. Text, classes, alternatives and bounded repetition can be written
//! out; `.*` cannot.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::collections::BTreeSet;

/// Most names of one pattern.
pub(super) const MAX_NAMES: usize = 64;
/// Longest name, in bytes.
const MAX_LENGTH: usize = 128;

/// Why a pattern cannot be written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NamesError {
    /// Not a regular expression.
    #[error("it is not a regular expression")]
    Syntax,
    /// It would match in the middle of a key.
    #[error("a pattern of keys begins with `^` and ends with `$`")]
    Anchors,
    /// Something else than text, classes, alternatives and repetition.
    #[error("a pattern of keys has no other look-around than `^` and `$`")]
    Look,
    /// More names than [`MAX_NAMES`], or endlessly many.
    #[error("it stands for more than {MAX_NAMES} names")]
    TooMany,
    /// No name, or the empty one.
    #[error("it stands for no name, or for an empty or overlong one")]
    Empty,
}

/// All names that a pattern such as `^(ssn|tax_?id)$` stands for, in order.
pub(super) fn names_of(pattern: &str) -> Result<Vec<String>, NamesError> {
    // Without tables of Unicode, `(?i)` and the like are for ASCII only.
    let parse = |unicode| ParserBuilder::new().unicode(unicode).build().parse(pattern).ok();
    let parsed = parse(true).or_else(|| parse(false)).ok_or(NamesError::Syntax)?;
    let HirKind::Concat(parts) = parsed.kind() else { return Err(NamesError::Anchors) };
    let [first, inner @ .., last] = parts.as_slice() else { return Err(NamesError::Anchors) };
    let anchors = (first.kind(), last.kind());
    if anchors != (&HirKind::Look(Look::Start), &HirKind::Look(Look::End)) {
        return Err(NamesError::Anchors);
    }
    let mut names = BTreeSet::from([String::new()]);
    for part in inner {
        names = joined(&names, &texts(part)?)?;
    }
    let usable = |name: &String| (1..=MAX_LENGTH).contains(&name.len());
    if names.is_empty() || !names.iter().all(usable) {
        return Err(NamesError::Empty);
    }
    Ok(names.into_iter().collect())
}

/// Every text that a part of a pattern stands for.
fn texts(part: &Hir) -> Result<BTreeSet<String>, NamesError> {
    let empty = || BTreeSet::from([String::new()]);
    match part.kind() {
        HirKind::Empty => Ok(empty()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).map_err(|_| NamesError::Syntax)?;
            Ok(BTreeSet::from([text.to_owned()]))
        }
        HirKind::Class(Class::Unicode(class)) => {
            let characters = class.iter().flat_map(|range| range.start()..=range.end());
            some(characters.take(MAX_NAMES + 1).map(String::from).collect())
        }
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = class.iter().flat_map(|range| range.start()..=range.end()).take(MAX_NAMES + 1);
            let text = |byte: u8| byte.is_ascii().then(|| char::from(byte).to_string());
            some(bytes.map(text).collect::<Option<_>>().ok_or(NamesError::TooMany)?)
        }
        HirKind::Look(_) => Err(NamesError::Look),
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(parts) => {
            parts.iter().try_fold(empty(), |before, part| joined(&before, &texts(part)?))
        }
        HirKind::Alternation(parts) => {
            let mut all = BTreeSet::new();
            for part in parts {
                all.extend(texts(part)?);
            }
            some(all)
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.ok_or(NamesError::TooMany)?;
            let once = texts(&repetition.sub)?;
            let (mut all, mut times) = (BTreeSet::new(), empty());
            for count in 0..=most {
                if count >= repetition.min {
                    all.extend(times.iter().cloned());
                }
                if count < most {
                    times = joined(&times, &once)?;
                }
            }
            some(all)
        }
    }
}

fn joined(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<BTreeSet<String>, NamesError> {
    let all: BTreeSet<String> = before
        .iter()
        .flat_map(|one| after.iter().map(move |other| format!("{one}{other}")))
        .take(MAX_NAMES + 1)
        .collect();
    if all.iter().any(|text| text.len() > MAX_LENGTH) { Err(NamesError::Empty) } else { some(all) }
}

fn some(texts: BTreeSet<String>) -> Result<BTreeSet<String>, NamesError> {
    if texts.len() > MAX_NAMES { Err(NamesError::TooMany) } else { Ok(texts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_out() {
        for (pattern, names) in [
            ("^ssn$", vec!["ssn"]),
            ("^(ssn|tax_?id)$", vec!["ssn", "tax_id", "taxid"]),
            ("^(?:a|b)[0-2]$", vec!["a0", "a1", "a2", "b0", "b1", "b2"]),
            ("^x{1,3}$", vec!["x", "xx", "xxx"]),
            ("^(?i)id$", vec!["ID", "Id", "iD", "id"]),
            ("^user\\.id$", vec!["user.id"]),
        ] {
            assert_eq!(names_of(pattern), Ok(names.into_iter().map(str::to_owned).collect()), "{pattern}");
        }
    }

    #[test]
    fn what_stands_for_too_much_or_nothing_is_refused() {
        for (pattern, error) in [
            ("ssn", NamesError::Anchors),
            ("^ssn", NamesError::Anchors),
            ("^a$|^b$", NamesError::Anchors),
            ("^.*_token$", NamesError::TooMany),
            ("^[a-z]{2}$", NamesError::TooMany),
            ("^a+$", NamesError::TooMany),
            ("^a\\bb$", NamesError::Look),
            ("^(a$", NamesError::Syntax),
            ("^(a|)$", NamesError::Empty),
            ("^$", NamesError::Empty),
            ("^x{129}$", NamesError::Empty),
        ] {
            assert_eq!(names_of(pattern), Err(error), "{pattern}");
        }
    }
}
