//! Protobuf as a body: one message, held until it is complete.
//!
//! The message is the only text of unbounded size that is held; `limits.message` bounds it. gRPC puts a prefix before each
//! message (gRPC over HTTP/2, "Length-Prefixed-Message") and may send any number of them, each of which leaves in the
//! write that completes it.
//!
//! Messages that are compressed with gzip or deflate are opened and stay open; the limit holds for both forms.

use super::MaskError;
use super::framer::{Framer, Run};
use super::message::MessageWriter;
use super::plan::MaskPlan;
use super::text::Sink;
use crate::format::Coding;
use crate::format::inflate::{Inflate, Stop};

/// One message without a prefix: OTLP over HTTP and the like.
pub(super) struct ProtobufBody {
    message: Vec<u8>,
    writer: MessageWriter,
}

/// Messages with a prefix.
pub(super) struct GrpcStream {
    /// Prefix and message, as far as they have come.
    frame: Vec<u8>,
    writer: MessageWriter,
}

/// One byte of flags, four of length.
const PREFIX: usize = 5;

/// The one flag there is.
const COMPRESSED: u8 = 1;

impl ProtobufBody {
    pub(super) fn new(plan: &MaskPlan) -> ProtobufBody {
        ProtobufBody { message: Vec::new(), writer: MessageWriter::new(plan, "$") }
    }
}

impl Framer for ProtobufBody {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        if self.message.len() + chunk.len() > run.plan.message_limit() {
            self.message = Vec::new();
            return Err(MaskError::MessageLimit);
        }
        self.message.extend_from_slice(chunk);
        Ok(())
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        let message = std::mem::take(&mut self.message);
        write_message(&mut self.writer, &message, run)
    }

    fn held(&self) -> usize {
        self.message.len() + self.writer.held()
    }

    fn waits(&self) -> bool {
        !self.message.is_empty()
    }
}

impl GrpcStream {
    pub(super) fn new(plan: &MaskPlan) -> GrpcStream {
        GrpcStream { frame: Vec::new(), writer: MessageWriter::new(plan, "$") }
    }
}

impl Framer for GrpcStream {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut rest = chunk;
        loop {
            let fresh;
            (fresh, rest) = missing(&self.frame, PREFIX, rest);
            self.frame.extend_from_slice(fresh);
            let Some(length) = message_length(&self.frame, run.plan.message_limit())? else { return Ok(()) };
            let fresh;
            (fresh, rest) = missing(&self.frame, PREFIX + length, rest);
            self.frame.extend_from_slice(fresh);
            if self.frame.len() < PREFIX + length {
                return Ok(());
            }
            let frame = std::mem::take(&mut self.frame);
            write_frame(&mut self.writer, &frame, run)?;
            self.frame = frame;
            // One large message is no reason to hold its room for the rest of the stream.
            self.frame.clear();
            self.frame.shrink_to(run.plan.state_limit());
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn end(&mut self, _run: &mut Run<'_>) -> Result<(), MaskError> {
        if self.frame.is_empty() { Ok(()) } else { Err(MaskError::Truncated) }
    }

    fn held(&self) -> usize {
        self.frame.len() + self.writer.held()
    }
}

/// What `frame` lacks to be `size` long, and the rest behind it.
fn missing<'c>(frame: &[u8], size: usize, rest: &'c [u8]) -> (&'c [u8], &'c [u8]) {
    rest.split_at_checked(size.saturating_sub(frame.len())).unwrap_or((rest, &[]))
}

/// How long the message is; none until the prefix is complete.
fn message_length(frame: &[u8], limit: usize) -> Result<Option<usize>, MaskError> {
    let Some((&[flags, a, b, c, d], _)) = frame.split_first_chunk::<PREFIX>() else { return Ok(None) };
    if flags > COMPRESSED {
        return Err(MaskError::InvalidFrame);
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| MaskError::MessageLimit)?;
    if length > limit { Err(MaskError::MessageLimit) } else { Ok(Some(length)) }
}

/// Writes a complete frame. One that was compressed is not compressed again.
fn write_frame(writer: &mut MessageWriter, frame: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
    let (prefix, message) = frame.split_at_checked(PREFIX).ok_or(MaskError::Truncated)?;
    let start = run.out.len();
    run.out.extend_from_slice(&[0; PREFIX]);
    let done = if prefix.first() == Some(&COMPRESSED) {
        inflate(message, run.plan).and_then(|message| write_message(writer, &message, run))
    } else {
        write_message(writer, message, run)
    };
    done.inspect_err(|_| run.out.truncate(start))?;
    let length = run.out.len() - start - PREFIX;
    let length = u32::try_from(length).map_err(|_| MaskError::MessageLimit)?.to_be_bytes();
    if let Some(written) = run.out.get_mut(start + 1..start + PREFIX) {
        written.copy_from_slice(&length);
    }
    Ok(())
}

/// Opens a message. What it begins with tells gzip from deflate; what is neither is refused, whatever `grpc-encoding` says.
fn inflate(message: &[u8], plan: &MaskPlan) -> Result<Vec<u8>, MaskError> {
    let coding = if message.first() == Some(&0x1F) { Coding::Gzip } else { Coding::Deflate };
    let mut inflate = Inflate::new(coding, plan.inflate_ratio());
    let mut plain = Vec::new();
    let mut take = |piece: &[u8]| {
        if plain.len() + piece.len() > plan.message_limit() {
            return Err(MaskError::MessageLimit);
        }
        plain.extend_from_slice(piece);
        Ok(())
    };
    inflate.write(message, &mut take).map_err(|stop| match stop {
        Stop::Damaged => MaskError::Compressed,
        Stop::TooMuch => MaskError::InflateRatio,
        Stop::Visit(error) => error,
    })?;
    if inflate.is_complete() { Ok(plain) } else { Err(MaskError::Compressed) }
}

/// Writes a message: all of it, or nothing and an error.
fn write_message(writer: &mut MessageWriter, message: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
    let start = run.out.len();
    let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
    let done = writer.write(message, &mut sink);
    if done.is_err() {
        run.out.truncate(start);
    }
    done
}
