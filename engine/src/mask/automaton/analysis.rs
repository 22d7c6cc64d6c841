//! What can be read off an automaton without running it: reachable reports, longest indecision, longest match.

use super::{Automaton, DEAD};
use crate::mask::detector::DetectorBits;
use crate::policy::id::DetectorId;
use std::collections::{BTreeMap, VecDeque};

/// How long a detector can leave text undecided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indecision {
    /// At most this many bytes, the lazy prefix included.
    Bounded(u32),
    /// Without bound: after this text (an example) the automaton can go round without ever reporting.
    Unbounded {
        /// A short text that leads into the cycle, beginning with the detector's first byte.
        witness: Vec<u8>,
    },
}

impl Automaton {
    /// The largest number of bytes that one start can leave undecided for `detector`, from its first byte or from its
    /// last report on.
    #[must_use]
    pub fn indecision(&self, detector: DetectorId) -> Indecision {
        let lazy = self.lazy.as_ref().map_or(0, |lazy| u32::from(lazy.max));
        let silent =
            |state: u16| self.reach(state).contains(detector) && !self.reports(state).contains(detector);
        let resumed = self.live(detector).filter(|&state| self.reports(state).contains(detector));
        match self.longest(self.firsts(detector).chain(resumed), silent) {
            Ok(length) => Indecision::Bounded(lazy.saturating_add(length)),
            Err(state) => Indecision::Unbounded { witness: self.witness(state) },
        }
    }

    /// The largest number of bytes that a match of `detector` can have; `None` if there is no bound.
    #[must_use]
    pub fn max_length(&self, detector: DetectorId) -> Option<u32> {
        let lazy = self.lazy.as_ref().map_or(0, |lazy| u32::from(lazy.max));
        let live = |state: u16| self.reach(state).contains(detector);
        self.longest(self.firsts(detector), live).ok().map(|length| lazy.saturating_add(length))
    }

    /// Number of states that belong to `detector`.
    #[must_use]
    pub fn states_of(&self, detector: DetectorId) -> usize {
        self.numbers()
            .filter(|&state| self.reach(state).union(&self.reports(state)).contains(detector))
            .count()
    }

    fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        (1..self.states()).filter_map(|state| u16::try_from(state).ok())
    }

    fn live(&self, detector: DetectorId) -> impl Iterator<Item = u16> + '_ {
        self.numbers().filter(move |&state| self.reach(state).contains(detector))
    }

    /// States after the first byte from which `detector` can be reported.
    fn firsts(&self, detector: DetectorId) -> impl Iterator<Item = u16> + '_ {
        let after = self.starts.iter().flat_map(|&start| self.row(start).iter().copied());
        after.filter(move |&state| self.reach(state).contains(detector))
    }

    /// Number of states on the longest path that begins at one of `sources` and goes on through states that satisfy
    /// `inside`; a state on a cycle of such states if there is one.
    fn longest(&self, sources: impl Iterator<Item = u16>, inside: impl Fn(u16) -> bool) -> Result<u32, u16> {
        #[derive(Clone, Copy)]
        enum Mark {
            New,
            Open,
            Done(u32),
        }
        let mut marks = vec![Mark::New; self.states()];
        let mut longest = 0;
        // Depth first with a stack of our own: a table of 65,535 states may be one path.
        let mut stack: Vec<(u16, usize, u32)> = Vec::new();
        for source in sources {
            stack.push((source, 0, 0));
            while let Some((state, at, below)) = stack.pop() {
                let Some(mark) = marks.get_mut(usize::from(state)) else { continue };
                if let (0, Mark::Done(length)) = (at, *mark) {
                    longest = longest.max(length);
                    continue;
                }
                *mark = Mark::Open;
                let row = self.row(state);
                let mut below = below;
                let mut descend = None;
                for (index, &target) in row.iter().enumerate().skip(at) {
                    if target == DEAD || !inside(target) {
                        continue;
                    }
                    match marks.get(usize::from(target)) {
                        Some(Mark::Done(length)) => below = below.max(*length),
                        Some(Mark::Open) => return Err(target),
                        _ => {
                            descend = Some((index, target));
                            break;
                        }
                    }
                }
                if let Some((index, target)) = descend {
                    // Come back to the same cell: by then the target is done.
                    stack.push((state, index, below));
                    stack.push((target, 0, 0));
                } else {
                    let length = below.saturating_add(1);
                    longest = longest.max(length);
                    if let Some(mark) = marks.get_mut(usize::from(state)) {
                        *mark = Mark::Done(length);
                    }
                }
            }
        }
        Ok(longest)
    }

    /// A shortest text from a start to `goal`, in readable bytes where there is a choice.
    fn witness(&self, goal: u16) -> Vec<u8> {
        let mut came: BTreeMap<u16, (u16, u8)> = BTreeMap::new();
        let mut queue: VecDeque<u16> = self.starts.into_iter().collect();
        let starts = self.starts;
        while let Some(state) = queue.pop_front() {
            for byte in (b'a'..=b'z').chain(b'0'..=b'9').chain(0..=u8::MAX) {
                let target = self.next(state, byte);
                if target != DEAD && !came.contains_key(&target) {
                    came.insert(target, (state, byte));
                    queue.push_back(target);
                }
            }
        }
        let mut text = Vec::new();
        let mut state = goal;
        while let Some(&(previous, byte)) = came.get(&state) {
            text.push(byte);
            state = previous;
            if starts.contains(&state) || text.len() > self.states() {
                break;
            }
        }
        text.reverse();
        text
    }
}

