//! Detectors ready to run: automata, validators, and the tables that say where a match can begin.
//!
//! Guarantees: in a [`DetectorSet`] every detector is in exactly one automaton, no detector can leave more than
//! [`MAX_WINDOW`] bytes undecided, and no validated match is longer than [`MAX_VALIDATED`] bytes. These bounds make the
//! memory of a scan finite by construction. It does not know names, tags or replacements; the policy does.

mod buckets;
mod conditions;
mod filter;

#[cfg(feature = "compile")]
pub(crate) use buckets::{BUCKETS, PAIRS, Way, is_pair};
pub(crate) use conditions::Conditions;
pub(crate) use filter::{Cursor, Filter, Stop};

use super::automaton::{Automaton, DEAD, Indecision, LazyPrefix};
use super::validate::{self, holds};
use crate::policy::id::DetectorId;
use crate::policy::model::{Detector, Validator};
use std::fmt;
use thiserror::Error;

/// Most detectors of one policy.
pub const MAX_DETECTORS: usize = 256;

/// Longest match of a validated detector, in bytes.
pub const MAX_VALIDATED: usize = 128;

/// Longest indecision of any detector, in bytes; a policy's own window may be smaller.
pub const MAX_WINDOW: u32 = 4096;

/// Most automata of one policy.
pub const MAX_AUTOMATA: usize = 255;

/// Most automata of one policy that may begin anywhere, and not only behind a prefix.
pub const MAX_BEGINNING: usize = 64;

/// Most automata with a lazy prefix.
pub const MAX_LAZY: usize = 4;

/// How far a start is followed to see whether a text is clear, in bytes: it bounds the work for a text of many starts.
const MAX_LOOK: usize = 64;

/// All detectors of a policy, in the form that a scan steps through.
#[derive(Clone, Debug)]
pub struct DetectorSet {
    automata: Vec<Starts>,
    /// Number of states of all automata.
    states: usize,
    validators: Vec<Option<Validator>>,
    validated: DetectorBits,
    all: DetectorBits,
    /// What begins with a byte, a bit per automaton: after a non-word byte, after a word byte.
    heads: [ByteTable<u64>; 2],
    /// Automata with a lazy prefix, by number; their place here is their place in a scan's run lengths.
    lazy: Vec<(u8, DetectorBits)>,
    conditions: Conditions,
    /// For what begins anywhere; for what begins behind near words only.
    filters: [Filter; 2],
}

/// Why automata and detectors do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidDetectors {
    /// More than [`MAX_DETECTORS`] detectors, [`MAX_AUTOMATA`] automata, [`MAX_BEGINNING`] that begin anywhere, or
    /// [`MAX_LAZY`] lazy prefixes.
    #[error("too many detectors or automata")]
    TooMany,
    /// An automaton reports a detector that does not exist.
    #[error("automaton reports detector {} of {count}", .detector.0)]
    Unknown {
        /// What it reports.
        detector: DetectorId,
        /// How many there are.
        count: usize,
    },
    /// A detector is in no automaton.
    #[error("detector {} is in no automaton", .0.0)]
    Missing(DetectorId),
    /// A detector is in two automata.
    #[error("detector {} is in more than one automaton", .0.0)]
    Repeated(DetectorId),
    /// A detector can leave more than [`MAX_WINDOW`] bytes undecided.
    #[error("detector {} can stay undecided for too long", .0.0)]
    Undecided(DetectorId),
    /// A validated detector has matches of more than [`MAX_VALIDATED`] bytes, or a lazy prefix.
    #[error("validated detector {} is not bounded", .0.0)]
    Unbounded(DetectorId),
    /// A prefix or a list of near words is missing, or a near word is too long.
    #[error("a condition of a detector is missing or not bounded")]
    Condition,
}

/// An automaton and its states after the first byte.
#[derive(Clone, Debug)]
pub(crate) struct Starts {
    pub(crate) automaton: Automaton,
    first: [ByteTable<u16>; 2],
    /// Number of states of all automata before this one.
    offset: usize,
}

/// 256 values, one per byte.
#[derive(Clone)]
struct ByteTable<T>([T; 256]);

impl DetectorSet {
    /// Puts automata and detectors together.
    ///
    /// # Errors
    /// [`InvalidDetectors`] if they do not fit or a bound does not hold. A detector that no automaton can report is an
    /// error, not a detector that never matches.
    pub fn new(automata: Vec<Automaton>, detectors: &[Detector]) -> Result<DetectorSet, InvalidDetectors> {
        let validators = detectors.iter().map(|detector| detector.validator).collect();
        DetectorSet::with_validators(automata, validators)
    }

