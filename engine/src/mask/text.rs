//! One text, scanned as it comes, written as soon as it is decided.
//!
//! A text unit is what a reader sees as one string: it is scanned *decoded* and written *raw*. So it keeps, for the bytes
//! that are not decided yet, how they were written: runs in which every byte stands for itself, and cells (an escape, a
//! line break with its field name), which are written or replaced as a whole.
//!
//! Guarantees: a byte is written only when no continuation can cover it; a span is replaced exactly once, when it is
//! final; bytes that are known to be covered are dropped at once, so a value of any length needs no memory.

use super::MaskError;
use super::detector::DetectorBits;
use super::finding::Findings;
use super::plan::{FieldPlan, MaskPlan};
use super::scan::Scan;
use crate::format::json::{Block, Frame};
use fresh::{Divided, Fresh};
use std::collections::VecDeque;

mod fresh;
mod percent;

/// Where masked bytes go and what is noted on the way.
pub(crate) struct Sink<'s> {
    pub(crate) plan: &'s MaskPlan,
    pub(crate) out: &'s mut Vec<u8>,
    pub(crate) findings: &'s mut Findings,
    /// Spans and fields replaced so far.
    pub(crate) replaced: u64,
    /// Where in `out` the first replacement begins, since this was last reset.
    pub(crate) first_start: Option<usize>,
    /// Where in `out` the last replacement ends.
    pub(crate) last_end: usize,
    /// Findings are not counted: this was written before.
    pub(crate) quiet: bool,
    /// Bytes that may be held here; what is held elsewhere is taken off.
    pub(crate) room: usize,
    /// What stands for a value is percent-encoded.
    pub(crate) percent: bool,
}

/// Where a text is, for findings.
#[derive(Clone, Copy)]
pub(crate) struct Location<'l> {
    pub(crate) root: &'l str,
    pub(crate) outer: &'l [Frame],
    pub(crate) inner: &'l [Frame],
}

/// A text unit.
#[derive(Clone, Default)]
pub(crate) struct TextUnit {
    scan: Scan,
    /// The raw bytes that are not decided, from `start` on.
    raw: Vec<u8>,
    start: usize,
    /// How `raw` is to be read.
    cells: VecDeque<Cell>,
    /// Position (decoded) of the first byte of `raw`.
    front: u64,
    /// The bytes before `front` belong to a span whose replacement is still to be written.
    covered: bool,
}

/// A piece of undecided text.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// So many bytes that stand for themselves.
    Run(usize),
    /// All or nothing.
    Whole { text: usize, raw: usize },
}

impl<'s> Sink<'s> {
    pub(crate) fn new(
        plan: &'s MaskPlan,
        out: &'s mut Vec<u8>,
        findings: &'s mut Findings,
        room: usize,
    ) -> Sink<'s> {
        Sink {
            plan,
            out,
            findings,
            replaced: 0,
            first_start: None,
            last_end: 0,
            quiet: false,
            room,
            percent: false,
        }
    }

    /// Fails if more is held than there is room for.
    pub(crate) fn fits(&self, held: usize) -> Result<(), MaskError> {
        if held > self.room { Err(MaskError::Budget) } else { Ok(()) }
    }

    /// Writes what stands for a value in which these detectors found something.
    pub(crate) fn replace(&mut self, detectors: &DetectorBits, at: Location<'_>) {
        self.first_start.get_or_insert(self.out.len());
        self.put(self.plan.placeholder(detectors));
        self.last_end = self.out.len();
        self.replaced = self.replaced.saturating_add(1);
        if !self.quiet {
            self.plan.record(detectors, &at.describe(self.plan), self.findings);
        }
    }

    /// As [`Sink::replace`], where the location was written down before.
    pub(crate) fn replace_at(&mut self, detectors: &DetectorBits, location: &str) {
        self.put(self.plan.placeholder(detectors));
        self.replaced = self.replaced.saturating_add(1);
        if !self.quiet {
            self.plan.record(detectors, location, self.findings);
        }
    }

    /// Counts a value that is masked by its place and written as nothing at all.
    pub(crate) fn drop_field(&mut self, field: &FieldPlan, at: Location<'_>) {
        self.replaced = self.replaced.saturating_add(1);
        field.record(&at.describe(self.plan), self.findings);
    }

    /// Writes what stands for a value that is masked by its place.
    pub(crate) fn replace_field(&mut self, field: &FieldPlan, at: Location<'_>) {
        self.put(&field.placeholder);
        self.replaced = self.replaced.saturating_add(1);
        if !self.quiet {
            field.record(&at.describe(self.plan), self.findings);
        }
    }
}

