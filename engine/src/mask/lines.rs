//! Objects as the frames of a delta stream: one a line (NDJSON), or the elements of one array.
//!
//! An object is held until it is complete, and leaves in the write that completes it, as in [`frames`](super::frames). What stands
//! between objects is written at once. A single document that is no array is a [`JsonBody`], as is a first object that is
//! too large to be held: nothing may follow it then, so that no text of it could go on elsewhere. Elements that are no
//! objects are no deltas, and pass one by one. An array is complete, so
//! its end closes every channel; lines that just stop are a cut, and text that still waits is dropped.

use super::MaskError;
use super::body::JsonBody;
use super::channel::Flow;
use super::framer::{Framer, Run};
use super::frames::{FrameDocument, Frames, Payload};
use super::instances::Instances;
use super::long::LongDocument;
use super::plan::MaskPlan;
use super::survey::Survey;
use super::text::Sink;
use crate::format::json::is_blank;
use crate::format::objects::ObjectFinder;

/// A body of one or more objects.
pub(crate) struct ObjectStream {
    /// More objects may follow, each on a line of its own.
    lines: bool,
    state: State,
    /// The one document, if there is but one; until that is known, what stands before it.
    sole: JsonBody,
    finder: ObjectFinder,
    /// The object that is not complete.
    object: Vec<u8>,
    long: Option<LongDocument>,
    writer: ObjectWriter,
    instances: Instances,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but blanks yet.
    Start,
    Sole,
    /// In an object; no other came before it and it is no element.
    First,
    /// In an object.
    Object,
    /// After a line; its end was seen.
    Line(bool),
    /// Before an element; none came before it.
    Before(bool),
    /// In an element that is no object: no delta, and no part of any channel.
    Element,
    /// After an element.
    After,
    /// After the array.
    Closed,
}

/// Writes objects; keeps nothing between them but memory.
struct ObjectWriter {
    document: FrameDocument,
    /// What stands before and behind an object of our own.
    before: &'static [u8],
    after: &'static [u8],
}

impl ObjectStream {
    /// `lines`: is one object a line expected?
    pub(crate) fn new(plan: &MaskPlan, lines: bool) -> ObjectStream {
        ObjectStream {
            lines,
            state: State::Start,
            sole: JsonBody::new(plan),
            finder: ObjectFinder::default(),
            object: Vec::new(),
            long: None,
            writer: ObjectWriter { document: FrameDocument::new(plan), before: b"", after: b"\n" },
            instances: Instances::default(),
        }
    }

    /// Takes the next byte or, of an object, more; returns how many were taken.
    fn take(&mut self, rest: &[u8], byte: u8, run: &mut Run<'_>) -> Result<usize, MaskError> {
        if matches!(self.state, State::First | State::Object) {
            return self.take_object(rest, run);
        }
        if self.state == State::Element {
            return self.take_element(rest, run);
        }
        let mut out = true;
        self.state = match (self.state, byte) {
            (State::Start, b'[') if !self.sole.is_in_mark() => {
                let root = run.plan.paths().element(crate::format::paths::StateId::ROOT);
                self.writer.document.set_root(root);
                self.writer.after = b",";
                State::Before(true)
            }
            (State::Start, b'{') if self.lines && !self.sole.is_in_mark() => {
                out = false;
                State::First
            }
            (State::Line(true), b'{') | (State::Before(_), b'{') => {
                out = false;
                State::Object
            }
            (State::Line(ended), _) if is_blank(byte) => State::Line(ended || matches!(byte, b'\n' | b'\r')),
            (State::Before(_) | State::After | State::Closed, _) if is_blank(byte) => self.state,
            (State::Before(true), b']') => State::Closed,
            // A byte order mark stands in front of a body, never of an element.
            (State::Before(_), _) if byte.is_ascii() => {
                out = false;
                self.writer.document.begin();
                State::Element
            }
            (State::After, b',') => State::Before(false),
            (State::After, b']') => {
                self.close_array(run)?;
                State::Closed
            }
            (State::Start | State::Sole, _) => {
                // A byte order mark and blanks do not tell yet; anything else does.
                let blank = is_blank(byte) || !byte.is_ascii();
                self.state = if self.state == State::Start && blank { State::Start } else { State::Sole };
                let length = if self.state == State::Sole { rest.len() } else { 1 };
                self.sole.write(rest.get(..length).unwrap_or_default(), run)?;
                return Ok(length);
            }
            _ => return Err(MaskError::InvalidJson),
        };
        if out {
            run.out.push(byte);
            return Ok(1);
        }
        Ok(0)
    }