    /// Like [`DetectorSet::new`], where only the validators of the detectors are known.
    ///
    /// # Errors
    /// As [`DetectorSet::new`].
    pub fn with_validators(
        automata: Vec<Automaton>,
        validators: Vec<Option<Validator>>,
    ) -> Result<DetectorSet, InvalidDetectors> {
        if validators.len() > MAX_DETECTORS || automata.len() > MAX_AUTOMATA {
            return Err(InvalidDetectors::TooMany);
        }
        let all = check(&automata, &validators)?;
        let conditions = Conditions::new(&automata)?;
        let beginning = automata.iter().take_while(|automaton| automaton.role().begins_anywhere()).count();
        // INVARIANT: those that begin anywhere come first: their numbers are bits.
        if beginning > MAX_BEGINNING
            || automata.iter().skip(beginning).any(|automaton| automaton.role().begins_anywhere())
        {
            return Err(InvalidDetectors::TooMany);
        }
        let validated =
            all.iter().filter(|&id| validators.get(id.index()).copied().flatten().is_some()).collect();
        let lazy = automata.iter().zip(0u8..).filter(|(automaton, _)| automaton.lazy().is_some());
        let lazy: Vec<_> = lazy.map(|(automaton, number)| (number, automaton.detectors())).collect();
        if lazy.len() > MAX_LAZY {
            return Err(InvalidDetectors::TooMany);
        }
        let (automata, states) = starts(automata);
        let begins = automata.get(..beginning).unwrap_or_default();
        let [anywhere, near] = kinds(begins);
        let filters = [anywhere, near].map(|chosen| Filter::new(&automata, chosen, &conditions));
        let heads = [false, true].map(|after_word| heads(begins, after_word));
        Ok(DetectorSet { automata, states, validators, validated, all, heads, lazy, conditions, filters })
    }

    /// Ways in which matches begin, anywhere and behind near words: each with its automaton and its number there. None if the
    /// automata do not fit together.
    #[cfg(feature = "compile")]
    pub(crate) fn ways(automata: &[Automaton]) -> [Vec<(u8, usize, Way)>; 2] {
        let Ok(conditions) = Conditions::new(automata) else { return [const { Vec::new() }; 2] };
        let (automata, _) = starts(automata.to_vec());
        let beginning =
            automata.iter().take_while(|starts| starts.automaton.role().begins_anywhere()).count();
        kinds(automata.get(..beginning.min(MAX_BEGINNING)).unwrap_or_default()).map(|chosen| {
            let mut ways = Vec::new();
            buckets::each_way(&automata, chosen, &conditions, |automaton, number, way| {
                ways.push((automaton, number, way.clone()));
            });
            ways
        })
    }

    /// The same set without its filter: every byte is stepped. For comparisons only; it finds the same, more slowly.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub fn unfiltered(self) -> DetectorSet {
        DetectorSet { filters: [Filter::open(), Filter::open()], ..self }
    }

    /// The same patterns without validators: what is nearly found. For tools that explain; never for masking.
    #[cfg(feature = "compile")]
    #[must_use]
    pub fn unchecked(mut self) -> DetectorSet {
        self.validators.fill(None);
        self.validated = DetectorBits::default();
        self
    }

    /// How many detectors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// Every detector of the set.
    #[must_use]
    pub fn all(&self) -> DetectorBits {
        self.all
    }

    /// The detectors whose matches are checked by a validator.
    pub(crate) fn validated(&self) -> DetectorBits {
        self.validated
    }

    /// What prefixes open, and which words must be near.
    #[inline(always)]
    pub(crate) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The fast test of where a match can begin, or a prefix or near word.
    #[inline(always)]
    pub(crate) fn filter(&self) -> &Filter {
        let [anywhere, _] = &self.filters;
        anywhere
    }

    /// The fast test of where a match can begin that needs a near word.
    #[inline(always)]
    pub(crate) fn near_filter(&self) -> &Filter {
        let [_, near] = &self.filters;
        near
    }

    /// Number of states of all automata.
    pub(crate) fn states(&self) -> usize {
        self.states
    }

    #[inline(always)]
    pub(crate) fn starts(&self, automaton: u8) -> Option<&Starts> {
        self.automata.get(usize::from(automaton))
    }

    /// Can a start of this automaton cover text?
    #[inline]
    pub(crate) fn covers(&self, automaton: u8) -> bool {
        self.starts(automaton).is_some_and(|starts| starts.automaton.role().is_matches())
    }

    /// Lazy prefixes and the detectors that have them, in the order of a scan's run lengths.
    pub(crate) fn lazy(&self) -> impl Iterator<Item = (Option<&LazyPrefix>, &DetectorBits)> {
        self.lazy.iter().map(|(number, detectors)| (self.starts(*number).and_then(Starts::lazy), detectors))
    }

    /// Place of a lazy automaton among the lazy ones.
    pub(crate) fn lazy_place(&self, automaton: u8) -> Option<usize> {
        self.lazy.iter().position(|&(number, _)| number == automaton)
    }

    /// What begins with `byte` (a bit per automaton); `after_word`: the previous byte is a word byte.
    #[inline(always)]
    pub(crate) fn heads(&self, after_word: bool, byte: u8) -> u64 {
        let [other, word] = &self.heads;
        if after_word { word.get(byte) } else { other.get(byte) }
    }

    /// Is there surely no match in `text`, which is a text of its own?
    pub(crate) fn is_clear(&self, text: &[u8]) -> bool {
        let (mut cursor, mut from) = (Cursor::new(false), 0);
        loop {
            let Stop { place, automata } = self.filter().seek(&mut cursor, text, from);
            let Some((byte, behind)) = text.get(place..).and_then(<[u8]>::split_first) else { return true };
            let before = place.checked_sub(1).and_then(|before| text.get(before));
            let after_word = before.is_some_and(|&byte| is_word(byte));
            let mut heads = self.heads(after_word, *byte) & automata;
            while heads != 0 {
                // INVARIANT: at most 64 automata begin anywhere, so the number fits.
                let number = u8::try_from(heads.trailing_zeros()).unwrap_or(u8::MAX);
                heads &= heads - 1;
                let dies = |starts: &Starts| starts.dies(starts.first(after_word, *byte), behind);
                if !self.starts(number).is_some_and(dies) {
                    return false;
                }
            }
            from = place + 1;
        }
    }

    /// Does the validator of `detector` accept these bytes?
    pub(crate) fn accepts(&self, detector: DetectorId, matched: &[u8]) -> bool {
        self.validators
            .get(detector.index())
            .copied()
            .flatten()
            .is_none_or(|validator| holds(validator, matched))
    }
}

