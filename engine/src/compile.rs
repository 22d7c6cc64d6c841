//! From patterns to detector automata: what only the policy compiler may do.
//!
//! Guarantees: what [`build`] returns satisfies every bound that a [`DetectorSet`](crate::mask::detector::DetectorSet)
//! checks, and equal input gives equal bytes. Every refusal names the detector and says why with data, never with text of
//! a scanned message. It does not read policies and does not choose patterns.
//!
//! # What a pattern may be
//!
//! A regular expression over bytes: ASCII classes, no back-references, and of all look-around only the word boundary
//! `\b`. It must not match the empty string. Text is held while a pattern is undecided, so the longest stretch without a
//! possible match end is bounded: `sk-[a-z]{20,}` is fine (each byte after the twentieth is decided at once), while
//! `sk-[a-z]{20,}\b` is refused, because its trailing boundary keeps a long word undecided until it ends.
//!
//! A prefix and near words say where a match may begin. They are expressions too; of a prefix every end counts, so a match
//! is what the pattern matches behind any of them. Neither holds text back.

mod automata;
mod buckets;
mod pattern;
mod token;
mod whole;

use crate::mask::automaton::MAX_WORD;
use crate::mask::automaton::{Automaton, DecodeError, Indecision};
use crate::mask::detector::{
    MAX_AUTOMATA, MAX_BEGINNING, MAX_DETECTORS, MAX_LAZY, MAX_VALIDATED, MAX_WINDOW,
};
use crate::policy::id::DetectorId;
use crate::policy::model::Validator;
use pattern::Parsed;
use std::fmt;
use thiserror::Error;
pub use token::token_pattern;
pub use whole::{WholeError, whole_pattern};

/// Most bytes of the intermediate table of one automaton; a group of detectors that needs more is split.
const TABLE_LIMIT: usize = 16 << 20;

/// One detector's pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// Its number: the place in the list.
    pub detector: DetectorId,
    /// The regular expression of what is covered.
    pub regex: String,
    /// The check of what it matches.
    pub validator: Option<Validator>,
    /// The regular expression of what must end where a match begins; it is not covered.
    pub prefix: Option<String>,
    /// Words of which one must have ended shortly before a match.
    pub near: Option<Near>,
}

/// "A match counts only shortly behind one of these words."
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Near {
    /// Regular expressions, which ignore the case of ASCII letters unless they say otherwise.
    pub words: Vec<String>,
    /// Most bytes between the end of a word and the begin of a match, at most
    /// [`MAX_WITHIN`](crate::mask::automaton::MAX_WITHIN).
    pub within: u8,
}

/// A regular expression of a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is covered.
    Pattern,
    /// What stands before it.
    Prefix,
    /// A near word, by its place in the list.
    Word(usize),
}

/// All detectors, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What the policy carries.
    pub automata: Vec<Automaton>,
    /// What each detector costs, in the order of the patterns.
    pub costs: Vec<Cost>,
}

/// What a detector costs at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Which one.
    pub detector: DetectorId,
    /// States of its automaton that it has a part in.
    pub states: usize,
    /// The most bytes that it can leave undecided.
    pub indecision: u32,
    /// It begins with a run that is read backwards only when its trigger byte comes.
    pub lazy: bool,
}

