//! A first look at an event: which channels it gives to, what names them, what it closes.
//!
//! Keys and closers may stand behind the fragments they concern, so an event is surveyed before it is written.

use super::MaskError;
use super::channel::InstanceKeys;
use super::plan::{Actions, ChannelId, CloserPlan, KeyUse, MAX_ARRAYS, MaskPlan};
use crate::format::json::{NameId, Place, Plain, Scalar, ScalarPart, Visit};
use crate::format::paths::StateId;

/// Places in the arrays on the way to a value, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrays([u32; MAX_ARRAYS]);

/// What an event has.
#[derive(Clone, Default)]
pub(crate) struct Survey {
    /// Strings that are fragments, in order, each with the first channel that it may belong to.
    pub(crate) fragments: Vec<(ChannelId, Arrays)>,
    /// Where in the document their opening quotes are, and what the paths say there.
    pub(crate) places: Vec<(usize, StateId)>,
    /// Strings that are signatures of channels, in order.
    pub(crate) signatures: Vec<(ChannelId, Arrays)>,
    /// Closers that apply, in order.
    pub(crate) closers: Vec<(usize, Arrays)>,
    keys: Vec<(usize, Arrays, u64)>,
    /// Conditions of channels that were looked at, and whether they hold.
    whens: Vec<(ChannelId, Arrays, bool)>,
    /// The scalar or string being read, if it matters.
    value: Vec<u8>,
    matters: bool,
}

/// Surveys a document.
pub(crate) struct Surveyor<'v> {
    pub(crate) survey: &'v mut Survey,
    pub(crate) plan: &'v MaskPlan,
}

impl Survey {
    pub(crate) fn clear(&mut self) {
        self.fragments.clear();
        self.places.clear();
        self.signatures.clear();
        self.closers.clear();
        self.keys.clear();
        self.whens.clear();
        self.matters = false;
    }

    /// The channel of a fragment, and whether all conditions that lead to it were looked at already.
    pub(crate) fn channel_of(&self, first: ChannelId, at: &Arrays, plan: &MaskPlan) -> (ChannelId, bool) {
        let (mut channel, mut settled) = (first, true);
        while let Some(when) = plan.channel(channel).and_then(|plan| plan.when.as_ref()) {
            let same = |(of, arrays, _): &&(ChannelId, Arrays, bool)| {
                *of == channel && arrays.first(when.arrays) == at.first(when.arrays)
            };
            // Of repeated members the last one counts.
            match self.whens.iter().rev().find(same) {
                Some((_, _, true)) => break,
                Some((_, _, false)) => {}
                None => settled = false,
            }
            channel = channel.next();
        }
        (channel, settled)
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> usize {
        let observed =
            size_of_val(&*self.fragments) + size_of_val(&*self.signatures) + size_of_val(&*self.closers);
        observed
            + size_of_val(&*self.places)
            + size_of_val(&*self.keys)
            + size_of_val(&*self.whens)
            + self.value.len()
    }

    /// The keys that name the instance of a fragment. A key that is absent is the place in its innermost array.
    pub(crate) fn keys_of(&self, uses: &[KeyUse], at: &Arrays) -> InstanceKeys {
        let mut keys = InstanceKeys::default();
        for key in uses {
            keys.push(self.key(*key, at).unwrap_or(0));
        }
        keys
    }

    /// Does an observation at `at` agree with an instance in every key that the event shows there?
    pub(crate) fn agrees(&self, uses: &[Option<KeyUse>], at: &Arrays, keys: &InstanceKeys) -> bool {
        uses.iter().zip(keys.values()).all(|(key, value)| {
            let shown = key.and_then(|key| self.key(key, at));
            shown.is_none_or(|shown| shown == *value)
        })
    }

    /// Were all these keys seen already?
    pub(crate) fn shows_all(&self, uses: &[KeyUse], at: &Arrays) -> bool {
        uses.iter().all(|&key| self.shown(key, at).is_some())
    }

    /// The value of a key as seen from a place: what stands there, or else the place in its innermost array, if any.
    fn key(&self, key: KeyUse, at: &Arrays) -> Option<u64> {
        let shown = self.shown(key, at);
        shown.or_else(|| at.first(key.arrays).last().map(|&place| u64::from(place)))
    }

    fn shown(&self, key: KeyUse, at: &Arrays) -> Option<u64> {
        let same = |(number, arrays, _): &&(usize, Arrays, u64)| {
            *number == key.key && arrays.first(key.arrays) == at.first(key.arrays)
        };
        // Of repeated members the last one counts, as in most readers.
        self.keys.iter().rev().find(same).map(|(_, _, value)| *value)
    }
}

impl Arrays {
    fn of(place: Place<'_>) -> Arrays {
        let mut arrays = Arrays::default();
        let indices = place.frames.iter().filter(|frame| frame.array).map(|frame| frame.index);
        for (slot, index) in arrays.0.iter_mut().zip(indices) {
            *slot = index;
        }
        arrays
    }

