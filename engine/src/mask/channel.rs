//! Channels: texts whose fragments arrive in several events.
//!
//! An instance of a channel keeps its text unit from event to event. What is undecided at the end of a fragment waits
//! and goes out with the next fragment of the same instance, in front; what still waits when the instance closes goes out
//! in an event of its own, before the closing one. So events keep their order, and no text changes its channel.

use super::MaskError;
use super::document::Layer;
use super::nested::Nested;
use super::plan::{ChannelId, ChannelPlan, MAX_KEYS, MaskPlan};
use super::text::{Location, Sink, TextUnit};
use crate::format::json::Block;
use crate::format::paths::StateId;

/// The values that name an instance of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceKeys {
    values: [u64; MAX_KEYS],
    length: usize,
}

/// One text of a channel.
pub(crate) struct Instance {
    pub(crate) channel: ChannelId,
    pub(crate) keys: InstanceKeys,
    body: Body,
    begun: bool,
    /// A span was replaced since the instance began: its signature is void.
    changed: bool,
    /// A signature was written.
    signature_passed: bool,
    /// To be removed when the event is written.
    pub(crate) closed: bool,
    /// The last event that gave to this text, while text waits.
    pub(crate) carrier: Vec<u8>,
    /// The fragment in `carrier` that takes the tail.
    pub(crate) carrier_fragment: usize,
    /// What the budget counts for it.
    pub(crate) charge: usize,
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::large_enum_variant, reason = "texts are the common case")
)]
enum Body {
    Text(TextUnit),
    Document(Box<Nested>),
}

/// A fragment of the current event and the instance it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Place in the table of instances.
    pub(crate) instance: usize,
    /// The text ends with this fragment.
    pub(crate) last: bool,
}

/// What happens to fragments while a document is written.
pub(crate) enum Flow<'w> {
    /// There are none.
    None,
    /// They belong to instances.
    Event {
        instances: &'w mut [Instance],
        fragments: &'w [Binding],
        /// The instance of each signature.
        signatures: &'w [Option<usize>],
    },
    /// The document is a copy that carries a tail.
    Copy { fragment: usize, tail: &'w [u8] },
}

impl InstanceKeys {
    pub(crate) fn push(&mut self, value: u64) {
        if let Some(slot) = self.values.get_mut(self.length) {
            *slot = value;
            self.length += 1;
        }
    }

    pub(crate) fn values(&self) -> &[u64] {
        self.values.get(..self.length).unwrap_or(&self.values)
    }
}

impl Instance {
    pub(crate) fn new(channel: ChannelId, keys: InstanceKeys, plan: &MaskPlan) -> Instance {
        let nested = plan.channel(channel).is_some_and(|channel| channel.nested);
        let body = if nested {
            Body::Document(Box::new(Nested::new(Layer::Json, plan.json_depth())))
        } else {
            Body::Text(TextUnit::default())
        };
        Instance {
            channel,
            keys,
            body,
            begun: false,
            changed: false,
            signature_passed: false,
            closed: false,
            carrier: Vec::new(),
            carrier_fragment: 0,
            charge: 0,
        }
    }

    /// Is a part of the text still to be written?
    pub(crate) fn waits(&self) -> bool {
        match &self.body {
            Body::Text(unit) => unit.waits(),
            Body::Document(nested) => nested.waits(),
        }
    }

    /// Was the text changed, so that a signature over it is void?
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(crate) fn held(&self) -> usize {
        let body = match &self.body {
            Body::Text(unit) => unit.held(),
            Body::Document(nested) => nested.held(),
        };
        size_of::<Instance>() + body + self.carrier.len()
    }

    /// Before a fragment whose place has this state.
    fn begin(&mut self, state: StateId) {
        if let (false, Body::Document(nested)) = (self.begun, &mut self.body) {
            nested.start(state);
        }
        self.begun = true;
    }