/// Checks every bound; returns all detectors.
fn check(automata: &[Automaton], validators: &[Option<Validator>]) -> Result<DetectorBits, InvalidDetectors> {
    let mut all = DetectorBits::default();
    for automaton in automata.iter().filter(|automaton| automaton.role().is_matches()) {
        for detector in automaton.detectors().iter() {
            let Some(validator) = validators.get(detector.index()) else {
                return Err(InvalidDetectors::Unknown { detector, count: validators.len() });
            };
            if all.contains(detector) {
                return Err(InvalidDetectors::Repeated(detector));
            }
            all.insert(detector);
            match automaton.indecision(detector) {
                Indecision::Bounded(bytes) if bytes <= MAX_WINDOW => {}
                _ => return Err(InvalidDetectors::Undecided(detector)),
            }
            let short = |bytes: u32| usize::try_from(bytes).is_ok_and(|bytes| bytes <= MAX_VALIDATED);
            let bounded = automaton.lazy().is_none() && automaton.max_length(detector).is_some_and(short);
            if validator.is_some() && !bounded {
                return Err(InvalidDetectors::Unbounded(detector));
            }
        }
    }
    let ids = (0..validators.len()).filter_map(|index| u16::try_from(index).ok()).map(DetectorId);
    match ids.into_iter().find(|&id| !all.contains(id)) {
        Some(missing) => Err(InvalidDetectors::Missing(missing)),
        None => Ok(all),
    }
}

impl Starts {
    fn new(automaton: Automaton, offset: usize) -> Starts {
        let first = [false, true].map(|after_word| {
            let start = automaton.start(after_word);
            ByteTable::new(|byte| automaton.next(start, byte))
        });
        Starts { automaton, first, offset }
    }

    fn lazy(&self) -> Option<&LazyPrefix> {
        self.automaton.lazy()
    }

    /// Does a start in this state surely come to nothing in what is left of the text?
    fn dies(&self, state: u16, rest: &[u8]) -> bool {
        let near = rest.get(..MAX_LOOK).unwrap_or(rest);
        let run = self.automaton.run(state, near, DEAD);
        if run.stopped {
            return run.state == DEAD;
        }
        // Behind the end nothing can begin, so prefixes and near words that end there are of no interest.
        near.len() == rest.len()
            && (!self.automaton.role().is_matches() || self.automaton.end(run.state) == DEAD)
    }

    /// Number of the dead state among the states of all automata.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The state after the first byte of a match.
    #[inline(always)]
    pub(crate) fn first(&self, after_word: bool, byte: u8) -> u16 {
        let [other, word] = &self.first;
        if after_word { word.get(byte) } else { other.get(byte) }
    }
}

