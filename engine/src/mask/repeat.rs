//! Frames that repeat one before them in all but the text of their fragments, as most frames of a delta stream do.
//!
//! Guarantees: what is done with such a frame is what would be done without this module. All bytes outside the fragments are
//! those of a frame that was surveyed, scanned and written as it came, so surveying, scanning and writing them again would
//! come to the same; the text of a fragment is read as the walker would read it, or the frame goes the usual way. What a
//! frame repeats depends on the frames before it, never on how they were cut.
//!
//! It deliberately knows no frames in which anything but a fragment was masked, nulled or emptied, nor signatures.

use super::MaskError;
use super::channel::Flow;
use super::survey::Survey;
use super::text::Sink;
use crate::format::json::{Unescaper, string_length};
use crate::format::paths::StateId;

/// The last frames that may be repeated.
#[derive(Default)]
pub(super) struct Repeats {
    list: Vec<Repeat>,
    /// Which one is forgotten next.
    oldest: usize,
}

/// A frame, and what is known of it.
pub(super) struct Repeat {
    frame: Vec<u8>,
    slots: Vec<Slot>,
    pub(super) survey: Survey,
}

/// The text of a fragment.
#[derive(Clone, Copy)]
struct Slot {
    start: usize,
    end: usize,
    /// What the paths say about it.
    state: StateId,
}

/// Frames that are remembered; streams of events alternate between few forms.
const REMEMBERED: usize = 2;

/// Longest frame that is remembered.
const MAX_FRAME: usize = 2048;

impl Repeats {
    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.list.iter().map(|repeat| repeat.frame.capacity() + repeat.survey.held()).sum()
    }

    /// The number of the frame that `frame` repeats.
    pub(super) fn find(&self, frame: &[u8]) -> Option<usize> {
        self.list.iter().position(|repeat| repeat.fits(frame))
    }

    /// What is known of a frame that was found.
    pub(super) fn get(&mut self, number: usize) -> Option<&mut Repeat> {
        self.list.get_mut(number)
    }

    /// Remembers a frame that left as it came but for its fragments, whose payload begins at `start`.
    pub(super) fn learn(&mut self, frame: &[u8], start: usize, survey: &Survey) {
        if frame.len() > MAX_FRAME || survey.places.is_empty() || !survey.signatures.is_empty() {
            return;
        }
        let slots = survey.places.iter().map(|&(offset, state)| {
            let start = start + offset + 1;
            Some(Slot { start, end: start + string_length(frame.get(start..)?)?, state })
        });
        let Some(slots) = slots.collect::<Option<Vec<_>>>() else { return };
        let repeat = Repeat { frame: frame.to_vec(), slots, survey: survey.clone() };
        match self.list.get_mut(self.oldest) {
            Some(oldest) => *oldest = repeat,
            None => self.list.push(repeat),
        }
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }
}

impl Repeat {
    /// Is a frame the same but for the text of its fragments?
    fn fits(&self, frame: &[u8]) -> bool {
        let mut rest = frame;
        let mut from = 0;
        for slot in &self.slots {
            let same = self.frame.get(from..slot.start).and_then(|same| rest.strip_prefix(same));
            let Some(text) = same else { return false };
            let Some(after) = string_length(text).and_then(|length| text.get(length..)) else { return false };
            rest = after;
            from = slot.end;
        }
        self.frame.get(from..) == Some(rest)
    }

    /// Writes a frame that fits.
    pub(super) fn write(
        &self,
        frame: &[u8],
        flow: &mut Flow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let mut unescaper = Unescaper::default();
        let mut rest = frame;
        let mut from = 0;
        for (number, slot) in self.slots.iter().enumerate() {
            let (same, mut text) =
                rest.split_at_checked(slot.start.saturating_sub(from)).ok_or(MaskError::InvalidJson)?;
            sink.out.extend_from_slice(same);
            flow.begin(number, slot.state)?;
            while text.first().is_some_and(|&byte| byte != b'"') {
                let block = unescaper.block(text);
                if block.raw.is_empty() {
                    return Err(MaskError::InvalidJson);
                }
                flow.write_block(number, &block, sink)?;
                text = text.get(block.raw.len()..).unwrap_or_default();
            }
            flow.end(number, sink)?;
            rest = text;
            from = slot.end;
        }
        sink.out.extend_from_slice(rest);
        Ok(())
    }
}
