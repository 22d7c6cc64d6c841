//! The compiled form of detectors: an anchored automaton that reports every match end of one start.
//!
//! Guarantees: an [`Automaton`] that exists is *checked*: every class, state and detector number in it is in range, no
//! detector matches the empty string, and every live state can still report something. Lookups therefore never miss.
//! It deliberately does not build itself from patterns (that needs a regex compiler, see the `compile` feature), and it
//! does not know what a detector means: see [`DetectorSet`](super::detector::DetectorSet).
//!
//! # Conventions
//!
//! State 0 is dead. States `1..=m` report; the others do not. Reports come one byte late: the state reached by the byte
//! at position `p` reports the matches that *end before* `p`, so that their right context is known. The transition for
//! the end of the text stands in for that byte at the end.
//!
//! There are two start states. Patterns may look at their context only through the ASCII word boundary, which depends
//! on the previous byte only through "is it a word byte"; the start of the text counts as "no" (as in every regex
//! dialect). So text start, line ends and all other non-word bytes need no start states of their own.

mod analysis;
mod encoding;
mod role;

pub use analysis::Indecision;
pub use encoding::DecodeError;
pub use role::{Condition, MAX_WITHIN, MAX_WORD, Near, Role};

use super::detector::DetectorBits;
use std::fmt;

/// The state from which nothing can be reported any more.
pub(crate) const DEAD: u16 = 0;

/// Upper bound of table cells (states times classes) of one automaton: 4 MiB of table.
pub const MAX_CELLS: usize = 1 << 21;

/// Longest lazy prefix, in bytes.
pub const MAX_LAZY_PREFIX: u16 = 256;

/// A checked, anchored automaton over one or more detectors.
#[derive(Clone, PartialEq, Eq)]
pub struct Automaton {
    /// Class of each byte; every class is smaller than `stride`.
    classes: [u8; 256],
    /// Number of classes, 1 to 256: the length of a row.
    stride: u16,
    /// One row per state, the dead one included; every cell is a state.
    rows: Vec<u16>,
    /// The state after the end of the text: dead or reporting.
    ends: Vec<u16>,
    /// Start state after a non-word byte (or at the start of the text), and after a word byte.
    starts: [u16; 2],
    /// What each state reports; the dead state comes first and reports nothing.
    reports: Vec<DetectorBits>,
    /// What each state can still report after at least one more step, as an index into `reach_sets`.
    reach: Vec<u16>,
    reach_sets: Vec<DetectorBits>,
    lazy: Option<LazyPrefix>,
    role: Role,
    /// The bucket of the filter for each of its ways to begin: a matter of speed only, so any will do.
    buckets: Vec<u8>,
}

/// How far one start ran: see [`Automaton::run`].
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) state: u16,
    /// Bytes taken.
    pub(crate) taken: usize,
    /// Bytes taken when the known state was reached for the last time; 0 if it was not.
    pub(crate) again: usize,
    /// The last of them led to death or to a report.
    pub(crate) stopped: bool,
}

/// The part `C{1,max}` before a `trigger` that is not in `C`: read backwards when the trigger comes, so that a run of
/// `C` needs no live start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LazyPrefix {
    class: [u64; 4],
    max: u16,
    trigger: u8,
}

/// Raw tables, not yet checked. State 0 has no row here; states are numbered from 1.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) classes: [u8; 256],
    pub(crate) stride: u16,
    /// Rows including the dead one.
    pub(crate) rows: Vec<u16>,
    /// End transitions including the dead one.
    pub(crate) ends: Vec<u16>,
    pub(crate) starts: [u16; 2],
    /// Reports including those of the dead state (none).
    pub(crate) reports: Vec<DetectorBits>,
    pub(crate) lazy: Option<LazyPrefix>,
    pub(crate) role: Role,
}

