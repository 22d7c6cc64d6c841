//! A fast test in front of the automata: at which positions is it worth to begin?
//!
//! Guarantees: a position that the filter passes over begins no match and would hold nothing back. It may stop where
//! nothing is; it never decides what a match is.
//!
//! # How
//!
//! Eight *buckets* of ways to begin, each a set of pairs of neighbours for the byte before a match and its first eight bytes, are
//! followed all at once (Shift-Or; Baeza-Yates and Gonnet 1992; over pairs as in Hyperscan, Wang et al. 2019): a word has
//! a lane of eight bits per pair, and a byte moves every lane on by one. A zero bit in lane `k` says that the last `k + 1`
//! bytes fit the pairs of that bucket. Buckets come from the automata ([`super::buckets`]): they let through every
//! beginning that an automaton survives, and every one within which it reports. A bucket also says which automata it
//! stands for, so that the others need not be asked.
//!
//! Of a byte seven bits count: bytes beyond ASCII, which hardly any pattern names, stand beside those that differ in the
//! highest bit only. So the table of pairs has 2^14 words, of which usual text touches few.
//!
//! # Why it is exact
//!
//! A start that the filter drops died, within the bytes looked at, in an automaton that reported nothing for it. So it
//! neither covers anything nor holds anything, and the scan, which steps everything from the oldest start that the
//! filter did not drop, comes to the same live starts as if it had stepped all bytes. The last bytes of a text are no
//! exception: starts that did not yet show all their bytes are not dropped.

use super::ByteTable;
use super::buckets::{self, Bucket};
use super::{Conditions, Starts};
use std::fmt;

/// Bits of a lane: one per bucket.
const LANE: u32 = 8;
/// Where the last lane begins: there a beginning is complete.
const LAST: u32 = u64::BITS - LANE;
/// Bytes taken at once.
const STEP: usize = 4;

/// Pairs of bytes, seven bits each.
const TABLE: usize = 1 << 14;

/// The test.
#[derive(Clone)]
pub(crate) struct Filter {
    /// For every pair of bytes: a zero bit in lane `k` where it fits place `k` of a bucket.
    lanes: Box<[u64; TABLE]>,
    /// For every set of buckets: a bit for each automaton that they stand for.
    automata: ByteTable<u64>,
}

/// How far the filter looked, and what it saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    lanes: u64,
    seen: usize,
    /// The last byte, or one of its kind where it is not at hand.
    before: u8,
}

/// Where the filter stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// The first position where a match may begin; the number of bytes if there is none.
    pub(crate) place: usize,
    /// A bit for each automaton in which it may.
    pub(crate) automata: u64,
}

impl Cursor {
    /// At the start of bytes, after a word byte or not.
    pub(crate) fn new(after_word: bool) -> Cursor {
        // INVARIANT: of the byte before a match it only matters whether it is a word byte.
        Cursor { lanes: u64::MAX, seen: 0, before: if after_word { b'_' } else { 0 } }
    }
}

impl Filter {
    /// The test for some of these automata, which begin anywhere; `chosen` has a bit for each of them.
    pub(super) fn new(automata: &[Starts], chosen: u64, conditions: &Conditions) -> Filter {
        let buckets = buckets::of(automata, chosen, conditions);
        let mut lanes = table(u64::MAX);
        let places = buckets
            .iter()
            .zip(0..)
            .flat_map(|(bucket, number)| bucket.places().map(move |place| (number, place)));
        for (number, (place, pairs)) in places {
            let fits = !(1 << (place * LANE + number));
            // Most rows are empty.
            for (row, words) in pairs.iter().zip(lanes.chunks_exact_mut(128)) {
                let mut seconds = *row;
                while let Some(word) =
                    usize::try_from(seconds.trailing_zeros()).ok().and_then(|at| words.get_mut(at))
                {
                    *word &= fits;
                    seconds &= seconds - 1;
                }
            }
        }
        let member = |set: u8, number: usize| {
            u32::try_from(number)
                .ok()
                .and_then(|bits| set.checked_shr(bits))
                .is_some_and(|bits| bits & 1 == 1)
        };
        let automata = ByteTable::new(|set| {
            let members = buckets.iter().enumerate().filter(|(number, _)| member(set, *number));
            members.fold(0, |all, (_, bucket)| all | Bucket::automata(bucket))
        });
        Filter { lanes, automata }
    }

