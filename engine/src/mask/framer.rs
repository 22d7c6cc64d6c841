//! [`Framer`]: what the masker knows of a syntax. One file implements it, one line of [`framer`] registers it.
//!
//! A framer finds the texts of a body and hands them to text units; it never looks for values itself. Everything it puts out
//! went through [`Run::out`], and what it holds counts against `limits.state`.

use super::MaskError;
use super::body::JsonBody;
use super::eventstream::EventFrames;
use super::form::FormBody;
use super::lines::ObjectStream;
use super::multipart::MultipartBody;
use super::notes::Notes;
use super::opaque::OpaqueBody;
use super::plain::{Sniffed, TextBody};
use super::plan::MaskPlan;
use super::protobuf::{GrpcStream, ProtobufBody};
use super::stream::EventStream;
use crate::format::Format;

/// Rewrites the bodies of one syntax.
pub(super) trait Framer {
    /// Takes the next bytes; appends what may leave now.
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError>;

    /// The body is complete: appends what is left, or says that it cannot end here.
    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError>;

    /// Bytes of text and state that are held.
    fn held(&self) -> usize;

    /// See [`Masker::waits`](super::Masker::waits).
    fn waits(&self) -> bool {
        false
    }

    /// What tells a reader about a refusal, if anything of our own may follow what was put out.
    fn error_event<'f>(&'f self, _plan: &'f MaskPlan) -> Option<&'f [u8]> {
        None
    }
}

/// What a call works with.
pub(super) struct Run<'r> {
    pub(super) plan: &'r MaskPlan,
    pub(super) notes: &'r mut Notes,
    pub(super) out: &'r mut Vec<u8>,
}

/// The registry.
pub(super) fn framer(format: Format, plan: &MaskPlan) -> Box<dyn Framer> {
    match format {
        // Without channels nothing has to be joined, so any number of documents may go by.
        Format::Json | Format::Lines if plan.channels().is_empty() => Box::new(JsonBody::new(plan)),
        Format::Json => Box::new(ObjectStream::new(plan, plan.expects_lines())),
        Format::Lines => Box::new(ObjectStream::new(plan, true)),
        Format::Sse => Box::new(EventStream::new(plan)),
        Format::Form => Box::new(Sniffed::form(Box::new(FormBody::new("form", plan)))),
        Format::Multipart { form, boundary } => Box::new(MultipartBody::new(form, &boundary)),
        Format::Text => Box::new(Sniffed::text(Box::new(TextBody::default()))),
        Format::Protobuf => Box::new(ProtobufBody::new(plan)),
        Format::Grpc => Box::new(GrpcStream::new(plan)),
        Format::EventStream => Box::new(EventFrames::new(plan)),
        Format::Opaque(pass) => Box::new(OpaqueBody::new(pass)),
    }
}
