//! One event, written line by line.

use super::MaskError;
use super::channel::Flow;
use super::frames::{FrameDocument, Frames, Payload};
use super::nested::may_precede;
use super::plan::MaskPlan;
use super::survey::Survey;
use super::text::{Location, Sink, TextUnit};
use crate::format::sse::{Field, Line, lines};

/// Writes events; keeps nothing between them but memory.
pub(crate) struct EventWriter {
    pub(crate) document: FrameDocument,
    /// Comments, names, ids.
    unit: TextUnit,
    /// Data that is no JSON, over all its lines.
    text: TextUnit,
    /// A data line of such a text was written.
    in_text: bool,
    /// What stands between two data lines of such a text, masked: a line end, other fields, the next `data:`.
    gap: Vec<u8>,
    payload: Payload,
}

impl EventWriter {
    pub(crate) fn new(plan: &MaskPlan) -> EventWriter {
        EventWriter {
            document: FrameDocument::new(plan),
            unit: TextUnit::default(),
            text: TextUnit::default(),
            in_text: false,
            gap: Vec::new(),
            payload: Payload::None,
        }
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        self.document.held() + self.unit.held() + self.text.held() + self.gap.len()
    }

    /// Between events: gives back memory that is kept only to be used again.
    pub(crate) fn release(&mut self) {
        self.document.release();
        self.unit = TextUnit::default();
        self.text = TextUnit::default();
    }

    /// Before a block whose data is of this kind.
    pub(crate) fn begin(&mut self, payload: Payload) {
        self.document.begin();
        self.unit.clear();
        self.text.clear();
        self.gap.clear();
        self.in_text = false;
        self.payload = payload;
    }

    /// The start of a data line, up to its value.
    pub(crate) fn data_start(&mut self, name: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        if self.in_text {
            self.gap.extend_from_slice(name);
            self.text.cell(&self.gap, b"\n", sink, at_line("sse.data"))?;
            self.gap.clear();
            return Ok(());
        }
        self.in_text = self.payload == Payload::Text;
        self.beside(sink, name);
        sink.fits(self.document.scalar().held())
    }

    /// A part of the value of a data line.
    pub(crate) fn data_part(
        &mut self,
        part: &[u8],
        flow: &mut Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        match self.payload {
            Payload::Json => self.document.write_part(part, flow, sink),
            Payload::Text => self.text.literal(part, sink, at_line("sse.data")),
            Payload::None | Payload::Done => {
                sink.out.extend_from_slice(part);
                Ok(())
            }
        }
    }

    /// The end of a data line.
    pub(crate) fn data_end(
        &mut self,
        end: &[u8],
        flow: &mut Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        match self.payload {
            Payload::Json => {
                self.document.skip_line_end(flow, sink)?;
                self.beside(sink, end);
            }
            Payload::Text => self.gap.extend_from_slice(end),
            Payload::None | Payload::Done => sink.out.extend_from_slice(end),
        }
        Ok(())
    }

    /// The LF of a line end whose CR was written.
    pub(crate) fn late_feed(&mut self, feed: &[u8], sink: &mut Sink<'_>) {
        if self.in_text { self.gap.extend_from_slice(feed) } else { self.beside(sink, feed) }
    }

    /// A line that is no data.
    pub(crate) fn line(&mut self, line: Line<'_>, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        if !self.in_text && !self.document.holds_beside() {
            return self.scan_line(line, sink);
        }
        let mut scanned = Vec::new();
        std::mem::swap(sink.out, &mut scanned);
        let done = self.scan_line(line, sink);
        std::mem::swap(sink.out, &mut scanned);
        done?;
        if self.in_text {
            self.gap.append(&mut scanned);
            return sink.fits(self.held());
        }
        self.beside(sink, &scanned);
        sink.fits(self.document.held())
    }

    /// The end of the data.
    pub(crate) fn finish(&mut self, flow: &mut Flow<'_>, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        match self.payload {
            Payload::Json => self.document.finish(flow, sink),
            Payload::Text => {
                self.in_text = false;
                self.text.finish(sink, at_line("sse.data"))?;
                sink.out.append(&mut self.gap);
                Ok(())
            }
            Payload::None | Payload::Done => Ok(()),
        }
    }

    /// Writes what stands beside the data: at once, or with the scalar that waits before it.
    fn beside(&mut self, sink: &mut Sink<'_>, bytes: &[u8]) {
        self.document.beside(bytes, sink.out);
    }

    fn scan_line(&mut self, line: Line<'_>, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let (field, at) = line.field();
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
        let at = at_line(root).verbatim();
        self.unit.literal(value, sink, at)?;
        self.unit.finish(sink, at)?;
        sink.out.extend_from_slice(line.end);
        // SECURITY: clients send the id back (`Last-Event-ID`); a changed one would resume elsewhere.
        if field == Field::Id && sink.replaced > before { Err(MaskError::EventId) } else { Ok(()) }
    }

    /// Does it begin with a placeholder with which no JSON can begin?
    ///
    /// SECURITY: nobody reads as JSON what begins so, and every text is scanned as it stands: whoever sends it could as well
    /// have begun with any other letter.
    fn begins_as_masked(&mut self, text: &[u8], plan: &MaskPlan) -> bool {
        let Some(placeholder) = plan.leading_placeholder(text) else { return false };
        self.document.begin_survey();
        self.document.survey_part(placeholder, &mut Survey::default(), plan).is_err()
    }
}

