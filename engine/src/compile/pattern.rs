//! Parsing one pattern: syntax, look-around, and the shape that can be read backwards.

use super::{CompileError, LookAround, Near, Part, Pattern};
use crate::mask::automaton::{LazyPrefix, MAX_LAZY_PREFIX, MAX_WITHIN, MAX_WORD};
use crate::policy::id::DetectorId;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// A pattern that may be compiled.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) detector: DetectorId,
    /// The whole pattern.
    pub(super) whole: Hir,
    /// The pattern split into a run that is read backwards, and the rest from the trigger on.
    pub(super) lazy: Option<(LazyPrefix, Hir)>,
    /// What must end where it begins, as written and parsed.
    pub(super) prefix: Option<(String, Hir)>,
    /// Words of which one must end shortly before, as written and as one expression.
    pub(super) near: Option<(Near, Hir)>,
}

impl Parsed {
    pub(super) fn new(pattern: &Pattern) -> Result<Parsed, CompileError> {
        let detector = pattern.detector;
        let whole = parse(detector, &pattern.regex, false)?;
        let prefix = pattern.prefix.as_ref().map(|prefix| {
            let parsed = parse(detector, prefix, false).map_err(|error| error.in_part(Part::Prefix))?;
            Ok((prefix.clone(), parsed))
        });
        let (prefix, near) = (prefix.transpose()?, pattern.near.as_ref());
        let near = near.map(|near| Ok((near.clone(), words(detector, near)?))).transpose()?;
        // A validator must see every match by itself, so its starts cannot share one run. A condition is looked at where a
        // match begins, not where its trigger stands.
        let plain = pattern.validator.is_none() && prefix.is_none() && near.is_none();
        let lazy = if plain { split(&whole) } else { None };
        Ok(Parsed { detector, whole, lazy, prefix, near })
    }
}

fn words(detector: DetectorId, near: &Near) -> Result<Hir, CompileError> {
    let word = |(place, word): (usize, &String)| {
        let parsed = parse(detector, word, true).and_then(|word| {
            let length = word.properties().maximum_len().and_then(|length| u32::try_from(length).ok());
            if length.is_some_and(|length| length <= MAX_WORD) {
                Ok(word)
            } else {
                Err(CompileError::LongWord { detector })
            }
        });
        parsed.map_err(|error| error.in_part(Part::Word(place)))
    };
    let words = near.words.iter().enumerate().map(word).collect::<Result<Vec<Hir>, CompileError>>()?;
    if words.is_empty() || near.within > MAX_WITHIN {
        return Err(CompileError::NeverMatches { detector }.in_part(Part::Word(0)));
    }
    Ok(Hir::alternation(words))
}

fn parse(detector: DetectorId, regex: &str, any_case: bool) -> Result<Hir, CompileError> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).case_insensitive(any_case).build();
    let whole = parser.parse(regex).map_err(|source| CompileError::Syntax {
        detector,
        offset: offset(&source),
        source: Box::new(source),
    })?;
    if let Some(look) = whole.properties().look_set().iter().find_map(forbidden) {
        return Err(CompileError::LookAround { detector, look });
    }
    match whole.properties().minimum_len() {
        Some(0) => Err(CompileError::EmptyMatch { detector }),
        None => Err(CompileError::NeverMatches { detector }),
        Some(_) => Ok(whole),
    }
}

fn offset(error: &regex_syntax::Error) -> usize {
    match error {
        regex_syntax::Error::Parse(error) => error.span().start.offset,
        regex_syntax::Error::Translate(error) => error.span().start.offset,
        _ => 0,
    }
}

fn forbidden(look: Look) -> Option<LookAround> {
    match look {
        Look::WordAscii => None,
        Look::WordAsciiNegate => Some(LookAround::NoBoundary),
        Look::WordUnicode
        | Look::WordUnicodeNegate
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => Some(LookAround::UnicodeBoundary),
        Look::WordStartAscii | Look::WordEndAscii | Look::WordStartHalfAscii | Look::WordEndHalfAscii => {
            Some(LookAround::HalfBoundary)
        }
        Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF => {
            Some(LookAround::Anchor)
        }
    }
}

/// Recognises `C{1,max} t rest` with `t` not in `C`.
fn split(whole: &Hir) -> Option<(LazyPrefix, Hir)> {
    let HirKind::Concat(parts) = whole.kind() else { return None };
    let (run, rest) = parts.split_first()?;
    let HirKind::Repetition(run) = run.kind() else { return None };
    let max = run.max.and_then(|max| u16::try_from(max).ok()).filter(|&max| max <= MAX_LAZY_PREFIX)?;
    // The byte after the run must be literal: no look-around may see between the two.
    let HirKind::Literal(literal) = rest.first()?.kind() else { return None };
    let &trigger = literal.0.first()?;
    let prefix = LazyPrefix::new(byte_set(&run.sub)?, max, trigger)?;
    (run.min == 1).then(|| (prefix, Hir::concat(rest.to_vec())))
}

/// The bytes that a one-byte expression matches.
fn byte_set(hir: &Hir) -> Option<[u64; 4]> {
    let mut set = [0u64; 4];
    let mut add = |first: u8, last: u8| {
        for byte in first..=last {
            if let Some(word) = set.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
    };
    match hir.kind() {
        HirKind::Literal(literal) => match *literal.0 {
            [byte] => add(byte, byte),
            _ => return None,
        },
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().for_each(|range| add(range.start(), range.end()));
        }
        HirKind::Class(Class::Unicode(class)) => {
            let class = class.to_byte_class()?;
            class.iter().for_each(|range| add(range.start(), range.end()));
        }
        _ => return None,
    }
    Some(set)
}