/// The automata with what comes first in them, and the number of all their states.
fn starts(automata: Vec<Automaton>) -> (Vec<Starts>, usize) {
    let mut states = 0;
    let mut list = Vec::with_capacity(automata.len());
    for automaton in automata {
        let offset = states;
        states += automaton.states();
        list.push(Starts::new(automaton, offset));
    }
    (list, states)
}

/// A bit per automaton: those that begin anywhere; those that need a near word.
fn kinds(automata: &[Starts]) -> [u64; 2] {
    let mut kinds = [0, 0];
    for (starts, number) in automata.iter().zip(0u32..) {
        let [anywhere, near] = &mut kinds;
        let needs_word = starts.automaton.role().condition().near.is_some();
        *(if needs_word { near } else { anywhere }) |= bit(number);
    }
    kinds
}

/// The bit of an automaton that begins anywhere.
// INVARIANT: there are at most 64 of them.
fn bit(number: u32) -> u64 {
    1u64.checked_shl(number).unwrap_or(0)
}

/// A bit per automaton that is alive after a byte.
fn heads(automata: &[Starts], after_word: bool) -> ByteTable<u64> {
    ByteTable::new(|byte| {
        let alive = automata.iter().zip(0u32..).filter(|(starts, _)| starts.first(after_word, byte) != DEAD);
        alive.fold(0, |mask, (_, number)| mask | bit(number))
    })
}

impl<T: Copy + Default> ByteTable<T> {
    fn new(value: impl Fn(u8) -> T) -> ByteTable<T> {
        let mut table = [T::default(); 256];
        for (byte, cell) in (0..=u8::MAX).zip(&mut table) {
            *cell = value(byte);
        }
        ByteTable(table)
    }

    #[inline(always)]
    fn get(&self, byte: u8) -> T {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

impl<T> fmt::Debug for ByteTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteTable")
    }
}

/// A word byte in the sense of the ASCII word boundary.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A set of detectors; a plain value of 32 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetectorBits([u64; MAX_DETECTORS / 64]);

impl DetectorBits {
    /// No detector.
    #[must_use]
    pub fn new() -> DetectorBits {
        DetectorBits::default()
    }

    /// Adds a detector. Numbers from [`MAX_DETECTORS`] on cannot be members: a set of detectors never has them.
    pub fn insert(&mut self, detector: DetectorId) {
        if let Some(word) = self.0.get_mut(detector.index() / 64) {
            *word |= 1 << (detector.index() % 64);
        }
    }

    /// Is this detector a member?
    #[must_use]
    pub fn contains(&self, detector: DetectorId) -> bool {
        self.0.get(detector.index() / 64).is_some_and(|word| word >> (detector.index() % 64) & 1 == 1)
    }

    /// Members of either.
    #[must_use]
    #[inline]
    pub fn union(&self, other: &DetectorBits) -> DetectorBits {
        self.zip(other, |a, b| a | b)
    }

    /// Members of both.
    #[must_use]
    #[inline]
    pub fn intersection(&self, other: &DetectorBits) -> DetectorBits {
        self.zip(other, |a, b| a & b)
    }

    /// Members of `self` that are not in `other`.
    #[must_use]
    #[inline]
    pub fn difference(&self, other: &DetectorBits) -> DetectorBits {
        self.zip(other, |a, b| a & !b)
    }

    /// Is any member of `self` in `other`?
    #[must_use]
    #[inline]
    pub fn intersects(&self, other: &DetectorBits) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Is nothing in it?
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = DetectorId> + use<> {
        let mut rest = *self;
        std::iter::from_fn(move || rest.pop())
    }

    /// Takes the lowest member out.
    pub(crate) fn pop(&mut self) -> Option<DetectorId> {
        let (word, base) = self.0.iter_mut().zip([0u16, 64, 128, 192]).find(|(word, _)| **word != 0)?;
        let lowest = u16::try_from(word.trailing_zeros()).ok()?;
        *word &= word.wrapping_sub(1);
        Some(DetectorId(base + lowest))
    }

    #[inline]
    fn zip(&self, other: &DetectorBits, op: impl Fn(u64, u64) -> u64) -> DetectorBits {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        DetectorBits([op(a, e), op(b, f), op(c, g), op(d, h)])
    }
}

impl FromIterator<DetectorId> for DetectorBits {
    fn from_iter<I: IntoIterator<Item = DetectorId>>(detectors: I) -> DetectorBits {
        let mut bits = DetectorBits::default();
        detectors.into_iter().for_each(|detector| bits.insert(detector));
        bits
    }
}

impl fmt::Debug for DetectorBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|detector| detector.0)).finish()
    }
}

// Validators copy a match of at most this length; both modules must agree.
const _: () = assert!(MAX_VALIDATED == validate::MAX_INPUT);

#[cfg(test)]
mod tests;
