//! The loop of a scan: stretch by stretch, every live start runs on to its end, and what begins in it as well.
//!
//! Each start runs on alone, so that it keeps its state in a register; starts that died, or that went into the state of an
//! older one, cost nothing from the next stretch on. Where nothing lives, the filter says where to go on; a start that dies soon
//! is none. Conditions are looked at where something with a condition would begin, and nowhere else.

use super::live::Live;
use super::{
    Automaton, Cursor, DEAD, DetectorBits, DetectorSet, LazyPrefix, MAX_VALIDATED, Nearby, Run, Scan,
    is_word, length, wide,
};
use crate::mask::automaton::{Condition, Role};
use crate::mask::detector::{Filter, Starts, Stop};

/// One call's worth of text.
pub(super) struct Feed<'a> {
    pub(super) set: &'a DetectorSet,
    pub(super) active: &'a DetectorBits,
    pub(super) bytes: &'a [u8],
    /// Position of the first of `bytes` in the text.
    pub(super) base: u64,
}

/// Where in the bytes a prefix or a near word ended, and what may begin there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Opening {
    place: usize,
    what: Opened,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Opened {
    /// A word of this list ended: it comes first, since what a prefix opens may need the word as well.
    Near(u8),
    /// This prefix ended.
    Prefix(u8),
}

/// Where something may begin.
#[derive(Clone, Copy)]
struct Begin {
    place: usize,
    byte: u8,
    /// A bit for each automaton in which it may.
    heads: u64,
}

/// What lies ahead.
struct Ahead {
    anywhere: Lookout,
    near: Lookout,
    /// Is a word byte before the first of the bytes?
    after_word: bool,
}

/// How far a filter looked, and what it saw: what is there need not be looked for twice.
struct Lookout {
    cursor: Cursor,
    next: Option<Begin>,
    /// Table steps taken to see which starts live on.
    steps: u64,
}

/// Who is asked about a report.
struct Judge {
    /// Detectors whose matches a validator has to accept.
    judged: DetectorBits,
    /// Every detector is active.
    all: bool,
}

/// A start must live through so many bytes, or report something, to be one.
const PROBE: usize = 8;

/// Starts run on alone for at most so many bytes, up to a multiple of it: then those in one state are merged.
const STRETCH: u64 = 32;

/// Matches that may begin anywhere.
const UNCONDITIONAL: Role = Role::Matches(Condition { after: None, near: None });

