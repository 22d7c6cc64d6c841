//! Bytes that were just fed, before it is known which of them have to be kept.

use crate::format::json::Mark;

/// Text that was scanned, as it was written.
#[derive(Clone, Copy)]
pub(super) struct Fresh<'f> {
    raw: &'f [u8],
    /// Bytes of text that `raw` stands for.
    left: usize,
    /// Characters that do not stand for themselves, from here on.
    marks: &'f [Mark],
    /// Bytes of text taken so far: `marks` count from the start.
    taken: usize,
}

/// What happens to a character that the goal divides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Divided {
    Left,
    Taken,
}

/// A part of fresh text.
pub(super) struct Part<'f> {
    pub(super) raw: &'f [u8],
    /// Bytes of text.
    pub(super) text: usize,
}

impl<'f> Fresh<'f> {
    /// Text that is written as `raw`.
    pub(super) fn new(raw: &'f [u8], text: usize, marks: &'f [Mark]) -> Fresh<'f> {
        Fresh { raw, left: text, marks, taken: 0 }
    }

    /// Takes `length` bytes of text, or all if there are fewer.
    pub(super) fn take(&mut self, length: usize, divided: Divided) -> Part<'f> {
        let goal = self.taken + length.min(self.left);
        let (mut at, mut raw) = (self.taken, 0);
        while let Some((mark, later)) = self.marks.split_first() {
            let place = usize::from(mark.at);
            if place >= goal {
                break;
            }
            raw += place - at;
            at = place;
            let end = place + usize::from(mark.text);
            if end > goal && divided == Divided::Left {
                return self.part(at, raw);
            }
            raw += usize::from(mark.raw);
            at = end;
            self.marks = later;
        }
        let rest = goal.saturating_sub(at);
        self.part(at + rest, raw + rest)
    }

    /// The next run of bytes that stand for themselves, or the next character that does not.
    pub(super) fn pop(&mut self) -> Option<(Part<'f>, bool)> {
        if self.left == 0 {
            return None;
        }
        match self.marks.first() {
            Some(mark) if usize::from(mark.at) <= self.taken => Some((self.take(1, Divided::Taken), true)),
            mark => {
                let run = mark.map_or(self.left, |mark| usize::from(mark.at) - self.taken);
                Some((self.take(run, Divided::Left), false))
            }
        }
    }

    fn part(&mut self, to: usize, raw: usize) -> Part<'f> {
        let (taken, rest) = self.raw.split_at_checked(raw).unwrap_or((self.raw, &[]));
        let text = to - self.taken;
        *self = Fresh { raw: rest, left: self.left.saturating_sub(text), marks: self.marks, taken: to };
        Part { raw: taken, text }
    }
}
