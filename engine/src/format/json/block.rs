//! Long pieces of strings, decoded in one go.

use super::escape;
use memchr::memchr2;

/// Characters of a string: what they mean and how they are written.
#[derive(Clone, Copy)]
pub(crate) struct Block<'b> {
    pub(crate) raw: &'b [u8],
    pub(crate) text: &'b [u8],
    /// The characters that are written as escapes, in order.
    pub(crate) marks: &'b [Mark],
}

/// A character that is written as an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where in the text of its block it begins.
    pub(crate) at: u16,
    /// Its bytes of text.
    pub(crate) text: u8,
    /// Its bytes as written.
    pub(crate) raw: u8,
}

/// Room for a decoded block.
#[derive(Default)]
pub(crate) struct Unescaper {
    text: Vec<u8>,
    marks: Vec<Mark>,
}

/// Longest block with escapes as written; a position in its text fits a mark.
const MAX_ESCAPED: usize = 4096;

impl<'b> Block<'b> {
    /// Characters that are written as they are.
    pub(crate) fn literal(text: &'b [u8]) -> Block<'b> {
        Block { raw: text, text, marks: &[] }
    }

    /// Runs of characters that are written as they are, and escapes: as written, and what they mean.
    pub(crate) fn pieces(self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        let Block { mut raw, mut text, mut marks } = self;
        let mut at = 0;
        std::iter::from_fn(move || {
            let (written, meant) = match marks.split_first() {
                Some((mark, later)) if usize::from(mark.at) <= at => {
                    marks = later;
                    (usize::from(mark.raw), usize::from(mark.text))
                }
                next => {
                    let run = next.map_or(text.len(), |(mark, _)| usize::from(mark.at) - at);
                    (run, run)
                }
            };
            let ((raw_piece, raw_rest), (piece, rest)) =
                (raw.split_at_checked(written)?, text.split_at_checked(meant)?);
            (raw, text, at) = (raw_rest, rest, at + meant);
            (!piece.is_empty()).then_some((raw_piece, piece))
        })
    }
}

impl Unescaper {
    /// As many characters as there are at the start of `input` up to a quote, a control character, or an escape that is
    /// not there as a whole. Empty if there are none.
    pub(crate) fn block<'b>(&'b mut self, input: &'b [u8]) -> Block<'b> {
        let run = plain_run(input);
        let mut escape = escape::whole(input.get(run.len()..).unwrap_or_default());
        if escape.is_none() || run.len() > MAX_ESCAPED / 2 {
            return Block::literal(run);
        }
        let input = input.get(..MAX_ESCAPED).unwrap_or(input);
        self.text.clear();
        self.marks.clear();
        self.text.reserve(input.len());
        self.text.extend_from_slice(run);
        let mut at = run.len();
        while let (Some((raw, character)), Ok(place)) = (escape, u16::try_from(self.text.len())) {
            let text = character.as_bytes();
            // INVARIANT: an escape has at most six bytes.
            let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or(u8::MAX);
            self.marks.push(Mark { at: place, text: length(text), raw: length(raw) });
            self.text.extend_from_slice(text);
            at += raw.len();
            let rest = input.get(at..).unwrap_or_default();
            let run = plain_run(rest);
            self.text.extend_from_slice(run);
            at += run.len();
            escape = escape::whole(rest.get(run.len()..).unwrap_or_default());
        }
        Block { raw: input.get(..at).unwrap_or_default(), text: &self.text, marks: &self.marks }
    }
}

/// The length of a string's text at the start of `input`, if it ends there and every escape in it is of the simple kind
/// that an [`Unescaper`] decodes.
pub(crate) fn string_length(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = input.get(at..)?;
        let run = plain_run(rest);
        let after = rest.get(run.len()..)?;
        at += run.len();
        if after.first()? == &b'"' {
            return Some(at);
        }
        at += escape::whole(after)?.0.len();
    }
}

/// Characters before a quote, a backslash or a control character.
pub(crate) fn plain_run(input: &[u8]) -> &[u8] {
    let length = memchr2(b'"', b'\\', input).unwrap_or(input.len());
    before_control(input.get(..length).unwrap_or_default())
}

/// The text before the first control character.
fn before_control(text: &[u8]) -> &[u8] {
    // The fold runs in vector registers; control characters are errors, so the search almost never does.
    if text.iter().fold(u8::MAX, |least, &byte| least.min(byte)) >= 0x20 {
        return text;
    }
    let length = text.iter().position(|&byte| byte < 0x20).unwrap_or(text.len());
    text.get(..length).unwrap_or_default()
}