impl Feed<'_> {
    /// Steps through the bytes, then keeps what the next call needs.
    pub(super) fn run(&self, scan: &mut Scan) {
        self.step_through(scan);
        self.carry_runs(scan);
        self.carry_tail(scan);
    }

    /// The end of the text, in place of a next byte.
    pub(super) fn end(&self, scan: &mut Scan) {
        let judged = self.set.validated().intersection(self.active);
        let list = std::mem::take(&mut scan.live.list);
        for live in &list {
            let Some(starts) = self.set.starts(live.automaton) else { continue };
            if !starts.automaton.role().is_matches() {
                // Nothing can begin behind the end.
                continue;
            }
            let state = starts.automaton.end(live.state);
            if state != DEAD {
                let reports = starts.automaton.reports(state).intersection(self.active);
                let found = if reports.intersects(&judged) {
                    self.accepted(scan, reports, &judged, live.start, 0)
                } else {
                    reports
                };
                if !found.is_empty() {
                    scan.record(live.start, self.base, found);
                }
            }
        }
        scan.live.list = list;
        scan.live.clear();
    }

    fn step_through(&self, scan: &mut Scan) {
        let lookout = || Lookout { cursor: Cursor::new(scan.after_word), next: None, steps: 0 };
        let mut ahead = Ahead { anywhere: lookout(), near: lookout(), after_word: scan.after_word };
        let judge = Judge {
            judged: self.set.validated().intersection(self.active),
            // Then every live state has something to report.
            all: self.set.all().difference(self.active).is_empty(),
        };
        let mut at = 0;
        while at < self.bytes.len() {
            if scan.live.list.is_empty() {
                let Some(begin) = self.next_begin(&mut ahead, &scan.nearby, at, self.bytes.len()) else {
                    break;
                };
                at = begin.place;
            }
            let to = self.stretch_end(at);
            self.advance(scan, at, to, &judge);
            loop {
                let next = self.next_begin(&mut ahead, &scan.nearby, at, to);
                // INVARIANT: what begins earlier runs earlier, whatever opened it.
                let is_next = |opening: &mut Opening| next.is_none_or(|begin| opening.place <= begin.place);
                if let Some(opening) = scan.openings.pop_front_if(is_next) {
                    // What may begin now may begin before what was found.
                    self.open(scan, opening, to, &judge);
                } else if let Some(begin) = next {
                    self.spawn(scan, begin, self.word_before(begin.place, ahead.after_word), to, &judge);
                    at = begin.place + 1;
                } else {
                    break;
                }
            }
            if scan.live.list.len() > 1 {
                scan.live.merge(self.set, &judge.judged);
            }
            at = to;
        }
        scan.steps = scan.steps.saturating_add(ahead.anywhere.steps).saturating_add(ahead.near.steps);
    }

    /// Where starts are merged that went into one state: at the same positions of the text, whatever the filter drops.
    fn stretch_end(&self, at: usize) -> usize {
        let past = self.base.saturating_add(length_between(0, at)) % STRETCH;
        at.saturating_add(usize::try_from(STRETCH - past).unwrap_or(1)).min(self.bytes.len())
    }

    /// The first byte from `at` on, and before `to`, with which something may begin.
    fn next_begin(&self, ahead: &mut Ahead, nearby: &Nearby, at: usize, to: usize) -> Option<Begin> {
        let after_word = ahead.after_word;
        let anywhere = self.next_of(self.set.filter(), &mut ahead.anywhere, after_word, at, to);
        if !nearby.reaches(self.base.saturating_add(wide(at))) {
            return anywhere;
        }
        let near = self.next_of(self.set.near_filter(), &mut ahead.near, after_word, at, to);
        match (anywhere, near) {
            (Some(one), Some(other)) if one.place == other.place => {
                Some(Begin { heads: one.heads | other.heads, ..one })
            }
            (Some(one), Some(other)) => Some(if one.place < other.place { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    /// The same for one of the filters.
    #[inline]
    fn next_of(
        &self,
        filter: &Filter,
        lookout: &mut Lookout,
        after_word: bool,
        at: usize,
        to: usize,
    ) -> Option<Begin> {
        let next = match lookout.next {
            Some(known) if known.place >= at => known,
            _ => self.look(filter, lookout, after_word, at),
        };
        (next.place < to).then_some(next)
    }

    /// Goes on to the first byte from `at` on with which something begins that lives on; behind all bytes, if there is none.
    fn look(&self, filter: &Filter, lookout: &mut Lookout, after_word: bool, at: usize) -> Begin {
        let mut from = at;
        let next = loop {
            let Stop { place, automata } = filter.seek(&mut lookout.cursor, self.bytes, from);
            let Some(&byte) = self.bytes.get(place) else {
                break Begin { place: self.bytes.len(), byte: 0, heads: 0 };
            };
            let after_word = self.word_before(place, after_word);
            let heads = self.set.heads(after_word, byte) & automata;
            let heads = self.living(heads, after_word, place, byte, &mut lookout.steps);
            if heads != 0 {
                break Begin { place, byte, heads };
            }
            from = place + 1;
        };
        lookout.next = Some(next);
        next
    }

    /// Of these automata, those in which a start with the byte at `place` does not die within the next few bytes, having reported
    /// nothing. Most of what the filter lets through ends here, where it costs least.
    #[inline]
    fn living(&self, heads: u64, after_word: bool, place: usize, byte: u8, steps: &mut u64) -> u64 {
        let end = place.saturating_add(PROBE).min(self.bytes.len());
        let behind = self.bytes.get(place + 1..end).unwrap_or_default();
        let (mut rest, mut living) = (heads, heads);
        while rest != 0 {
            let lowest = rest & rest.wrapping_neg();
            // INVARIANT: at most 64 automata begin anywhere, so the number fits.
            let number = u8::try_from(rest.trailing_zeros()).unwrap_or(u8::MAX);
            rest ^= lowest;
            let Some(starts) = self.set.starts(number) else { continue };
            let run = starts.automaton.run(starts.first(after_word, byte), behind, DEAD);
            *steps = steps.saturating_add(length_between(0, run.taken));
            if run.stopped && run.state == DEAD {
                living ^= lowest;
            }
        }
        living
    }

    /// Is there a word byte before the one at `at`? `after_word`: before the first.
    fn word_before(&self, at: usize, after_word: bool) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.bytes.get(before));
        before.map_or(after_word, |&byte| is_word(byte))
    }

    /// Every live start takes the bytes of `from..to`, one start after the other, the oldest first.
    fn advance(&self, scan: &mut Scan, from: usize, to: usize, judge: &Judge) {
        let mut list = std::mem::take(&mut scan.live.list);
        list.retain_mut(|live| self.run_on(scan, live, from, to, judge));
        scan.live.list = list;
    }

    /// One start takes the bytes of `from..to`; reports are dealt with. Says whether it still lives.
    #[inline]
    fn run_on(&self, scan: &mut Scan, live: &mut Live, from: usize, to: usize, judge: &Judge) -> bool {
        let Some(starts) = self.set.starts(live.automaton) else { return false };
        let (automaton, bytes) = (&starts.automaton, self.bytes.get(from..to).unwrap_or_default());
        let mut run = automaton.run(live.state, bytes, DEAD);
        if run.stopped && run.state != DEAD {
            run = self.report(scan, automaton, live.start, run, (from, bytes), judge);
        }
        scan.steps = scan.steps.saturating_add(length_between(0, run.taken));
        live.state = run.state;
        // A state that reports may have nothing more to report.
        judge.all && run.state > automaton.last_special()
            || run.state != DEAD
                && (!automaton.role().is_matches() || automaton.reach(run.state).intersects(self.active))
    }

    /// A start came to a state that reports: records its matches, up to its death or the end of the bytes.
    ///
    /// Of one start the longest match covers the others: it is recorded for all of them.
    fn report(
        &self,
        scan: &mut Scan,
        automaton: &Automaton,
        start: u64,
        first: Run,
        (from, bytes): (usize, &[u8]),
        judge: &Judge,
    ) -> Run {
        let mut run = first;
        if !automaton.role().is_matches() {
            return self.condition_ends(scan, automaton, run, (from, bytes));
        }
        let (mut found, mut end) = (DetectorBits::default(), from);
        loop {
            let taken = run.taken;
            let at = (from + taken).saturating_sub(1);
            let mut sure = automaton.reports(run.state).intersection(self.active);
            let mut known = run.state;
            if sure.intersects(&judge.judged) {
                sure = self.accepted(scan, sure, &judge.judged, start, at);
                known = DEAD;
            }
            if !sure.is_empty() {
                found = found.union(&sure);
                end = at;
            }
            // Staying in the state (the tail of a long token) reports the same, longer, unless a validator has a say.
            run = automaton.run(run.state, bytes.get(taken..).unwrap_or_default(), known);
            if run.again > 0 && !sure.is_empty() {
                end = (from + taken + run.again).saturating_sub(1);
            }
            run.taken += taken;
            if !run.stopped || run.state == DEAD {
                break;
            }
        }
        if !found.is_empty() {
            scan.record(start, self.base.saturating_add(length_between(0, end)), found);
        }
        run
    }

    /// A start came to a state that reports prefixes or near words: notes where each ends, up to its death or the end of the
    /// bytes.
    fn condition_ends(
        &self,
        scan: &mut Scan,
        automaton: &Automaton,
        first: Run,
        (from, bytes): (usize, &[u8]),
    ) -> Run {
        let opened = if automaton.role() == Role::Words { Opened::Near } else { Opened::Prefix };
        let mut run = first;
        loop {
            let taken = run.taken;
            let place = (from + taken).saturating_sub(1);
            for id in automaton.reports(run.state).iter() {
                // INVARIANT: an automaton numbers what it reports with a byte.
                let opening = Opening { place, what: opened(u8::try_from(id.0).unwrap_or(u8::MAX)) };
                if let Err(at) = scan.openings.binary_search(&opening) {
                    scan.openings.insert(at, opening);
                }
            }
            run = automaton.run(run.state, bytes.get(taken..).unwrap_or_default(), DEAD);
            run.taken += taken;
            if !run.stopped || run.state == DEAD {
                return run;
            }
        }
    }

    /// Adds the starts that begin where a prefix ended; or notes that a near word ended.
    fn open(&self, scan: &mut Scan, opening: Opening, to: usize, judge: &Judge) {
        let Opening { place: at, what } = opening;
        let Some(&byte) = self.bytes.get(at) else { return };
        let prefix = match what {
            Opened::Near(list) => {
                return scan.nearby.ended(self.set, list, self.base.saturating_add(wide(at)));
            }
            Opened::Prefix(prefix) => prefix,
        };
        // The byte before the first is known by its kind.
        let after_word = self.word_before(at, scan.after_word);
        for number in self.set.conditions().opened(prefix) {
            let Some(starts) = self.set.starts(number) else { continue };
            let state = starts.first(after_word, byte);
            if state != DEAD && self.may_begin(&scan.nearby, starts, number, state, at) {
                let start = self.base.saturating_add(wide(at));
                let mut live = Live { start, state, automaton: number };
                if self.run_on(scan, &mut live, at + 1, to, judge) {
                    scan.overflowed |= !scan.live.add(live);
                }
            }
        }
    }

    /// Does the condition of this automaton hold at index `at`, and is a detector active that its state can report?
    fn may_begin(&self, nearby: &Nearby, starts: &Starts, number: u8, state: u16, at: usize) -> bool {
        let automaton = &starts.automaton;
        let Role::Matches(Condition { near, .. }) = automaton.role() else {
            return self.set.conditions().serves(number).intersects(self.active);
        };
        if !automaton.reach(state).intersects(self.active) {
            return false;
        }
        near.is_none_or(|near| nearby.holds(near, self.base.saturating_add(wide(at))))
    }

    /// Adds the starts that begin with this byte, or with the run before it, as far as they live at `to`.
    fn spawn(&self, scan: &mut Scan, begin: Begin, after_word: bool, to: usize, judge: &Judge) {
        let Begin { place: at, byte, mut heads } = begin;
        while heads != 0 {
            // INVARIANT: at most 64 automata begin anywhere, so the number fits.
            let number = u8::try_from(heads.trailing_zeros()).unwrap_or(u8::MAX);
            heads &= heads - 1;
            let Some(starts) = self.set.starts(number) else { continue };
            let state = starts.first(after_word, byte);
            let conditional = starts.automaton.role() != UNCONDITIONAL;
            if (conditional || !judge.all) && !self.may_begin(&scan.nearby, starts, number, state, at) {
                continue;
            }
            let mut start = self.base.saturating_add(length_between(0, at));
            if let Some(lazy) = starts.automaton.lazy() {
                let place = self.set.lazy_place(number);
                let carried = place.and_then(|place| scan.runs.get(place)).copied().unwrap_or(0);
                let run = self.run_before(lazy, at, carried);
                if run == 0 {
                    continue;
                }
                start = start.saturating_sub(u64::from(run));
            }
            let mut live = Live { start, state, automaton: number };
            if self.run_on(scan, &mut live, at + 1, to, judge) {
                scan.overflowed |= !scan.live.add(live);
            }
        }
    }

    /// Of these detectors, which match the text from `start` up to the byte at index `at`, those that no validator refuses.
    fn accepted(
        &self,
        scan: &mut Scan,
        found: DetectorBits,
        judged: &DetectorBits,
        start: u64,
        at: usize,
    ) -> DetectorBits {
        let mut sure = found.difference(judged);
        let mut asked = found.intersection(judged);
        let mut scratch = [0; MAX_VALIDATED];
        match self.matched(&scan.tail, start, at, &mut scratch) {
            Some(text) => {
                while let Some(detector) = asked.pop() {
                    if self.set.accepts(detector, text) {
                        sure.insert(detector);
                    }
                }
            }
            None => scan.overflowed = true,
        }
        sure
    }

    /// The text from `start` up to index `at`: in place, or put together from the tail of earlier calls.
    fn matched<'a>(
        &'a self,
        tail: &[u8],
        start: u64,
        at: usize,
        scratch: &'a mut [u8; MAX_VALIDATED],
    ) -> Option<&'a [u8]> {
        if let Some(index) = start.checked_sub(self.base) {
            return self.bytes.get(usize::try_from(index).ok()?..at);
        }
        let before = usize::try_from(self.base.checked_sub(start)?).ok()?;
        let head = tail.get(tail.len().checked_sub(before)?..)?;
        let whole = scratch.get_mut(..before.checked_add(at)?)?;
        let (left, right) = whole.split_at_mut_checked(before)?;
        left.copy_from_slice(head);
        right.copy_from_slice(self.bytes.get(..at)?);
        Some(whole)
    }

    /// How many bytes of the lazy class end just before index `at`, at most the maximum.
    fn run_before(&self, lazy: &LazyPrefix, at: usize, carried: u16) -> u16 {
        let before = self.bytes.get(..at).unwrap_or_default();
        let here = before
            .iter()
            .rev()
            .take(usize::from(lazy.max()))
            .take_while(|&&byte| lazy.contains(byte))
            .count();
        let reaches_back = here == before.len();
        let run = if reaches_back { here.saturating_add(usize::from(carried)) } else { here };
        u16::try_from(run).map_or(lazy.max(), |run| run.min(lazy.max()))
    }

    fn carry_runs(&self, scan: &mut Scan) {
        for ((lazy, _), run) in self.set.lazy().zip(&mut scan.runs) {
            if let Some(lazy) = lazy {
                *run = self.run_before(lazy, self.bytes.len(), *run);
            }
        }
    }

    /// Keeps the text from the oldest start that a validator may still judge.
    fn carry_tail(&self, scan: &mut Scan) {
        let judged = self.set.validated().intersection(self.active);
        let is_judged = |live: &&Live| {
            let starts = self.set.starts(live.automaton);
            let starts = starts.filter(|starts| starts.automaton.role().is_matches());
            starts.is_some_and(|starts| starts.automaton.reach(live.state).intersects(&judged))
        };
        let end = self.base.saturating_add(length(self.bytes));
        let oldest = scan.live.list.iter().find(is_judged).map_or(end, |live| live.start);
        // INVARIANT: a start that a validator may judge has consumed at most `MAX_VALIDATED` bytes.
        let wanted = usize::try_from(end.saturating_sub(oldest)).unwrap_or(usize::MAX);
        if wanted > MAX_VALIDATED {
            scan.overflowed = true;
            return;
        }
        if wanted == 0 {
            scan.tail.clear();
            return;
        }
        let surplus = scan.tail.len().saturating_add(self.bytes.len()).saturating_sub(wanted);
        let from_tail = surplus.min(scan.tail.len());
        scan.tail.drain(..from_tail);
        scan.tail.extend_from_slice(self.bytes.get(surplus - from_tail..).unwrap_or_default());
        scan.overflowed |= scan.tail.len() != wanted;
    }
}

fn length_between(from: usize, to: usize) -> u64 {
    wide(to.saturating_sub(from))
}