/// For each state, what can be reported after at least one more step: an index per state into the distinct sets.
///
/// Works backwards from the reporting states; every state in the tables must be in range.
pub(super) fn reach(
    rows: &[u16],
    stride: usize,
    ends: &[u16],
    reports: &[DetectorBits],
) -> (Vec<u16>, Vec<DetectorBits>) {
    let predecessors = Predecessors::of(rows, stride, ends);
    let mut reach = vec![DetectorBits::default(); ends.len()];
    let mut queued: Vec<bool> = (0..ends.len()).map(|state| state != 0 && state < reports.len()).collect();
    let mut work: VecDeque<usize> = (1..reports.len()).collect();
    while let Some(state) = work.pop_front() {
        if let Some(flag) = queued.get_mut(state) {
            *flag = false;
        }
        let own = reports.get(state).copied().unwrap_or_default();
        let given = own.union(&reach.get(state).copied().unwrap_or_default());
        for &before in predecessors.of_state(state) {
            let before = usize::from(before);
            let (Some(set), Some(flag)) = (reach.get_mut(before), queued.get_mut(before)) else { continue };
            let grown = set.union(&given);
            if grown != *set {
                *set = grown;
                if !*flag {
                    *flag = true;
                    work.push_back(before);
                }
            }
        }
    }
    intern(&reach)
}

fn intern(sets: &[DetectorBits]) -> (Vec<u16>, Vec<DetectorBits>) {
    let mut numbers: BTreeMap<DetectorBits, u16> = BTreeMap::new();
    let mut distinct = Vec::new();
    let indices = sets.iter().map(|set| {
        *numbers.entry(*set).or_insert_with(|| {
            distinct.push(*set);
            // INVARIANT: no more sets than states, so the number fits.
            u16::try_from(distinct.len() - 1).unwrap_or(u16::MAX)
        })
    });
    (indices.collect(), distinct)
}

/// Incoming edges of each state, as one flat list.
struct Predecessors {
    from: Vec<u32>,
    list: Vec<u16>,
}

impl Predecessors {
    fn of(rows: &[u16], stride: usize, ends: &[u16]) -> Predecessors {
        let edges = || {
            let by_byte = rows.chunks(stride.max(1)).zip(0u16..).skip(1).flat_map(|(row, state)| {
                row.chunk_by(|a, b| a == b).filter_map(move |run| run.first().map(|&target| (state, target)))
            });
            let by_end = ends.iter().zip(0u16..).skip(1).map(|(&target, state)| (state, target));
            by_byte.chain(by_end).filter(|&(_, target)| target != DEAD)
        };
        let mut from = vec![0u32; ends.len() + 1];
        for (_, target) in edges() {
            if let Some(count) = from.get_mut(usize::from(target) + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for count in &mut from {
            total += *count;
            *count = total;
        }
        let mut filled = from.clone();
        let mut list = vec![0u16; usize::try_from(total).unwrap_or(0)];
        for (state, target) in edges() {
            let Some(slot) = filled.get_mut(usize::from(target)) else { continue };
            if let Some(cell) = usize::try_from(*slot).ok().and_then(|slot| list.get_mut(slot)) {
                *cell = state;
            }
            *slot += 1;
        }
        Predecessors { from, list }
    }

    fn of_state(&self, state: usize) -> &[u16] {
        let bound = |index: usize| self.from.get(index).and_then(|&at| usize::try_from(at).ok());
        match (bound(state), bound(state + 1)) {
            (Some(from), Some(to)) => self.list.get(from..to).unwrap_or_default(),
            _ => &[],
        }
    }
}
