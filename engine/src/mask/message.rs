//! One protobuf message, held as a whole and written anew where something is masked.
//!
//! What is text, a message or never touched is said by the schema of the content; places are those of the JSON form, so
//! that one path means the same in both. Guarantees: what is not masked is written as it came, field order, unknown
//! fields, groups and long varints included; a length is written anew only where its body became longer or shorter.
//!
//! What the schema does not know is kept too, unless some reading of it (text, JSON, a message of such) shows a value:
//! then the field goes, because nobody knows how to change it. Numbers are not scanned.

use super::MaskError;
use super::attribute::is_value;
use super::document::Layer;
use super::nested::Nested;
use super::plan::{FieldPlan, Kind, MAX_ID, MaskPlan, MessageId};
use super::text::{Location, Sink, TextUnit};
use crate::format::Malformed;
use crate::format::json::Frame;
use crate::format::paths::{NameId, StateId};
use crate::format::protobuf::{Field, Fields, Wire, push_varint};

/// Deepest nesting, as in other readers of protobuf; `limits.jsonDepth` may be lower.
const MAX_DEPTH: usize = 100;

/// How deep unknown bytes are read as messages in messages. Each level is scanned anew.
const UNKNOWN_DEPTH: usize = 16;

/// Writes messages; keeps nothing between them but memory.
pub(super) struct MessageWriter {
    unit: TextUnit,
    nested: Nested,
    frames: Vec<Frame>,
    /// What findings call the message.
    root: &'static str,
}

impl From<Malformed> for MaskError {
    fn from(_: Malformed) -> MaskError {
        MaskError::InvalidFrame
    }
}

impl MessageWriter {
    pub(super) fn new(plan: &MaskPlan, root: &'static str) -> MessageWriter {
        MessageWriter {
            root,
            unit: TextUnit::default(),
            nested: Nested::new(Layer::Plain, plan.json_depth()),
            frames: Vec::new(),
        }
    }

    /// Writes a message of the content; on an error what was written is worth nothing.
    pub(super) fn write(&mut self, message: &[u8], sink: &mut Sink<'_>) -> Result<(), MaskError> {
        self.frames.clear();
        let root = sink.plan.schema().ok_or(MaskError::InvalidFrame)?.root();
        let depth = sink.plan.json_depth().min(MAX_DEPTH);
        self.message(message, root, StateId::ROOT, depth, sink)
    }