    fn first(&self, count: usize) -> &[u32] {
        self.0.get(..count).unwrap_or(&self.0)
    }
}

/// Longest value that a survey compares.
const MAX_VALUE: usize = 64;

/// The number that a key stands for. Whatever is no small whole number gets one that no small whole number has.
pub(crate) fn key_value(text: &[u8]) -> u64 {
    let whole = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    match whole.filter(|&value| value < UNPRINTABLE_KEY) {
        Some(value) => value,
        None => {
            let hash = text.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
            });
            hash | UNPRINTABLE_KEY
        }
    }
}

/// Keys from here on are no whole numbers.
pub(crate) const UNPRINTABLE_KEY: u64 = 1 << 63;

impl Surveyor<'_> {
    fn note(&mut self, text: &[u8]) {
        if self.survey.matters {
            let room = (MAX_VALUE + 1).saturating_sub(self.survey.value.len());
            self.survey.value.extend(text.iter().take(room));
        }
    }

    /// A value of any kind ended or, for containers, began: `text` is what a closer compares.
    fn close(&mut self, place: Place<'_>, text: Option<&[u8]>, null: bool) {
        let Some(actions) = self.plan.actions(place.state) else { return };
        for &closer in &actions.closers {
            let expected =
                self.plan.channels().closer(closer).map(|closer: &CloserPlan| closer.is.as_deref());
            let applies = match expected {
                Some(Some(is)) => text == Some(is),
                Some(None) => !null,
                None => false,
            };
            if applies {
                self.survey.closers.push((closer, Arrays::of(place)));
            }
        }
        for &channel in &actions.whens {
            let when = self.plan.channel(channel).and_then(|channel| channel.when.as_ref());
            let holds = when.is_some_and(|when| text == Some(&when.is));
            self.survey.whens.push((channel, Arrays::of(place), holds));
        }
    }
}

impl Visit for Surveyor<'_> {
    type Error = MaskError;

    fn blank(&mut self, _text: &[u8], _raw: &[u8]) -> Result<(), MaskError> {
        Ok(())
    }

    fn mark(&mut self, _raw: &[u8]) -> Result<(), MaskError> {
        Ok(())
    }

    fn enter(&mut self, place: Place<'_>, _array: bool, _raw: &[u8]) -> Result<(), MaskError> {
        self.close(place, None, false);
        Ok(())
    }

    fn leave(&mut self, _place: Place<'_>, _raw: &[u8]) -> Result<(), MaskError> {
        Ok(())
    }

    fn string(&mut self, place: Place<'_>, key: bool, _raw: &[u8]) -> Result<(), MaskError> {
        self.survey.matters = false;
        let Some(actions) = self.plan.actions(place.state) else { return Ok(()) };
        if key {
            return Ok(());
        }
        if let Some(channel) = actions.fragment {
            self.survey.fragments.push((channel, Arrays::of(place)));
            self.survey.places.push((place.offset, place.state));
        }
        if let Some(channel) = actions.channel_signature {
            self.survey.signatures.push((channel, Arrays::of(place)));
        }
        self.survey.matters = actions.is_observed();
        self.survey.value.clear();
        Ok(())
    }

    fn text(&mut self, _place: Place<'_>, run: &[u8]) -> Result<(), MaskError> {
        self.note(run);
        Ok(())
    }

    fn cell(&mut self, _place: Place<'_>, _raw: &[u8], text: &[u8]) -> Result<(), MaskError> {
        self.note(text);
        Ok(())
    }

    fn string_end(&mut self, place: Place<'_>, _raw: &[u8]) -> Result<(), MaskError> {
        if std::mem::take(&mut self.survey.matters) {
            let value = std::mem::take(&mut self.survey.value);
            self.close(place, Some(&value), false);
            // A string is not the number it may look like.
            if let Some(key) = self.plan.actions(place.state).and_then(|actions| actions.key) {
                let named = key_value(&[b"\"", value.as_slice()].concat());
                self.survey.keys.push((key, Arrays::of(place), named));
            }
            self.survey.value = value;
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        place: Place<'_>,
        part: ScalarPart,
        text: &[u8],
        _raw: &[u8],
    ) -> Result<(), MaskError> {
        if part.first {
            self.survey.matters = self.plan.actions(place.state).is_some_and(Actions::is_observed);
            self.survey.value.clear();
        }
        self.note(text);
        Ok(())
    }

    fn scalar_end(&mut self, place: Place<'_>, kind: Scalar) -> Result<(), MaskError> {
        if std::mem::take(&mut self.survey.matters) {
            let value = std::mem::take(&mut self.survey.value);
            let null = kind == Scalar::Literal && value == b"null";
            self.close(place, Some(&value), null);
            if let (false, Some(key)) = (null, self.plan.actions(place.state).and_then(|actions| actions.key))
            {
                self.survey.keys.push((key, Arrays::of(place), key_value(&value)));
            }
            self.survey.value = value;
        }
        Ok(())
    }

    fn may_glide(&self) -> bool {
        true
    }

    fn plain(&mut self, place: Place<'_>, token: Plain<'_>) -> bool {
        match token {
            Plain::Leave | Plain::Key(..) => true,
            Plain::Enter | Plain::String(_) | Plain::Number(_) | Plain::Literal(_) => {
                self.plan.actions(place.state).is_none_or(|actions| !actions.surveys)
            }
        }
    }

    fn known_key(&mut self, _place: Place<'_>, _name: NameId, _raw: &[u8]) -> Result<bool, MaskError> {
        Ok(true)
    }
}
