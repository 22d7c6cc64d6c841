//! The exact streaming scan of one text unit.
//!
//! Guarantees, for every way the text is cut into feeds:
//! - A byte lies in a span if and only if it lies in some match of some active detector, where a match is any pair of
//!   start and end that fits the pattern in its context and satisfies the validator. Spans are maximal runs of
//!   *overlapping* matches, in order.
//! - A byte before [`Scan::decided`] is known for certain, whatever follows: covered if it lies in a span that was popped
//!   or at or after [`Scan::open_span`], clear otherwise. Without validators no exact scan can know more about clear text.
//! - Memory is bounded by the detectors, never by the text. Time per byte is bounded.
//!
//! It holds no text but the last bytes of a possible validated match, writes nothing, and never prints what it holds.
//!
//! # Why it is exact
//!
//! Every position where a match can begin becomes a *live start*: a state of an anchored automaton. While it lives, some
//! continuation may still match from there; once it is dead none can. So a byte is clear when every start at or before it
//! is dead and no recorded match covers it. Matches are recorded when the byte after them is known, so they hold for
//! every continuation. Of two starts in the same state the older one covers whatever the younger one will cover, so the
//! younger is dropped; not so if a validator still has a say, since it may accept the younger match only (such starts
//! are few because validated matches are short). A span is final when no live start is older than its end.
//!
//! A detector with a condition begins only where it holds, which the text before says for certain: behind a prefix, or shortly
//! behind a near word. Prefixes and words run as starts of their own, which cover nothing and so hold nothing back.

use super::automaton::{Automaton, DEAD, LazyPrefix, Run};
use super::detector::{Cursor, DetectorBits, DetectorSet, MAX_LAZY, MAX_VALIDATED, is_word};
use std::collections::VecDeque;
use std::fmt;

mod feed;
mod live;
mod nearby;

use feed::{Feed, Opening};
use live::LiveStarts;
use nearby::Nearby;

/// Room for spans that is kept from feed to feed.
const SPANS_KEPT: usize = 16;

/// The scan of one text unit. See the module.
#[derive(Clone, Default)]
#[must_use]
pub struct Scan {
    /// Bytes fed.
    position: u64,
    /// Every byte before it is decided.
    decided: u64,
    /// No live or possible start is older: spans that end here or before are final.
    settled: u64,
    /// The last byte is a word byte.
    after_word: bool,
    /// Per lazy automaton: how many bytes of its class end the text so far, at most its maximum.
    runs: [u16; MAX_LAZY],
    live: LiveStarts,
    /// Where prefixes and near words ended in the bytes that are being fed, and nothing has begun yet; ascending.
    openings: VecDeque<Opening>,
    nearby: Nearby,
    /// Recorded matches, united where they overlap, in order; final ones wait in front to be popped.
    spans: VecDeque<Span>,
    /// The last bytes of the text: from the oldest start that a validator may still judge.
    tail: Vec<u8>,
    steps: u64,
    finished: bool,
    overflowed: bool,
}

/// A maximal run of overlapping matches: bytes `start..end` of the text unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Position of the first covered byte.
    pub start: u64,
    /// Position after the last covered byte.
    pub end: u64,
    /// Every active detector with a match inside.
    pub detectors: DetectorBits,
    /// One match is as long as the span: it is one value, and not made of several.
    pub whole: bool,
}

impl Span {
    /// Both of two overlapping ones.
    fn union(&self, other: &Span) -> Span {
        let (start, end) = (self.start.min(other.start), self.end.max(other.end));
        let is_all = |span: &Span| span.whole && span.start == start && span.end == end;
        let detectors = self.detectors.union(&other.detectors);
        Span { start, end, detectors, whole: is_all(self) || is_all(other) }
    }
}

impl Scan {
    /// A scan at the start of a text. Allocates nothing.
    pub fn new() -> Scan {
        Scan::default()
    }

    /// Goes back to the start of a new text; keeps the memory.
    pub fn reset(&mut self) {
        self.live.clear();
        self.spans.clear();
        self.tail.clear();
        self.openings.clear();
        self.nearby.clear();
        let Scan { live, openings, nearby, spans, tail, .. } = std::mem::take(self);
        *self = Scan { live, openings, nearby, spans, tail, ..Scan::default() };
    }

