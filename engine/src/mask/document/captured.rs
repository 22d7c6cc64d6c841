//! Writing what stands for a value that was kept until its end (see [`capture`](super::super::capture)).

use super::super::attribute::{STRING_VALUE, is_value};
use super::super::capture::{Captured, Source};
use super::super::plan::FieldPlan;
use super::super::text::Location;
use super::{Begun, Writer};
use crate::format::json::Place;

impl Writer<'_, '_> {
    /// Keeps a value until its end.
    pub(super) fn capture(&mut self, field: FieldPlan, source: Source, place: Place<'_>) {
        self.document.capture.start(field, source);
        self.document.drop = Some(place.frames.len());
        self.document.changed = true;
    }

    /// Is this the member of an attribute's value that is a text or an integer?
    pub(super) fn is_value_of_attribute(&self, place: Place<'_>) -> bool {
        let Some((frame, around)) = place.frames.split_last() else { return false };
        let name = self.sink.plan.paths().text(frame.name);
        self.document.drop == Some(around.len()) && !frame.array && name.is_some_and(is_value)
    }

    /// Writes what stands for the value of an attribute.
    pub(super) fn replace_attribute(&mut self, field: &FieldPlan, value: Option<&[u8]>, at: Location<'_>) {
        let quote = self.document.quote();
        for piece in [b"{".as_slice(), quote, STRING_VALUE.as_bytes(), quote, b":"] {
            self.raw(piece);
        }
        self.sink.replace_json(field, (value, false), quote, at);
        self.raw(b"}");
    }

    /// Writes what stands for the value that was kept.
    pub(super) fn replace_captured(&mut self, captured: &Captured, at: Location<'_>) {
        let value = captured.value.as_deref();
        if captured.source == Source::Attribute {
            return self.replace_attribute(&captured.field, value, at);
        }
        let quote = self.document.quote();
        let number = captured.source == Source::Number;
        self.sink.replace_json(&captured.field, (value, number), quote, at);
    }

    /// The document stops in a value that is kept: its text stands for it.
    pub(crate) fn abandon(&mut self, place: Place<'_>) {
        let depth = self.document.drop.unwrap_or_default();
        let frames = place.frames.get(..depth).unwrap_or(place.frames);
        let at = self.location(Place { frames, ..place });
        if let Some(captured) = self.document.capture.take(false) {
            self.replace_captured(&captured, at);
        }
    }
}

/// What must be kept of a value to know what stands for it; none if nothing is.
pub(super) fn source(field: &FieldPlan, kind: Begun) -> Option<Source> {
    match kind {
        _ if !field.wants_value() => None,
        Begun::String => Some(Source::String),
        Begun::Number => Some(Source::Number),
        Begun::Container => field.is_token().then_some(Source::Tree),
        // A token of `true` would tell which it is.
        Begun::Null | Begun::Literal => None,
    }
}
