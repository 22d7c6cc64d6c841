//! A frame that is larger than what may be held: surveyed as it goes by, and written at once.
//!
//! Exact or refused, never guessed. A fragment is written only if the keys that name its instance stood before it (or in
//! the part that was held). What closes an instance may come too late to put a tail before the frame, so an instance
//! that a long frame closes behind that part must have nothing waiting when the frame ends.

use super::MaskError;
use super::channel::Binding;
use super::event::{self, EventWriter};
use super::framer::Run;
use super::frames::{FrameDocument, Frames, Payload};
use super::instances::Instances;
use super::plan::MaskPlan;
use super::text::Sink;
use crate::format::sse::{Field, Found, Line, lines};
use memchr::memchr;

/// The event that is going by.
pub(crate) struct LongEvent {
    /// The start of a line of which it is not known yet what it is.
    line: Vec<u8>,
    /// The value of a data line is being read.
    in_data: bool,
    /// The data, if it is a document in which there may be fragments.
    document: Option<LongDocument>,
}

/// The document that is going by.
#[derive(Default)]
pub(crate) struct LongDocument {
    /// Fragments that have their instance.
    bound: usize,
}

impl LongEvent {
    /// Begins with as much of the event as could be held.
    pub(crate) fn begin(
        head: &[u8],
        writer: &mut EventWriter,
        instances: &mut Instances,
        run: &mut Run<'_>,
    ) -> Result<LongEvent, MaskError> {
        let payload = writer.payload(head, run.plan);
        let first = event::begin(head).and_then(<[u8]>::first);
        // A string or a number is one when its end has been seen.
        let scalar = match payload {
            Payload::Json => !matches!(first, Some(b'{' | b'[')),
            _ => first == Some(&b'"'),
        };
        if scalar || !matches!(payload, Payload::Json | Payload::Text) {
            return Err(MaskError::Budget);
        }
        instances.begin_event();
        let mut long = LongEvent { line: Vec::new(), in_data: false, document: None };
        if payload == Payload::Json && !run.plan.channels().is_empty() {
            writer.document.begin_survey();
            for line in lines(head) {
                if let (Field::Data, at) = line.field() {
                    let value = line.split(at).1;
                    writer.document.survey_part(value, &mut instances.survey, run.plan)?;
                    if !line.end.is_empty() {
                        writer.document.survey_part(b"\n", &mut instances.survey, run.plan)?;
                    }
                }
            }
            long.document = Some(LongDocument::begin(writer, instances, run)?);
        }
        writer.begin(payload);
        for line in lines(head) {
            if line.end.is_empty() {
                long.open_line(line.text, writer, instances, run, true)?;
            } else if let (Field::Data, at) = line.field() {
                let (name, value) = line.split(at);
                let room = instances.room(run.plan);
                let (mut flow, mut sink) = (instances.flow(), Sink::new(run.plan, run.out, run.notes, room));
                writer.data_start(name, &mut sink)?;
                writer.data_part(value, &mut flow, &mut sink)?;
                writer.data_end(line.end, &mut flow, &mut sink)?;
            } else {
                let room = instances.room(run.plan);
                writer.line(line, &mut Sink::new(run.plan, run.out, run.notes, room))?;
            }
        }
        Ok(long)
    }

    /// The next bytes, up to and with what was found at their end. True at the end of the event.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        found: Found,
        writer: &mut EventWriter,
        instances: &mut Instances,
        run: &mut Run<'_>,
    ) -> Result<bool, MaskError> {
        let room = instances.room(run.plan);
        let (text, end) = match found {
            Found::Nothing => (bytes, &[][..]),
            Found::LateFeed => {
                writer.late_feed(bytes, &mut Sink::new(run.plan, run.out, run.notes, room));
                return Ok(false);
            }
            Found::Line { .. } => {
                bytes.split_at_checked(bytes.len().saturating_sub(1)).unwrap_or((bytes, &[]))
            }
        };
        if self.in_data {
            self.data(text, writer, instances, run, false)?;
        } else if !text.is_empty() {
            self.line.extend_from_slice(text);
            let line = std::mem::take(&mut self.line);
            self.open_line(&line, writer, instances, run, false)?;
        }
        if end.is_empty() {
            return Ok(false);
        }
        if std::mem::take(&mut self.in_data) {
            if self.document.is_some() {
                writer.document.survey_part(b"\n", &mut instances.survey, run.plan)?;
            }
            let (mut flow, mut sink) = (instances.flow(), Sink::new(run.plan, run.out, run.notes, room));
            writer.data_end(end, &mut flow, &mut sink)?;
            return Ok(false);
        }
        let text = std::mem::take(&mut self.line);
        let line = Line { text: &text, end };
        if line.field().0 == Field::Data && self.document.is_some() {
            writer.document.survey_part(b"\n", &mut instances.survey, run.plan)?;
        }
        let (mut flow, mut sink) = (instances.flow(), Sink::new(run.plan, run.out, run.notes, room));
        match line.field().0 {
            Field::Blank => {
                writer.finish(&mut flow, &mut sink)?;
                sink.out.extend_from_slice(end);
                LongDocument::close(instances, run.plan)?;
                return Ok(true);
            }
            Field::Data => {
                writer.data_start(line.text, &mut sink)?;
                writer.data_end(end, &mut flow, &mut sink)?;
            }
            _ => writer.line(line, &mut sink)?,
        }
        Ok(false)
    }

    pub(crate) fn held(&self) -> usize {
        self.line.len()
    }

    /// A line that did not end: its value is written on if it is data, otherwise it is held.
    fn open_line(
        &mut self,
        text: &[u8],
        writer: &mut EventWriter,
        instances: &mut Instances,
        run: &mut Run<'_>,
        head: bool,
    ) -> Result<(), MaskError> {
        // `data:` and the byte behind it, which may be the space that belongs to the name.
        let value = (Line { text, end: &[] }).field();
        if let ((Field::Data, at), true) = (value, text.len() > b"data:".len()) {
            let (name, value) = text.split_at_checked(at).unwrap_or((text, &[]));
            let room = instances.room(run.plan);
            writer.data_start(name, &mut Sink::new(run.plan, run.out, run.notes, room))?;
            self.in_data = true;
            return self.data(value, writer, instances, run, head);
        }
        self.line.extend_from_slice(text);
        if self.line.len() > instances.room(run.plan) { Err(MaskError::Budget) } else { Ok(()) }
    }

    /// A part of the value of a data line.
    fn data(
        &mut self,
        text: &[u8],
        writer: &mut EventWriter,
        instances: &mut Instances,
        run: &mut Run<'_>,
        head: bool,
    ) -> Result<(), MaskError> {
        if let (Some(document), false) = (&mut self.document, head) {
            return document.write(text, &mut writer.document, instances, run);
        }
        let room = instances.room(run.plan);
        let (mut flow, mut sink) = (instances.flow(), Sink::new(run.plan, run.out, run.notes, room));
        writer.data_part(text, &mut flow, &mut sink)
    }
}

