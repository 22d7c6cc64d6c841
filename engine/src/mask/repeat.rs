//! Frames that repeat one before them in all but a few values, as most frames of a delta stream do.
//!
//! Guarantees: what is done with such a frame is what would be done without this module. All bytes outside the values are
//! those of a frame that was surveyed, scanned and written as it came, so doing that again would come to the same; the text
//! of a fragment is read as the walker would read it; any other string or number is a whole one in the place of a whole one,
//! and surely holds nothing to be found. A frame of which not all of this is known goes the usual way. What a frame repeats
//! depends on the frames before it, never on how they were cut.
//!
//! It deliberately knows no frames in which anything but a fragment was masked, nulled or emptied, nor signatures.

use super::MaskError;
use super::channel::Flow;
use super::document::Value;
use super::plan::MaskPlan;
use super::survey::Survey;
use super::text::Sink;
use crate::bytes::shared_prefix;
use crate::format::json::{Unescaper, number, plain_run, string_length};
use crate::format::paths::StateId;

/// The last frames that may be repeated, the latest first.
#[derive(Default)]
pub(super) struct Repeats(Vec<Repeat>);

/// A frame, and what is known of it.
pub(super) struct Repeat {
    frame: Vec<u8>,
    /// Parts that may be others, in order: at first only fragments.
    slots: Vec<Slot>,
    /// Parts that become slots when they are seen to change.
    others: Vec<Slot>,
    pub(super) survey: Survey,
    /// Bytes that it holds.
    size: usize,
}

/// A part of a frame.
#[derive(Clone, Copy)]
struct Slot {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The text of a fragment, and what the paths say about it.
    Fragment(StateId),
    /// The text of a string that is scanned on its own.
    String,
    Number,
    /// Spaces before the last bracket.
    Spaces,
}

/// Frames that are remembered; streams alternate between few forms.
const REMEMBERED: usize = 4;

/// Longest frame that is remembered.
const MAX_FRAME: usize = 2048;

/// Longest number that takes the place of another.
const MAX_NUMBER: usize = 64;

impl Repeats {
    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.0.iter().map(|repeat| repeat.size).sum()
    }

    /// Is a frame remembered that `frame` repeats? It is then the latest.
    pub(super) fn find(&mut self, frame: &[u8], plan: &MaskPlan) -> bool {
        let found = self.0.iter_mut().position(|repeat| repeat.fits(frame, plan));
        if let Some(later) = found.and_then(|number| self.0.get_mut(..=number)) {
            later.rotate_right(1);
        }
        found.is_some()
    }

    /// The latest frame.
    pub(super) fn latest(&mut self) -> Option<&mut Repeat> {
        self.0.first_mut()
    }

    /// Remembers a frame that left as it came but for its fragments, and whose payload begins at `start`.
    pub(super) fn learn(&mut self, frame: &[u8], start: usize, survey: &Survey, values: &[Value]) {
        if frame.len() > MAX_FRAME || !survey.signatures.is_empty() {
            return;
        }
        let slots = survey.places.iter().map(|&(offset, state)| {
            let start = start + offset + 1;
            let length = string_length(frame.get(start..)?)?;
            Some(Slot { start, end: start + length, kind: Kind::Fragment(state) })
        });
        let Some(slots) = slots.collect::<Option<Vec<_>>>() else { return };
        let others = values.iter().map(|value| {
            let kind = if value.number { Kind::Number } else { Kind::String };
            Slot { start: start + value.start, end: start + value.start + value.length, kind }
        });
        let others: Vec<Slot> = others.chain(spaces(frame)).collect();
        let size = frame.len() + size_of_val(&*slots) + size_of_val(&*others) + survey.held();
        self.0.truncate(REMEMBERED - 1);
        self.0.insert(0, Repeat { frame: frame.to_vec(), slots, others, survey: survey.clone(), size });
    }
}

/// The spaces before the last bracket, if nothing but line ends follows it.
fn spaces(frame: &[u8]) -> Option<Slot> {
    let end = frame.trim_ascii_end().strip_suffix(b"}")?.len();
    let before = frame.get(..end)?;
    let spaces = before.iter().rev().take_while(|&&byte| byte == b' ').count();
    Some(Slot { start: end - spaces, end, kind: Kind::Spaces })
}

impl Repeat {
    /// Is a frame the same but for its slots? What is seen to change becomes one, if it may.
    fn fits(&mut self, frame: &[u8], plan: &MaskPlan) -> bool {
        loop {
            let Err(differs) = self.compare(frame, plan) else { return true };
            let other = self.others.iter().position(|slot| (slot.start..=slot.end).contains(&differs));
            let Some(other) = other else { return false };
            let slot = self.others.swap_remove(other);
            let place = self.slots.partition_point(|earlier| earlier.start < slot.start);
            self.slots.insert(place, slot);
        }
    }

    /// Compares a frame with this one; where it differs outside the slots, if it does.
    fn compare(&self, frame: &[u8], plan: &MaskPlan) -> Result<(), usize> {
        let mut rest = frame;
        let mut from = 0;
        for slot in &self.slots {
            let same = self.frame.get(from..slot.start).unwrap_or_default();
            let shared = shared_prefix(same, rest);
            let text = rest.get(shared..).filter(|_| shared == same.len()).ok_or(from + shared)?;
            let length = slot.kind.length(text, plan).ok_or(usize::MAX)?;
            rest = text.get(length..).unwrap_or_default();
            from = slot.end;
        }
        let same = self.frame.get(from..).unwrap_or_default();
        let shared = shared_prefix(same, rest);
        if shared == same.len() && shared == rest.len() { Ok(()) } else { Err(from + shared) }
    }

    /// Writes a frame that fits.
    pub(super) fn write(
        &self,
        frame: &[u8],
        flow: &mut Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let mut unescaper = Unescaper::default();
        let (mut rest, mut from, mut fragments) = (frame, 0, 0);
        for slot in &self.slots {
            let same = slot.start.saturating_sub(from);
            from = slot.end;
            let (same, mut text) = rest.split_at_checked(same).ok_or(MaskError::InvalidJson)?;
            sink.out.extend_from_slice(same);
            if let Kind::Fragment(state) = slot.kind {
                flow.begin(fragments, state)?;
                while text.first().is_some_and(|&byte| byte != b'"') {
                    let block = unescaper.block(text);
                    if block.raw.is_empty() {
                        return Err(MaskError::InvalidJson);
                    }
                    flow.write_block(fragments, &block, sink)?;
                    text = text.get(block.raw.len()..).unwrap_or_default();
                }
                flow.end(fragments, sink)?;
                fragments += 1;
            } else {
                let length = slot.kind.length(text, sink.plan).ok_or(MaskError::InvalidJson)?;
                let (value, after) = text.split_at_checked(length).ok_or(MaskError::InvalidJson)?;
                sink.out.extend_from_slice(value);
                text = after;
            }
            rest = text;
        }
        sink.out.extend_from_slice(rest);
        Ok(())
    }
}

impl Kind {
    /// The length of what stands at the start of `text` in place of a slot of this kind, if that may stand there.
    fn length(self, text: &[u8], plan: &MaskPlan) -> Option<usize> {
        let value = match self {
            Kind::Fragment(_) => return string_length(text),
            Kind::Spaces => return Some(text.iter().take_while(|&&byte| byte == b' ').count()),
            Kind::String => Some(plain_run(text)).filter(|run| text.get(run.len()) == Some(&b'"'))?,
            Kind::Number => text.get(..number(text.get(..MAX_NUMBER).unwrap_or(text))?)?,
        };
        plan.set().is_clear(value).then_some(value.len())
    }
}