    /// Scans the next bytes of the text. `set` and `active` must be the same for the whole text.
    pub fn feed(&mut self, set: &DetectorSet, active: &DetectorBits, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        self.overflowed |= self.finished;
        if self.overflowed {
            return;
        }
        let base = self.position;
        if active.intersects(&set.all()) {
            Feed { set, active, bytes, base }.run(self);
        }
        self.position = base.saturating_add(length(bytes));
        self.after_word = is_word(last);
        self.settle(set, active);
    }

    /// Ends the text: afterwards every byte is decided and every span is final.
    pub fn finish(&mut self, set: &DetectorSet, active: &DetectorBits) {
        if self.finished || self.overflowed {
            return;
        }
        self.finished = true;
        Feed { set, active, bytes: &[], base: self.position }.end(self);
        self.runs = [0; MAX_LAZY];
        self.tail.clear();
        self.settle(set, active);
    }

    /// Bytes fed so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Every byte before this position is decided: covered or clear, whatever follows.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.decided
    }

    /// The next final span, in order.
    #[must_use = "a span that is popped and not replaced is a leak"]
    pub fn pop_span(&mut self) -> Option<Span> {
        let settled = self.settled;
        let span = self.spans.pop_front_if(|span| span.end <= settled);
        if span.is_none() {
            // One feed may bring any number of spans; the room for them is not kept.
            self.spans.shrink_to(SPANS_KEPT);
        }
        span
    }

    /// Start of the span that is known but may still grow, once the final ones are popped. From there to
    /// [`Scan::decided`] every byte is covered.
    #[must_use]
    pub fn open_span(&self) -> Option<u64> {
        let open = self.spans.partition_point(|span| span.end <= self.settled);
        self.spans.get(open).map(|span| span.start)
    }

    /// Has nothing but these detectors found what [`Scan::open_span`] tells of?
    pub(crate) fn is_open_only_for(&self, detectors: &DetectorBits) -> bool {
        let open = self.spans.partition_point(|span| span.end <= self.settled);
        self.spans.get(open).is_some_and(|span| span.detectors.difference(detectors).is_empty())
    }

    /// Bytes of memory that this scan holds beyond its own size.
    #[must_use]
    pub fn held(&self) -> usize {
        let spans = self.spans.capacity().saturating_mul(size_of::<Span>());
        let openings = self.openings.capacity().saturating_mul(size_of::<Opening>());
        let conditions = self.nearby.held().saturating_add(openings);
        self.live.held().saturating_add(spans).saturating_add(self.tail.capacity()).saturating_add(conditions)
    }

    /// A bound did not hold (or the text went on after its end): what is undecided stays so; refuse the text.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Table steps taken so far: the measure of work that is bounded per byte.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Works out what is decided now.
    fn settle(&mut self, set: &DetectorSet, active: &DetectorBits) {
        if self.overflowed {
            return;
        }
        let possible = set.lazy().zip(self.runs).filter(|((_, detectors), _)| detectors.intersects(active));
        let run = possible.map(|(_, run)| run).max().unwrap_or(0);
        let oldest = self.position.saturating_sub(u64::from(run));
        self.settled = self.live.oldest(set).map_or(oldest, |start| start.min(oldest));
        let open = self.spans.partition_point(|span| span.end <= self.settled);
        let mut decided = self.settled;
        for span in self.spans.range(open..) {
            if span.start > decided {
                break;
            }
            decided = decided.max(span.end);
        }
        self.decided = decided;
    }

    /// Records a match.
    // INVARIANT: it ends after the begin of every recorded span. Starts are followed in stretches of the text, in each of them
    // the oldest first: spans of earlier stretches ended before, and those of this one began with an older start.
    fn record(&mut self, start: u64, end: u64, detectors: DetectorBits) {
        let mut span = Span { start, end, detectors, whole: true };
        while let Some(last) = self.spans.back_mut().filter(|last| last.end > span.start) {
            span = last.union(&span);
            if last.start <= start {
                *last = span;
                return;
            }
            self.spans.pop_back();
        }
        self.spans.push_back(span);
    }
}

impl fmt::Debug for Scan {
    // SECURITY: the tail is text; only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("position", &self.position)
            .field("decided", &self.decided)
            .field("live", &self.live.list.len())
            .field("spans", &self.spans.len())
            .field("tail", &self.tail.len())
            .field("finished", &self.finished)
            .field("overflowed", &self.overflowed)
            .finish()
    }
}

fn length(bytes: &[u8]) -> u64 {
    wide(bytes.len())
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(feature = "compile")]
#[cfg(test)]
mod tests;