impl LongDocument {
    /// After its head was surveyed: binds the fragments of the head, and writes the texts that the head ends without giving
    /// to them. What is left to the caller is to write the head.
    pub(crate) fn begin(
        frames: &mut dyn Frames,
        instances: &mut Instances,
        run: &mut Run<'_>,
    ) -> Result<LongDocument, MaskError> {
        let mut long = LongDocument::default();
        long.bind(instances, run.plan)?;
        instances.mark_closed(run.plan);
        instances.write_tails(frames, Instances::ends_before, run)?;
        Ok(long)
    }

    /// The next part of the document.
    pub(crate) fn write(
        &mut self,
        text: &[u8],
        document: &mut FrameDocument,
        instances: &mut Instances,
        run: &mut Run<'_>,
    ) -> Result<(), MaskError> {
        let mut rest = text;
        while !rest.is_empty() {
            // A quote is surveyed before it is written, all else after: so what is known of the keys of a fragment, and
            // what left before a refusal, depends on the order of the bytes alone.
            let length = memchr(b'"', rest).map_or(rest.len(), |at| at.max(1));
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            if part == b"\"" {
                document.survey_part(part, &mut instances.survey, run.plan)?;
                self.bind(instances, run.plan)?;
            }
            let room = instances.room(run.plan);
            let (mut flow, mut sink) = (instances.flow(), Sink::new(run.plan, run.out, run.notes, room));
            document.write_part(part, &mut flow, &mut sink)?;
            if part != b"\"" {
                document.survey_part(part, &mut instances.survey, run.plan)?;
            }
        }
        Ok(())
    }

    /// The end of the frame, after all of it was written.
    pub(crate) fn close(instances: &mut Instances, plan: &MaskPlan) -> Result<(), MaskError> {
        instances.mark_closed(plan);
        for (place, instance) in instances.list.iter().enumerate() {
            if instance.closed && instance.waits() {
                return Err(MaskError::LateMember);
            }
            let carried = plan.channel(instance.channel).is_some_and(|channel| channel.tail.is_some());
            if instances.gives_to(place) && instance.waits() && !carried && instance.carrier.is_empty() {
                return Err(MaskError::Budget);
            }
        }
        instances.settle(plan)
    }

    /// Gives every new fragment its instance.
    fn bind(&mut self, instances: &mut Instances, plan: &MaskPlan) -> Result<(), MaskError> {
        while let Some(&(first, arrays)) = instances.survey.fragments.get(self.bound) {
            let (channel, settled) = instances.survey.channel_of(first, &arrays, plan);
            let uses = plan.channel(channel).map(|channel| channel.keys.as_slice()).unwrap_or_default();
            if !settled || !instances.survey.shows_all(uses, &arrays) {
                return Err(MaskError::LateMember);
            }
            let instance = instances.instance(channel, &arrays, plan)?;
            if instances.list.get(instance).is_some_and(|instance| instance.closed) {
                // Its text left before the frame: this fragment would have had to be joined to it.
                return Err(MaskError::LateMember);
            }
            instances.fragments.push(Binding { instance, last: false });
            self.bound += 1;
        }
        // SECURITY: whether a signature is void must be known when it is written; only a text without end here is.
        if instances.survey.signatures.is_empty() { Ok(()) } else { Err(MaskError::LateMember) }
    }
}
