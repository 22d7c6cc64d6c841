//! Near words: where the last word of each list ended, and how far that reaches.

use super::DetectorSet;
use crate::mask::automaton::Near;

/// What is known of near words so far. Places are positions in the text.
#[derive(Clone, Default)]
pub(super) struct Nearby {
    /// Per list: where the last word ended.
    ends: Vec<Option<u64>>,
    /// Before this position something may begin because of a word.
    reach: u64,
}

impl Nearby {
    /// Forgets the text; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.reach = 0;
        self.ends.clear();
    }

    pub(super) fn held(&self) -> usize {
        self.ends.capacity().saturating_mul(size_of::<Option<u64>>())
    }

    /// A word of this list ended here. Told in ascending order.
    pub(super) fn ended(&mut self, set: &DetectorSet, list: u8, place: u64) {
        let conditions = set.conditions();
        self.ends.resize(conditions.lists(), None);
        if let Some(end) = self.ends.get_mut(usize::from(list)) {
            *end = Some(place);
            self.reach =
                self.reach.max(place.saturating_add(conditions.reach(list).into()).saturating_add(1));
        }
    }

    /// May something begin at `place` because of any word?
    #[inline]
    pub(super) fn reaches(&self, place: u64) -> bool {
        place < self.reach
    }

    /// Did a word of the list end at `place` or before, and near enough?
    pub(super) fn holds(&self, near: Near, place: u64) -> bool {
        let end = self.ends.get(usize::from(near.words)).copied().flatten();
        let behind = end.and_then(|end| place.checked_sub(end));
        behind.is_some_and(|behind| behind <= near.within.into())
    }
}
