//! An event stream of AWS as a body: frames are held until they are complete, and leave in the write that completes them.
//!
//! The payload of a frame is a JSON document, or a document that another one carries in base64; its texts join over the
//! frames as in [`frames`](super::frames). What a frame says of itself in headers that are text is shown to closers as
//! members of its document (`$.:event-type`). A channel that nothing closes is closed by the end of the body.
//!
//! Payloads that are no JSON are refused: nobody says how their texts go on in the next frame.

use super::MaskError;
use super::channel::Flow;
use super::framer::{Framer, Run};
use super::frames::{FrameDocument, Frames, Payload};
use super::instances::Instances;
use super::plan::MaskPlan;
use super::survey::Survey;
use super::text::{Location, Sink, TextUnit};
use super::wrapped::{self, Carried};
use crate::format::eventstream::{
    Frame, Headers, PRELUDE, begin, end, frame_length, push_sized, push_text_header,
};
use crate::format::json::is_blank;
use crate::format::paths::StateId;

/// An event stream.
pub(super) struct EventFrames {
    /// The frame that is not complete.
    frame: Vec<u8>,
    writer: FrameWriter,
    instances: Instances,
    error: Vec<u8>,
}

/// Writes frames; keeps nothing between them but memory.
struct FrameWriter {
    document: FrameDocument,
    /// What carries the document, if anything does.
    outer: FrameDocument,
    unit: TextUnit,
    scratch: Vec<u8>,
    /// The headers of the current frame, if it carries a document: those of our own frames beside it.
    carrying: Option<Vec<u8>>,
}

/// What a payload is.
enum Content {
    Json,
    /// It carries a document.
    Document(Carried, Vec<u8>),
    /// It carries a text.
    Text(Carried, Vec<u8>),
}

const HEADER: Location<'static> = Location::of("eventstream.header").verbatim();

impl EventFrames {
    pub(super) fn new(plan: &MaskPlan) -> EventFrames {
        let mut error = Vec::new();
        let headers: [(&[u8], &[u8]); 3] = [
            (b":exception-type", b"internalServerException"),
            (b":content-type", b"application/json"),
            (b":message-type", b"exception"),
        ];
        // INVARIANT: short constants fit into a frame.
        let _ = write_frame(&headers, b"{\"message\":\"response refused by policy\"}", &mut error);
        EventFrames {
            frame: Vec::new(),
            writer: FrameWriter {
                document: FrameDocument::new(plan),
                outer: FrameDocument::new(plan),
                unit: TextUnit::default(),
                scratch: Vec::new(),
                carrying: None,
            },
            instances: Instances::default(),
            error,
        }
    }
}

impl Framer for EventFrames {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            // The prelude first: it says how much more belongs to the frame.
            let length = frame_length(&self.frame)?;
            let missing = length.unwrap_or(PRELUDE).saturating_sub(self.frame.len());
            let (fresh, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            self.frame.extend_from_slice(fresh);
            rest = after;
            let length = frame_length(&self.frame)?;
            if length.is_some_and(|length| length > run.plan.message_limit()) {
                return Err(MaskError::MessageLimit);
            }
            if length == Some(self.frame.len()) {
                self.instances.write_frame(&mut self.writer, &self.frame, run)?;
                self.frame.clear();
                // One large frame is no reason to hold its room for the rest of the stream.
                self.frame.shrink_to(run.plan.state_limit());
            }
        }
        Ok(())
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        if !self.frame.is_empty() {
            return Err(MaskError::Truncated);
        }
        self.instances.begin_event();
        for instance in &mut self.instances.list {
            instance.closed |= !run.plan.channels().has_closer(instance.channel);
        }
        let closed = |instances: &Instances, place: usize| {
            instances.list.get(place).is_some_and(|instance| instance.closed)
        };
        self.instances.write_tails(&mut self.writer, closed, run)
    }

    fn held(&self) -> usize {
        let writer = &self.writer;
        let documents = writer.document.held() + writer.outer.held() + writer.unit.held();
        self.instances.held() + self.frame.len() + documents + writer.scratch.len()
    }

    fn error_event<'f>(&'f self, _plan: &'f MaskPlan) -> Option<&'f [u8]> {
        Some(&self.error)
    }
}

impl Frames for FrameWriter {
    fn payload(&mut self, frame: &[u8], _plan: &MaskPlan) -> Payload {
        let payload = Frame::read(frame).map_or(&b""[..], |frame| frame.payload);
        match payload.iter().find(|&&byte| !is_blank(byte)) {
            None => Payload::None,
            Some(b'{' | b'[') => Payload::Json,
            Some(_) => Payload::Text,
        }
    }

