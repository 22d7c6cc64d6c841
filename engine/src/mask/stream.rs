//! An event stream as a body: events are held until they are complete, and leave in the write that completes them.
//!
//! Every event is surveyed, then written. Text that is undecided at the end of a fragment stays in its channel. Comments
//! and blank lines between events are written at once. Where the stream ends, what is not complete was cut off and is
//! dropped: an event without its blank line, which no reader dispatches, and text that still waits in a channel.

use super::MaskError;
use super::channel::{Binding, Flow, Instance};
use super::event::{EventWriter, Payload};
use super::finding::Findings;
use super::plan::MaskPlan;
use super::survey::{Survey, UNPRINTABLE_KEY};
use super::text::Sink;
use crate::format::sse::{Found, LineFinder};

/// An event stream.
#[derive(Debug)]
pub(crate) struct EventStream {
    lines: LineFinder,
    /// Bytes of a byte order mark seen; all of them once it is over.
    mark: usize,
    /// The block of lines that is not complete.
    block: Vec<u8>,
    writer: EventWriter,
    survey: Survey,
    instances: Vec<Instance>,
    fragments: Vec<Binding>,
    signatures: Vec<Option<usize>>,
    /// Bytes that instances hold.
    charged: usize,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a write works with.
struct Run<'r> {
    plan: &'r MaskPlan,
    findings: &'r mut Findings,
    out: &'r mut Vec<u8>,
}

impl EventStream {
    pub(crate) fn new(plan: &MaskPlan) -> EventStream {
        EventStream {
            lines: LineFinder::default(),
            mark: 0,
            block: Vec::new(),
            writer: EventWriter::new(plan),
            survey: Survey::default(),
            instances: Vec::new(),
            fragments: Vec::new(),
            signatures: Vec::new(),
            charged: 0,
        }
    }

    pub(crate) fn write(
        &mut self,
        plan: &MaskPlan,
        findings: &mut Findings,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        let mut run = Run { plan, findings, out };
        let chunk = self.take_mark(chunk, run.out);
        // What is before `start` is written or held, what is before `at` was looked at.
        let (mut start, mut at) = (0, 0);
        while at < chunk.len() {
            let (taken, found) = self.lines.next(chunk.get(at..).unwrap_or_default());
            at += taken;
            let fresh = chunk.get(start..at).unwrap_or_default();
            if self.block.len() + fresh.len() > self.room(plan) {
                return Err(MaskError::Budget);
            }
            let complete = match found {
                Found::Nothing => false,
                Found::LateFeed => self.block.is_empty() && fresh.len() == 1,
                Found::Line { blank } => blank || is_comment(&self.block, fresh),
            };
            if complete {
                self.take_block(fresh, &mut run)?;
                start = at;
            }
        }
        self.block.extend_from_slice(chunk.get(start..).unwrap_or_default());
        Ok(())
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        self.charged + self.block.len() + self.writer.held()
    }

    /// Bytes that the events may still take.
    fn room(&self, plan: &MaskPlan) -> usize {
        plan.state_limit().saturating_sub(self.charged)
    }

