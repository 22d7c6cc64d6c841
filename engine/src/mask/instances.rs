//! The channel instances that are alive, and what the current event has to do with them.

use super::MaskError;
use super::channel::{Binding, Flow, Instance};
use super::plan::{ChannelId, MaskPlan};
use super::repeat::Repeats;
use super::survey::{Arrays, Survey};
use super::text::Sink;

/// All instances of a stream.
#[derive(Default)]
pub(crate) struct Instances {
    pub(crate) list: Vec<Instance>,
    /// What the current event has.
    pub(crate) survey: Survey,
    /// The instance of each fragment of the current event.
    pub(crate) fragments: Vec<Binding>,
    /// The instance of each signature of the current event.
    signatures: Vec<Option<usize>>,
    /// Frames that may come again.
    pub(crate) repeats: Repeats,
    /// Bytes that the instances hold.
    charged: usize,
}

impl Instances {
    /// Before an event.
    pub(crate) fn begin_event(&mut self) {
        self.survey.clear();
        self.fragments.clear();
        self.signatures.clear();
    }

    /// Takes the survey of the latest remembered frame for that of the current one, and gives it back.
    pub(crate) fn swap_survey(&mut self) {
        if let Some(repeat) = self.repeats.latest() {
            std::mem::swap(&mut self.survey, &mut repeat.survey);
        }
    }

    /// Writes the current frame, which is the latest remembered one but for some values.
    pub(crate) fn write_repeat(&mut self, frame: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        let Instances { list, fragments, signatures, repeats, .. } = self;
        let mut flow = Flow::Event { instances: list, fragments, signatures };
        repeats.latest().map_or(Err(MaskError::InvalidJson), |repeat| repeat.write(frame, &mut flow, sink))
    }

    /// What happens to the fragments of the current event.
    pub(crate) fn flow(&mut self) -> Flow<'_> {
        Flow::Event { instances: &mut self.list, fragments: &self.fragments, signatures: &self.signatures }
    }

    /// Bytes that all instances hold.
    pub(crate) fn held(&self) -> usize {
        self.charged
    }

    /// Bytes that are left for an event.
    pub(crate) fn room(&self, plan: &MaskPlan) -> usize {
        plan.state_limit().saturating_sub(self.charged)
    }

    /// Binds the surveyed fragments and signatures, and marks what the event closes.
    pub(crate) fn bind(&mut self, plan: &MaskPlan) -> Result<(), MaskError> {
        for number in 0..self.survey.fragments.len() {
            if let Some(&(first, arrays)) = self.survey.fragments.get(number) {
                let (channel, _) = self.survey.channel_of(first, &arrays, plan);
                let instance = self.instance(channel, &arrays, plan)?;
                self.fragments.push(Binding { instance, last: false });
            }
        }
        self.mark_closed(plan);
        for (channel, arrays) in &self.survey.signatures {
            let uses =
                plan.channel(*channel).map(|channel| channel.signature_keys.as_slice()).unwrap_or_default();
            let signed = self.list.iter().position(|instance| {
                instance.channel == *channel && self.survey.agrees(uses, arrays, &instance.keys)
            });
            self.signatures.push(signed);
        }
        for place in 0..self.list.len() {
            if self.is_ending(place)
                && let Some(last) =
                    self.fragments.iter_mut().rev().find(|fragment| fragment.instance == place)
            {
                last.last = true;
            }
        }
        Ok(())
    }

    /// The end of all channels.
    pub(crate) fn close_all(&mut self) {
        for instance in &mut self.list {
            instance.closed = true;
        }
    }

    /// Marks what the surveyed closers close.
    pub(crate) fn mark_closed(&mut self, plan: &MaskPlan) {
        for (closer, arrays) in &self.survey.closers {
            let Some(closer) = plan.channels().closer(*closer) else { continue };
            for instance in self.list.iter_mut().filter(|instance| instance.channel == closer.channel) {
                instance.closed |= self.survey.agrees(&closer.keys, arrays, &instance.keys);
            }
        }
    }

    /// The instance of a fragment; a new one if there is none.
    pub(crate) fn instance(
        &mut self,
        channel: ChannelId,
        arrays: &Arrays,
        plan: &MaskPlan,
    ) -> Result<usize, MaskError> {
        let uses = plan.channel(channel).map(|channel| channel.keys.as_slice()).unwrap_or_default();
        let keys = self.survey.keys_of(uses, arrays);
        if let Some(known) = self.list.iter().position(|known| known.channel == channel && known.keys == keys)
        {
            return Ok(known);
        }
        let mut instance = Instance::new(channel, keys, plan);
        instance.charge = instance.held();
        self.charged = self.charged.saturating_add(instance.charge);
        self.list.push(instance);
        if self.charged > plan.state_limit() { Err(MaskError::Budget) } else { Ok(self.list.len() - 1) }
    }

    /// Does its text end before the event, because the event ends it and gives nothing to it?
    pub(crate) fn ends_before(&self, place: usize) -> bool {
        self.is_ending(place) && !self.gives_to(place)
    }

    /// Does the event have a fragment of this instance?
    pub(crate) fn gives_to(&self, place: usize) -> bool {
        self.fragments.iter().any(|fragment| fragment.instance == place)
    }

    /// Remembers this event for the instances in which text waits.
    pub(crate) fn keep_carriers(&mut self, block: &[u8], plan: &MaskPlan) {
        let fragments = &self.fragments;
        for (place, instance) in self.list.iter_mut().enumerate() {
            let Some(number) = fragments.iter().position(|fragment| fragment.instance == place) else {
                continue;
            };
            let copied = plan.channel(instance.channel).is_none_or(|channel| channel.tail.is_none());
            if copied && !instance.closed && instance.waits() {
                instance.carrier.clear();
                instance.carrier.extend_from_slice(block);
                instance.carrier_fragment = number;
            }
        }
    }

    /// After an event: removes what it closed and counts what is held now.
    pub(crate) fn settle(&mut self, plan: &MaskPlan) -> Result<(), MaskError> {
        self.list.retain(|instance| !instance.closed);
        self.charged = self.repeats.held();
        for instance in &mut self.list {
            if !instance.waits() {
                instance.carrier.clear();
            }
            instance.charge = instance.held();
            self.charged = self.charged.saturating_add(instance.charge);
        }
        if self.charged > plan.state_limit() { Err(MaskError::Budget) } else { Ok(()) }
    }

    /// Does the text of this instance end with the event?
    fn is_ending(&self, place: usize) -> bool {
        let closed = self.list.get(place).is_some_and(|instance| instance.closed);
        closed || self.signatures.contains(&Some(place))
    }
}
