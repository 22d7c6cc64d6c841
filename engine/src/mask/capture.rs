//! The value of a place that is masked, kept until it ends, where what stands for it depends on it.
//!
//! A string or number is kept as its text, an object or array as JSON without white space and with the shortest escapes, an
//! attribute as the one string or integer in it. Guarantees: nothing of a value leaves before its end, no more of it is kept
//! than can count, and how it came makes no difference. What is longer, cut off, or none of these has no value, so that its
//! text stands for it.
//!
//! It does not order members and does not change numbers: `1` and `1.0` are two values.

use super::plan::{FieldPlan, MAX_VALUE};
use super::text::escape;

/// What is known of the value.
#[derive(Clone, Default)]
pub(super) struct Capture {
    /// What masks it; none if nothing is kept.
    field: Option<(FieldPlan, Source)>,
    text: Vec<u8>,
    /// The text that comes is part of it.
    reading: bool,
    /// It is the value after all.
    valid: bool,
    /// A key is being read, or was read last.
    key: bool,
    /// The containers that are open in it: is each an array?
    open: Vec<bool>,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    String,
    Number,
    /// An object or an array.
    Tree,
    /// The value of an attribute: an object with one member.
    Attribute,
}

/// A value and what masks it.
pub(super) struct Captured {
    pub(super) field: FieldPlan,
    pub(super) source: Source,
    /// None if it has none.
    pub(super) value: Option<Vec<u8>>,
}

impl Capture {
    /// Keeps the value that begins.
    pub(super) fn start(&mut self, field: FieldPlan, source: Source) {
        self.clear();
        self.reading = source != Source::Attribute;
        self.valid = true;
        self.field = Some((field, source));
    }

    /// Is a value being kept?
    pub(super) fn is_on(&self) -> bool {
        self.field.is_some()
    }

    /// Is it that of an attribute?
    pub(super) fn is_attribute(&self) -> bool {
        self.is(Source::Attribute)
    }

    /// A value begins in that of an attribute; `counts` if it is a string or number in a member that says which it is.
    pub(super) fn member(&mut self, counts: bool) {
        // SECURITY: readers do not agree on which of two members counts.
        self.valid &= counts && !self.reading;
        self.reading = true;
    }

    /// A container is opened.
    pub(super) fn enter(&mut self, array: bool) {
        if self.is(Source::Tree) {
            self.open.push(array);
            self.push(if array { b"[" } else { b"{" });
        }
    }

    /// The last one is closed.
    pub(super) fn leave(&mut self) {
        if let Some(array) = self.open.pop() {
            self.push(if array { b"]" } else { b"}" });
        }
    }

    /// A colon or comma.
    pub(super) fn mark(&mut self) {
        if self.is(Source::Tree) {
            let mark = if std::mem::take(&mut self.key) { b":" } else { b"," };
            self.push(mark);
        }
    }

    /// A string or key begins.
    pub(super) fn string(&mut self, key: bool) {
        self.key = key;
        self.quote();
    }

    /// The string ended.
    pub(super) fn string_end(&mut self) {
        self.quote();
    }

    /// Text of a string, decoded.
    pub(super) fn text(&mut self, text: &[u8]) {
        if self.is(Source::Tree) {
            self.push(&escape::json(text));
        } else if !self.key {
            self.push(text);
        }
    }

    /// A part of a number or literal.
    pub(super) fn scalar(&mut self, text: &[u8]) {
        self.push(text);
    }

    /// The end of the value: what there is of it. `complete`: it did not just stop.
    pub(super) fn take(&mut self, complete: bool) -> Option<Captured> {
        let (field, source) = self.field.take()?;
        let value = (complete && self.valid && self.reading).then(|| std::mem::take(&mut self.text));
        self.clear();
        Some(Captured { field, source, value })
    }

    pub(super) fn clear(&mut self) {
        self.field = None;
        self.text.clear();
        self.reading = false;
        self.valid = false;
        self.key = false;
        self.open.clear();
    }

    pub(super) fn held(&self) -> usize {
        self.text.len() + self.open.len()
    }

    fn is(&self, wanted: Source) -> bool {
        self.field.as_ref().is_some_and(|(_, source)| *source == wanted)
    }

    fn quote(&mut self) {
        if self.is(Source::Tree) {
            self.push(b"\"");
        }
    }

    fn push(&mut self, text: &[u8]) {
        if self.valid && self.reading {
            keep(text, &mut self.text);
        }
    }
}

/// Keeps text of a value, as far as it can count: one byte more tells a longer one apart.
pub(super) fn keep(text: &[u8], kept: &mut Vec<u8>) {
    let room = (MAX_VALUE + 1).saturating_sub(kept.len());
    kept.extend_from_slice(text.get(..room).unwrap_or(text));
}
