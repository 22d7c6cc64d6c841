//! The loops of a scan: seek, follow one start, step all.

use super::live::Live;
use super::{DEAD, DetectorBits, DetectorSet, LazyPrefix, MAX_VALIDATED, Scan, is_word, length};

/// One call's worth of text.
pub(super) struct Feed<'a> {
    pub(super) set: &'a DetectorSet,
    pub(super) active: &'a DetectorBits,
    pub(super) bytes: &'a [u8],
    /// Position of the first of `bytes` in the text.
    pub(super) base: u64,
}

/// How far one start was followed.
struct Way {
    /// Index of the byte to go on with.
    to: usize,
    /// The start died on the byte before.
    died: bool,
    /// Index where the same detectors reported again, for the last time.
    again: Option<usize>,
    detectors: DetectorBits,
}

impl Feed<'_> {
    /// Steps through the bytes, then keeps what the next call needs.
    pub(super) fn run(&self, scan: &mut Scan) {
        if self.set.all().difference(self.active).is_empty() {
            self.step_through::<true>(scan);
        } else {
            self.step_through::<false>(scan);
        }
        self.carry_runs(scan);
        self.carry_tail(scan);
    }

    /// The end of the text, in place of a next byte.
    pub(super) fn end(&self, scan: &mut Scan) {
        let list = std::mem::take(&mut scan.live.list);
        for live in &list {
            let Some(starts) = self.set.starts(live.automaton) else { continue };
            let state = starts.automaton.end(live.state);
            if state != DEAD {
                self.report(scan, starts.automaton.reports(state), live.start, 0);
            }
        }
        scan.live.list = list;
        scan.live.clear();
    }

    /// `ALL`: every detector is active, so every live state has something to report.
    fn step_through<const ALL: bool>(&self, scan: &mut Scan) {
        let judged = self.set.validated().intersection(self.active);
        let filter = self.set.filter();
        let mut cursor = filter.begin(scan.after_word);
        let mut after_word = scan.after_word;
        let mut at = 0;
        loop {
            match scan.live.list.as_mut_slice() {
                [] => {
                    let begin = filter.seek(&mut cursor, self.bytes, at);
                    if begin > at {
                        at = begin;
                        after_word = self.bytes.get(at - 1).copied().is_some_and(is_word);
                    }
                }
                [live] => {
                    let start = live.start;
                    let way = self.follow::<ALL>(live, &mut after_word, at, &judged);
                    scan.steps += length_between(at, way.to);
                    at = way.to;
                    if let Some(again) = way.again {
                        scan.record(start, self.base.saturating_add(length_between(0, again)), way.detectors);
                    }
                    if way.died {
                        scan.live.clear();
                        continue;
                    }
                }
                _ => {}
            }
            let Some(&byte) = self.bytes.get(at) else { break };
            self.step::<ALL>(scan, at, byte);
            after_word = self.spawn::<ALL>(scan, at, byte, after_word);
            if scan.live.list.len() > 1 {
                scan.live.merge(self.set, &judged);
            }
            at += 1;
        }
    }

    /// One start lives: goes on until it reports something new, dies, or another may begin.
    ///
    /// Staying in a reporting state (the tail of a long token) reports the same, longer: that is put off to the end of
    /// the stay, unless a validator has a say.
    #[inline]
    fn follow<const ALL: bool>(
        &self,
        live: &mut Live,
        after_word: &mut bool,
        from: usize,
        judged: &DetectorBits,
    ) -> Way {
        let mut way = Way { to: from, died: true, again: None, detectors: DetectorBits::default() };
        let Some(starts) = self.set.starts(live.automaton) else { return way };
        let automaton = &starts.automaton;
        let last_special = automaton.last_special();
        let mut state = live.state;
        let mut stay = DEAD;
        if state <= last_special {
            way.detectors = automaton.reports(state).intersection(self.active);
            if !way.detectors.is_empty() && !way.detectors.intersects(judged) {
                stay = state;
            }
        }
        let mut word_before = *after_word;
        let mut at = from;
        for &byte in self.bytes.get(from..).unwrap_or_default() {
            let (begins, word) = self.set.flags(word_before, byte);
            let next = automaton.next(state, byte);
            if begins {
                break;
            }
            if next <= last_special {
                if next == DEAD {
                    *after_word = word;
                    way.to = at + 1;
                    return way;
                }
                if next != stay || state != stay {
                    break;
                }
                way.again = Some(at);
            } else if !ALL && !automaton.reach(next).intersects(self.active) {
                *after_word = word;
                way.to = at + 1;
                return way;
            }
            at += 1;
            word_before = word;
            state = next;
        }
        live.state = state;
        *after_word = word_before;
        way.to = at;
        way.died = false;
        way
    }

    /// Every live start takes the byte; reports and deaths are dealt with.
    fn step<const ALL: bool>(&self, scan: &mut Scan, at: usize, byte: u8) {
        let mut list = std::mem::take(&mut scan.live.list);
        scan.steps += length_between(0, list.len());
        list.retain_mut(|live| {
            let Some(starts) = self.set.starts(live.automaton) else { return false };
            let automaton = &starts.automaton;
            let state = automaton.next(live.state, byte);
            live.state = state;
            if state <= automaton.last_special() {
                if state == DEAD {
                    return false;
                }
                self.report(scan, automaton.reports(state), live.start, at);
                return automaton.reach(state).intersects(self.active);
            }
            ALL || automaton.reach(state).intersects(self.active)
        });
        scan.live.list = list;
    }

    /// Adds the starts that begin with this byte, or with the run before it; says whether it is a word byte.
    fn spawn<const ALL: bool>(&self, scan: &mut Scan, at: usize, byte: u8, after_word: bool) -> bool {
        let (begins, word) = self.set.flags(after_word, byte);
        if !begins {
            return word;
        }
        let mut heads = self.set.heads(after_word, byte);
        while heads != 0 {
            // INVARIANT: fewer than 64 automata, so the number fits.
            let number = u8::try_from(heads.trailing_zeros()).unwrap_or(u8::MAX);
            heads &= heads - 1;
            let Some(starts) = self.set.starts(number) else { continue };
            let state = starts.first(after_word, byte);
            if !ALL && !starts.automaton.reach(state).intersects(self.active) {
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
            scan.overflowed |= !scan.live.add(Live { start, state, automaton: number });
        }
        word
    }

    /// Matches of these detectors cover the text from `start` up to the byte at index `at`.
    fn report(&self, scan: &mut Scan, detectors: DetectorBits, start: u64, at: usize) {
        let found = detectors.intersection(self.active);
        let judged = found.intersection(&self.set.validated());
        let mut sure = found.difference(&judged);
        if !judged.is_empty() {
            let mut scratch = [0; MAX_VALIDATED];
            match self.matched(&scan.tail, start, at, &mut scratch) {
                Some(text) => {
                    judged.iter().filter(|&id| self.set.accepts(id, text)).for_each(|id| sure.insert(id))
                }
                None => scan.overflowed = true,
            }
        }
        if !sure.is_empty() {
            scan.record(start, self.base.saturating_add(length_between(0, at)), sure);
        }
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
            starts.is_some_and(|starts| starts.automaton.reach(live.state).intersects(&judged))
        };
        let Some(oldest) = scan.live.list.iter().find(is_judged) else {
            scan.tail.clear();
            return;
        };
        let wanted = self.base.saturating_add(length(self.bytes)).saturating_sub(oldest.start);
        // INVARIANT: a start that a validator may judge has consumed at most `MAX_VALIDATED` bytes.
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        if wanted > MAX_VALIDATED {
            scan.overflowed = true;
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
    u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX)
}
