//! Content that nobody here can read and that the policy lets pass by name (`limits.unknownContent`).
//!
//! It goes on byte for byte and at once, and is counted for the audit. What is looked at is only its beginning: JSON that
//! calls itself an image would be a way around every mask, because not every receiver believes what a type says. So a body
//! that begins as objects and arrays do is refused.
//!
//! It does not look for anything else, and never opens what it passes.

use super::MaskError;
use super::finding::UnseenKind;
use super::framer::{Framer, Run};
use crate::format::PassId;
use crate::format::json::is_blank;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// A body that passes.
pub(super) struct OpaqueBody {
    pass: PassId,
    /// Something came of it.
    counted: bool,
    label: Label,
}

/// Whether content may be what its type says, by its first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Label {
    /// Nothing but blanks, and what may be a byte order mark.
    #[default]
    Start,
    /// A bracket and blanks.
    Bracket(u8),
    /// It does not begin as JSON does.
    Other,
}

impl OpaqueBody {
    pub(super) fn new(pass: PassId) -> OpaqueBody {
        OpaqueBody { pass, counted: false, label: Label::Start }
    }
}

impl Framer for OpaqueBody {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        if !self.counted && !chunk.is_empty() {
            self.counted = true;
            run.notes.pass(UnseenKind::Content(self.pass), "body".to_owned());
        }
        self.label.check(chunk, run.out)
    }

    fn end(&mut self, _run: &mut Run<'_>) -> Result<(), MaskError> {
        Ok(())
    }

    fn held(&self) -> usize {
        0
    }
}

impl Label {
    /// Appends content up to the byte that shows that it is JSON.
    pub(super) fn check(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        let mut rest = content;
        while let (false, Some((&byte, after))) = (*self == Label::Other, rest.split_first()) {
            *self = match *self {
                Label::Start if is_blank(byte) || BYTE_ORDER_MARK.contains(&byte) => Label::Start,
                Label::Start if matches!(byte, b'{' | b'[') => Label::Bracket(byte),
                Label::Bracket(open) if is_blank(byte) => Label::Bracket(open),
                Label::Bracket(b'{') if matches!(byte, b'"' | b'}') => return Err(MaskError::Mislabelled),
                Label::Bracket(b'[') if b"{[]\"-0123456789tfn".contains(&byte) => {
                    return Err(MaskError::Mislabelled);
                }
                _ => Label::Other,
            };
            out.push(byte);
            rest = after;
        }
        out.extend_from_slice(rest);
        Ok(())
    }
}
