//! From automata to the buckets of the [`Filter`](super::filter::Filter).
//!
//! A [`Beginning`] has a set of bytes per column: the byte before a match, then its first bytes. It lets through every
//! start that is alive after these bytes and every start that reports within them. At first there is one for every
//! detector and every way in which it can begin; similar ones are then united until eight are left. Uniting only widens, so
//! it is a matter of speed and not of soundness; so is the estimate of which ones are similar.

use super::{DEAD, DetectorBits, Starts, is_word};
use crate::mask::automaton::Automaton;
use crate::policy::id::DetectorId;

/// The byte before and the first bytes of a match.
pub(super) const COLUMNS: usize = 8;

/// How many buckets there are.
const BUCKETS: usize = 8;

/// Cells that may be looked at in all; columns beyond let everything through. Far more than any usual set needs.
const MAX_WORK: usize = 1 << 22;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

/// How matches begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    columns: [ByteSet; COLUMNS],
    /// Fewest bytes of a match that ends with the text; [`COLUMNS`] if more than a beginning has.
    shortest: usize,
}

/// At most eight beginnings that together let everything through that matters.
pub(super) fn of(automata: &[Starts]) -> Vec<Beginning> {
    let mut work = MAX_WORK;
    let mut buckets: Vec<Beginning> = Vec::new();
    for Starts { automaton, .. } in automata {
        let mut classes = vec![ByteSet::default(); automaton.class_count()];
        for byte in 0..=u8::MAX {
            if let Some(class) = classes.get_mut(automaton.class(byte)) {
                class.insert(byte);
            }
        }
        for after_word in [false, true] {
            let mut firsts = automaton.row(automaton.start(after_word)).to_vec();
            firsts.sort_unstable();
            firsts.dedup();
            for first in firsts.into_iter().filter(|&first| first != DEAD) {
                for detector in automaton.reach(first).iter() {
                    let view = View { automaton, classes: &classes, detector };
                    add(&mut buckets, view.beginning(after_word, first, &mut work));
                }
            }
        }
    }
    buckets
}

/// A word with a zero bit for each bucket and column where `fits` says so; lane by lane.
pub(super) fn word(buckets: &[Beginning], fits: impl Fn(&Beginning, usize) -> bool) -> u64 {
    let mut word = u64::MAX;
    for column in (0..COLUMNS).rev() {
        for place in (0..BUCKETS).rev() {
            let fit = buckets.get(place).is_some_and(|bucket| fits(bucket, column));
            word = word << 1 | u64::from(!fit);
        }
    }
    word
}

/// Adds a bucket; where there are too many then, unites the two that cost least.
fn add(buckets: &mut Vec<Beginning>, new: Beginning) {
    // Most of what is new is not: a bucket that grew lets it through already.
    if buckets.iter().any(|bucket| bucket.united(&new) == *bucket) {
        return;
    }
    buckets.push(new);
    if buckets.len() <= BUCKETS {
        return;
    }
    let costs: Vec<f32> = buckets.iter().map(Beginning::cost).collect();
    let mut best = (f32::INFINITY, 0, 0);
    for (place, (one, own)) in buckets.iter().zip(&costs).enumerate() {
        for (other_place, (other, others)) in buckets.iter().zip(&costs).enumerate().take(place) {
            let added = one.united(other).cost() - own - others;
            if added < best.0 {
                best = (added, place, other_place);
            }
        }
    }
    let (_, later, earlier) = best;
    let gone = buckets.swap_remove(later);
    if let Some(kept) = buckets.get_mut(earlier) {
        *kept = kept.united(&gone);
    }
}

/// One detector in an automaton.
struct View<'a> {
    automaton: &'a Automaton,
    classes: &'a [ByteSet],
    detector: DetectorId,
}

