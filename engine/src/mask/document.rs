//! One JSON document, written as it is walked: what the plan says about each place happens here.
//!
//! Every string, key and number is a text unit of its own unless its place is never touched; a value whose place is
//! masked disappears as a whole, whatever it holds. Structure is written as it came.

use super::MaskError;
use super::attribute::OpenAttributes;
use super::capture::{Capture, Source};
use super::channel::Flow;
use super::finding::UnseenKind;
use super::keys::Keys;
use super::lead::Lead;
use super::nested::Nested;
use super::plan::Actions;
use super::scalar::HeldScalar;
use super::text::{Location, Sink, TextUnit};
use crate::format::json::{Block, NameId, Place, Plain, Scalar, ScalarPart, Visit};
use captured::source;

mod captured;

/// What is kept of a document between two calls.
#[derive(Clone, Default)]
pub(crate) struct Document {
    layer: Layer,
    pub(crate) unit: TextUnit,
    pub(crate) scalar: HeldScalar,
    pub(crate) keys: Keys,
    pub(crate) lead: Lead,
    string: Text,
    /// Depth of the value that is dropped: something stands in its place.
    drop: Option<usize>,
    /// The last value was dropped, and nothing but blanks came since.
    dropped: bool,
    /// Depth of the value that is not touched.
    skip: Option<usize>,
    /// Depth of the object or array whose numbers are not touched.
    numbers: Option<usize>,
    nested: Option<Box<Nested>>,
    signed: Vec<SignedState>,
    attributes: OpenAttributes,
    /// Fragments and channel signatures met so far.
    fragments: usize,
    signatures: usize,
    /// Fragments that were given to their channel and to nothing else.
    given: usize,
    /// Something stands in the place of a value.
    changed: bool,
    /// The value that is dropped, where what stands for it depends on it.
    capture: Capture,
    /// Values of a frame that are texts of their own and were passed on as they came.
    values: Vec<Value>,
}

/// A string or number that is there as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Value {
    /// Where in the document it begins, after the quote.
    pub(crate) start: usize,
    pub(crate) length: usize,
    pub(crate) number: bool,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layer {
    /// As a body or a part of one.
    #[default]
    Body,
    /// In a JSON string: quotes are escaped.
    Json,
    /// In a value of a form: quotes are percent-encoded.
    Form,
    /// In a string without escapes.
    Plain,
}

/// What the string that is being read is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Text {
    #[default]
    None,
    Key,
    Own,
    /// Written as it is.
    Through,
    /// Not written, quotes included.
    Dropped,
    /// Only the quotes are written.
    Emptied,
    Nested,
    /// The key of the last attribute.
    AttributeKey,
    /// A fragment of a channel, by its number.
    Fragment(usize),
    /// The signature of a pair, written as it is.
    Signature(usize),
    /// The signature of a channel, by its number, written as it is.
    ChannelSignature(usize),
}

/// A signed text and its signature, in one object.
#[derive(Clone, Copy, Debug, Default)]
struct SignedState {
    /// The text was changed.
    changed: bool,
    /// The signature was written.
    passed: bool,
}

/// What a value begins as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    Container,
    String,
    Number,
    Null,
    Literal,
}

/// Writes a document.
pub(crate) struct Writer<'w, 's> {
    pub(crate) document: &'w mut Document,
    pub(crate) sink: &'w mut Sink<'s>,
    /// Where the document is, if it is inside another.
    pub(crate) base: Option<Location<'w>>,
    pub(crate) flow: Flow<'w>,
}

/// With less room even a short number may have to be refused, so nothing is passed over.
const LEAST_ROOM: usize = 1024;

/// Most values of a frame that may be others when it comes again.
const MAX_VALUES: usize = 64;

impl Document {
    pub(crate) fn new(layer: Layer) -> Document {
        Document { layer, ..Document::default() }
    }

    /// Goes back to the start of a new document; keeps the memory.
    pub(crate) fn reset(&mut self) {
        self.unit.clear();
        self.scalar.clear();
        self.keys.reset();
        self.lead.clear();
        self.capture.clear();
        self.string = Text::None;
        self.drop = None;
        self.dropped = false;
        self.skip = None;
        self.numbers = None;
        self.signed.clear();
        self.attributes.clear();
        self.fragments = 0;
        self.signatures = 0;
        self.given = 0;
        self.changed = false;
        self.values.clear();
    }