/// The data of a block from its first byte on that is no blank, up to the end of the line.
pub(super) fn begin(block: &[u8]) -> Option<&[u8]> {
    let begin = |value: &[u8]| value.iter().position(|byte| !may_precede(byte));
    data(block).find_map(|value| value.get(begin(value)?..))
}

impl Frames for EventWriter {
    /// What the data of a block is: JSON if it begins like an object or array, or is one JSON string or number. A masked text that
    /// begins with a placeholder of the policy is text, though the placeholder may begin with a bracket.
    fn payload(&mut self, block: &[u8], plan: &MaskPlan) -> Payload {
        let mut values = data(block);
        let Some(first) = values.next() else { return Payload::None };
        if values.next().is_none() && plan.is_done(first) {
            return Payload::Done;
        }
        let Some(text) = begin(block) else { return Payload::None };
        match text.first() {
            None => Payload::None,
            Some(b'{' | b'[') if self.begins_as_masked(text, plan) => Payload::Text,
            Some(b'{' | b'[') => Payload::Json,
            Some(b'"' | b'-' | b'0'..=b'9') if self.survey(block, &mut Survey::default(), plan).is_ok() => {
                Payload::Json
            }
            Some(_) => Payload::Text,
        }
    }

    /// Walks the data of a block without writing it.
    fn survey(&mut self, block: &[u8], survey: &mut Survey, plan: &MaskPlan) -> Result<(), MaskError> {
        self.document.begin_survey();
        for value in data(block) {
            self.document.survey_part(value, survey, plan)?;
            self.document.survey_part(b"\n", survey, plan)?;
        }
        self.document.end_survey(survey, plan)
    }

    fn payload_start(&self, block: &[u8]) -> Option<usize> {
        let (mut at, mut start) = (0, None);
        for line in lines(block) {
            if let (Field::Data, value) = line.field()
                && start.replace(at + value).is_some()
            {
                return None;
            }
            at += line.text.len() + line.end.len();
        }
        start
    }

    fn document(&self) -> &FrameDocument {
        &self.document
    }

    /// Writes a block. A copy has only the fields that readers dispatch on.
    fn write(
        &mut self,
        block: &[u8],
        payload: Payload,
        mut flow: Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        self.begin(payload);
        for line in lines(block) {
            let (field, at) = line.field();
            match field {
                Field::Data => {
                    let (name, value) = line.split(at);
                    self.data_start(name, sink)?;
                    self.data_part(value, &mut flow, sink)?;
                    self.data_end(line.end, &mut flow, sink)?;
                }
                Field::Blank => {
                    self.finish(&mut flow, sink)?;
                    sink.out.extend_from_slice(line.end);
                }
                Field::Comment | Field::Id | Field::Retry | Field::Other if flow.is_copy() => {}
                _ => self.line(line, sink)?,
            }
        }
        if flow.is_copy() && block.ends_with(b"\r\n\r") {
            // The LF of the last line end came after the event was taken.
            sink.out.push(b'\n');
        }
        Ok(())
    }

    fn write_own(&mut self, event: &[u8], document: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let out = &mut *sink.out;
        if !event.is_empty() {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(event);
            out.push(b'\n');
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(document);
        out.extend_from_slice(b"\n\n");
        Ok(())
    }
}

/// The values of the data lines of a block.
fn data(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(block).filter_map(|line| {
        let (field, at) = line.field();
        (field == Field::Data).then(|| line.split(at).1)
    })
}

fn at_line(root: &'static str) -> Location<'static> {
    Location::of(root)
}