impl Sink<'_> {
    /// Writes what stands for a value.
    fn put(&mut self, text: &[u8]) {
        if self.percent {
            percent_encode(text, self.out);
        } else {
            self.out.extend_from_slice(text);
        }
    }
}

impl Location<'_> {
    pub(crate) fn describe(self, plan: &MaskPlan) -> String {
        let mut text = self.root.to_owned();
        for frame in self.outer.iter().chain(self.inner) {
            if frame.array {
                text.push_str("[*]");
            } else {
                let name = plan.paths().text(frame.name).and_then(|name| std::str::from_utf8(name).ok());
                text.push('.');
                text.push_str(name.unwrap_or("*"));
            }
        }
        text
    }
}

impl TextUnit {
    /// Bytes that stand for themselves.
    pub(crate) fn literal(
        &mut self,
        bytes: &[u8],
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<(), MaskError> {
        self.block(&Block::literal(bytes), sink, at)
    }

    /// Characters, each written in its own way.
    pub(crate) fn block(
        &mut self,
        block: &Block<'_>,
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<(), MaskError> {
        self.scan.feed(sink.plan.set(), sink.plan.active(), block.text);
        let mut rest = self.write(Fresh::new(block.raw, block.text.len(), block.marks), sink, at)?;
        while let Some((part, whole)) = rest.pop() {
            self.keep(part.raw);
            match self.cells.back_mut() {
                _ if whole => self.cells.push_back(Cell::Whole { text: part.text, raw: part.raw.len() }),
                Some(Cell::Run(length)) => *length += part.text,
                _ => self.cells.push_back(Cell::Run(part.text)),
            }
        }
        Ok(())
    }

    /// A character that is written as `raw`.
    pub(crate) fn cell(
        &mut self,
        raw: &[u8],
        text: &[u8],
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<(), MaskError> {
        if raw == text {
            return self.literal(text, sink, at);
        }
        self.keep(raw);
        self.cells.push_back(Cell::Whole { text: text.len(), raw: raw.len() });
        self.scan.feed(sink.plan.set(), sink.plan.active(), text);
        self.write(Fresh::new(&[], 0, &[]), sink, at).map(|_| ())
    }

    /// The end of the text: writes all that is left. The unit is then new.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>, at: Location<'_>) -> Result<(), MaskError> {
        if self.scan.position() > 0 {
            self.scan.finish(sink.plan.set(), sink.plan.active());
            self.write(Fresh::new(&[], 0, &[]), sink, at)?;
            if self.waits() {
                // SECURITY: a finished scan decides everything; if it did not, nothing undecided may leave.
                return Err(MaskError::Overflow);
            }
        }
        self.clear();
        Ok(())
    }

    /// The detectors that find something in a text of its own. The unit must be new, and is so again.
    pub(crate) fn probe(&mut self, text: &[u8], plan: &MaskPlan) -> Result<DetectorBits, MaskError> {
        if plan.set().filter().is_clear(text) {
            return Ok(DetectorBits::new());
        }
        self.scan.feed(plan.set(), plan.active(), text);
        self.scan.finish(plan.set(), plan.active());
        let mut found = DetectorBits::new();
        while let Some(span) = self.scan.pop_span() {
            found = found.union(&span.detectors);
        }
        let overflowed = self.scan.overflowed();
        self.scan.reset();
        if overflowed { Err(MaskError::Overflow) } else { Ok(found) }
    }

    /// Forgets the text.
    pub(crate) fn clear(&mut self) {
        self.scan.reset();
        self.raw.clear();
        self.cells.clear();
        self.start = 0;
        self.front = 0;
        self.covered = false;
    }

    /// Is anything of the text still to be written?
    pub(crate) fn waits(&self) -> bool {
        self.covered || !self.cells.is_empty()
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        (self.raw.len() - self.start) + self.cells.len() * size_of::<Cell>() + self.scan.held()
    }

    /// Writes what is decided of the kept bytes and then of `fresh`; returns the part of `fresh` that is not decided.
    fn write<'f>(
        &mut self,
        fresh: Fresh<'f>,
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<Fresh<'f>, MaskError> {
        if self.scan.overflowed() {
            return Err(MaskError::Overflow);
        }
        let mut fresh = fresh;
        while let Some(span) = self.scan.pop_span() {
            self.emit(span.start, &mut fresh, sink.out);
            sink.replace(&span.detectors, at);
            self.skip(span.end, &mut fresh);
            self.covered = false;
        }
        let decided = self.scan.decided();
        if let Some(start) = self.scan.open_span() {
            self.emit(start.min(decided), &mut fresh, sink.out);
            self.skip_within(decided, &mut fresh);
            self.covered = start < self.front;
        } else {
            self.emit(decided, &mut fresh, sink.out);
        }
        Ok(fresh)
    }

    /// Writes what ends at or before `to`.
    fn emit(&mut self, to: u64, fresh: &mut Fresh<'_>, out: &mut Vec<u8>) {
        while self.front < to {
            let Some(cell) = self.cells.front_mut() else {
                out.extend_from_slice(self.take_fresh(to, fresh, Divided::Left));
                return;
            };
            let room = usize::try_from(to - self.front).unwrap_or(usize::MAX);
            let (text, raw) = match *cell {
                Cell::Run(length) if length > room => {
                    *cell = Cell::Run(length - room);
                    (room, room)
                }
                Cell::Run(length) => {
                    self.cells.pop_front();
                    (length, length)
                }
                Cell::Whole { text, raw } if text <= room => {
                    self.cells.pop_front();
                    (text, raw)
                }
                Cell::Whole { .. } => return,
            };
            out.extend_from_slice(self.raw.get(self.start..self.start + raw).unwrap_or_default());
            self.forget(text, raw);
        }
    }

    /// Drops everything that begins before `to`: a covered cell is covered whole.
    fn skip(&mut self, to: u64, fresh: &mut Fresh<'_>) {
        while self.front < to {
            let Some(cell) = self.cells.front_mut() else {
                self.take_fresh(to, fresh, Divided::Taken);
                return;
            };
            let room = usize::try_from(to - self.front).unwrap_or(usize::MAX);
            let (text, raw) = match *cell {
                Cell::Run(length) if length > room => {
                    *cell = Cell::Run(length - room);
                    (room, room)
                }
                Cell::Run(length) => {
                    self.cells.pop_front();
                    (length, length)
                }
                Cell::Whole { text, raw } => {
                    self.cells.pop_front();
                    (text, raw)
                }
            };
            self.forget(text, raw);
        }
    }

    /// Drops everything that ends at or before `to`.
    fn skip_within(&mut self, to: u64, fresh: &mut Fresh<'_>) {
        while self.front < to {
            match self.cells.front() {
                Some(&Cell::Whole { text, .. }) if self.front.saturating_add(wide(text)) > to => break,
                Some(&(Cell::Whole { text: length, .. } | Cell::Run(length))) => {
                    self.skip(to.min(self.front.saturating_add(wide(length))), fresh);
                }
                None => {
                    self.take_fresh(to, fresh, Divided::Left);
                    break;
                }
            }
        }
    }

    /// Takes fresh text up to `to`; gives how it was written.
    fn take_fresh<'f>(&mut self, to: u64, fresh: &mut Fresh<'f>, divided: Divided) -> &'f [u8] {
        let length = usize::try_from(to - self.front).unwrap_or(usize::MAX);
        // INVARIANT: nothing is decided beyond what was fed.
        let part = fresh.take(length, divided);
        self.front = self.front.saturating_add(wide(part.text));
        part.raw
    }

    fn keep(&mut self, raw: &[u8]) {
        if self.cells.is_empty() {
            self.raw.clear();
            self.start = 0;
        } else if self.start > 256 && self.start * 2 > self.raw.len() {
            self.raw.drain(..self.start);
            self.start = 0;
        }
        self.raw.extend_from_slice(raw);
    }

    fn forget(&mut self, text: usize, raw: usize) {
        self.front = self.front.saturating_add(wide(text));
        self.start += raw;
    }
}

/// As a form writes it (WHATWG URL, section 5.2); what is left means itself in any part of a URL.
fn percent_encode(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(byte);
            continue;
        }
        out.push(b'%');
        let digits =
            [byte >> 4, byte & 15].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
        out.extend_from_slice(&digits);
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