    /// Is a value to be seen in bytes that nobody described? Findings are recorded.
    pub(super) fn shows(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<bool, MaskError> {
        self.unknown(bytes, StateId::ROOT, UNKNOWN_DEPTH, sink)
    }

    pub(super) fn held(&self) -> usize {
        self.unit.held() + self.nested.held() + self.frames.capacity() * size_of::<Frame>()
    }

    fn message(
        &mut self,
        message: &[u8],
        id: MessageId,
        state: StateId,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let mut fields = Fields::new(message);
        let mut groups = Groups::default();
        let masked = self.attribute(message, id, state, sink)?;
        while let Some(field) = fields.next()? {
            if groups.pass(&field, depth)? {
                write_raw(&field, sink);
                continue;
            }
            let known = sink.plan.schema().and_then(|schema| schema.field(id, field.number));
            // SECURITY: only many numbers may be packed; readers keep any other that has a length as an unknown field.
            let odd = |kind| kind == Kind::Number && field.wire == Wire::Sized;
            let known = known.filter(|known| groups.is_empty() && (known.repeated || !odd(known.kind)));
            let level = self.frames.len();
            let mut at = sink.plan.paths().member(state, known.map_or(NameId::OTHER, |known| known.name));
            self.frames.push(Frame::member(known.map_or(NameId::OTHER, |known| known.name)));
            if known.is_some_and(|known| known.repeated) {
                at = sink.plan.paths().element(at);
                self.frames.push(Frame::element());
            }
            let value = sink.plan.actions(at).is_some_and(|actions| actions.attribute_value);
            match &masked {
                Some(masked) if value => {
                    self.attribute_value(&field, known.map(|known| known.kind), masked, sink)?;
                }
                _ => self.field(&field, known.map(|known| known.kind), at, depth, sink)?,
            }
            self.frames.truncate(level);
        }
        groups.end()
    }

    fn field(
        &mut self,
        field: &Field<'_>,
        kind: Option<Kind>,
        state: StateId,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let plan = sink.plan;
        let actions = plan.actions(state);
        let masked = actions.and_then(|actions| actions.field.as_ref());
        let text = kind == Some(Kind::Text) && field.wire == Wire::Sized;
        if let Some(masked) = masked {
            let at = Location { outer: &self.frames, ..Location::of(self.root) };
            if text && !masked.is_drop() {
                return sized(field, sink, |sink| {
                    sink.replace_field(masked, Some(field.body), at);
                    Ok(())
                });
            }
            // Nothing else can stand where a number or a message is expected: the field goes.
            sink.drop_field(masked, at);
            return Ok(());
        }
        if actions.is_some_and(|actions| actions.null) {
            return Ok(());
        }
        let untouched = match (kind, field.wire) {
            (_, Wire::Number) | (Some(Kind::Number), _) => true,
            (Some(Kind::Id), Wire::Sized) => field.body.len() <= MAX_ID,
            // SECURITY: the schema says which of its fields are numbers; what else it has is no reason to pass.
            (Some(Kind::Message(_)), _) => false,
            _ => actions.is_some_and(|actions| actions.skip),
        };
        match kind {
            _ if untouched => write_raw(field, sink),
            Some(Kind::Text) => {
                let nested = actions.is_some_and(|actions| actions.nested);
                return sized(field, sink, |sink| self.text(field.body, nested, state, sink));
            }
            Some(Kind::Message(id)) => {
                let depth = depth.checked_sub(1).ok_or(MaskError::TooDeep)?;
                return sized(field, sink, |sink| self.message(field.body, id, state, depth, sink));
            }
            Some(Kind::Number | Kind::Id) | None => {
                if !self.unknown(field.body, state, UNKNOWN_DEPTH, sink)? {
                    write_raw(field, sink);
                }
            }
        }
        Ok(())
    }

    /// What masks the value of the attribute that a message is, if it is one: the message is there as a whole.
    fn attribute(
        &self,
        message: &[u8],
        id: MessageId,
        state: StateId,
        sink: &Sink<'_>,
    ) -> Result<Option<FieldPlan>, MaskError> {
        let plan = sink.plan;
        let mut masked = None;
        if plan.actions(state).is_some_and(|actions| actions.attribute) {
            let mut fields = Fields::new(message);
            while let Some(field) = fields.next()? {
                let name =
                    plan.schema().and_then(|schema| schema.field(id, field.number)).map(|known| known.name);
                let at = plan.paths().member(state, name.unwrap_or(NameId::OTHER));
                if plan.actions(at).is_some_and(|actions| actions.attribute_key) {
                    // SECURITY: of two keys any may count.
                    masked = plan.attribute(field.body).or(masked);
                }
            }
        }
        Ok(masked)
    }

    /// Writes `{"stringValue": …}` in the place of a value.
    fn attribute_value(
        &mut self,
        field: &Field<'_>,
        kind: Option<Kind>,
        masked: &FieldPlan,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        /// The tag of `AnyValue.string_value`.
        const STRING_VALUE: u8 = 0x0A;
        let at = Location { outer: &self.frames, ..Location::of(self.root) };
        if field.wire != Wire::Sized || masked.is_drop() {
            sink.drop_field(masked, at);
            return Ok(());
        }
        let value = match kind {
            Some(Kind::Message(id)) if masked.wants_value() => single_value(field.body, id, sink.plan)?,
            _ => None,
        };
        sized(field, sink, |sink| {
            sink.out.push(STRING_VALUE);
            let head = sink.out.len();
            sink.replace_field(masked, value.as_deref(), at);
            let mut length = Vec::with_capacity(5);
            push_varint(sink.out.len() - head, &mut length);
            sink.out.splice(head..head, length);
            Ok(())
        })
    }

    fn text(
        &mut self,
        text: &[u8],
        nested: bool,
        state: StateId,
        sink: &mut Sink<'_>,
    ) -> Result<(), MaskError> {
        let at = Location { outer: &self.frames, ..Location::of(self.root) };
        if nested {
            self.nested.start(state);
            self.nested.literal(text, sink, at)?;
            return self.nested.finish(sink, at);
        }
        self.unit.literal(text, sink, at)?;
        self.unit.finish(sink, at)
    }

    fn unknown(
        &mut self,
        bytes: &[u8],
        state: StateId,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> Result<bool, MaskError> {
        let mut scratch = Vec::new();
        let mut probe = Sink::new(sink.plan, &mut scratch, sink.notes, sink.room);
        self.text(bytes, true, state, &mut probe)?;
        let replaced = probe.replaced;
        sink.replaced = sink.replaced.saturating_add(replaced);
        if replaced > 0 || !is_message(bytes) {
            return Ok(replaced > 0);
        }
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            if field.wire == Wire::Sized && !field.body.is_empty() {
                let depth = depth.checked_sub(1).ok_or(MaskError::TooDeep)?;
                if self.unknown(field.body, state, depth, sink)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The text or integer that is all there is in the value of an attribute, as JSON writes it.
fn single_value(message: &[u8], id: MessageId, plan: &MaskPlan) -> Result<Option<Vec<u8>>, MaskError> {
    let mut fields = Fields::new(message);
    let (Some(field), None) = (fields.next()?, fields.next()?) else { return Ok(None) };
    let name = plan.schema().and_then(|schema| schema.field(id, field.number)).map(|known| known.name);
    if !name.and_then(|name| plan.paths().text(name)).is_some_and(is_value) {
        return Ok(None);
    }
    Ok(match field.wire {
        Wire::Sized => Some(field.body.to_vec()),
        Wire::Number => field.varint().map(|number| number.cast_signed().to_string().into_bytes()),
        Wire::GroupStart | Wire::GroupEnd => None,
    })
}

/// The groups that are open in a message. Nobody describes their fields.
#[derive(Default)]
struct Groups(Vec<u32>);

impl Groups {
    /// Takes a mark of a group; `false`: it is a field.
    fn pass(&mut self, field: &Field<'_>, depth: usize) -> Result<bool, MaskError> {
        match field.wire {
            Wire::GroupStart if self.0.len() >= depth => Err(MaskError::TooDeep),
            Wire::GroupStart => {
                self.0.push(field.number);
                Ok(true)
            }
            Wire::GroupEnd if self.0.pop() != Some(field.number) => Err(MaskError::InvalidFrame),
            Wire::GroupEnd => Ok(true),
            Wire::Number | Wire::Sized => Ok(false),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of the message.
    fn end(&self) -> Result<(), MaskError> {
        if self.0.is_empty() { Ok(()) } else { Err(MaskError::InvalidFrame) }
    }
}

fn is_message(bytes: &[u8]) -> bool {
    let mut fields = Fields::new(bytes);
    let mut groups = Groups::default();
    loop {
        match fields.next() {
            Ok(Some(field)) if groups.pass(&field, MAX_DEPTH).is_ok() => {}
            Ok(None) => return groups.is_empty(),
            _ => return false,
        }
    }
}

fn write_raw(field: &Field<'_>, sink: &mut Sink<'_>) {
    for part in [field.tag, field.length, field.body] {
        sink.out.extend_from_slice(part);
    }
}

/// Writes a field whose body `write` appends; its length is written anew if it is another one.
fn sized(
    field: &Field<'_>,
    sink: &mut Sink<'_>,
    write: impl FnOnce(&mut Sink<'_>) -> Result<(), MaskError>,
) -> Result<(), MaskError> {
    sink.out.extend_from_slice(field.tag);
    let head = sink.out.len();
    sink.out.extend_from_slice(field.length);
    let start = sink.out.len();
    write(sink)?;
    let length = sink.out.len() - start;
    if length != field.body.len() {
        let mut written = Vec::with_capacity(5);
        push_varint(length, &mut written);
        sink.out.splice(head..start, written);
    }
    Ok(())
}
