//! A fast test in front of the automata: at which positions is it worth to begin?
//!
//! Guarantees: a position that the filter passes over begins no match and would hold nothing back. It may stop where
//! nothing is; it never decides what a match is.
//!
//! # How
//!
//! Eight *buckets* of beginnings, each a set of bytes for the byte before a match and for its first seven bytes, are
//! followed all at once (Shift-Or; Baeza-Yates and Gonnet 1992): a word has a lane of eight bits per column, and a byte
//! moves every lane on by one. A zero bit in lane `k` says that the last `k` bytes fit the columns of that bucket. Buckets
//! come from the automata ([`super::buckets`]): they let through every beginning that an automaton survives, and every
//! one within which it reports.
//!
//! # Why it is exact
//!
//! A start that the filter drops died, within the bytes looked at, in an automaton that reported nothing for it. So it
//! neither covers anything nor holds anything, and the scan, which steps everything from the oldest start that the
//! filter did not drop, comes to the same live starts as if it had stepped all bytes. The last bytes of a text are no
//! exception: starts that did not yet show all their bytes are not dropped.

use super::ByteTable;
use super::buckets::{self, COLUMNS};
use super::{Starts, is_word};

/// Bits of a lane: one per bucket.
const LANE: u32 = 8;
/// Bytes of a beginning.
const LENGTH: usize = COLUMNS - 1;
/// Where the last lane begins: there a beginning is complete.
const LAST: u32 = u64::BITS - LANE;
/// Bytes taken at once.
const STEP: usize = 4;

/// The test.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// For every byte: a zero bit in lane `k` where it fits column `k` of a bucket.
    lanes: ByteTable<u64>,
    /// A zero bit in lane `k` where a match of the bucket may end with the text after `k` bytes.
    endings: u64,
}

/// How far the filter looked, and what it saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    lanes: u64,
    seen: usize,
}

impl Filter {
    /// The test for these automata.
    pub(super) fn new(automata: &[Starts]) -> Filter {
        let buckets = buckets::of(automata);
        let lanes =
            ByteTable::new(|byte| buckets::word(&buckets, |bucket, column| bucket.fits(column, byte)));
        let endings = buckets::word(&buckets, |bucket, column| column >= bucket.shortest());
        Filter { lanes, endings }
    }

    /// The test that drops nothing: with it every byte is stepped.
    #[cfg(any(test, feature = "test-util"))]
    pub(super) fn open() -> Filter {
        Filter { lanes: ByteTable::new(|_| 0), endings: 0 }
    }

    /// A cursor at the start of bytes, after a word byte or not.
    pub(crate) fn begin(&self, after_word: bool) -> Cursor {
        // INVARIANT: the first column tells word bytes from others, and nothing else.
        Cursor { lanes: self.next(u64::MAX, if after_word { b'_' } else { 0 }), seen: 0 }
    }

    /// The first position from `at` on where a match may begin or be about to begin; the length of `bytes` if there is
    /// none. The cursor must come from the same bytes, and no start before `at` be of interest any more.
    pub(crate) fn seek(&self, cursor: &mut Cursor, bytes: &[u8], at: usize) -> usize {
        match cursor.seen.checked_sub(at) {
            // Starts before `at` are forgotten: those whose lane is higher than the bytes since.
            Some(since) => {
                let kept = u32::try_from(since + 1).ok().and_then(|lanes| lanes.checked_mul(LANE));
                cursor.lanes |= kept.and_then(|bits| u64::MAX.checked_shl(bits)).unwrap_or(0);
            }
            None => {
                let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
                *cursor = Cursor { seen: at, ..self.begin(before.is_some_and(is_word)) };
            }
        }
        let lanes = self.run(cursor, bytes);
        if is_complete(lanes) {
            return cursor.seen.saturating_sub(LENGTH);
        }
        // The end: the oldest start that is not dropped has the highest lane with a zero bit. Lane 0 has no byte yet.
        let open = !lanes >> LANE;
        let age = usize::try_from((u64::BITS - open.leading_zeros()).div_ceil(LANE)).unwrap_or(0);
        bytes.len().saturating_sub(age)
    }

    /// Is there surely no match in `text`, which is a text of its own?
    pub(crate) fn is_clear(&self, text: &[u8]) -> bool {
        let lanes = self.run(&mut self.begin(false), text);
        !is_complete(lanes) && lanes | self.endings == u64::MAX
    }

    /// Goes on until a beginning is complete or the bytes end.
    ///
    /// Four bytes are taken at once while no beginning has more than three: then none can be complete before the fourth,
    /// and none be pushed out of the last lane.
    #[inline]
    fn run(&self, cursor: &mut Cursor, bytes: &[u8]) -> u64 {
        let Cursor { mut lanes, mut seen } = *cursor;
        let mut rest = bytes.get(seen..).unwrap_or_default();
        loop {
            if !is_advanced(lanes) {
                let (steps, _) = rest.as_chunks::<STEP>();
                let mut count = 0;
                for &[a, b, c, d] in steps {
                    // What the bytes do is put together apart from `lanes`: a step waits for the one before it only once.
                    let first = self.lanes.get(a) << LANE | self.lanes.get(b);
                    let second = self.lanes.get(c) << LANE | self.lanes.get(d);
                    lanes = lanes << (4 * LANE) | first << (2 * LANE) | second;
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
            lanes = self.next(lanes, byte);
            seen += 1;
            rest = later;
            if is_complete(lanes) {
                break;
            }
        }
        *cursor = Cursor { lanes, seen };
        lanes
    }

    #[inline(always)]
    fn next(&self, lanes: u64, byte: u8) -> u64 {
        lanes << LANE | self.lanes.get(byte)
    }
}

/// Does some bucket fit in four columns or more?
#[inline(always)]
fn is_advanced(lanes: u64) -> bool {
    lanes < u64::MAX << (4 * LANE)
}

/// Does some bucket fit in all columns?
#[inline(always)]
fn is_complete(lanes: u64) -> bool {
    lanes < u64::MAX << LAST
}