impl View<'_> {
    /// Matches of the detector whose first byte leads to `first`.
    fn beginning(&self, after_word: bool, first: u16, work: &mut usize) -> Beginning {
        let mut columns = [ByteSet::ALL; COLUMNS];
        let mut shortest = COLUMNS;
        let mut states = vec![self.automaton.start(after_word)];
        for (length, column) in columns.iter_mut().enumerate() {
            if length == 0 {
                *column = ByteSet::of(|byte| is_word(byte) == after_word);
                continue;
            }
            // SECURITY: after a report every byte must fit: what was found must not be dropped.
            if states.iter().any(|&state| self.reports(self.automaton.reports(state))) {
                break;
            }
            *work = work.saturating_sub(states.len() * self.classes.len());
            if *work == 0 {
                return Beginning { columns, shortest: 1 };
            }
            *column = ByteSet::default();
            let mut next = Vec::new();
            for &state in &states {
                for (&to, bytes) in self.automaton.row(state).iter().zip(self.classes) {
                    let begins = length > 1 || to == first;
                    if to != DEAD && begins && self.is_alive(to) {
                        *column = column.union(bytes);
                        next.push(to);
                    }
                }
            }
            next.sort_unstable();
            next.dedup();
            states = next;
            let ends = |&state: &u16| self.reports(self.automaton.reports(self.automaton.end(state)));
            if shortest == COLUMNS && states.iter().any(ends) {
                shortest = length;
            }
        }
        Beginning { columns, shortest }
    }

    fn reports(&self, detectors: DetectorBits) -> bool {
        detectors.contains(self.detector)
    }

    fn is_alive(&self, state: u16) -> bool {
        self.reports(self.automaton.reports(state)) || self.reports(self.automaton.reach(state))
    }
}

impl Beginning {
    pub(super) fn fits(&self, column: usize, byte: u8) -> bool {
        self.columns.get(column).is_none_or(|set| set.contains(byte))
    }

    pub(super) fn shortest(&self) -> usize {
        self.shortest
    }

    fn united(&self, other: &Beginning) -> Beginning {
        let mut columns = self.columns;
        for (column, others) in columns.iter_mut().zip(&other.columns) {
            *column = column.union(others);
        }
        Beginning { columns, shortest: self.shortest.min(other.shortest) }
    }

    /// An estimate of how often it fits: bytes as a Markov chain over the six kinds of bytes.
    fn cost(&self) -> f32 {
        let mut reached = USUAL;
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                let mut next = [0.0; KINDS];
                for (share, row) in reached.iter().zip(FOLLOWS) {
                    for (sum, follows) in next.iter_mut().zip(row) {
                        *sum += share * follows;
                    }
                }
                reached = next;
            }
            for (share, part) in reached.iter_mut().zip(column.parts()) {
                *share *= part;
            }
        }
        reached.iter().sum()
    }
}

/// Lower case, upper case, digits, white space, other ASCII, other bytes.
const KINDS: usize = 6;

/// How often each kind comes, in text and identifiers as model APIs carry them.
const USUAL: [f32; KINDS] = [0.57, 0.12, 0.17, 0.07, 0.06, 0.01];

/// How often each kind follows each other one, there.
const FOLLOWS: [[f32; KINDS]; KINDS] = [
    [0.75, 0.08, 0.08, 0.02, 0.06, 0.01],
    [0.41, 0.39, 0.16, 0.01, 0.02, 0.01],
    [0.28, 0.12, 0.50, 0.01, 0.08, 0.01],
    [0.82, 0.04, 0.04, 0.05, 0.04, 0.01],
    [0.47, 0.07, 0.34, 0.06, 0.05, 0.01],
    [0.15, 0.05, 0.01, 0.11, 0.01, 0.67],
];

/// The bytes of each kind, and how many they are.
const MEMBERS: [(ByteSet, f32); KINDS] = [
    (ByteSet([0, LOWER, 0, 0]), 26.0),
    (ByteSet([0, UPPER, 0, 0]), 26.0),
    (ByteSet([DIGITS, 0, 0, 0]), 10.0),
    (ByteSet([BLANKS, 0, 0, 0]), 4.0),
    (ByteSet([!(DIGITS | BLANKS), !(LOWER | UPPER), 0, 0]), 62.0),
    (ByteSet([0, 0, u64::MAX, u64::MAX]), 128.0),
];
const LOWER: u64 = 0x07FF_FFFE_0000_0000;
const UPPER: u64 = 0x07FF_FFFE;
const DIGITS: u64 = 0x03FF_0000_0000_0000;
const BLANKS: u64 = 0x0001_0000_2600;

impl ByteSet {
    const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    pub(crate) fn of(is_member: impl Fn(u8) -> bool) -> ByteSet {
        let mut set = ByteSet::default();
        (0..=u8::MAX).filter(|&byte| is_member(byte)).for_each(|byte| set.insert(byte));
        set
    }

    pub(crate) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    fn union(&self, other: &ByteSet) -> ByteSet {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        ByteSet([a | e, b | f, c | g, d | h])
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Which part of each kind is in it.
    fn parts(&self) -> [f32; KINDS] {
        MEMBERS.map(|(members, all)| {
            let ([a, b, c, d], [e, f, g, h]) = (self.0, members.0);
            let own = ByteSet([a & e, b & f, c & g, d & h]).count();
            u16::try_from(own).map_or(1.0, f32::from) / all
        })
    }
}
