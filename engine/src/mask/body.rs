//! A whole JSON document as a body. Written as it comes; only what is undecided is held.
//!
//! Several documents, one a line, are accepted only where nothing is known of channels: their texts would have to be
//! joined over the lines, which is what [`lines`](super::lines) does.

use super::MaskError;
use super::channel::Flow;
use super::document::{Document, Writer};
use super::framer::{Framer, Run};
use super::plan::MaskPlan;
use super::text::Sink;
use crate::format::json::{Follow, Stop, Walker};
use crate::format::paths::StateId;

/// A JSON body.
pub(crate) struct JsonBody {
    walker: Walker,
    document: Document,
}

impl JsonBody {
    pub(crate) fn new(plan: &MaskPlan) -> JsonBody {
        // SECURITY: a stream of deltas that says it is a document must not pass line by line.
        let follow = if plan.channels().is_empty() { Follow::Lines } else { Follow::Nothing };
        let walker = Walker::new(StateId::ROOT, plan.json_depth(), follow);
        JsonBody { walker, document: Document::default() }
    }

    /// Is a byte order mark begun that is not complete?
    pub(crate) fn is_in_mark(&self) -> bool {
        self.walker.is_in_mark()
    }
}

impl Framer for JsonBody {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let plan = run.plan;
        let mut sink = Sink::new(plan, run.out, run.notes, plan.state_limit());
        let mut writer =
            Writer { document: &mut self.document, sink: &mut sink, base: None, flow: Flow::None };
        self.walker.run(chunk, plan.paths(), &mut writer).map_err(refusal)
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        if self.walker.is_untouched() {
            // An empty body is no document, and nothing to inspect.
            return Ok(());
        }
        let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
        let mut writer =
            Writer { document: &mut self.document, sink: &mut sink, base: None, flow: Flow::None };
        match self.walker.end(&mut writer) {
            Err(Stop::Syntax { .. }) => Err(MaskError::Truncated),
            Err(stop) => Err(refusal(stop)),
            Ok(()) => {
                writer.settle();
                Ok(())
            }
        }
    }

    /// Only a number, or a literal, does not say where it ends.
    fn waits(&self) -> bool {
        self.walker.may_end() && self.document.scalar.waits()
    }

    fn held(&self) -> usize {
        self.walker.held() + self.document.held()
    }
}

/// Why a walk that stopped refuses the body.
pub(crate) fn refusal(stop: Stop<MaskError>) -> MaskError {
    match stop {
        Stop::Syntax { .. } => MaskError::InvalidJson,
        Stop::TooDeep => MaskError::TooDeep,
        Stop::Visit(error) => error,
    }
}