    /// A part of an element that is no object; written as it comes.
    fn take_element(&mut self, rest: &[u8], run: &mut Run<'_>) -> Result<usize, MaskError> {
        let room = self.instances.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.notes, room);
        let Some(taken) = self.writer.document.write_value(rest, &mut sink)? else { return Ok(rest.len()) };
        // SECURITY: before anything else a number that waits may not leave: it was none.
        if !matches!(rest.get(taken), Some(b',' | b']')) {
            return Err(MaskError::InvalidJson);
        }
        self.writer.document.finish(&mut Flow::None, &mut sink)?;
        self.state = State::After;
        Ok(taken)
    }

    /// A part of an object.
    fn take_object(&mut self, rest: &[u8], run: &mut Run<'_>) -> Result<usize, MaskError> {
        let (taken, ended) = self.finder.next(rest);
        let part = rest.get(..taken).unwrap_or_default();
        if let Some(long) = &mut self.long {
            long.write(part, &mut self.writer.document, &mut self.instances, run)?;
            if ended {
                self.end_long(run)?;
            }
        } else {
            let room = self.instances.room(run.plan);
            if self.object.len() + part.len() > room {
                if self.state == State::First {
                    self.state = State::Sole;
                    self.sole.write(&std::mem::take(&mut self.object), run)?;
                    self.sole.write(rest, run)?;
                    return Ok(rest.len());
                }
                // As much as fits is the head, wherever the chunks end.
                let head = room.saturating_sub(self.object.len());
                let (head, after) = part.split_at_checked(head).unwrap_or((part, &[]));
                self.object.extend_from_slice(head);
                self.begin_long(after, run)?;
                if ended {
                    self.end_long(run)?;
                }
            } else if !ended {
                self.object.extend_from_slice(part);
                if self.held() > run.plan.state_limit() {
                    // The room of an object does not depend on what came before it, so memory makes way for it.
                    self.writer.document.release();
                }
            } else if self.object.is_empty() {
                self.instances.write_frame(&mut self.writer, part, run)?;
            } else {
                self.object.extend_from_slice(part);
                self.instances.write_frame(&mut self.writer, &self.object, run)?;
                self.object.clear();
            }
        }
        if ended {
            self.state = if self.writer.after == b"," { State::After } else { State::Line(false) };
        }
        Ok(taken)
    }

    /// The object is too large: goes on without holding it.
    fn begin_long(&mut self, after: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let start = run.out.len();
        let begun = self.write_head(run);
        if begun.is_err() {
            // All of the head or nothing, so that an error of our own can follow.
            run.out.truncate(start);
        }
        let long = self.long.insert(begun?);
        long.write(after, &mut self.writer.document, &mut self.instances, run)
    }

    fn write_head(&mut self, run: &mut Run<'_>) -> Result<LongDocument, MaskError> {
        let head = std::mem::take(&mut self.object);
        self.instances.begin_event();
        self.writer.document.begin_survey();
        self.writer.document.survey_part(&head, &mut self.instances.survey, run.plan)?;
        let long = LongDocument::begin(&mut self.writer, &mut self.instances, run)?;
        self.writer.document.begin();
        let room = self.instances.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.notes, room);
        self.writer.document.write_part(&head, &mut self.instances.flow(), &mut sink)?;
        Ok(long)
    }

    /// INVARIANT: if it fails the object stays open, and no error of our own may follow.
    fn end_long(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        self.writer.document.end_survey(&mut self.instances.survey, run.plan)?;
        let room = self.instances.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.notes, room);
        self.writer.document.finish(&mut self.instances.flow(), &mut sink)?;
        LongDocument::close(&mut self.instances, run.plan)?;
        self.long = None;
        Ok(())
    }

    /// The end of the array: what waits goes out in further elements.
    fn close_array(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        self.instances.begin_event();
        (self.writer.before, self.writer.after) = (b",", b"");
        self.instances.write_tails(&mut self.writer, |_, _| true, run)
    }
}

impl Framer for ObjectStream {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            let taken = self.take(rest, byte, run)?;
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        match self.state {
            State::Start | State::Sole => self.sole.end(run),
            State::Line(_) | State::Closed => Ok(()),
            _ => Err(MaskError::Truncated),
        }
    }

    fn waits(&self) -> bool {
        self.sole.waits()
    }

    fn error_event<'f>(&'f self, plan: &'f MaskPlan) -> Option<&'f [u8]> {
        match self.state {
            State::Line(true) => plan.error_line(),
            State::First | State::Object if self.long.is_none() && self.writer.after == b"\n" => {
                plan.error_line()
            }
            _ => None,
        }
    }

    fn held(&self) -> usize {
        self.instances.held() + self.object.len() + self.sole.held() + self.writer.document.held()
    }
}

impl Frames for ObjectWriter {
    fn payload(&mut self, _frame: &[u8], _plan: &MaskPlan) -> Payload {
        Payload::Json
    }

    fn survey(&mut self, frame: &[u8], survey: &mut Survey, plan: &MaskPlan) -> Result<(), MaskError> {
        self.document.begin_survey();
        self.document.survey_part(frame, survey, plan)?;
        self.document.end_survey(survey, plan)
    }

    fn payload_start(&self, _frame: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn document(&self) -> &FrameDocument {
        &self.document
    }

    fn write(
        &mut self,
        frame: &[u8],
        _payload: Payload,
        mut flow: Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let own = flow.is_copy();
        if own {
            sink.out.extend_from_slice(self.before);
        }
        self.document.begin();
        self.document.write_part(frame, &mut flow, sink)?;
        self.document.finish(&mut flow, sink)?;
        if own {
            sink.out.extend_from_slice(self.after);
        }
        Ok(())
    }

    fn write_own(&mut self, _event: &[u8], document: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        for part in [self.before, document, self.after] {
            sink.out.extend_from_slice(part);
        }
        Ok(())
    }
}
