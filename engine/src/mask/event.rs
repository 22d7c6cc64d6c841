//! One event, written line by line.

use super::MaskError;
use super::body::refusal;
use super::channel::Flow;
use super::document::{Document, Writer};
use super::plan::MaskPlan;
use super::survey::{Survey, Surveyor};
use super::text::{Location, Sink, TextUnit};
use crate::format::json::{Follow, Walker, is_blank};
use crate::format::paths::StateId;
use crate::format::sse::{Field, Line, lines};

/// What the data of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    None,
    /// The end of all channels, such as `[DONE]`.
    Done,
    Json,
    Text,
}

/// Writes events; keeps nothing between them but memory.
#[derive(Debug)]
pub(crate) struct EventWriter {
    walker: Walker,
    document: Document,
    /// Comments, names, ids.
    unit: TextUnit,
    /// Data that is no JSON, over all its lines.
    text: TextUnit,
    /// What stands between two data lines of such a text, masked: a line end, other fields, the next `data:`.
    gap: Vec<u8>,
}

impl EventWriter {
    pub(crate) fn new(plan: &MaskPlan) -> EventWriter {
        EventWriter {
            walker: Walker::new(StateId::ROOT, plan.json_depth(), Follow::Nothing),
            document: Document::default(),
            unit: TextUnit::default(),
            text: TextUnit::default(),
            gap: Vec::new(),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.walker.held() + self.document.held() + self.unit.held() + self.text.held() + self.gap.len()
    }

    /// What the data of a block is: JSON if it begins like an object or array, or is one JSON string.
    pub(crate) fn payload(&mut self, block: &[u8], plan: &MaskPlan) -> Payload {
        let mut values = data(block).map(|(value, _)| value);
        let Some(first) = values.next() else { return Payload::None };
        let single = values.next().is_none();
        if single && plan.is_done(first) {
            return Payload::Done;
        }
        let begins = data(block).flat_map(|(value, _)| value).find(|&&byte| !is_blank(byte));
        match begins {
            None => Payload::None,
            Some(b'{' | b'[') => Payload::Json,
            Some(b'"') if self.survey(block, &mut Survey::default(), plan).is_ok() => Payload::Json,
            Some(_) => Payload::Text,
        }
    }

    /// Walks the data of a block without writing it.
    pub(crate) fn survey(
        &mut self,
        block: &[u8],
        survey: &mut Survey,
        plan: &MaskPlan,
    ) -> Result<(), MaskError> {
        self.walker.reset(StateId::ROOT);
        let mut surveyor = Surveyor { survey, plan };
        for (value, _) in data(block) {
            self.walker.run(value, plan.paths(), &mut surveyor).map_err(refusal)?;
            self.walker.cell(b"", b"\n", plan.paths(), &mut surveyor).map_err(refusal)?;
        }
        self.walker.end(&mut surveyor).map_err(refusal)
    }

    /// Writes a block. A copy has only the fields that readers dispatch on.
    pub(crate) fn write(
        &mut self,
        block: &[u8],
        payload: Payload,
        mut flow: Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        self.walker.reset(StateId::ROOT);
        self.document.reset();
        self.unit.clear();
        self.text.clear();
        self.gap.clear();
        let copy = flow.is_copy();
        let mut in_text = false;
        for line in lines(block) {
            let (field, at) = line.field();
            let (name, value) = line.split(at);
            match (field, payload) {
                (Field::Data, Payload::Json) => {
                    sink.out.extend_from_slice(name);
                    let EventWriter { walker, document, .. } = self;
                    let paths = sink.plan.paths();
                    let mut writer = Writer { document, sink: &mut *sink, base: None, flow: flow.reborrow() };
                    walker.run(value, paths, &mut writer).map_err(refusal)?;
                    // The line end is a blank of the document, but not a part of any value that may be dropped.
                    walker.cell(b"", b"\n", paths, &mut writer).map_err(refusal)?;
                    sink.out.extend_from_slice(line.end);
                }
                (Field::Data, Payload::Text) => {
                    if in_text {
                        self.gap.extend_from_slice(name);
                        self.text.cell(&self.gap, b"\n", sink, at_line("sse.data"))?;
                        self.gap.clear();
                    } else {
                        sink.out.extend_from_slice(name);
                        in_text = true;
                    }
                    self.text.literal(value, sink, at_line("sse.data"))?;
                    self.gap.extend_from_slice(line.end);
                }
                (Field::Data, Payload::None | Payload::Done) => {
                    sink.out.extend_from_slice(line.text);
                    sink.out.extend_from_slice(line.end);
                }
                (Field::Blank, _) => {
                    if std::mem::take(&mut in_text) {
                        self.text.finish(sink, at_line("sse.data"))?;
                        sink.out.append(&mut self.gap);
                    }
                    sink.out.extend_from_slice(line.end);
                }
                (Field::Comment | Field::Id | Field::Retry | Field::Other, _) if copy => {}
                _ if in_text => {
                    std::mem::swap(sink.out, &mut self.gap);
                    let written = self.line(line, field, at, sink);
                    std::mem::swap(sink.out, &mut self.gap);
                    written?;
                }
                _ => self.line(line, field, at, sink)?,
            }
        }
        if in_text {
            self.text.finish(sink, at_line("sse.data"))?;
            sink.out.append(&mut self.gap);
        }
        if payload == Payload::Json {
            let mut writer = Writer { document: &mut self.document, sink, base: None, flow };
            self.walker.end(&mut writer).map_err(refusal)?;
        }
        Ok(())
    }

    /// A line that is no data.
    fn line(
        &mut self,
        line: Line<'_>,
        field: Field,
        at: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let (root, at) = match field {
            Field::Comment => ("sse.comment", at),
            Field::Event => ("sse.event", at),
            Field::Id => ("sse.id", at),
            Field::Retry => ("sse.retry", at),
            // Nobody knows the field, so its name is text as well.
            Field::Other | Field::Data | Field::Blank => ("sse.field", 0),
        };
        let (name, value) = line.split(at);
        let before = sink.replaced;
        sink.out.extend_from_slice(name);
        self.unit.literal(value, sink, at_line(root))?;
        self.unit.finish(sink, at_line(root))?;
        sink.out.extend_from_slice(line.end);
        // SECURITY: clients send the id back (`Last-Event-ID`); a changed one would resume elsewhere.
        if field == Field::Id && sink.replaced > before { Err(MaskError::EventId) } else { Ok(()) }
    }
}

/// The values of the data lines of a block, with the line.
fn data(block: &[u8]) -> impl Iterator<Item = (&[u8], Line<'_>)> {
    lines(block).filter_map(|line| {
        let (field, at) = line.field();
        (field == Field::Data).then(|| (line.split(at).1, line))
    })
}

fn at_line(root: &'static str) -> Location<'static> {
    Location { root, outer: &[], inner: &[] }
}
