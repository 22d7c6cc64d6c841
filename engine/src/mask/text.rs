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
use super::keyed;
use super::notes::Notes;
use super::plan::{Chosen, FieldPlan, How, MAX_VALUE, MaskPlan, ends};
use super::pseudonym::Form;
use super::scan::{Scan, Span};
use crate::format::json::{Block, Frame};
use crate::policy::model::Numbers;
use fresh::{Divided, Fresh};
use std::borrow::Cow;
use std::collections::VecDeque;

pub(super) mod escape;
mod fresh;
mod percent;

/// Where masked bytes go and what is noted on the way.
pub(crate) struct Sink<'s> {
    pub(crate) plan: &'s MaskPlan,
    pub(crate) out: &'s mut Vec<u8>,
    pub(crate) notes: &'s mut Notes,
    /// Spans and fields replaced so far.
    pub(crate) replaced: u64,
    /// Tokens for which their value was written.
    pub(crate) restored: u64,
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

/// Where a text is, for findings and for what has to be escaped there.
#[derive(Clone, Copy)]
pub(crate) struct Location<'l> {
    pub(crate) root: &'l str,
    pub(crate) outer: &'l [Frame],
    pub(crate) inner: &'l [Frame],
    /// In how many JSON strings, one in the other, it is.
    pub(crate) strings: u8,
    /// Tokens of pseudonyms stay as they are: a signature covers the text, or not every value can stand there.
    pub(crate) verbatim: bool,
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
    /// Where values must be known: the text (decoded) of what is open, up to what was fed last.
    text: Vec<u8>,
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
    /// Bytes that the scan of a text and the walker of its document hold together: 650 in the tests.
    const OTHERS: usize = 1024;

    pub(crate) fn new(
        plan: &'s MaskPlan,
        out: &'s mut Vec<u8>,
        notes: &'s mut Notes,
        room: usize,
    ) -> Sink<'s> {
        Sink {
            plan,
            out,
            notes,
            replaced: 0,
            restored: 0,
            first_start: None,
            last_end: 0,
            quiet: false,
            room,
            percent: false,
        }
    }

    /// Fails if one thing that grows is too large: room is left to what is held beside it (the scan of a key, the syntax around a
    /// scalar), which depends on how the body is cut and so is not counted here.
    pub(crate) fn fits_beside(&self, held: usize) -> Result<(), MaskError> {
        let others = (self.room / 8).max(Self::OTHERS).min(self.room / 2);
        self.fits(held.saturating_add(others))
    }

    /// Fails if more is held than there is room for.
    pub(crate) fn fits(&self, held: usize) -> Result<(), MaskError> {
        if held > self.room { Err(MaskError::Budget) } else { Ok(()) }
    }

    /// Writes what stands for a span; `value` is its text, where that is kept.
    pub(crate) fn replace(&mut self, span: &Span, value: Option<&[u8]>, at: Location<'_>) {
        self.first_start.get_or_insert(self.out.len());
        self.put(self.plan.replacement(&span.detectors, span.whole), value, at);
        self.last_end = self.out.len();
        self.replaced = self.replaced.saturating_add(1);
        if !self.quiet {
            self.plan.record(&span.detectors, &at.describe(self.plan), self.notes);
        }
    }

    /// Writes what stands for a number in which these detectors found something; `value` is its text if it is one value.
    pub(crate) fn replace_number(
        &mut self,
        detectors: &DetectorBits,
        value: Option<&[u8]>,
        quote: &[u8],
        location: &str,
    ) {
        self.number(self.plan.replacement(detectors, value.is_some()), value, quote);
        self.replaced = self.replaced.saturating_add(1);
        if !self.quiet {
            self.plan.record(detectors, location, self.notes);
        }
    }

    /// Writes what stands for a number, which may be a number itself.
    fn number(&mut self, chosen: Chosen<'_>, value: Option<&[u8]>, quote: &[u8]) {
        match (chosen.how, chosen.numbers) {
            (How::Drop, _) | (_, Numbers::Null) => self.out.extend_from_slice(b"null"),
            (_, Numbers::Zero) => self.out.push(b'0'),
            (_, Numbers::String) => {
                self.out.extend_from_slice(quote);
                // A number needs no escapes.
                self.put(chosen, value, Location::of(""));
                self.out.extend_from_slice(quote);
            }
        }
    }

    /// Writes what stands for a JSON value that is masked by its place, with its quotes.
    pub(crate) fn replace_json(
        &mut self,
        field: &FieldPlan,
        (value, number): (Option<&[u8]>, bool),
        quote: &[u8],
        at: Location<'_>,
    ) {
        if number || field.is_drop() {
            self.number(field.replacement(), value, quote);
            self.drop_field(field, at);
            return;
        }
        self.out.extend_from_slice(quote);
        self.replace_field(field, value, at);
        self.out.extend_from_slice(quote);
    }

    /// Counts a value that is masked by its place and written as nothing at all.
    pub(crate) fn drop_field(&mut self, field: &FieldPlan, at: Location<'_>) {
        self.replaced = self.replaced.saturating_add(1);
        if !self.quiet {
            field.record(&at.describe(self.plan), self.notes);
        }
    }

    /// Writes what stands for a value that is masked by its place; `value` is its text, if it is known.
    pub(crate) fn replace_field(&mut self, field: &FieldPlan, value: Option<&[u8]>, at: Location<'_>) {
        self.put(field.replacement(), value, at);
        self.drop_field(field, at);
    }

    /// Writes what stands for a value: a text if nothing better can.
    pub(crate) fn put(&mut self, chosen: Chosen<'_>, value: Option<&[u8]>, at: Location<'_>) {
        // INVARIANT: which of both it is depends on the whole value, not on how it came.
        let value = value.filter(|value| value.len() <= MAX_VALUE);
        let written = match (chosen.how, value) {
            (How::Drop, _) => return,
            (How::Partial(partial), Some(value)) => ends(partial, value),
            (How::Token(tag, keyed), Some(value)) => keyed::token_of(keyed, tag, value),
            (How::Shape(tag, keyed), Some(value)) => keyed::shape_of(keyed, tag, value),
            (How::Pseudonym(name), Some(value)) => self.notes.token(name, value, self.plan.pseudonyms()),
            _ => None,
        };
        // SECURITY: what is kept of a value was read, perhaps from escapes. Where nothing escapes it again it must not end a line, or
        // the quotes that it stands in.
        let ends = |byte: u8| byte.is_ascii_control() || matches!(byte, b'"' | b'\\');
        let is_bare = at.strings == 0 && !self.percent;
        match written.filter(|text| !(is_bare && text.bytes().any(ends))) {
            Some(text) => self.write_value(text.as_bytes(), at.strings),
            None => self.write_value(chosen.text, 0),
        }
    }

    /// Writes the value that a token stands for, in the way the token is written. False: it stands for none that could
    /// be written here.
    fn restore(&mut self, token: &[u8], at: Location<'_>) -> bool {
        let Some((value, form)) = self.notes.value(token) else { return false };
        // SECURITY: outside of strings a line break may end what the text stands in.
        let plain = at.strings == 0 && !self.percent && form != Form::Json;
        if at.verbatim || (plain && value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))) {
            return false;
        }
        match form {
            Form::Plain => self.write_value(&value, at.strings),
            Form::Json => self.write_value(&value, at.strings.saturating_add(1)),
            Form::Html => self.write_value(&escape::html(&value), at.strings),
            Form::Percent => self.write_value(&escape::percent(&value), at.strings),
        }
        self.restored = self.restored.saturating_add(1);
        if !self.quiet {
            self.notes.restore();
        }
        true
    }

    /// Writes text into so many JSON strings.
    fn write_value(&mut self, text: &[u8], strings: u8) {
        let mut text = Cow::Borrowed(text);
        for _ in 0..strings {
            text = Cow::Owned(escape::json(&text));
        }
        if self.percent {
            text = Cow::Owned(escape::percent(&text));
        }
        self.out.extend_from_slice(&text);
    }
}