    /// The string in which the walk is.
    pub(crate) fn string(&self) -> Text {
        self.string
    }

    /// May what comes belong to a value that is dropped, if it is no JSON?
    pub(crate) fn is_dropping(&self) -> bool {
        self.drop.is_some() || self.dropped
    }

    /// The fragments that it gave to their channels, and values that could have been others, if all else was written as it
    /// came, but for what was found in it.
    pub(crate) fn given(&self) -> Option<(usize, &[Value])> {
        (!self.changed).then_some((self.given, self.values.as_slice()))
    }

    /// Is anything read still to be written?
    pub(crate) fn waits(&self) -> bool {
        self.unit.waits() || self.scalar.waits() || self.keys.waits() || self.lead.waits()
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        let nested = self.nested.as_ref().map_or(0, |nested| nested.held());
        self.unit.held()
            + self.scalar.held()
            + self.keys.held()
            + self.lead.held()
            + self.capture.held()
            + nested
    }

    /// Is it the text of a string? Then only fields matter.
    fn is_inner(&self) -> bool {
        self.layer != Layer::Body
    }

    /// A quote of this layer.
    pub(crate) fn quote(&self) -> &'static [u8] {
        match self.layer {
            Layer::Body | Layer::Plain => b"\"",
            Layer::Json => b"\\\"",
            Layer::Form => b"%22",
        }
    }
}

