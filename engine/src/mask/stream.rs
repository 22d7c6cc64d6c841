//! An event stream as a body: events are held until they are complete, and leave in the write that completes them.
//!
//! Every event is surveyed, then written. Text that is undecided at the end of a fragment stays in its channel. Comments
//! and blank lines between events are written at once. Where the stream ends, what is not complete was cut off and is
//! dropped: an event without its blank line, which no reader dispatches, and text that still waits in a channel.

use super::MaskError;
use super::channel::Flow;
use super::event::{EventWriter, Payload};
use super::framer::{Framer, Run};
use super::instances::Instances;
use super::long::LongEvent;
use super::plan::MaskPlan;
use super::survey::UNPRINTABLE_KEY;
use super::text::Sink;
use crate::format::sse::{Found, LineFinder};

/// An event stream.
pub(crate) struct EventStream {
    lines: LineFinder,
    /// Bytes of a byte order mark seen; all of them once it is over.
    mark: usize,
    /// The block of lines that is not complete.
    block: Vec<u8>,
    /// The block is too large to be held.
    long: Option<LongEvent>,
    writer: EventWriter,
    instances: Instances,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl EventStream {
    pub(crate) fn new(plan: &MaskPlan) -> EventStream {
        EventStream {
            lines: LineFinder::default(),
            mark: 0,
            block: Vec::new(),
            long: None,
            writer: EventWriter::new(plan),
            instances: Instances::default(),
        }
    }

    fn write_chunk(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let chunk = self.take_mark(chunk, run.out);
        // What is before `start` is written or held, what is before `at` was looked at.
        let (mut start, mut at) = (0, 0);
        while at < chunk.len() {
            let from = at;
            let (taken, found) = self.lines.next(chunk.get(at..).unwrap_or_default());
            at += taken;
            if self.long.is_none() {
                let fresh = chunk.get(start..at).unwrap_or_default();
                let room = self.instances.room(run.plan);
                if self.block.len() + fresh.len() <= room {
                    let complete = match found {
                        Found::Nothing => false,
                        Found::LateFeed => self.block.is_empty() && fresh.len() == 1,
                        Found::Line { blank } => blank || is_comment(&self.block, fresh),
                    };
                    if complete {
                        self.take_block(fresh, run)?;
                        start = at;
                    }
                    continue;
                }
                // As much as fits is the head, wherever the chunks end.
                let head = room.saturating_sub(self.block.len());
                start += self.begin_long(fresh.get(..head).unwrap_or_default(), run)?;
            }
            let bytes = chunk.get(start.max(from)..at).unwrap_or_default();
            self.write_long(bytes, found, run)?;
            start = at;
        }
        self.block.extend_from_slice(chunk.get(start..).unwrap_or_default());
        Ok(())
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

    /// The block is too large: goes on without holding it. Returns how much of `fresh` that took; nothing is written if it fails.
    fn begin_long(&mut self, fresh: &[u8], run: &mut Run<'_>) -> Result<usize, MaskError> {
        let start = run.out.len();
        let mut head = std::mem::take(&mut self.block);
        head.extend_from_slice(fresh);
        match LongEvent::begin(&head, &mut self.writer, &mut self.instances, run) {
            Ok(long) => self.long = Some(long),
            Err(error) => {
                // The client has whole events only, so that an error event can follow.
                run.out.truncate(start);
                return Err(error);
            }
        }
        Ok(fresh.len())
    }

    fn write_long(&mut self, bytes: &[u8], found: Found, run: &mut Run<'_>) -> Result<(), MaskError> {
        if let Some(long) = &mut self.long
            && long.write(bytes, found, &mut self.writer, &mut self.instances, run)?
        {
            self.long = None;
        }
        Ok(())
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
        self.instances.begin_event();
        if !run.plan.channels().is_empty() {
            match payload {
                Payload::Json => self.writer.survey(block, &mut self.instances.survey, run.plan)?,
                Payload::Done => self.instances.close_all(),
                Payload::None | Payload::Text => {}
            }
            self.instances.bind(run.plan)?;
            for place in 0..self.instances.list.len() {
                if self.instances.ends_before(place) {
                    self.write_tail(place, run)?;
                }
            }
        }
        let room = self.instances.room(run.plan);
        let mut sink = Sink::new(run.plan, run.out, run.findings, room);
        self.writer.write(block, payload, self.instances.flow(), &mut sink)?;
        self.instances.keep_carriers(block, run.plan);
        self.instances.settle(run.plan)
    }

    /// Ends the text of an instance, in an event of its own if anything waits.
    fn write_tail(&mut self, place: usize, run: &mut Run<'_>) -> Result<(), MaskError> {
        let room = self.instances.room(run.plan);
        let Some(instance) = self.instances.list.get_mut(place) else { return Ok(()) };
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
}

impl Framer for EventStream {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        self.write_chunk(chunk, run)
    }

    /// What is not complete is a cut: it is dropped.
    fn end(&mut self, _run: &mut Run<'_>) -> Result<(), MaskError> {
        Ok(())
    }

    fn is_between_events(&self) -> bool {
        self.long.is_none()
    }

    fn held(&self) -> usize {
        let long = self.long.as_ref().map_or(0, LongEvent::held);
        self.instances.held() + self.block.len() + self.writer.held() + long
    }
}

/// At the end of a line: is the block one comment? A complete comment never stays, so its first byte tells.
fn is_comment(block: &[u8], fresh: &[u8]) -> bool {
    block.first().or(fresh.first()) == Some(&b':')
}
