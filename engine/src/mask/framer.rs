//! [`Framer`]: what the masker knows of a syntax. One file implements it, one line of [`framer`] registers it.
//!
//! A framer finds the texts of a body and hands them to text units; it never looks for values itself. Everything it puts out
//! went through [`Run::out`], and what it holds counts against `limits.state`.

use super::MaskError;
use super::body::JsonBody;
use super::finding::Findings;
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

    /// What stands for a whole document whose end is not known yet; see [`Masker::ambiguous_tail`](super::Masker::ambiguous_tail).
    fn ambiguous_tail(&self) -> &[u8] {
        &[]
    }

    /// May an event of our own follow what was put out?
    fn is_between_events(&self) -> bool {
        false
    }
}

/// What a call works with.
pub(super) struct Run<'r> {
    pub(super) plan: &'r MaskPlan,
    pub(super) findings: &'r mut Findings,
    pub(super) out: &'r mut Vec<u8>,
}

/// The registry.
pub(super) fn framer(format: Format, plan: &MaskPlan) -> Box<dyn Framer> {
    match format {
        Format::Json => Box::new(JsonBody::new(plan)),
        Format::Sse => Box::new(EventStream::new(plan)),
        Format::Protobuf => Box::new(ProtobufBody::new(plan)),
        Format::Grpc => Box::new(GrpcStream::new(plan)),
    }
}
