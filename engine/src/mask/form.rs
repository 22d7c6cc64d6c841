//! A form as a body (`application/x-www-form-urlencoded`, WHATWG URL, section 5).
//!
//! Every name and every value is a text of its own, looked at with `+` and `%XX` decoded and written as it came; what stands
//! for a value is percent-encoded. A value that is JSON is read as JSON. Names lead to fields as members do: `a`, and
//! `a[b][0][c]` as `$.a.b[*].c`.
//!
//! A `%` without two hexadecimal digits stands for itself, as readers of forms have it. Only one layer is decoded.

use super::MaskError;
use super::capture::keep;
use super::document::Layer;
use super::framer::{Framer, Run};
use super::nested::Nested;
use super::plan::MaskPlan;
use super::text::{Location, Sink, TextUnit};
use crate::format::json::Frame;
use crate::format::paths::StateId;

/// A form, or the query of a URL.
pub(crate) struct FormBody {
    /// What findings call it.
    root: &'static str,
    part: Part,
    /// `%` and the digit behind it, if they are all that came of an escape.
    escape: Vec<u8>,
    unit: TextUnit,
    name: Name,
    value: Box<Nested>,
    /// Where fields go as a whole: `&` and the name, until it is known whether they do.
    lead: Vec<u8>,
    /// A field was written.
    written: bool,
    /// A value that is kept.
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Name,
    Value,
    /// A value in whose place something else stands.
    Dropped,
    /// A value that what stands in its place depends on.
    Kept,
}

impl FormBody {
    pub(crate) fn new(root: &'static str, plan: &MaskPlan) -> FormBody {
        FormBody {
            root,
            part: Part::Name,
            escape: Vec::new(),
            unit: TextUnit::default(),
            name: Name::default(),
            value: Box::new(Nested::new(Layer::Form, plan.json_depth())),
            lead: Vec::new(),
            written: false,
            kept: Vec::new(),
        }
    }

    /// Takes bytes up to the next one that is special; returns the rest.
    fn advance<'c>(&mut self, chunk: &'c [u8], sink: &mut Sink<'_>) -> Result<&'c [u8], MaskError> {
        let special = |&byte: &u8| matches!(byte, b'%' | b'+' | b'&' | b'=');
        let length = chunk.iter().position(special).unwrap_or(chunk.len());
        let (run, rest) = chunk.split_at_checked(length).unwrap_or((chunk, &[]));
        if !run.is_empty() {
            self.text(run, run, sink)?;
        }
        let Some((first, rest)) = rest.split_first() else { return Ok(rest) };
        match (first, self.part) {
            (b'%', _) => self.escape.push(b'%'),
            (b'+', _) => self.text(b"+", b" ", sink)?,
            (b'&', _) => {
                self.finish(sink)?;
                self.part = Part::Name;
                self.mark(b'&', sink);
            }
            (b'=', Part::Name) => {
                self.end_name(sink)?;
                self.mark(b'=', sink);
                self.begin_value(sink);
            }
            _ => self.text(b"=", b"=", sink)?,
        }
        Ok(rest)
    }

