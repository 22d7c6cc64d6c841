//! Masking: the one object that rewrites bodies, [`Masker`].
//!
//! What it guarantees, however a message is cut into writes, events or fragments:
//!
//! 1. **No leak.** No byte of a value that a mask covers is ever put out, not even a prefix of it.
//! 2. **Chunking does not matter.** What is put out depends only on the concatenated input.
//! 3. **Byte-exact elsewhere.** What no mask covers comes out as it came in, escapes and white space included.
//! 4. **Still valid.** JSON stays JSON, an event stream keeps its events, their order and ids.
//! 5. **Prompt.** A byte is held only while it can still become part of a finding; events leave when they are complete.
//! 6. **Bounded.** Held bytes and state stay below `limits.state`; beyond it the message is refused.
//!
//! The one thing that is put back is what the same exchange took out: see [`Pseudonyms`].
//!
//! What cannot be inspected is refused: an error is final, and nothing is put out after it. Content codings (gzip, deflate)
//! are opened in front of it, and what is put out is not encoded again. It does not open encodings inside of values
//! (base64), and it does not know what a detector looks for.
//!
//! ```text
//!   bytes ─► format (where) ─► text unit (what) ─► bytes
//!            json, sse          one string, one number, one channel of a stream
//! ```

mod attribute;
pub mod automaton;
mod body;
mod capture;
mod channel;
pub mod detector;
mod document;
mod event;
mod eventstream;
mod finding;
mod form;
mod framer;
mod frames;
mod head;
mod instances;
mod keyed;
mod keys;
mod lead;
mod lines;
mod long;
mod message;
mod mistyped;
mod multipart;
mod nested;
mod notes;
mod opaque;
mod plain;
mod plan;
mod protobuf;
mod pseudonym;
mod repeat;
mod scalar;
pub mod scan;
mod stream;
mod survey;
mod text;
mod trailers;
pub mod validate;
mod wrapped;

pub use finding::{Finding, Findings, Unseen, UnseenKind, What};
pub(crate) use head::{is_exempt, mask_headers, mask_query, scan_path};
pub use plan::{InvalidPlan, MaskPlan, Place};
pub(crate) use trailers::mask_trailers;

use crate::decision::Direction;
use crate::format::inflate::{Inflate, Stop};
use crate::format::{Coding, Format};
use framer::{Framer, Run, framer};
pub(crate) use notes::Notes;
#[cfg(feature = "compile")]
pub(crate) use pseudonym::Form;
pub use pseudonym::Pseudonyms;
use std::sync::Arc;

/// Rewrites one body: bytes in, bytes that may leave out.
pub struct Masker {
    plan: Arc<MaskPlan>,
    // SECURITY: what holds text has no `Debug`; a masker prints sizes only.
    framer: Box<dyn Framer>,
    inflate: Option<Box<Inflate>>,
    notes: Notes,
    failed: Option<MaskError>,
}

/// What a whole body came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskSummary {
    /// Everything that was masked.
    pub findings: Findings,
}

/// Bytes that went through a [`Masker`]. Only this module makes them, so whoever takes a `Masked` cannot be handed raw bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Masked<'a>(&'a [u8]);

/// Why a body is refused. Says nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// Not JSON (RFC 8259) where JSON is expected.
    #[error("invalid JSON")]
    InvalidJson,
    /// The message ends in the middle of a document or event.
    #[error("message ends too early")]
    Truncated,
    /// Nested deeper than `limits.jsonDepth`.
    #[error("JSON nested too deeply")]
    TooDeep,
    /// More would have to be held than `limits.state`.
    #[error("more state needed than the limit allows")]
    Budget,
    /// A detector's bound did not hold.
    #[error("scan overflowed")]
    Overflow,
    /// A finding in a signed reasoning block, and the policy says `thinking: refuse`; or its signature left already.
    #[error("finding in a signed reasoning block")]
    SignedReasoning,
    /// A finding in the `id:` of an event, which clients send back.
    #[error("finding in an event id")]
    EventId,
    /// What closes a channel or names it came too late in an event that is too large to hold.
    #[error("event too large for its order of members")]
    LateMember,
    /// A text has to be brought by an event that cannot be written.
    #[error("no event can carry the waiting text")]
    NoCarrier,
    /// UTF-16 or UTF-32, or a NUL in text: an ASCII byte does not mean itself.
    #[error("text in an unsupported charset")]
    Charset,
    /// A content coding (gzip, deflate) that is damaged, or followed by something else.
    #[error("damaged content coding")]
    Coding,
    /// A multipart body that is malformed, or that readers would not cut in the same way.
    #[error("malformed multipart body")]
    Multipart,
    /// A part whose type or transfer encoding cannot be inspected.
    #[error("part that cannot be inspected")]
    Part,
    /// It is one of the formats that are masked, and its type says that nobody can read it.
    #[error("content that is not what its type says")]
    Mislabelled,
    /// JSON in a body that calls itself a form, and is another text where it is read as one.
    #[error("JSON that calls itself a form and reads differently as one")]
    AmbiguousForm,
    /// More comes out of a content coding than `limits.inflateRatio` allows.
    #[error("content coding expands too much")]
    InflateRatio,
    /// Not the format of lengths and values that is expected (protobuf, gRPC).
    #[error("malformed message")]
    InvalidFrame,
    /// A message larger than `limits.message`.
    #[error("message larger than the limit allows")]
    MessageLimit,
    /// A message that is compressed on its own, and not with gzip or deflate, or damaged.
    #[error("compressed message that cannot be opened")]
    Compressed,
}