    /// Passes the byte order mark.
    fn take_mark<'c>(&mut self, chunk: &'c [u8], out: &mut Vec<u8>) -> &'c [u8] {
        let mut rest = chunk;
        while let (Some(expected), Some((byte, after))) = (BYTE_ORDER_MARK.get(self.mark), rest.split_first())
        {
            if byte == expected {
                self.mark += 1;
                rest = after;
                if self.mark == BYTE_ORDER_MARK.len() {
                    out.extend_from_slice(BYTE_ORDER_MARK);
                }
            } else {
                if self.mark > 0 {
                    self.block.extend_from_slice(BYTE_ORDER_MARK.get(..self.mark).unwrap_or_default());
                    self.lines.begin_line();
                }
                self.mark = BYTE_ORDER_MARK.len();
            }
        }
        rest
    }

    /// Writes a block whose last bytes are `fresh`: all of it, or nothing and an error.
    fn take_block(&mut self, fresh: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let start = run.out.len();
        let done = if self.block.is_empty() {
            self.write_block(fresh, run)
        } else {
            let mut block = std::mem::take(&mut self.block);
            block.extend_from_slice(fresh);
            let done = self.write_block(&block, run);
            block.clear();
            self.block = block;
            done
        };
        if done.is_err() {
            // The client has whole events only, so that an error event can follow.
            run.out.truncate(start);
        }
        done
    }

    fn write_block(&mut self, block: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let payload = self.writer.payload(block, run.plan);
        self.survey.clear();
        self.fragments.clear();
        self.signatures.clear();
        if !run.plan.channels().is_empty() {
            match payload {
                Payload::Json => self.writer.survey(block, &mut self.survey, run.plan)?,
                Payload::Done => {
                    for instance in &mut self.instances {
                        instance.closed = true;
                    }
                }
                Payload::None | Payload::Text => {}
            }
        }
        self.bind(run.plan)?;
        for place in 0..self.instances.len() {
            if self.ends_before(place) {
                self.write_tail(place, run)?;
            }
        }
        let room = self.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.findings, room);
        let flow = Flow::Event {
            instances: &mut self.instances,
            fragments: &self.fragments,
            signatures: &self.signatures,
        };
        self.writer.write(block, payload, flow, &mut sink)?;
        self.keep_carriers(block, run.plan);
        self.settle(run.plan)
    }

    /// Finds or makes the instance of every fragment, and marks what the event closes.
    fn bind(&mut self, plan: &MaskPlan) -> Result<(), MaskError> {
        for (channel, arrays) in &self.survey.fragments {
            let uses = plan.channel(*channel).map(|channel| channel.keys.as_slice()).unwrap_or_default();
            let keys = self.survey.keys_of(uses, arrays);
            let known =
                self.instances.iter().position(|known| known.channel == *channel && known.keys == keys);
            let instance = match known {
                Some(place) => place,
                None => {
                    let mut instance = Instance::new(*channel, keys, plan);
                    instance.charge = instance.held();
                    self.charged += instance.charge;
                    self.instances.push(instance);
                    if self.charged > plan.state_limit() {
                        return Err(MaskError::Budget);
                    }
                    self.instances.len() - 1
                }
            };
            self.fragments.push(Binding { instance, last: false });
        }
        for (closer, arrays) in &self.survey.closers {
            let Some(closer) = plan.channels().closer(*closer) else { continue };
            for instance in self.instances.iter_mut().filter(|instance| instance.channel == closer.channel) {
                instance.closed |= self.survey.agrees(&closer.keys, arrays, &instance.keys);
            }
        }
        for (channel, arrays) in &self.survey.signatures {
            let uses =
                plan.channel(*channel).map(|channel| channel.signature_keys.as_slice()).unwrap_or_default();
            let signed = self.instances.iter().position(|instance| {
                instance.channel == *channel && self.survey.agrees(uses, arrays, &instance.keys)
            });
            self.signatures.push(signed);
        }
        for place in 0..self.instances.len() {
            if self.is_ending(place)
                && let Some(last) =
                    self.fragments.iter_mut().rev().find(|fragment| fragment.instance == place)
            {
                last.last = true;
            }
        }
        Ok(())
    }

    /// Does the text of this instance end with the event?
    fn is_ending(&self, place: usize) -> bool {
        let closed = self.instances.get(place).is_some_and(|instance| instance.closed);
        closed || self.signatures.contains(&Some(place))
    }

    /// Does its text end before the event, because the event gives nothing to it?
    fn ends_before(&self, place: usize) -> bool {
        self.is_ending(place) && !self.fragments.iter().any(|fragment| fragment.instance == place)
    }

    /// Ends the text of an instance, in an event of its own if anything waits.
    fn write_tail(&mut self, place: usize, run: &mut Run<'_>) -> Result<(), MaskError> {
        let room = self.room(run.plan);
        let Some(instance) = self.instances.get_mut(place) else { return Ok(()) };
        let mut tail = Vec::new();
        instance.finish(&mut Sink::new(run.plan, &mut tail, run.findings, room))?;
        if tail.is_empty() {
            return Ok(());
        }
        let template = run.plan.channel(instance.channel).and_then(|channel| channel.tail.as_ref());
        if let Some(template) = template {
            if instance.keys.values().iter().any(|&key| key >= UNPRINTABLE_KEY) {
                return Err(MaskError::NoCarrier);
            }
            template.write(&tail, instance.keys.values(), run.out);
            return Ok(());
        }
        let carrier = std::mem::take(&mut instance.carrier);
        if carrier.is_empty() {
            return Err(MaskError::NoCarrier);
        }
        let flow = Flow::Copy { fragment: instance.carrier_fragment, tail: &tail };
        let mut sink = Sink::new(run.plan, run.out, run.findings, room);
        sink.quiet = true;
        self.writer.write(&carrier, Payload::Json, flow, &mut sink)?;
        if carrier.ends_with(b"\r\n\r") {
            // The LF of the last line end came after the event was taken.
            run.out.push(b'\n');
        }
        Ok(())
    }

    /// Remembers this event for the instances in which text waits.
    fn keep_carriers(&mut self, block: &[u8], plan: &MaskPlan) {
        for place in 0..self.instances.len() {
            let Some(number) = self.fragments.iter().position(|fragment| fragment.instance == place) else {
                continue;
            };
            let Some(instance) = self.instances.get_mut(place) else { continue };
            instance.carrier.clear();
            let copied = plan.channel(instance.channel).is_none_or(|channel| channel.tail.is_none());
            if copied && !instance.closed && instance.waits() {
                instance.carrier.extend_from_slice(block);
                instance.carrier_fragment = number;
            }
        }
    }

    /// Removes what the event closed and counts what is held now.
    fn settle(&mut self, plan: &MaskPlan) -> Result<(), MaskError> {
        self.instances.retain(|instance| !instance.closed);
        for instance in &mut self.instances {
            instance.charge = instance.held();
        }
        self.charged = self.instances.iter().map(|instance| instance.charge).sum();
        if self.charged > plan.state_limit() { Err(MaskError::Budget) } else { Ok(()) }
    }
}

/// At the end of a line: is the block one comment? A complete comment never stays, so its first byte tells.
fn is_comment(block: &[u8], fresh: &[u8]) -> bool {
    block.first().or(fresh.first()) == Some(&b':')
}