    /// The byte behind the beginning of an escape. False if it is no part of it.
    fn escaped(&mut self, byte: u8, sink: &mut Sink<'_>) -> Result<bool, MaskError> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let Some(low) = digit(&byte) else {
            self.give_up(sink)?;
            return Ok(false);
        };
        let high = self.escape.get(1).and_then(digit);
        self.escape.push(byte);
        if let Some(high) = high {
            let raw = std::mem::take(&mut self.escape);
            self.text(&raw, &[high * 16 + low], sink)?;
        }
        Ok(true)
    }

    /// It was no escape.
    fn give_up(&mut self, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let raw = std::mem::take(&mut self.escape);
        self.text(&raw, &raw, sink)
    }

    /// Text of the current part: a run in which every byte stands for itself, or one byte.
    fn text(&mut self, raw: &[u8], text: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let names = self.names();
        let at = self.name.location(self.root);
        match self.part {
            Part::Name => self.leading(sink, |unit, sink| unit.cell(raw, text, sink, names))?,
            Part::Value if raw == text => self.value.literal(raw, sink, at)?,
            Part::Value => self.value.cell(raw, text, sink, at)?,
            Part::Dropped => {}
            Part::Kept => {
                keep(text, &mut self.kept);
            }
        }
        if self.part == Part::Name {
            self.name.take(text, sink.plan)?;
        }
        Ok(())
    }

    /// The end of a name or value.
    fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        if !self.escape.is_empty() {
            self.give_up(sink)?;
        }
        let names = self.names();
        match self.part {
            Part::Name => {
                self.leading(sink, |unit, sink| unit.finish(sink, names))?;
                self.pass(sink);
            }
            Part::Value => {
                let at = self.name.location(self.root);
                self.value.finish(sink, at)?;
            }
            Part::Dropped => {}
            Part::Kept => {
                let at = self.name.location(self.root);
                let field = sink.plan.actions(self.name.state).and_then(|actions| actions.field.as_ref());
                let field = field.ok_or(MaskError::Overflow)?;
                sink.replace_field(field, Some(&std::mem::take(&mut self.kept)), at);
            }
        }
        // Also of a field without `=`: what it is called says nothing about the next one.
        self.name.clear();
        Ok(())
    }

    /// The end of a name behind which a value comes.
    fn end_name(&mut self, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        if !self.escape.is_empty() {
            self.give_up(sink)?;
        }
        let names = self.names();
        self.leading(sink, |unit, sink| unit.finish(sink, names))
    }

    /// Runs with what is written of a name going where it can be taken back, if it may have to be.
    fn leading(
        &mut self,
        sink: &mut Sink<'_>,
        work: impl FnOnce(&mut TextUnit, &mut Sink<'_>) -> Result<(), MaskError>,
    ) -> Result<(), MaskError> {
        if !sink.plan.drops() {
            return work(&mut self.unit, sink);
        }
        std::mem::swap(sink.out, &mut self.lead);
        let done = work(&mut self.unit, sink);
        std::mem::swap(sink.out, &mut self.lead);
        done?;
        // Here, not where a chunk ends: how a body is cut decides nothing.
        sink.fits(self.held())
    }

    fn mark(&mut self, mark: u8, sink: &mut Sink<'_>) {
        if sink.plan.drops() { self.lead.push(mark) } else { sink.out.push(mark) }
    }

    /// The field is written: without its `&` if it is the first one now.
    fn pass(&mut self, sink: &mut Sink<'_>) {
        let lead = match self.lead.strip_prefix(b"&") {
            Some(rest) if !self.written => rest,
            _ => self.lead.as_slice(),
        };
        sink.out.extend_from_slice(lead);
        self.lead.clear();
        self.written = true;
    }

    fn names(&self) -> Location<'static> {
        Location::of(self.root)
    }

    /// A name ended in `=`.
    fn begin_value(&mut self, sink: &mut Sink<'_>) {
        let plan = sink.plan;
        self.name.end(plan);
        let at = self.name.location(self.root);
        if let Some(field) = plan.actions(self.name.state).and_then(|actions| actions.field.as_ref()) {
            self.part = Part::Dropped;
            if field.is_drop() {
                self.lead.clear();
                sink.drop_field(field, at);
                return;
            }
            self.pass(sink);
            let at = self.name.location(self.root);
            if field.wants_value() {
                self.part = Part::Kept;
            } else {
                sink.replace_field(field, None, at);
            }
        } else {
            self.pass(sink);
            self.value.start(self.name.state);
            self.part = Part::Value;
        }
    }
}

impl Framer for FormBody {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
        sink.percent = true;
        let mut rest = chunk;
        while let Some((first, after)) = rest.split_first() {
            if self.escape.is_empty() {
                rest = self.advance(rest, &mut sink)?;
            } else if self.escaped(*first, &mut sink)? {
                rest = after;
            }
        }
        sink.fits(self.held())
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
        sink.percent = true;
        self.finish(&mut sink)
    }

    /// A form is a document: nobody reads it before its end.
    fn waits(&self) -> bool {
        true
    }

    fn held(&self) -> usize {
        self.escape.len()
            + self.unit.held()
            + self.name.held()
            + self.value.held()
            + self.lead.len()
            + self.kept.len()
    }
}

/// Where the name of a field leads.
#[derive(Clone, Default)]
pub(super) struct Name {
    state: StateId,
    frames: Vec<Frame>,
    /// The segment being read, as long as it may be one that the paths name.
    segment: Vec<u8>,
    /// The name had a bracket.
    bracket: bool,
}

impl Name {
    /// A part of the name, decoded.
    pub(super) fn take(&mut self, text: &[u8], plan: &MaskPlan) -> Result<(), MaskError> {
        for &byte in text {
            match byte {
                b'[' | b']' => {
                    // Before the first bracket and in brackets there is a name; between them nothing counts.
                    if byte == b']' || !self.bracket {
                        self.step(plan);
                    }
                    self.bracket = true;
                    self.segment.clear();
                }
                _ if self.segment.len() <= plan.paths().longest() => self.segment.push(byte),
                _ => {}
            }
        }
        if self.frames.len() > plan.json_depth() { Err(MaskError::TooDeep) } else { Ok(()) }
    }

    /// The name is complete.
    pub(super) fn end(&mut self, plan: &MaskPlan) {
        if !self.bracket {
            self.step(plan);
        }
        self.segment.clear();
        self.bracket = false;
    }

    /// From the place so far to its member or, by a number or nothing in brackets, to its elements.
    fn step(&mut self, plan: &MaskPlan) {
        let paths = plan.paths();
        if self.frames.is_empty() {
            self.state = plan.form();
        }
        if self.bracket && self.segment.iter().all(u8::is_ascii_digit) {
            self.state = paths.element(self.state);
            self.frames.push(Frame::element());
        } else {
            let name = paths.name(&self.segment);
            self.state = paths.member(self.state, name);
            self.frames.push(Frame::member(name));
        }
    }

    /// What the paths say about the field.
    pub(super) fn state(&self) -> StateId {
        self.state
    }

    pub(super) fn is_named(&self) -> bool {
        !self.frames.is_empty()
    }

    pub(super) fn location(&self, root: &'static str) -> Location<'_> {
        Location { outer: &self.frames, ..Location::of(root) }
    }

    fn clear(&mut self) {
        *self = Name::default();
    }

    pub(super) fn held(&self) -> usize {
        self.segment.len() + self.frames.len() * size_of::<Frame>()
    }
}
