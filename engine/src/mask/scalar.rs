//! Numbers and literals, held until it is known what they are.
//!
//! A number is one text: it leaves as it came, or a string stands for it, or what its tag says. A scalar and the blanks behind it wait for the
//! next comma or bracket, or the end of the document: if something else comes, it was no JSON, and `4111 1111` is then not
//! a number and more but the start of a value. A body is refused then; a string that only claimed to be JSON goes on as text.

use super::MaskError;
use super::detector::DetectorBits;
use super::text::{Location, Sink, TextUnit};
use crate::format::json::Scalar;

/// The scalar being read.
#[derive(Clone, Default)]
pub(crate) struct HeldScalar {
    kind: Option<Scalar>,
    text: Vec<u8>,
    raw: Vec<u8>,
    /// How many bytes of `raw` each byte of `text` takes.
    lengths: Vec<u8>,
    /// Where the scalar ends in `raw`; blanks follow, and what stands between two lines of data.
    end: Option<usize>,
    found: DetectorBits,
    /// The scalar is one value, and nothing else.
    whole: bool,
    location: String,
}

impl HeldScalar {
    pub(crate) fn begin(&mut self, kind: Scalar) {
        self.clear();
        self.kind = Some(kind);
    }

    /// Is anything held?
    pub(crate) fn waits(&self) -> bool {
        self.kind.is_some()
    }

    /// Did the scalar itself end?
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// What was written behind a scalar that ended, which may only leave with it. For documents that never become text.
    pub(crate) fn behind(&mut self) -> Option<&mut Vec<u8>> {
        self.end.map(|_| &mut self.raw)
    }

    pub(crate) fn held(&self) -> usize {
        self.text.len() + self.raw.len() + self.lengths.len()
    }

    /// A part of the scalar or of the blanks behind it: equally long, or one byte.
    pub(crate) fn push(&mut self, text: &[u8], raw: &[u8], sink: &Sink<'_>) -> Result<(), MaskError> {
        self.text.extend_from_slice(text);
        self.raw.extend_from_slice(raw);
        match text {
            [_] => self.lengths.push(u8::try_from(raw.len()).map_err(|_| MaskError::InvalidJson)?),
            _ => self.lengths.extend(std::iter::repeat_n(1, text.len())),
        }
        sink.fits_beside(self.held())
    }

    /// The scalar ended: looks what is in it.
    pub(crate) fn end(
        &mut self,
        unit: &mut TextUnit,
        sink: &Sink<'_>,
        at: Location<'_>,
    ) -> Result<(), MaskError> {
        self.end = Some(self.raw.len());
        if self.kind == Some(Scalar::Number) {
            (self.found, self.whole) = unit.probe_value(&self.text, sink.plan)?;
            if !self.found.is_empty() {
                self.location = at.describe(sink.plan);
            }
        }
        Ok(())
    }

    /// Writes the scalar, or a string with these quotes in its place, and the blanks behind it.
    pub(crate) fn write(&mut self, quote: &[u8], sink: &mut Sink<'_>) {
        let end = self.end.unwrap_or(self.raw.len());
        let (scalar, blanks) = self.raw.split_at_checked(end).unwrap_or((&self.raw, &[]));
        if self.found.is_empty() {
            sink.out.extend_from_slice(scalar);
        } else {
            let value = Some(self.text.as_slice()).filter(|_| self.whole);
            sink.replace_number(&self.found, value, quote, &self.location);
        }
        sink.out.extend_from_slice(blanks);
        self.clear();
    }

    /// It was text after all: hands it on, blanks included.
    pub(crate) fn release(
        &mut self,
        unit: &mut TextUnit,
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<(), MaskError> {
        let mut raw = self.raw.as_slice();
        for (byte, &length) in self.text.iter().zip(&self.lengths) {
            let (written, rest) = raw.split_at_checked(usize::from(length)).unwrap_or((raw, &[]));
            raw = rest;
            unit.cell(written, std::slice::from_ref(byte), sink, at)?;
        }
        self.clear();
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.kind = None;
        self.text.clear();
        self.raw.clear();
        self.lengths.clear();
        self.end = None;
        self.found = DetectorBits::new();
        self.whole = false;
    }
}
