//! Frames: what brings the documents of a delta stream, whatever the syntax. An SSE event is one, and so is a line of JSON.
//!
//! [`Frames`] is what a syntax knows: how a frame is read and how it is written. [`Instances::write_frame`] is what all have in
//! common: a frame is surveyed; a text that it ends without giving to it leaves before it, in a frame of its own; then it is
//! written, with what waited in its channels in front of its fragments. It does not find the borders of frames, and does not
//! know frames that are too large to be held.

use super::MaskError;
use super::body::refusal;
use super::channel::Flow;
use super::document::{Document, Writer};
use super::framer::Run;
use super::instances::Instances;
use super::plan::MaskPlan;
use super::scalar::HeldScalar;
use super::survey::{Survey, Surveyor, UNPRINTABLE_KEY};
use super::text::Sink;
use crate::format::json::{Follow, Stop, Walker};
use crate::format::paths::StateId;

/// With less room than this nothing is remembered.
const LEAST_ROOM: usize = 16 * 1024;

/// The frames of one syntax. A frame is always there as a whole.
pub(crate) trait Frames {
    /// What the payload of a frame is.
    fn payload(&mut self, frame: &[u8], plan: &MaskPlan) -> Payload;

    /// Walks the JSON payload of a frame without writing it.
    fn survey(&mut self, frame: &[u8], survey: &mut Survey, plan: &MaskPlan) -> Result<(), MaskError>;

    /// Where the payload of a frame begins that was just written, if it is in one piece.
    fn payload_start(&self, frame: &[u8]) -> Option<usize>;

    /// What wrote the payload.
    fn document(&self) -> &FrameDocument;

    /// Writes a frame. Where the flow is a copy the frame was written before: only what readers need to take it for one
    /// more delta is written again.
    fn write(
        &mut self,
        frame: &[u8],
        payload: Payload,
        flow: Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError>;

    /// Writes a frame of our own around a document; `event` is its name, where frames have names.
    fn write_own(&mut self, event: &[u8], document: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError>;
}

/// What the payload of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    None,
    /// The end of all channels, such as `[DONE]`.
    Done,
    Json,
    Text,
}

/// The document of a frame: looked at first, then written. Keeps nothing between frames but memory.
pub(crate) struct FrameDocument {
    /// Goes ahead.
    scout: Walker,
    walker: Walker,
    document: Document,
    root: StateId,
}

impl Instances {
    /// Writes a frame: all of it, or nothing and an error.
    pub(crate) fn write_frame(
        &mut self,
        frames: &mut dyn Frames,
        frame: &[u8],
        run: &mut Run<'_>,
    ) -> Result<(), MaskError> {
        let start = run.out.len();
        let done = self.try_frame(frames, frame, run);
        if done.is_err() {
            // The client has whole frames only, so that an error can follow in one of its own.
            run.out.truncate(start);
        }
        done
    }

    /// Ends the texts of all instances for which `ends` holds, each in a frame of its own if anything of it waits.
    pub(crate) fn write_tails(
        &mut self,
        frames: &mut dyn Frames,
        ends: fn(&Instances, usize) -> bool,
        run: &mut Run<'_>,
    ) -> Result<(), MaskError> {
        for place in 0..self.list.len() {
            if ends(self, place) {
                self.write_tail(frames, place, run)?;
            }
        }
        Ok(())
    }

    fn try_frame(
        &mut self,
        frames: &mut dyn Frames,
        frame: &[u8],
        run: &mut Run<'_>,
    ) -> Result<(), MaskError> {
        if self.repeats.find(frame, run.plan) {
            return self.repeat_frame(frames, frame, run);
        }
        let payload = frames.payload(frame, run.plan);
        self.begin_event();
        if !run.plan.channels().is_empty() {
            match payload {
                Payload::Json => frames.survey(frame, &mut self.survey, run.plan)?,
                Payload::Done => self.close_all(),
                Payload::None | Payload::Text => {}
            }
            self.bind(run.plan)?;
            self.write_tails(frames, Instances::ends_before, run)?;
        }
        let room = self.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.notes, room);
        frames.write(frame, payload, self.flow(), &mut sink)?;
        let found = sink.replaced > 0 || sink.restored > 0;
        self.keep_carriers(frame, run.plan);
        if payload == Payload::Json && !found {
            self.learn(frames, frame, run.plan);
        }
        self.settle(run.plan)
    }

