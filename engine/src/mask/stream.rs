//! An event stream as a body: events are held until they are complete, and leave in the write that completes them.
//!
//! Events are the frames of [`frames`](super::frames). Text that is undecided at the end of a fragment stays in its
//! channel. Comments and blank lines between events are written at once. Where the stream ends, what is not complete was cut off and is
//! dropped: an event without its blank line, which no reader dispatches, and text that still waits in a channel.

use super::MaskError;
use super::event::EventWriter;
use super::framer::{Framer, Run};
use super::instances::Instances;
use super::long::LongEvent;
use super::plan::MaskPlan;
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
        if self.long.is_none() && self.held() > run.plan.state_limit() {
            // The room of an event does not depend on what came before it, so memory makes way for it.
            self.writer.release();
        }
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

    /// Writes a block whose last bytes are `fresh`.
    fn take_block(&mut self, fresh: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        if self.block.is_empty() {
            return self.instances.write_frame(&mut self.writer, fresh, run);
        }
        self.block.extend_from_slice(fresh);
        let done = self.instances.write_frame(&mut self.writer, &self.block, run);
        self.block.clear();
        done
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

    fn error_event<'f>(&'f self, plan: &'f MaskPlan) -> Option<&'f [u8]> {
        if self.long.is_none() { plan.error_event() } else { None }
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