/// Why patterns cannot be compiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// More patterns than a policy may have.
    #[error("{count} detectors, at most {MAX_DETECTORS} are possible")]
    TooManyDetectors {
        /// How many there are.
        count: usize,
    },
    /// The number of a pattern is not its place in the list.
    #[error("detector {} is out of order", .detector.0)]
    Misnumbered {
        /// Its number.
        detector: DetectorId,
    },
    /// The regular expression does not parse.
    #[error("detector {}: pattern does not parse at byte {offset}", .detector.0)]
    Syntax {
        /// Which one.
        detector: DetectorId,
        /// Where in the pattern.
        offset: usize,
        /// What is wrong.
        source: Box<regex_syntax::Error>,
    },
    /// Look-around other than `\b`.
    #[error("detector {}: {look} is not supported, only `\\b` is", .detector.0)]
    LookAround {
        /// Which one.
        detector: DetectorId,
        /// What it uses.
        look: LookAround,
    },
    /// The pattern matches the empty string.
    #[error("detector {}: pattern matches the empty string", .detector.0)]
    EmptyMatch {
        /// Which one.
        detector: DetectorId,
    },
    /// The pattern can match nothing.
    #[error("detector {}: pattern can never match", .detector.0)]
    NeverMatches {
        /// Which one.
        detector: DetectorId,
    },
    /// One pattern alone is too large.
    #[error("detector {}: automaton is larger than {limit} bytes", .detector.0)]
    TooLarge {
        /// Which one.
        detector: DetectorId,
        /// The limit that it exceeds, in bytes.
        limit: usize,
    },
    /// More automata than a policy may have.
    #[error("{count} automata are needed, at most {limit} are possible")]
    TooManyAutomata {
        /// How many there are.
        count: usize,
        /// How many are possible.
        limit: usize,
    },
    /// Text can stay undecided without end.
    #[error(
        "detector {}: after `{}` text can stay undecided for ever; bound the repetition or drop a trailing `\\b`",
        .detector.0, .witness.escape_ascii()
    )]
    Undecided {
        /// Which one.
        detector: DetectorId,
        /// A short text after which a match is possible but may never be decided; from the pattern, not from data.
        witness: Vec<u8>,
    },
    /// Text can stay undecided for longer than the window.
    #[error("detector {}: up to {indecision} bytes stay undecided, the window is {window} bytes", .detector.0)]
    Window {
        /// Which one.
        detector: DetectorId,
        /// The most bytes that it leaves undecided.
        indecision: u32,
        /// The window.
        window: u32,
    },
    /// A validator needs matches of bounded length.
    #[error("detector {}: validated matches must not be longer than {MAX_VALIDATED} bytes", .detector.0)]
    ValidatedTooLong {
        /// Which one.
        detector: DetectorId,
        /// The longest match, if there is one.
        length: Option<u32>,
    },
    /// A condition cannot be used, for a reason that a pattern can have too.
    #[error("{source}, in its {part}")]
    Condition {
        /// Which part of the detector.
        part: Part,
        /// What is wrong with it.
        source: Box<CompileError>,
    },
    /// A near word can be too long.
    #[error("detector {}: near word can be longer than {MAX_WORD} bytes", .detector.0)]
    LongWord {
        /// Which one.
        detector: DetectorId,
    },
    /// The regex library refuses the pattern for another reason than its size.
    #[error("detector {}: no automaton can be built", .detector.0)]
    Unsupported {
        /// Which one.
        detector: DetectorId,
        /// What it says.
        source: Box<regex_automata::dfa::dense::BuildError>,
    },
    /// The tables do not pass their own check.
    #[error("detector {}: automaton is not sound", .detector.0)]
    Unsound {
        /// The first detector of the automaton.
        detector: DetectorId,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// Look-around that detectors cannot use: the context of a match is one byte on each side, through `\b` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookAround {
    /// `^`, `$`, `\A`, `\z` in any mode.
    Anchor,
    /// `\B`.
    NoBoundary,
    /// `\b{start}`, `\b{end}` and their halves.
    HalfBoundary,
    /// `\b` or `\B` with Unicode on.
    UnicodeBoundary,
}

/// Compiles all patterns. `window` is the most bytes that a detector may leave undecided; at most [`MAX_WINDOW`].
///
/// # Errors
/// [`CompileError`] for the first pattern that cannot be used.
pub fn build(patterns: &[Pattern], window: u32) -> Result<Built, CompileError> {
    build_within(patterns, window, TABLE_LIMIT)
}