impl Automaton {
    /// Checks raw tables; the only way to make an automaton.
    pub(crate) fn new(tables: Tables) -> Result<Automaton, DecodeError> {
        let Tables { classes, stride, rows, ends, starts, reports, lazy, role } = tables;
        let states = ends.len();
        let cells = states.checked_mul(usize::from(stride)).ok_or(DecodeError::TooLarge)?;
        if cells > MAX_CELLS || states > usize::from(u16::MAX) {
            return Err(DecodeError::TooLarge);
        }
        if rows.len() != cells || states == 0 || reports.is_empty() || reports.len() > states {
            return Err(DecodeError::Inconsistent);
        }
        if stride == 0 || classes.iter().any(|&class| u16::from(class) >= stride) {
            return Err(DecodeError::Class);
        }
        let is_state = |&state: &u16| usize::from(state) < states;
        let reports_or_dead = |&state: &u16| usize::from(state) < reports.len();
        if !rows.iter().all(is_state) || !starts.iter().all(is_state) || !ends.iter().all(reports_or_dead) {
            return Err(DecodeError::State);
        }
        let dead_row = rows.iter().take(usize::from(stride));
        if dead_row.chain(ends.first()).any(|&state| state != DEAD) {
            return Err(DecodeError::State);
        }
        let mut sets = reports.iter();
        if !sets.next().is_some_and(DetectorBits::is_empty) || sets.any(DetectorBits::is_empty) {
            return Err(DecodeError::Reports);
        }
        let (reach, reach_sets) = analysis::reach(&rows, usize::from(stride), &ends, &reports);
        let automaton = Automaton {
            classes,
            stride,
            rows,
            ends,
            starts,
            reports,
            reach,
            reach_sets,
            lazy,
            role,
            buckets: Vec::new(),
        };
        // A lazy prefix is read backwards beyond the place where a condition holds.
        if automaton.lazy.is_some() && role != Role::default() {
            return Err(DecodeError::Role);
        }
        automaton.check_liveness()?;
        automaton.check_starts()?;
        Ok(automaton)
    }

    /// Number of states, the dead one included.
    #[must_use]
    pub fn states(&self) -> usize {
        self.ends.len()
    }

    /// Number of byte classes.
    #[must_use]
    pub fn class_count(&self) -> usize {
        usize::from(self.stride)
    }

    /// What its reports mean, and where its matches may begin.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Everything that this automaton can report: detectors, or the numbers of prefixes or lists of words.
    #[must_use]
    pub fn detectors(&self) -> DetectorBits {
        self.starts.iter().fold(DetectorBits::default(), |all, &start| all.union(&self.reach(start)))
    }

    /// The same automaton, with buckets for its ways to begin.
    pub(crate) fn with_buckets(self, buckets: Vec<u8>) -> Automaton {
        Automaton { buckets, ..self }
    }

    /// The bucket for each way to begin, as far as one is known.
    pub(crate) fn buckets(&self) -> &[u8] {
        &self.buckets
    }

    /// The lazy prefix, if the detectors of this automaton begin with one.
    #[must_use]
    pub fn lazy(&self) -> Option<&LazyPrefix> {
        self.lazy.as_ref()
    }

    /// The state after `byte`.
    #[inline(always)]
    pub(crate) fn next(&self, state: u16, byte: u8) -> u16 {
        let class = self.classes.get(usize::from(byte)).copied().unwrap_or(0);
        let cell = usize::from(state) * usize::from(self.stride) + usize::from(class);
        // INVARIANT: states and classes were checked against the tables, so the cell is there.
        self.rows.get(cell).copied().unwrap_or(DEAD)
    }

    /// Takes bytes up to the first that leads to death or to a state that reports, other than `known`.
    #[inline]
    pub(crate) fn run(&self, from: u16, bytes: &[u8], known: u16) -> Run {
        let (classes, rows, stride) = (&self.classes, self.rows.as_slice(), usize::from(self.stride));
        let last_special = self.last_special();
        let (mut state, mut again) = (from, 0);
        for (place, &byte) in bytes.iter().enumerate() {
            let class = classes.get(usize::from(byte)).copied().unwrap_or(0);
            // INVARIANT: as in `next`.
            state = rows.get(usize::from(state) * stride + usize::from(class)).copied().unwrap_or(DEAD);
            if state <= last_special {
                if state == DEAD || state != known {
                    return Run { state, taken: place + 1, again, stopped: true };
                }
                again = place + 1;
            }
        }
        Run { state, taken: bytes.len(), again, stopped: false }
    }

