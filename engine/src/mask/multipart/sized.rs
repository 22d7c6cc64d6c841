//! A part whose head says how long it is: `Content-Length` (RFC 2046, section 5.1), or the parameter `length` of its type, as
//! LangSmith's clients write it.
//!
//! Guarantees: what leaves has the length that its head says. So the part is held until its end, bounded by `limits.message`.

use super::super::MaskError;
use super::super::framer::Run;
use crate::format::multipart::PartHead;
use std::ops::Range;

/// The head of a part as it will leave.
#[derive(Debug, Default)]
pub(super) struct Head {
    text: Vec<u8>,
    /// Where it says the length.
    lengths: Vec<Range<usize>>,
}

/// A part that is held.
#[derive(Debug)]
pub(super) struct Sized {
    head: Head,
    body: Vec<u8>,
}

impl Head {
    /// Does any line of a head say the length of its part?
    pub(super) fn says_length(head: &PartHead<'_>) -> bool {
        head.lines.iter().any(|(name, value)| length(name, value).is_some())
    }

    /// Appends a line.
    pub(super) fn line(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len() + name.len() + 1;
        self.lengths.extend(length(name, value).map(|digits| start + digits.start..start + digits.end));
        for piece in [name, b":", value, b"\r\n"] {
            self.text.extend_from_slice(piece);
        }
    }

    /// The head as it stands, complete.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.text.extend_from_slice(b"\r\n");
        self.text
    }
}

impl Sized {
    pub(super) fn new(head: Head) -> Sized {
        Sized { head, body: Vec::new() }
    }

    /// Lets `write` put out into the part.
    pub(super) fn write(
        &mut self,
        run: &mut Run<'_>,
        write: impl FnOnce(&mut Run<'_>) -> Result<(), MaskError>,
    ) -> Result<(), MaskError> {
        write(&mut Run { plan: run.plan, notes: run.notes, out: &mut self.body })?;
        if self.body.len() > run.plan.message_limit() { Err(MaskError::Budget) } else { Ok(()) }
    }

    /// The part, with its length as it is now.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        let length = self.body.len().to_string();
        let mut from = 0;
        for digits in &self.head.lengths {
            out.extend_from_slice(self.head.text.get(from..digits.start).unwrap_or_default());
            out.extend_from_slice(length.as_bytes());
            from = digits.end;
        }
        out.extend_from_slice(self.head.text.get(from..).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }

    /// Bytes of state; the body has a bound of its own.
    pub(super) fn held(&self) -> usize {
        self.head.text.len()
    }
}

/// The digits of a length in a line of a head.
fn length(name: &[u8], value: &[u8]) -> Option<Range<usize>> {
    let start = if name.eq_ignore_ascii_case(b"content-length") {
        value.len() - value.trim_ascii_start().len()
    } else if name.eq_ignore_ascii_case(b"content-type") {
        parameter(value)?
    } else {
        return None;
    };
    let rest = value.get(start..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after = rest.get(digits..)?.trim_ascii_start();
    (digits > 0 && (after.is_empty() || after.starts_with(b";"))).then_some(start..start + digits)
}

/// Where the value of `length` begins. The head was read strictly, so no quoted string has a `;` that is taken for one of its own:
/// such a value is left alone.
fn parameter(value: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"length=";
    if value.contains(&b'"') {
        return None;
    }
    let mut from = 0;
    for piece in value.split(|&byte| byte == b';') {
        let text = piece.trim_ascii_start();
        if text.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            return Some(from + piece.len() - text.len() + NAME.len());
        }
        from += piece.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_found_where_they_are_said() {
        for (name, value, found) in [
            ("Content-Length", " 12", Some(1..3)),
            ("content-length", "12 ", Some(0..2)),
            ("Content-Length", " 12 bytes", None),
            ("Content-Length", " ", None),
            ("Content-Type", " application/json; length=1234", Some(26..30)),
            ("Content-Type", " application/json;Length=7; charset=utf-8", Some(25..26)),
            ("Content-Type", " application/json; xlength=7", None),
            ("Content-Type", " text/plain; title=\"; length=7\"", None),
            ("Content-Type", " application/json", None),
            ("X-Length", " 12", None),
        ] {
            assert_eq!(length(name.as_bytes(), value.as_bytes()), found, "{name}:{value}");
        }
    }
}