    fn write_block(&mut self, block: &Block<'_>, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        self.with(sink, |body, sink, at| match body {
            Body::Text(unit) => unit.block(block, sink, at),
            Body::Document(nested) => block.pieces().try_for_each(|(raw, text)| {
                if raw == text { nested.literal(text, sink, at) } else { nested.cell(raw, text, sink, at) }
            }),
        })
    }

    fn write(&mut self, raw: &[u8], text: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        self.with(sink, |body, sink, at| match body {
            Body::Text(unit) => unit.cell(raw, text, sink, at),
            Body::Document(nested) => nested.cell(raw, text, sink, at),
        })
    }

    /// The end of the text: writes what waits. Further fragments begin a new text.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        self.begun = false;
        self.with(sink, |body, sink, at| match body {
            Body::Text(unit) => unit.finish(sink, at),
            Body::Document(nested) => nested.finish(sink, at),
        })
    }

    fn with(
        &mut self,
        sink: &mut Sink<'_>,
        work: impl FnOnce(&mut Body, &mut Sink<'_>, Location<'_>) -> Result<(), MaskError>,
    ) -> Result<(), MaskError> {
        let channel: Option<&ChannelPlan> = sink.plan.channel(self.channel);
        let root = channel.map_or("channel", |channel| channel.label.as_str());
        let before = sink.replaced;
        let signed = channel.is_some_and(|channel| channel.signed);
        work(&mut self.body, sink, Location { strings: 1, verbatim: signed, ..Location::of(root) })?;
        if sink.replaced > before && !sink.quiet {
            self.changed = true;
            if signed && (sink.plan.refuses_signed() || self.signature_passed) {
                return Err(MaskError::SignedReasoning);
            }
        }
        Ok(())
    }
}

impl Flow<'_> {
    /// The same flow for a while.
    pub(crate) fn reborrow(&mut self) -> Flow<'_> {
        match self {
            Flow::None => Flow::None,
            Flow::Event { instances, fragments, signatures } => {
                Flow::Event { instances, fragments, signatures }
            }
            Flow::Copy { fragment, tail } => Flow::Copy { fragment: *fragment, tail },
        }
    }

    /// Do fragments matter here?
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Flow::None)
    }

    pub(crate) fn is_copy(&self) -> bool {
        matches!(self, Flow::Copy { .. })
    }

    /// What a copy has in place of a fragment.
    pub(crate) fn copied(&self, number: usize) -> Option<&[u8]> {
        match self {
            Flow::Copy { fragment, tail } => Some(if *fragment == number { tail } else { b"" }),
            _ => None,
        }
    }

    /// A fragment begins at a place with this state.
    pub(crate) fn begin(&mut self, number: usize, state: StateId) -> Result<(), MaskError> {
        self.instance(number)?.0.begin(state);
        Ok(())
    }

    pub(crate) fn write_block(
        &mut self,
        number: usize,
        block: &Block<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        self.instance(number)?.0.write_block(block, sink)
    }

    pub(crate) fn write(
        &mut self,
        number: usize,
        raw: &[u8],
        text: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        self.instance(number)?.0.write(raw, text, sink)
    }

    /// A fragment ends.
    pub(crate) fn end(&mut self, number: usize, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let (instance, last) = self.instance(number)?;
        if last {
            return instance.finish(sink);
        }
        if let Body::Document(nested) = &mut instance.body
            && let Some(unit) = nested.take_text()
        {
            // Most texts that may be documents are none, and a stream may have many of them.
            instance.body = Body::Text(unit);
        }
        Ok(())
    }

    /// Must this signature be emptied?
    pub(crate) fn is_signature_void(&self, number: usize) -> bool {
        match self {
            Flow::None => false,
            Flow::Copy { .. } => true,
            Flow::Event { instances, signatures, .. } => {
                let instance =
                    signatures.get(number).copied().flatten().and_then(|place| instances.get(place));
                instance.is_some_and(Instance::is_changed)
            }
        }
    }

    /// A signature that is not empty is written.
    pub(crate) fn signature_passes(&mut self, number: usize) {
        if let Flow::Event { instances, signatures, .. } = self
            && let Some(instance) =
                signatures.get(number).copied().flatten().and_then(|at| instances.get_mut(at))
        {
            instance.signature_passed = true;
        }
    }

    fn instance(&mut self, number: usize) -> Result<(&mut Instance, bool), MaskError> {
        let Flow::Event { instances, fragments, .. } = self else { return Err(MaskError::LateMember) };
        let binding = fragments.get(number).ok_or(MaskError::LateMember)?;
        let instance = instances.get_mut(binding.instance).ok_or(MaskError::LateMember)?;
        Ok((instance, binding.last))
    }
}