    fn survey(&mut self, frame: &[u8], survey: &mut Survey, plan: &MaskPlan) -> Result<(), MaskError> {
        let frame = Frame::read(frame)?;
        let content = Content::of(frame.payload, plan)?;
        self.carrying = None;
        self.document.begin_survey();
        match content {
            Content::Document(_, document) => {
                self.carrying = Some(frame.headers.to_vec());
                self.document.survey_part(&document, survey, plan)?;
            }
            Content::Json => self.survey_all(&frame, frame.payload, survey, plan)?,
            Content::Text(carried, text) => {
                self.survey_all(&frame, &spell_out(frame.payload, &carried, &text), survey, plan)?;
            }
        }
        self.document.end_survey(survey, plan)
    }

    /// Lengths and checksums change with every text, so no frame is like another.
    fn payload_start(&self, _frame: &[u8]) -> Option<usize> {
        None
    }

    fn document(&self) -> &FrameDocument {
        &self.document
    }

    fn write(
        &mut self,
        frame: &[u8],
        payload: Payload,
        flow: Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let frame = Frame::read(frame)?;
        let start = begin(sink.out);
        let headers = self.write_headers(frame.headers, sink)?;
        match payload {
            Payload::None => sink.out.extend_from_slice(frame.payload),
            Payload::Json => self.write_payload(frame.payload, flow, sink)?,
            Payload::Done | Payload::Text => return Err(MaskError::InvalidFrame),
        }
        Ok(end(sink.out, start, headers)?)
    }

    fn write_own(&mut self, event: &[u8], document: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let Some(carrying) = self.carrying.take() else {
            let headers: [(&[u8], &[u8]); 3] = [
                (b":event-type", event),
                (b":content-type", b"application/json"),
                (b":message-type", b"event"),
            ];
            return write_frame(&headers, document, sink.out);
        };
        let start = begin(sink.out);
        let headers = self.write_headers(&carrying, sink)?;
        self.carrying = Some(carrying);
        sink.out.extend_from_slice(b"{\"bytes\":\"");
        wrapped::encode(document.trim_ascii_end(), sink.out);
        sink.out.extend_from_slice(b"\"}");
        Ok(end(sink.out, start, headers)?)
    }
}

impl FrameWriter {
    /// Surveys a document with the headers of its frame as its first members.
    fn survey_all(
        &mut self,
        frame: &Frame<'_>,
        document: &[u8],
        survey: &mut Survey,
        plan: &MaskPlan,
    ) -> Result<(), MaskError> {
        let inside = document.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
        let Some(inside) = inside else { return self.document.survey_part(document, survey, plan) };
        let mut headers = Headers::new(frame.headers);
        let mut members = vec![b'{'];
        while let Some(header) = headers.next()? {
            if header.sized && header.name.starts_with(b":") {
                for (text, after) in [(header.name, &b":"[..]), (header.value, b",")] {
                    members.push(b'"');
                    wrapped::escape(text, &mut members);
                    members.push(b'"');
                    members.extend_from_slice(after);
                }
            }
        }
        if inside.starts_with(b"}") && members.ends_with(b",") {
            members.pop();
        }
        self.document.survey_part(&members, survey, plan)?;
        self.document.survey_part(inside, survey, plan)
    }

    /// Writes the headers; texts among them are scanned. Returns how long they are now.
    fn write_headers(&mut self, headers: &[u8], sink: &mut Sink<'_>) -> Result<usize, MaskError> {
        let start = sink.out.len();
        let mut headers = Headers::new(headers);
        while let Some(header) = headers.next()? {
            let named = self.unit.probe(header.name, sink.plan)?;
            if !named.is_empty() {
                // As in the head of an exchange: nobody knows what else to call it.
                sink.replaced = sink.replaced.saturating_add(1);
                if !sink.quiet {
                    sink.plan.record(&named, HEADER.root, sink.notes);
                }
                continue;
            }
            sink.out.extend_from_slice(header.head);
            if !header.sized {
                sink.out.extend_from_slice(header.value);
                continue;
            }
            let unit = &mut self.unit;
            let value = aside(&mut self.scratch, sink, |sink| {
                unit.literal(header.value, sink, HEADER)?;
                unit.finish(sink, HEADER)
            })?;
            push_sized(value, sink.out)?;
        }
        Ok(sink.out.len() - start)
    }