    /// The state after the end of the text.
    pub(crate) fn end(&self, state: u16) -> u16 {
        self.ends.get(usize::from(state)).copied().unwrap_or(DEAD)
    }

    /// The start state; `after_word` says whether the previous byte is an ASCII word byte.
    pub(crate) fn start(&self, after_word: bool) -> u16 {
        let [other, word] = self.starts;
        if after_word { word } else { other }
    }

    /// States up to this one are dead or reporting; all others are neither.
    #[inline(always)]
    pub(crate) fn last_special(&self) -> u16 {
        // INVARIANT: there are at most `u16::MAX` states.
        u16::try_from(self.reports.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The detectors with a match that ended just before the byte that led here.
    #[inline]
    pub(crate) fn reports(&self, state: u16) -> DetectorBits {
        self.reports.get(usize::from(state)).copied().unwrap_or_default()
    }

    /// The detectors that can still be reported after at least one more step.
    #[inline]
    pub(crate) fn reach(&self, state: u16) -> DetectorBits {
        let index = self.reach.get(usize::from(state)).copied().unwrap_or(0);
        self.reach_sets.get(usize::from(index)).copied().unwrap_or_default()
    }

    /// The states after each class of bytes.
    pub(crate) fn row(&self, state: u16) -> &[u16] {
        let stride = usize::from(self.stride);
        let from = usize::from(state) * stride;
        self.rows.get(from..from + stride).unwrap_or_default()
    }

    /// The class of a byte: its place in a row.
    pub(crate) fn class(&self, byte: u8) -> usize {
        self.classes.get(usize::from(byte)).copied().map_or(0, usize::from)
    }

    /// A live state that can report nothing would hold text back for no reason.
    fn check_liveness(&self) -> Result<(), DecodeError> {
        let silent = self.reports.len()..self.states();
        let mut silent = silent.filter_map(|state| u16::try_from(state).ok());
        if silent.any(|state| self.reach(state).is_empty()) { Err(DecodeError::Barren) } else { Ok(()) }
    }

    /// No empty match; and with a lazy prefix, nothing starts but at its trigger.
    fn check_starts(&self) -> Result<(), DecodeError> {
        for start in self.starts {
            let after_first = self.row(start).iter();
            if after_first
                .chain([&self.end(start)])
                .any(|&state| state != DEAD && state <= self.last_special())
            {
                return Err(DecodeError::EmptyMatch);
            }
            if let Some(lazy) = &self.lazy {
                let others = (0..=u8::MAX).filter(|&byte| byte != lazy.trigger);
                if others.map(|byte| self.next(start, byte)).any(|state| state != DEAD) {
                    return Err(DecodeError::Lazy);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Automaton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automaton")
            .field("states", &self.states())
            .field("classes", &self.stride)
            .field("detectors", &self.detectors())
            .field("lazy", &self.lazy.is_some())
            .finish()
    }
}

impl LazyPrefix {
    /// `class{1,max}` before `trigger`. `None` if the trigger is in the class, the class is empty, or `max` is out of range.
    pub(crate) fn new(class: [u64; 4], max: u16, trigger: u8) -> Option<LazyPrefix> {
        let prefix = LazyPrefix { class, max, trigger };
        let sound = !prefix.contains(trigger) && class.iter().any(|&word| word != 0);
        (sound && (1..=MAX_LAZY_PREFIX).contains(&max)).then_some(prefix)
    }

    /// Is `byte` in the class of the run?
    #[inline(always)]
    pub(crate) fn contains(&self, byte: u8) -> bool {
        self.class.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// Longest run that counts, in bytes.
    #[must_use]
    pub fn max(&self) -> u16 {
        self.max
    }

    /// The byte after the run.
    #[must_use]
    pub fn trigger(&self) -> u8 {
        self.trigger
    }
}

#[cfg(test)]
mod tests;
