//! Parsing one pattern: syntax, look-around, and the shape that can be read backwards.

use super::{CompileError, LookAround, Pattern};
use crate::mask::automaton::{LazyPrefix, MAX_LAZY_PREFIX};
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
}

impl Parsed {
    pub(super) fn new(pattern: &Pattern) -> Result<Parsed, CompileError> {
        let detector = pattern.detector;
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        let whole = parser.parse(&pattern.regex).map_err(|source| CompileError::Syntax {
            detector,
            offset: offset(&source),
            source: Box::new(source),
        })?;
        if let Some(look) = whole.properties().look_set().iter().find_map(forbidden) {
            return Err(CompileError::LookAround { detector, look });
        }
        match whole.properties().minimum_len() {
            Some(0) => return Err(CompileError::EmptyMatch { detector }),
            None => return Err(CompileError::NeverMatches { detector }),
            Some(_) => {}
        }
        // A validator must see every match by itself, so its starts cannot share one run.
        let lazy = if pattern.validator.is_none() { split(&whole) } else { None };
        Ok(Parsed { detector, whole, lazy })
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