impl<'l> Location<'l> {
    /// A text of a message that is no document.
    pub(crate) const fn of(root: &'l str) -> Location<'l> {
        Location { root, outer: &[], inner: &[], strings: 0, verbatim: false }
    }

    /// The same, where tokens stay.
    pub(crate) const fn verbatim(self) -> Location<'l> {
        Location { verbatim: true, ..self }
    }
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
        let fresh = Fresh::new(block.raw, block.text.len(), block.marks);
        let mut rest = self.write(fresh, block.text, sink, at)?;
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
        self.write(Fresh::new(&[], 0, &[]), text, sink, at).map(|_| ())
    }

    /// The end of the text: writes all that is left. The unit is then new.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>, at: Location<'_>) -> Result<(), MaskError> {
        if self.scan.position() > 0 {
            self.scan.finish(sink.plan.set(), sink.plan.active());
            self.write(Fresh::new(&[], 0, &[]), &[], sink, at)?;
            if self.waits() {
                // SECURITY: a finished scan decides everything; if it did not, nothing undecided may leave.
                return Err(MaskError::Overflow);
            }
        }
        self.clear();
        Ok(())
    }

    /// The detectors that find something in a text of its own, tokens aside. The unit must be new, and is so again.
    pub(crate) fn probe(&mut self, text: &[u8], plan: &MaskPlan) -> Result<DetectorBits, MaskError> {
        Ok(self.probe_value(text, plan)?.0)
    }

    /// The same, and whether the text is one value.
    pub(crate) fn probe_value(
        &mut self,
        text: &[u8],
        plan: &MaskPlan,
    ) -> Result<(DetectorBits, bool), MaskError> {
        if plan.set().is_clear(text) {
            return Ok((DetectorBits::new(), false));
        }
        self.scan.feed(plan.set(), plan.active(), text);
        self.scan.finish(plan.set(), plan.active());
        let (mut found, mut whole) = (DetectorBits::new(), false);
        while let Some(span) = self.scan.pop_span() {
            found = found.union(&span.detectors);
            whole |= span.whole && span.start == 0 && span.end == wide(text.len());
        }
        let overflowed = self.scan.overflowed();
        self.scan.reset();
        let found = found.difference(plan.tokens());
        if overflowed { Err(MaskError::Overflow) } else { Ok((found, whole)) }
    }

    /// Forgets the text.
    pub(crate) fn clear(&mut self) {
        self.scan.reset();
        self.raw.clear();
        self.cells.clear();
        self.start = 0;
        self.front = 0;
        self.covered = false;
        self.text.clear();
    }

    /// Is anything of the text still to be written?
    pub(crate) fn waits(&self) -> bool {
        self.covered || !self.cells.is_empty()
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        (self.raw.len() - self.start)
            + self.cells.len() * size_of::<Cell>()
            + self.scan.held()
            + self.text.len()
    }

    /// Writes what is decided of the kept bytes and then of `fresh`; returns the part of `fresh` that is not decided.
    /// `text` is what was fed last.
    fn write<'f>(
        &mut self,
        fresh: Fresh<'f>,
        text: &[u8],
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<Fresh<'f>, MaskError> {
        if self.scan.overflowed() {
            return Err(MaskError::Overflow);
        }
        let mut fresh = fresh;
        if sink.plan.keeps_values() && !text.is_empty() {
            self.text.extend_from_slice(text);
        }
        while let Some(span) = self.scan.pop_span() {
            self.emit(span.start, &mut fresh, sink.out);
            let value = self.value(&span, sink.plan);
            let token = span.detectors.difference(sink.plan.tokens()).is_empty();
            if token && (at.verbatim || !sink.notes.issues()) {
                if value.is_some_and(|token| span.whole && sink.restore(&token, at)) {
                    self.skip(span.end, &mut fresh);
                } else {
                    self.emit(span.end, &mut fresh, sink.out);
                }
            } else {
                sink.replace(&span, value.as_deref(), at);
                self.skip(span.end, &mut fresh);
            }
            self.covered = false;
        }
        let decided = self.scan.decided();
        if let Some(start) = self.scan.open_span() {
            self.emit(start.min(decided), &mut fresh, sink.out);
            // What is only a token so far may have to be written as it is.
            if !self.scan.is_open_only_for(sink.plan.tokens()) {
                self.skip_within(decided, &mut fresh);
                self.covered = start < self.front;
            }
            self.forget_text(start.min(decided), decided.saturating_sub(start));
        } else {
            self.emit(decided, &mut fresh, sink.out);
            self.forget_text(decided, 0);
        }
        Ok(fresh)
    }

    /// The text of a span, where it is kept.
    fn value(&self, span: &Span, plan: &MaskPlan) -> Option<Vec<u8>> {
        if !plan.keeps_values() {
            return None;
        }
        let begin = self.scan.position().checked_sub(wide(self.text.len()))?;
        let from = usize::try_from(span.start.checked_sub(begin)?).ok()?;
        let to = usize::try_from(span.end.checked_sub(begin)?).ok()?;
        self.text.get(from..to).map(<[u8]>::to_vec)
    }

    /// Forgets the text before this place; of what is covered and longer than any value that is used, all.
    fn forget_text(&mut self, before: u64, covered: u64) {
        if self.text.is_empty() {
            return;
        }
        let begin = self.scan.position().saturating_sub(wide(self.text.len()));
        let limit = u64::try_from(MAX_VALUE).unwrap_or(u64::MAX);
        let before = if covered > limit { self.scan.decided() } else { before };
        let length = usize::try_from(before.saturating_sub(begin)).unwrap_or(usize::MAX);
        self.text.drain(..length.min(self.text.len()));
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

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
