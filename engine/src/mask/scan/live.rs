//! The live starts of a scan.

use super::DetectorSet;
use crate::mask::detector::DetectorBits;

/// Most live starts. Validated starts are bounded by their length, the others by the number of states; a set of
/// detectors that needs more than this at once is refused while it runs.
const MAX_LIVE: usize = 1024;

/// Up to this many, starts are compared with each other where a short hash says that they may be in one state.
const FEW: usize = 32;

/// A position where a match may have begun, and how far it got.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) start: u64,
    pub(super) state: u16,
    pub(super) automaton: u8,
}

impl Live {
    fn same_state(&self, other: &Live) -> bool {
        self.state == other.state && self.automaton == other.automaton
    }
}

/// Live starts, oldest first.
#[derive(Clone, Default)]
pub(super) struct LiveStarts {
    pub(super) list: Vec<Live>,
    /// Scratch of [`LiveStarts::merge`]: a bit per state of all automata; all clear between calls.
    marks: Vec<u64>,
}

impl LiveStarts {
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    /// The oldest start that may cover something: prefixes do not.
    pub(super) fn oldest(&self, set: &DetectorSet) -> Option<u64> {
        self.list.iter().find(|live| set.covers(live.automaton)).map(|live| live.start)
    }

    pub(super) fn held(&self) -> usize {
        let list = self.list.capacity().saturating_mul(size_of::<Live>());
        list.saturating_add(self.marks.capacity().saturating_mul(size_of::<u64>()))
    }

    /// Adds a start in its place; `false` if there are too many.
    #[must_use]
    pub(super) fn add(&mut self, live: Live) -> bool {
        if self.list.len() >= MAX_LIVE {
            return false;
        }
        match self.list.last() {
            Some(last) if last.start > live.start => {
                let place = self.list.partition_point(|older| older.start <= live.start);
                self.list.insert(place, live);
            }
            _ => self.list.push(live),
        }
        true
    }

    /// Of the starts in one state only the oldest stays, unless one of the `judged` detectors can still be reported from
    /// there: then the validator may accept the younger match and refuse the older.
    pub(super) fn merge(&mut self, set: &DetectorSet, judged: &DetectorBits) {
        let may_differ = |live: &Live| {
            let starts = set.starts(live.automaton).filter(|starts| starts.automaton.role().is_matches());
            starts.is_some_and(|starts| starts.automaton.reach(live.state).intersects(judged))
        };
        if self.list.len() <= FEW {
            let (mut seen, mut place) = (0u64, 0);
            while let Some(live) = self.list.get(place) {
                let hash = 1 << ((live.state ^ u16::from(live.automaton)) % 64);
                let twin =
                    seen & hash != 0 && self.list.iter().take(place).any(|older| older.same_state(live));
                seen |= hash;
                if twin && !may_differ(live) {
                    self.list.remove(place);
                } else {
                    place += 1;
                }
            }
            return;
        }
        let Self { list, marks } = self;
        marks.resize(set.states().div_ceil(64), 0);
        list.retain(|live| {
            let Some((word, bit)) = mark(set, marks, live) else { return true };
            let new = *word & bit == 0;
            *word |= bit;
            new || may_differ(live)
        });
        for live in list {
            if let Some((word, bit)) = mark(set, marks, live) {
                *word &= !bit;
            }
        }
    }
}

fn mark<'a>(set: &DetectorSet, marks: &'a mut [u64], live: &Live) -> Option<(&'a mut u64, u64)> {
    let state = set.starts(live.automaton)?.offset() + usize::from(live.state);
    Some((marks.get_mut(state / 64)?, 1 << (state % 64)))
}