    fn write_payload(
        &mut self,
        payload: &[u8],
        mut flow: Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        match Content::of(payload, sink.plan)? {
            Content::Json => write_document(&mut self.document, payload, &mut flow, sink),
            Content::Document(carried, document) => {
                let (before, after) = around(payload, &carried);
                self.outer.begin();
                self.outer.write_part(before, &mut Flow::None, sink)?;
                let written = aside(&mut self.scratch, sink, |sink| {
                    write_document(&mut self.document, &document, &mut flow, sink)
                })?;
                if written == document {
                    sink.out.extend_from_slice(payload.get(carried.at).unwrap_or_default());
                } else {
                    wrapped::encode(written, sink.out);
                }
                self.outer.write_part(after, &mut Flow::None, sink)?;
                self.outer.finish(&mut Flow::None, sink)
            }
            Content::Text(carried, text) => {
                let document = spell_out(payload, &carried, &text);
                let written = aside(&mut self.scratch, sink, |sink| {
                    write_document(&mut self.document, &document, &mut flow, sink)
                })?;
                // SECURITY: it is looked for anew, for what is written there now need not be a string any more.
                let Some(now) = wrapped::find(written, sink.plan)? else {
                    sink.out.extend_from_slice(written);
                    return Ok(());
                };
                let (before, after) = around(written, &now);
                sink.out.extend_from_slice(before);
                if now.text == text {
                    sink.out.extend_from_slice(payload.get(carried.at).unwrap_or_default());
                } else {
                    wrapped::encode(&now.text, sink.out);
                }
                sink.out.extend_from_slice(after);
                Ok(())
            }
        }
    }
}

impl Content {
    fn of(payload: &[u8], plan: &MaskPlan) -> Result<Content, MaskError> {
        let Some(carried) = wrapped::find(payload, plan)? else { return Ok(Content::Json) };
        let state = plan.paths().member(StateId::ROOT, plan.paths().name(wrapped::MEMBER.as_bytes()));
        let actions = plan.actions(state);
        let (masked, fragment) = actions.map_or((false, false), |actions| {
            (actions.field.is_some() || actions.null, actions.fragment.is_some())
        });
        let Some(inner) = wrapped::decode(&carried.text).filter(|_| !masked) else {
            return Ok(Content::Json);
        };
        let document = matches!(inner.trim_ascii_start().first(), Some(b'{' | b'['));
        let text = std::str::from_utf8(&inner)
            .is_ok_and(|text| !text.chars().any(|char| char.is_control() && !char.is_whitespace()));
        match (fragment, document, text) {
            (true, _, true) => Ok(Content::Text(carried, inner)),
            (false, true, _) => Ok(Content::Document(carried, inner)),
            // SECURITY: text that may go on in the next frame, and no channel to join it.
            (false, false, true) if !inner.is_empty() => Err(MaskError::InvalidFrame),
            _ => Ok(Content::Json),
        }
    }
}

/// Runs with an output of its own; gives what was written there.
fn aside<'s>(
    scratch: &'s mut Vec<u8>,
    sink: &mut Sink<'_>,
    write: impl FnOnce(&mut Sink<'_>) -> Result<(), MaskError>,
) -> Result<&'s [u8], MaskError> {
    scratch.clear();
    std::mem::swap(sink.out, scratch);
    let done = write(sink);
    std::mem::swap(sink.out, scratch);
    done.map(|()| scratch.as_slice())
}

fn write_document(
    writer: &mut FrameDocument,
    document: &[u8],
    flow: &mut Flow<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), MaskError> {
    writer.begin();
    writer.write_part(document, flow, sink)?;
    writer.finish(flow, sink)
}

/// What stands before and behind the characters of a string.
fn around<'p>(payload: &'p [u8], carried: &Carried) -> (&'p [u8], &'p [u8]) {
    let before = payload.get(..carried.at.start).unwrap_or_default();
    (before, payload.get(carried.at.end..).unwrap_or_default())
}

/// The payload with the text in place of its base64.
fn spell_out(payload: &[u8], carried: &Carried, text: &[u8]) -> Vec<u8> {
    let (before, after) = around(payload, carried);
    let mut document = before.to_vec();
    wrapped::escape(text, &mut document);
    document.extend_from_slice(after);
    document
}

/// Writes a frame of our own.
fn write_frame(headers: &[(&[u8], &[u8])], payload: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
    let start = begin(out);
    let before = out.len();
    for (name, value) in headers {
        push_text_header(name, value, out)?;
    }
    let headers = out.len() - before;
    out.extend_from_slice(payload);
    Ok(end(out, start, headers)?)
}