impl MaskError {
    /// A stable word for audit events and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            MaskError::InvalidJson => "invalid-json",
            MaskError::Truncated => "truncated",
            MaskError::TooDeep => "json-too-deep",
            MaskError::Budget => "budget",
            MaskError::Overflow => "scan-overflow",
            MaskError::SignedReasoning => "signed-reasoning",
            MaskError::EventId => "finding-in-event-id",
            MaskError::LateMember => "late-member",
            MaskError::NoCarrier => "no-carrier",
            MaskError::Charset => "charset",
            MaskError::Coding => "content-coding",
            MaskError::Multipart => "multipart",
            MaskError::Part => "part",
            MaskError::Mislabelled => "mislabelled",
            MaskError::AmbiguousForm => "ambiguous-form",
            MaskError::InflateRatio => "inflate-ratio",
            MaskError::InvalidFrame => "malformed-message",
            MaskError::MessageLimit => "message-limit",
            MaskError::Compressed => "compressed-message",
        }
    }
}

impl Masker {
    /// A masker for one body.
    #[must_use]
    pub fn new(plan: Arc<MaskPlan>, format: Format) -> Masker {
        let framer = framer(format, &plan);
        Masker { plan, framer, inflate: None, notes: Notes::default(), failed: None }
    }

    /// The same for a body with this content coding. What is put out is not encoded.
    #[must_use]
    pub fn opening(self, coding: Coding) -> Masker {
        let inflate = Some(Box::new(Inflate::new(coding, self.plan.inflate_ratio())));
        Masker { inflate, ..self }
    }

    /// The same for a body of an exchange with these pseudonyms: a request is given tokens, a response gets values back.
    #[must_use]
    pub fn sharing(mut self, pseudonyms: &Pseudonyms, direction: Direction) -> Masker {
        self.notes.join(pseudonyms.party(direction));
        self
    }

    /// Takes the next bytes; appends to `out` what may leave now.
    ///
    /// # Errors
    /// The body is refused. The error is final: every further call returns it and appends nothing. What was appended
    /// before is masked and may be sent.
    pub fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Masker { plan, framer, inflate, notes, .. } = self;
        let mut run = Run { plan, notes, out };
        let done = match inflate {
            None => framer.write(chunk, &mut run),
            Some(inflate) => {
                let opened = inflate.write(chunk, &mut |piece| framer.write(piece, &mut run));
                opened.map_err(|stop| match stop {
                    Stop::Damaged => MaskError::Coding,
                    Stop::TooMuch => MaskError::InflateRatio,
                    Stop::Visit(error) => error,
                })
            }
        };
        self.failed = done.err();
        done
    }

    /// Like [`Masker::write`]; returns what was appended as proof that it is masked.
    ///
    /// # Errors
    /// As [`Masker::write`].
    pub fn write_masked<'a>(&mut self, chunk: &[u8], out: &'a mut Vec<u8>) -> Result<Masked<'a>, MaskError> {
        let start = out.len();
        self.write(chunk, out)?;
        Ok(Masked(out.get(start..).unwrap_or_default()))
    }

    /// Ends the body; appends what is left.
    ///
    /// # Errors
    /// As [`Masker::write`]; [`MaskError::Truncated`] if the body cannot end here.
    pub fn end(mut self, out: &mut Vec<u8>) -> Result<MaskSummary, MaskError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.inflate.is_some_and(|inflate| !inflate.is_complete()) {
            return Err(MaskError::Truncated);
        }
        self.framer.end(&mut Run { plan: &self.plan, notes: &mut self.notes, out })?;
        Ok(MaskSummary { findings: self.notes.findings })
    }

    /// What was masked so far.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.notes.findings
    }

    /// Bytes and state that are held now, in bytes. What opens a content coding is not among them: it is the same for
    /// every body.
    #[must_use]
    pub fn held(&self) -> usize {
        self.framer.held()
    }

    /// Would the end of a document that may end here still have something to write? Never so for frames of a stream: what
    /// they hold when the stream just stops is a cut.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.failed.is_none() && self.framer.waits()
    }

    /// The event that tells a client of this content about a refusal in mid-stream; none where it would end up inside
    /// an event that was written in part.
    #[must_use]
    pub fn error_event(&self) -> Option<&[u8]> {
        self.framer.error_event(&self.plan)
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("Masker");
        text.field("held", &self.held())
            .field("found", &self.notes.findings.total())
            .field("failed", &self.failed);
        text.finish_non_exhaustive()
    }
}

impl Masked<'_> {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0
    }
}

impl std::fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masked({} bytes)", self.0.len())
    }
}