    /// The test that drops nothing: with it every byte is stepped.
    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn open() -> Filter {
        Filter { lanes: table(0), automata: ByteTable::new(|_| u64::MAX) }
    }

    /// The first position from `at` on where a match may begin or be about to begin. The cursor must come from the same
    /// bytes, and no start before `at` be of interest any more.
    pub(crate) fn seek(&self, cursor: &mut Cursor, bytes: &[u8], at: usize) -> Stop {
        match cursor.seen.checked_sub(at) {
            // Starts before `at` are forgotten: those that are older than the bytes since.
            Some(since) => {
                let kept = u32::try_from(since).ok().and_then(|lanes| lanes.checked_mul(LANE));
                cursor.lanes |= kept.and_then(|bits| u64::MAX.checked_shl(bits)).unwrap_or(0);
            }
            None => {
                let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
                *cursor = Cursor { lanes: u64::MAX, seen: at, before: before.unwrap_or(cursor.before) };
            }
        }
        let lanes = self.run(cursor, bytes);
        // Either a beginning is complete, or these are the last bytes: the oldest start that is not dropped has the highest
        // lane with a zero bit.
        let age = usize::try_from((u64::BITS - (!lanes).leading_zeros()).div_ceil(LANE)).unwrap_or(0);
        let lane = u32::try_from(age.saturating_sub(1)).unwrap_or(0);
        let [set, ..] = lanes.checked_shr(lane * LANE).unwrap_or(u64::MAX).to_le_bytes();
        Stop { place: cursor.seen.saturating_sub(age), automata: self.automata.get(!set) }
    }

    /// Goes on until a beginning is complete or the bytes end.
    ///
    /// Four bytes are taken at once while no beginning has more than four: then none can be complete before the fourth,
    /// and none be pushed out of the last lane.
    #[inline]
    fn run(&self, cursor: &mut Cursor, bytes: &[u8]) -> u64 {
        let Cursor { mut lanes, mut seen, mut before } = *cursor;
        let mut rest = bytes.get(seen..).unwrap_or_default();
        loop {
            if !is_advanced(lanes) {
                let (steps, _) = rest.as_chunks::<STEP>();
                let mut count = 0;
                for &[a, b, c, d] in steps {
                    // What the bytes do is put together apart from `lanes`: a step waits for the one before it only once.
                    let first = self.pair(before, a) << LANE | self.pair(a, b);
                    let second = self.pair(b, c) << LANE | self.pair(c, d);
                    lanes = lanes << (4 * LANE) | first << (2 * LANE) | second;
                    before = d;
                    count += 1;
                    if is_advanced(lanes) {
                        break;
                    }
                }
                let taken = count * STEP;
                seen += taken;
                rest = rest.get(taken..).unwrap_or_default();
            }
            let Some((&byte, later)) = rest.split_first().filter(|_| !is_complete(lanes)) else { break };
            lanes = lanes << LANE | self.pair(before, byte);
            before = byte;
            seen += 1;
            rest = later;
            if is_complete(lanes) {
                break;
            }
        }
        *cursor = Cursor { lanes, seen, before };
        lanes
    }

    #[inline(always)]
    fn pair(&self, first: u8, second: u8) -> u64 {
        let place = usize::from(first & 0x7F) << 7 | usize::from(second & 0x7F);
        // INVARIANT: two numbers of seven bits are a place in the table.
        self.lanes.get(place).copied().unwrap_or(0)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

/// A table with the same word everywhere.
fn table(word: u64) -> Box<[u64; TABLE]> {
    Box::new([word; TABLE])
}

/// Does some bucket fit in five places or more?
#[inline(always)]
fn is_advanced(lanes: u64) -> bool {
    lanes < u64::MAX << (4 * LANE)
}

/// Does some bucket fit in all places?
#[inline(always)]
fn is_complete(lanes: u64) -> bool {
    lanes < u64::MAX << LAST
}