impl<'w> Writer<'w, '_> {
    fn location<'l>(&self, place: Place<'l>) -> Location<'l>
    where
        'w: 'l,
    {
        let plan = self.sink.plan;
        // SECURITY: a signature covers tokens as well.
        let signed = plan.signed() > 0
            && plan.actions(place.state).is_some_and(|actions| actions.signed_text.is_some());
        let strings = self.base.map_or(1, |base| base.strings.saturating_add(1));
        match self.base {
            Some(base) => {
                Location { inner: place.frames, strings, verbatim: base.verbatim || signed, ..base }
            }
            None => Location { outer: place.frames, strings, verbatim: signed, ..Location::of("$") },
        }
    }

    fn raw(&mut self, raw: &[u8]) {
        self.out().extend_from_slice(raw);
    }

    /// Where structure is written.
    fn out(&mut self) -> &mut Vec<u8> {
        if self.document.lead.is_on() { self.document.lead.bytes() } else { self.sink.out }
    }

    /// Runs with what is written going into the lead, if there is one.
    fn leading(&mut self, work: impl FnOnce(&mut Self) -> Result<(), MaskError>) -> Result<(), MaskError> {
        if !self.document.lead.is_on() {
            return work(self);
        }
        std::mem::swap(self.sink.out, self.document.lead.bytes());
        let done = work(self);
        std::mem::swap(self.sink.out, self.document.lead.bytes());
        done?;
        self.sink.fits_beside(self.document.lead.held())
    }

    /// A value begins: does something else stand in its place?
    fn begin(&mut self, place: Place<'_>, kind: Begun) -> Result<(), MaskError> {
        if self.document.drop.is_some() {
            if self.document.capture.is_attribute() {
                let counts =
                    matches!(kind, Begun::String | Begun::Number) && self.is_value_of_attribute(place);
                self.document.capture.member(counts);
            }
            return Ok(());
        }
        let plan = self.sink.plan;
        let actions = plan.actions(place.state);
        let attribute = match actions {
            Some(actions) if actions.attribute_value && actions.field.is_none() => {
                self.document.attributes.begin_value(place.frames.len())?
            }
            _ => None,
        };
        let field = actions.and_then(|actions| actions.field.as_ref());
        if let Some(field) = field.or(attribute.as_ref()).filter(|field| field.is_drop())
            && self.document.lead.is_on()
        {
            let before = self.sink.replaced;
            self.document.lead.discard(self.sink.out);
            self.sink.drop_field(field, self.location(place));
            self.document.drop = Some(place.frames.len());
            self.document.changed = true;
            return actions.map_or(Ok(()), |actions| self.note(before, actions));
        }
        if self.document.lead.is_on() {
            self.document.lead.pass(self.sink.out);
        }
        let Some(actions) = actions else { return Ok(()) };
        if let Some(field) = field {
            // One of several fragments is not the value.
            if let Some(source) = source(field, kind).filter(|_| actions.fragment.is_none()) {
                self.capture(field.clone(), source, place);
                return Ok(());
            }
            let before = self.sink.replaced;
            let quote = self.document.quote();
            self.sink.replace_json(field, (None, kind == Begun::Number), quote, self.location(place));
            self.document.drop = Some(place.frames.len());
            self.document.changed = true;
            return self.note(before, actions);
        }
        if let Some(field) = attribute {
            if field.wants_value() && kind == Begun::Container {
                self.capture(field, Source::Attribute, place);
            } else {
                self.replace_attribute(&field, None, self.location(place));
                self.document.drop = Some(place.frames.len());
                self.document.changed = true;
            }
            return Ok(());
        }
        if self.document.is_inner() || self.document.skip.is_some() {
            return Ok(());
        }
        if kind != Begun::Null && (actions.null || (actions.once && self.flow.is_copy())) {
            self.raw(b"null");
            self.document.drop = Some(place.frames.len());
            self.document.changed = true;
        } else if actions.skip && kind == Begun::Container && !actions.leave {
            // SECURITY: what is known of such a value is that it counts. A text that somebody put beside the counts is none.
            self.document.numbers.get_or_insert(place.frames.len());
        } else if actions.skip || actions.leave {
            self.document.skip = Some(place.frames.len());
            if actions.leave {
                let location = self.location(place).describe(plan);
                self.sink.notes.pass(UnseenKind::SignedReasoning, location);
                // A frame like this one must be looked at again, to be counted.
                self.document.changed = true;
            }
        }
        Ok(())
    }

    /// A value ended.
    fn finish(&mut self, place: Place<'_>) -> Result<(), MaskError> {
        let depth = Some(place.frames.len());
        if self.document.drop == depth {
            self.document.drop = None;
            self.document.dropped = true;
            if let Some(captured) = self.document.capture.take(true) {
                let before = self.sink.replaced;
                self.replace_captured(&captured, self.location(place));
                self.note_at(before, place)?;
            }
        } else if self.document.skip == depth {
            self.document.skip = None;
        } else if self.document.numbers == depth {
            self.document.numbers = None;
        }
        Ok(())
    }

    /// After a text was written: a change in a signed text is noted, or refused.
    fn note(&mut self, before: u64, actions: &Actions) -> Result<(), MaskError> {
        let (Some(pair), true) = (actions.signed_text, self.sink.replaced > before) else { return Ok(()) };
        if self.sink.plan.refuses_signed() {
            return Err(MaskError::SignedReasoning);
        }
        match self.document.signed.get_mut(pair) {
            Some(state) if state.passed => Err(MaskError::SignedReasoning),
            Some(state) => {
                state.changed = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn note_at(&mut self, before: u64, place: Place<'_>) -> Result<(), MaskError> {
        match self.sink.plan.actions(place.state) {
            Some(actions) if self.sink.replaced > before => self.note(before, actions),
            _ => Ok(()),
        }
    }

    /// Writes a scalar that waited for what follows it.
    pub(crate) fn settle(&mut self) {
        if self.document.scalar.has_ended() {
            let quote = self.document.quote();
            self.document.scalar.write(quote, self.sink);
        }
    }

    /// What becomes of the string that begins here, and is neither dropped nor skipped.
    fn choose(&mut self, place: Place<'_>, actions: &Actions) -> Result<Text, MaskError> {
        if actions.attribute_key && self.document.attributes.has_member(place.frames.len()) {
            return Ok(Text::AttributeKey);
        }
        if self.document.is_inner() {
            return Ok(Text::Own);
        }
        if let Some(pair) = actions.signature {
            let changed = self.document.signed.get(pair).is_some_and(|state| state.changed);
            self.document.changed |= changed;
            return Ok(if changed { Text::Emptied } else { Text::Signature(pair) });
        }
        if actions.channel_signature.is_some() && self.flow.is_on() {
            let number = self.document.signatures;
            let void = self.flow.is_signature_void(number);
            return Ok(if void { Text::Emptied } else { Text::ChannelSignature(number) });
        }
        if actions.fragment.is_some() && self.flow.is_on() {
            return Ok(Text::Fragment(self.document.fragments));
        }
        if actions.nested {
            let nested = self
                .document
                .nested
                .get_or_insert_with(|| Box::new(Nested::new(Layer::Json, self.sink.plan.json_depth())));
            nested.start(place.state);
            return Ok(Text::Nested);
        }
        Ok(Text::Own)
    }

    /// Text of the current string.
    fn write_text(&mut self, place: Place<'_>, raw: &[u8], text: &[u8]) -> Result<(), MaskError> {
        let at = self.location(place);
        let before = self.sink.replaced;
        let Document { unit, nested, string, signed, attributes, .. } = &mut *self.document;
        match *string {
            Text::None | Text::Emptied => return Ok(()),
            Text::Dropped => {
                self.document.capture.text(text);
                return Ok(());
            }
            // A key may be part of a lead.
            Text::Through => self.raw(raw),
            Text::Key => {
                return self.leading(|writer| {
                    let Document { unit, keys, .. } = &mut *writer.document;
                    keys.write(writer.sink, |sink| unit.cell(raw, text, sink, at))
                });
            }
            Text::Own => unit.cell(raw, text, self.sink, at)?,
            Text::AttributeKey => {
                attributes.key(text, self.sink.plan);
                unit.cell(raw, text, self.sink, at)?;
            }
            Text::Nested => match nested {
                Some(nested) => nested.cell(raw, text, self.sink, at)?,
                None => return Err(MaskError::InvalidJson),
            },
            Text::Fragment(number) => self.flow.write(number, raw, text, self.sink)?,
            Text::Signature(pair) => {
                if let Some(state) = signed.get_mut(pair) {
                    state.passed = true;
                }
                self.sink.out.extend_from_slice(raw);
            }
            Text::ChannelSignature(number) => {
                self.flow.signature_passes(number);
                self.sink.out.extend_from_slice(raw);
            }
        }
        self.note_at(before, place)
    }
}

impl Visit for Writer<'_, '_> {
    type Error = MaskError;

    fn blank(&mut self, text: &[u8], raw: &[u8]) -> Result<(), MaskError> {
        if self.document.drop.is_some() {
            return Ok(());
        }
        let inner = self.document.is_inner();
        let scalar = &mut self.document.scalar;
        if inner && scalar.has_ended() {
            return scalar.push(text, raw, self.sink);
        }
        let Some(behind) = scalar.behind() else {
            self.raw(raw);
            return Ok(());
        };
        behind.extend_from_slice(raw);
        self.sink.fits_beside(scalar.held())
    }

    fn mark(&mut self, raw: &[u8]) -> Result<(), MaskError> {
        self.document.dropped = false;
        if self.document.drop.is_none() {
            self.settle();
            let lead = &mut self.document.lead;
            if self.sink.plan.drops() && !lead.is_on() {
                lead.separate(raw);
            } else {
                self.raw(raw);
            }
        } else {
            self.document.capture.mark();
        }
        Ok(())
    }

    fn enter(&mut self, place: Place<'_>, array: bool, raw: &[u8]) -> Result<(), MaskError> {
        self.begin(place, Begun::Container)?;
        if self.document.drop.is_some() {
            self.document.capture.enter(array);
            return Ok(());
        }
        let plan = self.sink.plan;
        let actions = plan.actions(place.state);
        // JSON in an attribute's text is not made of attributes.
        if actions.is_some_and(|actions| actions.attribute) && !self.document.is_inner() {
            self.document.attributes.enter(place.frames.len());
        }
        if let (false, Some(actions)) = (self.document.is_inner(), actions) {
            self.document.signed.resize(plan.signed(), SignedState::default());
            for &pair in &actions.signed_here {
                if let Some(state) = self.document.signed.get_mut(pair) {
                    *state = SignedState::default();
                }
            }
        }
        self.raw(raw);
        if plan.drops() {
            self.document.lead.enter();
        }
        Ok(())
    }

    fn leave(&mut self, place: Place<'_>, raw: &[u8]) -> Result<(), MaskError> {
        self.document.dropped = false;
        self.document.keys.leave(place.frames.len());
        if self.document.drop.is_none() {
            self.settle();
            if self.sink.plan.drops() {
                self.document.lead.leave(self.sink.out);
            }
            self.raw(raw);
        } else {
            self.document.capture.leave();
        }
        self.finish(place)
    }

    fn string(&mut self, place: Place<'_>, key: bool, raw: &[u8]) -> Result<(), MaskError> {
        if key {
            let document = &mut *self.document;
            document.string = match (document.drop, document.skip) {
                (Some(_), _) => Text::Dropped,
                (None, Some(_)) => Text::Through,
                (None, None) => {
                    document.keys.begin();
                    Text::Key
                }
            };
            if document.string == Text::Dropped {
                document.capture.string(key);
            } else {
                self.raw(raw);
            }
            return Ok(());
        }
        self.begin(place, Begun::String)?;
        let plan = self.sink.plan;
        let actions = plan.actions(place.state);
        let string = match (self.document.drop, self.document.skip, actions) {
            (Some(_), _, _) => Text::Dropped,
            (None, Some(_), _) => Text::Through,
            (None, None, Some(actions)) => self.choose(place, actions)?,
            (None, None, None) => Text::Own,
        };
        self.document.string = string;
        if string == Text::Dropped {
            self.document.capture.string(key);
        } else {
            self.raw(raw);
        }
        if let Text::Fragment(number) = string {
            if let Some(text) = self.flow.copied(number) {
                self.sink.out.extend_from_slice(text);
                self.document.string = Text::Emptied;
            } else {
                // A signed text may change what becomes of its signature.
                let signed = actions.is_some_and(|actions| actions.signed_text.is_some());
                self.document.given += usize::from(!signed);
                self.flow.begin(number, place.state)?;
            }
        }
        if let Some(actions) = actions {
            // Counted even where they are dropped: the numbers are those of the survey.
            self.document.fragments += usize::from(actions.fragment.is_some());
            self.document.signatures += usize::from(actions.channel_signature.is_some());
        }
        Ok(())
    }

    fn text(&mut self, place: Place<'_>, run: &[u8]) -> Result<(), MaskError> {
        let at = self.location(place);
        match self.document.string {
            Text::Own => {
                let before = self.sink.replaced;
                self.document.unit.literal(run, self.sink, at)?;
                self.note_at(before, place)
            }
            Text::Nested => match &mut self.document.nested {
                Some(nested) => nested.literal(run, self.sink, at),
                None => Err(MaskError::InvalidJson),
            },
            Text::Fragment(number) => {
                let before = self.sink.replaced;
                self.flow.write_block(number, &Block::literal(run), self.sink)?;
                self.note_at(before, place)
            }
            Text::Key => self.leading(|writer| {
                let Document { unit, keys, .. } = &mut *writer.document;
                keys.write(writer.sink, |sink| unit.literal(run, sink, at))
            }),
            _ => self.write_text(place, run, run),
        }
    }

    fn cell(&mut self, place: Place<'_>, raw: &[u8], text: &[u8]) -> Result<(), MaskError> {
        self.write_text(place, raw, text)
    }

    fn block(&mut self, place: Place<'_>, block: Block<'_>) -> Result<(), MaskError> {
        let before = self.sink.replaced;
        match self.document.string {
            Text::Own => {
                let at = self.location(place);
                self.document.unit.block(&block, self.sink, at)?;
            }
            Text::Fragment(number) => self.flow.write_block(number, &block, self.sink)?,
            Text::Nested => {
                let at = self.location(place);
                let nested = self.document.nested.as_mut().ok_or(MaskError::InvalidJson)?;
                nested.block(&block, self.sink, at)?;
            }
            _ => {
                return block.pieces().try_for_each(|(raw, text)| {
                    if raw == text { self.text(place, text) } else { self.cell(place, raw, text) }
                });
            }
        }
        self.note_at(before, place)
    }

    fn may_glide(&self) -> bool {
        let Document { drop, scalar, .. } = &*self.document;
        let free = !self.document.is_inner() && drop.is_none() && !scalar.waits();
        free && self.sink.room >= LEAST_ROOM && !self.sink.plan.drops()
    }

    fn plain(&mut self, place: Place<'_>, token: Plain<'_>) -> bool {
        let plan = self.sink.plan;
        let Document { skip, numbers, keys, signed, .. } = &*self.document;
        let actions = plan.actions(place.state);
        let acts = || actions.is_some_and(|actions| actions.writes);
        let skips = || actions.is_some_and(|actions| actions.skip);
        let clear = |text| plan.set().is_clear(text);
        match token {
            Plain::Enter => !acts() && (skip.is_some() || !skips()) && signed.len() == plan.signed(),
            Plain::Leave => {
                let depth = Some(place.frames.len());
                *skip != depth && *numbers != depth && !keys.remembers()
            }
            Plain::Key(name, text) => {
                skip.is_some() || plan.is_clean(name) || (keys.may_pass(text) && clear(text))
            }
            Plain::String(text) | Plain::Number(text) => {
                let counts = numbers.is_some() && matches!(token, Plain::Number(_));
                let plain = !acts() && (skip.is_some() || counts || skips() || clear(text));
                let room = self.document.values.len() < MAX_VALUES;
                if plain && room && self.flow.is_on() && !actions.is_some_and(|actions| actions.surveys) {
                    let number = matches!(token, Plain::Number(_));
                    let start = place.offset + usize::from(!number);
                    self.document.values.push(Value { start, length: text.len(), number });
                }
                plain
            }
            Plain::Literal(text) => actions.is_none_or(|actions| {
                let left = actions.field.is_none() && !actions.attribute_value && !actions.once;
                left && (!actions.null || text == b"null")
            }),
        }
    }

    fn through(&mut self, raw: &[u8]) -> Result<(), MaskError> {
        self.raw(raw);
        Ok(())
    }

    fn string_end(&mut self, place: Place<'_>, raw: &[u8]) -> Result<(), MaskError> {
        let at = self.location(place);
        let before = self.sink.replaced;
        let string = std::mem::take(&mut self.document.string);
        let Document { unit, nested, .. } = &mut *self.document;
        match string {
            Text::Key => {
                return self.leading(|writer| {
                    let Document { unit, keys, .. } = &mut *writer.document;
                    keys.write(writer.sink, |sink| unit.finish(sink, at))?;
                    keys.end(place.frames.len(), writer.sink)?;
                    writer.sink.out.extend_from_slice(raw);
                    Ok(())
                });
            }
            Text::Own => unit.finish(self.sink, at)?,
            Text::AttributeKey => {
                unit.finish(self.sink, at)?;
                self.document.attributes.end_key(self.sink.plan)?;
            }
            Text::Nested => {
                if let Some(nested) = nested {
                    nested.finish(self.sink, at)?;
                }
            }
            Text::Fragment(number) => self.flow.end(number, self.sink)?,
            _ => {}
        }
        self.note_at(before, place)?;
        if string == Text::Dropped {
            self.document.capture.string_end();
        } else {
            self.raw(raw);
        }
        self.finish(place)
    }

    fn scalar(
        &mut self,
        place: Place<'_>,
        part: ScalarPart,
        text: &[u8],
        raw: &[u8],
    ) -> Result<(), MaskError> {
        if part.first {
            let kind = match part.kind {
                Scalar::Number => Begun::Number,
                Scalar::Literal if text == b"n" => Begun::Null,
                Scalar::Literal => Begun::Literal,
            };
            self.begin(place, kind)?;
        }
        if self.document.drop.is_some() {
            self.document.capture.scalar(text);
            return Ok(());
        }
        let counts = self.document.numbers.is_some() && part.kind == Scalar::Number;
        if self.document.skip.is_some() || counts {
            self.raw(raw);
            return Ok(());
        }
        if part.first {
            self.document.scalar.begin(part.kind);
        }
        self.document.scalar.push(text, raw, self.sink)
    }

    fn scalar_end(&mut self, place: Place<'_>, _kind: Scalar) -> Result<(), MaskError> {
        if self.document.scalar.waits() {
            let at = self.location(place);
            let Document { unit, scalar, .. } = &mut *self.document;
            scalar.end(unit, self.sink, at)?;
        }
        self.finish(place)
    }

    fn line_end(&mut self) {
        self.settle();
    }

    fn known_key(&mut self, _place: Place<'_>, name: NameId, raw: &[u8]) -> Result<bool, MaskError> {
        if self.document.drop.is_some() {
            return Ok(!self.document.capture.is_on());
        }
        let through = self.document.skip.is_some() || self.sink.plan.is_clean(name);
        if through {
            self.raw(raw);
        }
        Ok(through)
    }
}