fn build_within(patterns: &[Pattern], window: u32, table_limit: usize) -> Result<Built, CompileError> {
    if patterns.len() > MAX_DETECTORS {
        return Err(CompileError::TooManyDetectors { count: patterns.len() });
    }
    let parsed = patterns.iter().zip(0..).map(|(pattern, place)| {
        if pattern.detector != DetectorId(place) {
            return Err(CompileError::Misnumbered { detector: pattern.detector });
        }
        Parsed::new(pattern)
    });
    let parsed = parsed.collect::<Result<Vec<Parsed>, CompileError>>()?;
    let automata = automata::build(&parsed, table_limit)?;
    check_count(automata.len(), MAX_AUTOMATA)?;
    let beginning = automata.iter().filter(|automaton| automaton.role().begins_anywhere());
    check_count(beginning.count(), MAX_BEGINNING)?;
    check_count(automata.iter().filter(|automaton| automaton.lazy().is_some()).count(), MAX_LAZY)?;
    let costs = patterns.iter().map(|pattern| cost(&automata, pattern, window.min(MAX_WINDOW)));
    let costs = costs.collect::<Result<Vec<Cost>, CompileError>>()?;
    Ok(Built { automata: buckets::distribute(automata), costs })
}

fn check_count(count: usize, limit: usize) -> Result<(), CompileError> {
    if count > limit { Err(CompileError::TooManyAutomata { count, limit }) } else { Ok(()) }
}

/// Measures one detector and checks its bounds.
fn cost(automata: &[Automaton], pattern: &Pattern, window: u32) -> Result<Cost, CompileError> {
    let detector = pattern.detector;
    let mut matching = automata.iter().filter(|automaton| automaton.role().is_matches());
    let Some(automaton) = matching.find(|automaton| automaton.detectors().contains(detector)) else {
        return Err(CompileError::NeverMatches { detector });
    };
    let indecision = match automaton.indecision(detector) {
        Indecision::Bounded(bytes) => bytes,
        Indecision::Unbounded { witness } => return Err(CompileError::Undecided { detector, witness }),
    };
    if indecision > window {
        return Err(CompileError::Window { detector, indecision, window });
    }
    if pattern.validator.is_some() {
        let length = automaton.max_length(detector);
        if length.and_then(|bytes| usize::try_from(bytes).ok()).is_none_or(|bytes| bytes > MAX_VALIDATED) {
            return Err(CompileError::ValidatedTooLong { detector, length });
        }
    }
    Ok(Cost { detector, states: automaton.states_of(detector), indecision, lazy: automaton.lazy().is_some() })
}

impl CompileError {
    /// The detector at fault, if it is one.
    #[must_use]
    pub fn detector(&self) -> Option<DetectorId> {
        match self {
            CompileError::TooManyDetectors { .. } | CompileError::TooManyAutomata { .. } => None,
            CompileError::Misnumbered { detector }
            | CompileError::Syntax { detector, .. }
            | CompileError::LookAround { detector, .. }
            | CompileError::EmptyMatch { detector }
            | CompileError::NeverMatches { detector }
            | CompileError::TooLarge { detector, .. }
            | CompileError::Undecided { detector, .. }
            | CompileError::Window { detector, .. }
            | CompileError::ValidatedTooLong { detector, .. }
            | CompileError::LongWord { detector }
            | CompileError::Unsupported { detector, .. }
            | CompileError::Unsound { detector, .. } => Some(*detector),
            CompileError::Condition { source, .. } => source.detector(),
        }
    }
}

impl CompileError {
    fn in_part(self, part: Part) -> CompileError {
        CompileError::Condition { part, source: Box::new(self) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Pattern => "pattern",
            Part::Prefix => "prefix",
            Part::Word(_) => "near words",
        })
    }
}

impl fmt::Display for LookAround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LookAround::Anchor => "an anchor (`^`, `$`, `\\A`, `\\z`)",
            LookAround::NoBoundary => "`\\B`",
            LookAround::HalfBoundary => "a one-sided word boundary",
            LookAround::UnicodeBoundary => "a Unicode word boundary",
        })
    }
}

#[cfg(test)]
mod tests;
