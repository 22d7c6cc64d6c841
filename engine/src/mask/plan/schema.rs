//! The protobuf messages of a content, compiled for one direction.

use super::InvalidPlan;
use crate::decision::Direction;
use crate::format::paths::{NameId, Paths};
use crate::policy::model::Schema;

/// A message: its place in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId(usize);

/// The messages of a content.
#[derive(Debug)]
pub(crate) struct SchemaPlan {
    /// The fields of each message, by number.
    messages: Vec<Vec<FieldType>>,
    root: MessageId,
}

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldType {
    number: u32,
    /// What paths and findings call it.
    pub(crate) name: NameId,
    pub(crate) repeated: bool,
    pub(crate) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, or bytes that may be text.
    Text,
    /// Numbers, packed ones included: never touched.
    Number,
    /// An id of at most [`MAX_ID`] bytes: never touched.
    Id,
    Message(MessageId),
}

/// Longest id in bytes: that of a trace.
pub(crate) const MAX_ID: usize = 16;

impl SchemaPlan {
    /// The names of `schema` must be among those of `paths`.
    pub(super) fn new(
        schema: &Schema,
        direction: Direction,
        paths: &Paths,
    ) -> Result<SchemaPlan, InvalidPlan> {
        let id = |name: &str| {
            let place = schema.messages.keys().position(|message| message == name);
            place.map(MessageId).ok_or(InvalidPlan::Schema)
        };
        let mut messages = Vec::new();
        for fields in schema.messages.values() {
            let mut compiled = Vec::new();
            for field in fields {
                let (kind, repeated) = match field.kind.strip_suffix("[]") {
                    Some(kind) => (kind, true),
                    None => (field.kind.as_str(), false),
                };
                let kind = match kind {
                    "text" => Kind::Text,
                    "number" => Kind::Number,
                    "id" => Kind::Id,
                    message => Kind::Message(id(message)?),
                };
                let name = paths.name(field.name.as_bytes());
                compiled.push(FieldType { number: field.number, name, repeated, kind });
            }
            compiled.sort_unstable_by_key(|field| field.number);
            let twice =
                compiled.iter().zip(compiled.iter().skip(1)).any(|(one, next)| one.number == next.number);
            if twice {
                return Err(InvalidPlan::Schema);
            }
            messages.push(compiled);
        }
        let root = match direction {
            Direction::Request => id(&schema.request)?,
            Direction::Response => id(&schema.response)?,
        };
        Ok(SchemaPlan { messages, root })
    }

    /// The message that bodies are.
    pub(crate) fn root(&self) -> MessageId {
        self.root
    }

    /// What a message says about a field; none where the schema does not know it.
    pub(crate) fn field(&self, message: MessageId, number: u32) -> Option<FieldType> {
        let fields = self.messages.get(message.0)?;
        let place = fields.binary_search_by_key(&number, |field| field.number).ok()?;
        fields.get(place).copied()
    }
}
