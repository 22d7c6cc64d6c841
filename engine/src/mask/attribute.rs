//! Attributes of a JSON document that is being written, where some are masked by their key.
//!
//! An attribute is an object with a `key` and, behind it, a `value`. It is decided when the value begins, so a value that
//! nothing has named yet is refused, and so is a key behind the value: readers do not agree on which of two keys counts.

use super::MaskError;
use super::plan::{FieldPlan, MaskPlan};

/// The member of a value that is a text (`AnyValue` of OpenTelemetry).
pub(super) const STRING_VALUE: &str = "stringValue";

/// Members of a value that something which depends on it can stand for: a text, an integer. A number of any other kind is
/// spelled in several ways, and a truth value is told by its token. Readers of JSON take the names of the schema as well.
pub(super) const VALUES: [&str; 4] = [STRING_VALUE, "intValue", "string_value", "int_value"];

/// Is it one of [`VALUES`]?
pub(super) fn is_value(name: &[u8]) -> bool {
    VALUES.iter().any(|value| value.as_bytes() == name)
}

/// The attributes that are open, outermost first.
#[derive(Clone, Default)]
pub(super) struct OpenAttributes(Vec<Attribute>);

#[derive(Clone, Default)]
struct Attribute {
    depth: usize,
    /// As much of the key as can decide.
    key: Vec<u8>,
    /// The key was read.
    named: bool,
    /// The value was met.
    valued: bool,
    /// What masks the value.
    masked: Option<FieldPlan>,
}

impl OpenAttributes {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// An attribute begins at this depth.
    pub(super) fn enter(&mut self, depth: usize) {
        self.0.retain(|attribute| attribute.depth < depth);
        self.0.push(Attribute { depth, ..Attribute::default() });
    }

    /// Is what stands at this depth a member of the last one that is open?
    pub(super) fn has_member(&mut self, depth: usize) -> bool {
        self.around(depth).is_some()
    }

    /// The attribute that what stands at this depth is a member of. Those that lie deeper are over.
    fn around(&mut self, depth: usize) -> Option<&mut Attribute> {
        self.0.retain(|attribute| attribute.depth < depth);
        self.0.last_mut().filter(|attribute| attribute.depth + 1 == depth)
    }

    /// A part of the last one's key.
    pub(super) fn key(&mut self, text: &[u8], plan: &MaskPlan) {
        if let Some(attribute) = self.0.last_mut() {
            // One byte more tells a longer key apart.
            let room = (plan.longest_attribute() + 1).saturating_sub(attribute.key.len());
            attribute.key.extend_from_slice(text.get(..room).unwrap_or(text));
        }
    }

    /// The last one's key is complete.
    pub(super) fn end_key(&mut self, plan: &MaskPlan) -> Result<(), MaskError> {
        let Some(attribute) = self.0.last_mut() else { return Ok(()) };
        if attribute.valued {
            return Err(MaskError::LateMember);
        }
        attribute.named = true;
        let masked = plan.attribute(&std::mem::take(&mut attribute.key));
        // SECURITY: of several keys any may count.
        attribute.masked = masked.or(attribute.masked.take());
        Ok(())
    }

    /// A value begins at this depth: what masks it, if anything does.
    pub(super) fn begin_value(&mut self, depth: usize) -> Result<Option<FieldPlan>, MaskError> {
        let Some(attribute) = self.around(depth) else { return Ok(None) };
        attribute.valued = true;
        // SECURITY: what names it may still come, and then the value would have left.
        if !attribute.named {
            return Err(MaskError::LateMember);
        }
        Ok(attribute.masked.clone())
    }
}
