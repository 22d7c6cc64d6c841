//! A document that another one carries in base64: `{"bytes": "eyJ0eXBl…"}`, as Amazon Bedrock passes on what models stream.

use super::MaskError;
use super::body::refusal;
use super::plan::MaskPlan;
use crate::format::json::{Follow, NameId, Place, Scalar, ScalarPart, Visit, Walker};
use crate::format::paths::StateId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::ops::Range;

/// The name of the member that carries.
pub(super) const MEMBER: &str = "bytes";

/// The string of a member at the top level.
pub(super) struct Carried {
    /// Where its characters are, without the quotes.
    pub(super) at: Range<usize>,
    /// The characters.
    pub(super) text: Vec<u8>,
}

/// Finds the string that carries something, if there is one. Two of them are refused: readers do not agree on which counts.
pub(super) fn find(payload: &[u8], plan: &MaskPlan) -> Result<Option<Carried>, MaskError> {
    let mut finder = Finder {
        at: 0,
        name: plan.paths().name(MEMBER.as_bytes()),
        found: None,
        inside: false,
        twice: false,
    };
    let mut walker = Walker::new(StateId::ROOT, plan.json_depth(), Follow::Nothing);
    walker.run(payload, plan.paths(), &mut finder).map_err(refusal)?;
    walker.end(&mut finder).map_err(refusal)?;
    if finder.twice { Err(MaskError::InvalidFrame) } else { Ok(finder.found) }
}

/// What base64 carries.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Appends base64.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

/// Appends text as the inside of a JSON string.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// Counts bytes, and remembers the string.
struct Finder {
    at: usize,
    name: NameId,
    found: Option<Carried>,
    inside: bool,
    twice: bool,
}

impl Finder {
    fn pass(&mut self, raw: &[u8]) -> Result<(), MaskError> {
        self.at += raw.len();
        Ok(())
    }
}

impl Visit for Finder {
    type Error = MaskError;

    fn blank(&mut self, _text: &[u8], raw: &[u8]) -> Result<(), MaskError> {
        self.pass(raw)
    }

    fn mark(&mut self, raw: &[u8]) -> Result<(), MaskError> {
        self.pass(raw)
    }

    fn enter(&mut self, _place: Place<'_>, _array: bool, raw: &[u8]) -> Result<(), MaskError> {
        self.pass(raw)
    }

    fn leave(&mut self, _place: Place<'_>, raw: &[u8]) -> Result<(), MaskError> {
        self.pass(raw)
    }

    fn string(&mut self, place: Place<'_>, key: bool, raw: &[u8]) -> Result<(), MaskError> {
        self.pass(raw)?;
        let named = matches!(place.frames, [frame] if !frame.array && frame.name == self.name);
        self.inside = named && !key;
        if self.inside {
            let carried = Carried { at: self.at..self.at, text: Vec::new() };
            self.twice |= self.found.replace(carried).is_some();
        }
        Ok(())
    }

    fn text(&mut self, place: Place<'_>, run: &[u8]) -> Result<(), MaskError> {
        self.cell(place, run, run)
    }

    fn cell(&mut self, _place: Place<'_>, raw: &[u8], text: &[u8]) -> Result<(), MaskError> {
        self.pass(raw)?;
        if let (true, Some(carried)) = (self.inside, &mut self.found) {
            carried.text.extend_from_slice(text);
        }
        Ok(())
    }

    fn string_end(&mut self, _place: Place<'_>, raw: &[u8]) -> Result<(), MaskError> {
        if let (true, Some(carried)) = (std::mem::take(&mut self.inside), &mut self.found) {
            carried.at.end = self.at;
        }
        self.pass(raw)
    }

    fn scalar(
        &mut self,
        _place: Place<'_>,
        _part: ScalarPart,
        _text: &[u8],
        raw: &[u8],
    ) -> Result<(), MaskError> {
        self.pass(raw)
    }

    fn scalar_end(&mut self, _place: Place<'_>, _kind: Scalar) -> Result<(), MaskError> {
        Ok(())
    }

    fn known_key(&mut self, _place: Place<'_>, _name: NameId, raw: &[u8]) -> Result<bool, MaskError> {
        self.pass(raw)?;
        Ok(true)
    }
}
