//! Near words: did one of a list end shortly before a possible begin?
//!
//! Looked for backwards from the begins that depend on it, and only there, so that text without them costs nothing. What
//! was looked at is not looked at again, but for the length of a word.

use super::feed::Feed;
use super::{Automaton, DEAD, DetectorSet, is_word, wide};
use crate::mask::automaton::Near;

/// What is known of near words so far.
#[derive(Clone, Default)]
pub(super) struct Nearby {
    /// Words that end here or before are in `ends`, as far as they still matter.
    seen: u64,
    /// Per list: where the last word ends.
    ends: Vec<Option<u64>>,
}

impl Nearby {
    /// Forgets the text; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.seen = 0;
        self.ends.clear();
    }

    pub(super) fn held(&self) -> usize {
        self.ends.capacity().saturating_mul(size_of::<Option<u64>>())
    }

    /// Does a word of the list end at or before index `at`, and near enough? Asked for ascending places. The second value
    /// is the number of steps that it took.
    // SECURITY: the byte at `at` must be there: a word may need it as its right context.
    pub(super) fn holds(&mut self, near: Near, feed: &Feed<'_>, tail: &[u8], at: usize) -> (bool, u64) {
        let place = feed.base.saturating_add(wide(at));
        let mut steps = 0;
        if self.seen < place || self.ends.is_empty() {
            steps = self.look(feed.set, place, |from| Piece::new(feed, tail, from, at));
        }
        let end = self.ends.get(usize::from(near.words)).copied().flatten();
        let is_near = end.is_some_and(|end| place.saturating_sub(end) <= u64::from(near.within));
        (is_near, steps)
    }

    /// Finds the words that end between what was seen and `place`.
    fn look<'a>(&mut self, set: &DetectorSet, place: u64, text: impl Fn(u64) -> Piece<'a>) -> u64 {
        let conditions = set.conditions();
        self.ends.resize(conditions.lists(), None);
        let unseen = self.seen.saturating_sub(wide(conditions.longest()));
        let from = place.saturating_sub(wide(conditions.reach())).max(unseen);
        let piece = text(from);
        let mut steps = 0;
        for &number in conditions.words() {
            let Some(starts) = set.starts(number) else { continue };
            let mut after_word = piece.after_word;
            for skipped in 0..piece.length().saturating_sub(1) {
                let Some(byte) = piece.byte(skipped) else { break };
                let state = starts.first(after_word, byte);
                if state != DEAD {
                    steps += self.follow(&starts.automaton, state, &piece, skipped + 1, from);
                }
                after_word = is_word(byte);
            }
        }
        self.seen = place;
        steps
    }

    /// Notes the ends of the words that are in `state` before the byte at `at`.
    fn follow(
        &mut self,
        automaton: &Automaton,
        mut state: u16,
        piece: &Piece<'_>,
        at: usize,
        from: u64,
    ) -> u64 {
        let mut steps = 0;
        while let Some(byte) = piece.byte(at + steps) {
            state = automaton.next(state, byte);
            if state == DEAD {
                break;
            }
            let end = from.saturating_add(wide(at + steps));
            for list in automaton.reports(state).iter() {
                if let Some(known) = self.ends.get_mut(list.index()) {
                    *known = (*known).max(Some(end));
                }
            }
            steps += 1;
        }
        wide(steps)
    }
}

/// The text from a place up to and with the byte of a possible begin: in two parts if feeds cut it.
struct Piece<'a> {
    earlier: &'a [u8],
    bytes: &'a [u8],
    /// Is a word byte before it?
    after_word: bool,
}

impl<'a> Piece<'a> {
    /// `tail` is the text before the feed, as far as it matters.
    fn new(feed: &Feed<'a>, tail: &'a [u8], from: u64, at: usize) -> Piece<'a> {
        let bytes = feed.bytes.get(..=at).unwrap_or_default();
        let before = |text: &[u8]| text.last().copied().is_some_and(is_word);
        if let Some(index) = from.checked_sub(feed.base) {
            let (left, right) =
                bytes.split_at_checked(usize::try_from(index).unwrap_or(usize::MAX)).unwrap_or((bytes, &[]));
            let after_word = if left.is_empty() { before(tail) } else { before(left) };
            return Piece { earlier: &[], bytes: right, after_word };
        }
        let missing = usize::try_from(feed.base.saturating_sub(from)).unwrap_or(usize::MAX);
        // INVARIANT: the tail holds all that a near word can need; at the begin of a text, all there is.
        let (left, right) = tail.split_at_checked(tail.len().saturating_sub(missing)).unwrap_or((&[], tail));
        Piece { earlier: right, bytes, after_word: before(left) }
    }

    fn length(&self) -> usize {
        self.earlier.len().saturating_add(self.bytes.len())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        match at.checked_sub(self.earlier.len()) {
            None => self.earlier.get(at).copied(),
            Some(at) => self.bytes.get(at).copied(),
        }
    }
}