    /// Writes a frame that is one before it again, but for some values.
    fn repeat_frame(
        &mut self,
        frames: &mut dyn Frames,
        frame: &[u8],
        run: &mut Run<'_>,
    ) -> Result<(), MaskError> {
        self.begin_event();
        self.swap_survey();
        self.bind(run.plan)?;
        self.write_tails(frames, Instances::ends_before, run)?;
        let room = self.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.notes, room);
        self.write_repeat(frame, &mut sink)?;
        self.swap_survey();
        self.keep_carriers(frame, run.plan);
        self.settle(run.plan)
    }

    /// Remembers a frame in which nothing was found.
    fn learn(&mut self, frames: &dyn Frames, frame: &[u8], plan: &MaskPlan) {
        let start = frames.payload_start(frame);
        // A document that ends all channels is told apart by all its bytes.
        if let (Some(start), Some((given, values))) = (start, frames.document().document.given())
            && given == self.survey.fragments.len()
            && !plan.is_ended_by_documents()
            && self.room(plan) >= LEAST_ROOM
        {
            self.repeats.learn(frame, start, &self.survey, values);
        }
    }

    fn write_tail(
        &mut self,
        frames: &mut dyn Frames,
        place: usize,
        run: &mut Run<'_>,
    ) -> Result<(), MaskError> {
        let room = self.room(run.plan);
        let Some(instance) = self.list.get_mut(place) else { return Ok(()) };
        let mut tail = Vec::new();
        instance.finish(&mut Sink::new(run.plan, &mut tail, run.notes, room))?;
        if tail.is_empty() {
            return Ok(());
        }
        let template = run.plan.channel(instance.channel).and_then(|channel| channel.tail.as_ref());
        if let Some(template) = template {
            if instance.keys.values().iter().any(|&key| key >= UNPRINTABLE_KEY) {
                return Err(MaskError::NoCarrier);
            }
            let document = template.document(&tail, instance.keys.values());
            let mut sink = Sink::new(run.plan, run.out, run.notes, room);
            sink.quiet = true;
            return frames.write_own(template.event(), &document, &mut sink);
        }
        let carrier = std::mem::take(&mut instance.carrier);
        if carrier.is_empty() {
            return Err(MaskError::NoCarrier);
        }
        let flow = Flow::Copy { fragment: instance.carrier_fragment, tail: &tail };
        let mut sink = Sink::new(run.plan, run.out, run.notes, room);
        sink.quiet = true;
        frames.write(&carrier, Payload::Json, flow, &mut sink)
    }
}

impl FrameDocument {
    pub(crate) fn new(plan: &MaskPlan) -> FrameDocument {
        let walker = || Walker::new(StateId::ROOT, plan.json_depth(), Follow::Nothing);
        FrameDocument {
            scout: walker(),
            walker: walker(),
            document: Document::default(),
            root: StateId::ROOT,
        }
    }

    /// Documents are at a place with this state: paths go on inside them.
    pub(crate) fn set_root(&mut self, root: StateId) {
        self.root = root;
        self.scout.lower_depth();
        self.walker.lower_depth();
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        self.scout.held() + self.walker.held() + self.document.held()
    }

    /// Between frames: gives back memory that is kept only to be used again.
    pub(crate) fn release(&mut self) {
        self.begin();
        self.begin_survey();
        self.document = Document::default();
    }

    /// Before a survey, part by part.
    pub(crate) fn begin_survey(&mut self) {
        self.scout.reset(self.root);
    }

    /// Surveys a part of the document.
    pub(crate) fn survey_part(
        &mut self,
        part: &[u8],
        survey: &mut Survey,
        plan: &MaskPlan,
    ) -> Result<(), MaskError> {
        self.scout.run(part, plan.paths(), &mut Surveyor { survey, plan }).map_err(refusal)
    }

    /// The end of the surveyed document.
    pub(crate) fn end_survey(&mut self, survey: &mut Survey, plan: &MaskPlan) -> Result<(), MaskError> {
        self.scout.end(&mut Surveyor { survey, plan }).map_err(refusal)
    }

    /// Before a document is written, part by part.
    pub(crate) fn begin(&mut self) {
        self.walker.reset(self.root);
        self.document.reset();
    }

    /// Writes a part of the document.
    pub(crate) fn write_part(
        &mut self,
        part: &[u8],
        flow: &mut Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let paths = sink.plan.paths();
        let mut writer = Writer { document: &mut self.document, sink, base: None, flow: flow.reborrow() };
        self.walker.run(part, paths, &mut writer).map_err(refusal)
    }

    /// Writes a part of a document that says itself where it ends; returns where it cannot go on, if it may end there.
    pub(crate) fn write_value(
        &mut self,
        part: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<Option<usize>, MaskError> {
        let paths = sink.plan.paths();
        let mut writer = Writer { document: &mut self.document, sink, base: None, flow: Flow::None };
        match self.walker.run(part, paths, &mut writer) {
            Ok(()) => Ok(None),
            Err(Stop::Syntax { taken }) if self.walker.may_end() => Ok(Some(taken)),
            Err(stop) => Err(refusal(stop)),
        }
    }

    /// A line end that the syntax has inside the document: a blank of it, but not a part of any value that may be
    /// dropped. It is not written.
    pub(crate) fn skip_line_end(
        &mut self,
        flow: &mut Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let paths = sink.plan.paths();
        let mut writer = Writer { document: &mut self.document, sink, base: None, flow: flow.reborrow() };
        self.walker.cell(b"", b"\n", paths, &mut writer).map_err(refusal)
    }

    /// The end of the document.
    pub(crate) fn finish(&mut self, flow: &mut Flow<'_>, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let mut writer = Writer { document: &mut self.document, sink, base: None, flow: flow.reborrow() };
        self.walker.end(&mut writer).map_err(refusal)?;
        writer.settle();
        Ok(())
    }

    /// Does what stands beside the document have to wait?
    pub(crate) fn holds_beside(&self) -> bool {
        self.document.scalar.has_ended() || self.document.lead.is_on()
    }

    /// Writes what stands beside the document: at once, or with what waits before it.
    pub(crate) fn beside(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Document { scalar, lead, .. } = &mut self.document;
        match scalar.behind() {
            Some(behind) => behind.extend_from_slice(bytes),
            None if lead.is_on() => lead.beside(bytes),
            None => out.extend_from_slice(bytes),
        }
    }

    /// The scalar that waits for what must follow it; bytes beside the document wait behind it.
    pub(crate) fn scalar(&mut self) -> &mut HeldScalar {
        &mut self.document.scalar
    }
}
