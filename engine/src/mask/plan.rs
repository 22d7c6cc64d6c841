//! What to do where: the masks of a policy and the data of a content, compiled for one place of an exchange.

mod attributes;
mod channels;
mod content;
mod place;
mod replace;
mod schema;

pub(crate) use channels::{ChannelId, ChannelPlan, CloserPlan, KeyUse, MAX_ARRAYS, MAX_KEYS};
pub use place::Place;
pub(crate) use replace::{Chosen, How, MAX_VALUE, Replacements, ends};
pub(crate) use schema::{Kind, MAX_ID, MessageId, SchemaPlan};

use super::detector::{DetectorBits, DetectorSet};
use super::finding::What;
use super::notes::Notes;
use super::text::TextUnit;
use crate::decision::Direction;
use crate::format::paths::{NameId, Paths, StateId};
use crate::format::{Format, FormatError, PassId, covering};
use crate::policy::id::{MaskId, TagId};
use crate::policy::model::{Content, Detector, Field, Limits, Mask, Numbers, Tag, Thinking, UnknownContent};
use crate::policy::path::PathStep;
use attributes::Attributes;
use channels::Channels;
use content::{FORM, add_attributes, add_below, add_content, add_elements, left};
use std::sync::Arc;

/// A compiled union of masks. Made once, shared by every body that has the same masks, content and direction.
#[derive(Debug)]
pub struct MaskPlan {
    set: Arc<DetectorSet>,
    /// Detectors that run: those of all masks that scan this place.
    active: DetectorBits,
    masks: Vec<(MaskId, DetectorBits)>,
    /// Those of them that find tokens of pseudonyms.
    tokens: DetectorBits,
    /// Values must be known to write what stands for them.
    keeps_values: bool,
    /// Some members and elements go as a whole.
    drops: bool,
    pseudonyms: usize,
    replacements: Replacements,
    paths: Paths,
    /// By state of the paths.
    actions: Vec<Actions>,
    /// Names that no detector finds anything in, by name id.
    clean: Vec<bool>,
    signed: usize,
    channels: Channels,
    schema: Option<SchemaPlan>,
    attributes: Attributes,
    /// Where the names of forms begin.
    form: StateId,
    thinking: Thinking,
    state_limit: usize,
    message_limit: usize,
    json_depth: usize,
    inflate_ratio: u32,
    /// Media types that pass without a look.
    passing: Vec<String>,
    done: Vec<Vec<u8>>,
    error_event: Vec<u8>,
    lines: bool,
    idle: bool,
}

/// Why masks cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlan {
    /// A reference to a detector or tag that does not exist.
    #[error("reference to an entry that does not exist")]
    Dangling,
    /// The paths need too many states.
    #[error("too many or too ambiguous paths")]
    Paths,
    /// A path of a channel cannot be followed in one event.
    #[error("a channel path may only have names and `[*]`, and its keys must lie on its way")]
    ChannelPath,
    /// A text and its signature have no common object.
    #[error("a signature must be in the object of its text")]
    Signature,
    /// A replacement would need an escape.
    #[error("a replacement is not JSON-safe")]
    Replacement,
    /// A channel with a condition is not followed by one with the same fragments.
    #[error("a channel with `when` needs a next channel with the same fragments")]
    Otherwise,
    /// A template of a channel is not an event, or names a key that the channel has not.
    #[error("a tail template is malformed")]
    Template,
    /// A schema names a message that it has not, or a field number twice.
    #[error("a protobuf schema is inconsistent")]
    Schema,
}

/// What happens at a place of a document.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    /// The whole value is masked.
    pub(crate) field: Option<FieldPlan>,
    /// The value passes without a look, and the audit says so.
    pub(crate) leave: bool,
    /// The object is an attribute, and these are its members.
    pub(crate) attribute: bool,
    pub(crate) attribute_key: bool,
    pub(crate) attribute_value: bool,
    /// The value becomes `null`.
    pub(crate) null: bool,
    /// The value becomes `null` in a copy.
    pub(crate) once: bool,
    /// The value is neither scanned nor changed.
    pub(crate) skip: bool,
    /// A string here carries a document.
    pub(crate) nested: bool,
    /// A signed text; the number of its pair.
    pub(crate) signed_text: Option<usize>,
    /// The signature of a pair.
    pub(crate) signature: Option<usize>,
    /// Pairs of signed text and signature live in the object here.
    pub(crate) signed_here: Vec<usize>,
    /// A string here is a fragment: of this channel, or of one that comes after it.
    pub(crate) fragment: Option<ChannelId>,
    /// A string here is the signature of a channel.
    pub(crate) channel_signature: Option<ChannelId>,
    /// A number here is a key: its number among all keys.
    pub(crate) key: Option<usize>,
    /// Closers that look here: their numbers among all closers.
    pub(crate) closers: Vec<usize>,
    /// More becomes of a value here than that it is scanned or skipped.
    pub(crate) writes: bool,
    /// A survey looks here.
    pub(crate) surveys: bool,
    /// Channels whose condition looks here.
    pub(crate) whens: Vec<ChannelId>,
}

/// A value that is masked whatever it holds.
#[derive(Clone, Debug)]
pub(crate) struct FieldPlan {
    how: How,
    text: Vec<u8>,
    numbers: Numbers,
    findings: Vec<(MaskId, What)>,
}

/// What a pattern of the paths stands for.
#[derive(Clone, Copy, Debug)]
enum Marker<'p> {
    Field(MaskId, &'p Field),
    Leave,
    Attribute,
    AttributeKey,
    AttributeValue,
    Null,
    Once,
    Skip,
    Nested,
    SignedText(usize),
    Signature(usize),
    SignedHere(usize),
    Fragment(ChannelId),
    ChannelSignature(ChannelId),
    Key(usize),
    Closer(usize),
    When(ChannelId),
}

impl MaskPlan {
    /// Compiles the union of `masks` for one place; `content` is that of a body.
    ///
    /// # Errors
    /// See [`InvalidPlan`].
    #[expect(clippy::too_many_arguments, reason = "each is a different table of the policy")]
    pub fn new(
        set: Arc<DetectorSet>,
        detectors: &[Detector],
        tags: &[Tag],
        masks: &[(MaskId, &Mask)],
        content: Option<&Content>,
        place: impl Into<Place>,
        thinking: Thinking,
        limits: &Limits,
    ) -> Result<MaskPlan, InvalidPlan> {
        let place = place.into();
        let scanning: Vec<(MaskId, DetectorBits)> = masks
            .iter()
            .map(|(id, mask)| (*id, place.detectors(mask)))
            .filter(|(_, bits)| !bits.is_empty())
            .collect();
        let tokens: DetectorBits = masks.iter().flat_map(|(_, mask)| &mask.tokens).copied().collect();
        let active = scanning.iter().fold(DetectorBits::new(), |all, (_, bits)| all.union(bits));
        if !active.difference(&set.all()).is_empty() {
            return Err(InvalidPlan::Dangling);
        }
        let replacements = Replacements::new(detectors, tags)?;
        let mut patterns: Vec<(Vec<PathStep>, Marker<'_>)> = Vec::new();
        for (id, mask) in masks {
            let fields = place.fields(mask).iter();
            patterns.extend(fields.map(|field| (field.at.steps().to_vec(), Marker::Field(*id, field))));
        }
        let left = content.filter(|_| thinking == Thinking::Leave).map(left);
        let content = left.as_ref().map(|(content, _)| content).or(content);
        let channels = match content {
            Some(content) => {
                add_content(content, &mut patterns)?;
                Channels::new(&content.channels, |steps, marker| patterns.push((steps.to_vec(), marker)))?
            }
            None => Channels::default(),
        };
        for path in left.iter().flat_map(|(_, texts)| texts) {
            patterns.push((path.steps().to_vec(), Marker::Leave));
        }
        if !channels.is_empty() {
            add_elements(&mut patterns);
        }
        let attributes = Attributes::new(masks.iter().filter(|_| place.is_body()));
        let has_attributes = content.is_some_and(|content| !content.attributes.is_empty());
        if let (false, Some(content)) = (attributes.is_empty(), content) {
            add_attributes(content, &mut patterns);
        }
        let has_forms = place.is_body() && masks.iter().any(|(_, mask)| !mask.form_fields.is_empty());
        if has_forms {
            add_below(&PathStep::Key(FORM.to_owned()), &mut patterns);
            for (id, mask) in masks {
                let steps = |field: &Field| [&[PathStep::Key(FORM.to_owned())], field.at.steps()].concat();
                patterns
                    .extend(mask.form_fields.iter().map(|field| (steps(field), Marker::Field(*id, field))));
            }
        }
        let steps: Vec<&[PathStep]> = patterns.iter().map(|(steps, _)| steps.as_slice()).collect();
        let schema = content.and_then(|content| content.protobuf.as_ref());
        let fields = schema.into_iter().flat_map(|schema| schema.messages.values().flatten());
        let names = fields.map(|field| field.name.as_str()).chain([super::wrapped::MEMBER]);
        let names = names.chain(super::attribute::VALUES.into_iter().filter(|_| !attributes.is_empty()));
        let paths = Paths::new(&steps, names).map_err(|_| InvalidPlan::Paths)?;
        // Only bodies have a content, and so a schema.
        let direction = if place == Place::ResponseBody { Direction::Response } else { Direction::Request };
        let schema = schema.map(|schema| SchemaPlan::new(schema, direction, &paths)).transpose()?;
        let markers = |ends: &[usize]| -> Vec<Marker<'_>> {
            ends.iter().filter_map(|&pattern| patterns.get(pattern)).map(|(_, marker)| *marker).collect()
        };
        let actions = paths
            .ends()
            .map(|ends| Actions::new(&markers(ends), &replacements))
            .collect::<Result<Vec<_>, _>>()?;
        let form = paths.member(StateId::ROOT, paths.name(FORM.as_bytes()));
        let tokens = tokens.intersection(&active);
        let drops = |field: &FieldPlan| field.how.is_drop();
        let drops_fields = actions.iter().any(|actions| actions.field.as_ref().is_some_and(drops));
        let mut plan = MaskPlan {
            idle: active.is_empty() && !masks.iter().any(|(_, mask)| place.masks_fields(mask)),
            set,
            active,
            masks: scanning,
            tokens,
            keeps_values: !tokens.is_empty() || replacements.want_values(&active),
            drops: drops_fields || (has_attributes && attributes.tags().any(|tag| replacements.drops(tag))),
            pseudonyms: usize::from(limits.pseudonyms),
            replacements,
            clean: Vec::new(),
            paths,
            actions,
            signed: content.map_or(0, |content| content.signed.len()),
            channels,
            schema,
            attributes,
            form: if has_forms { form } else { StateId::ROOT },
            thinking,
            state_limit: usize::try_from(limits.state).unwrap_or(usize::MAX),
            message_limit: usize::try_from(limits.message).unwrap_or(usize::MAX),
            json_depth: usize::from(limits.json_depth),
            inflate_ratio: limits.inflate_ratio,
            passing: match &limits.unknown_content {
                UnknownContent::Refuse => Vec::new(),
                UnknownContent::Pass(names) => names.clone(),
            },
            done: content.map_or_else(Vec::new, |content| {
                content.done.iter().map(|payload| payload.clone().into_bytes()).collect()
            }),
            error_event: content.map_or_else(Vec::new, |content| content.error_event.clone().into_bytes()),
            lines: content.is_some_and(|content| content.lines),
        };
        let mut unit = TextUnit::default();
        let clean =
            plan.paths.names().map(|name| unit.probe(name, &plan).is_ok_and(|found| found.is_empty()));
        plan.clean = clean.collect();
        Ok(plan)
    }

    /// Is there nothing to do? Then no body need be read.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Can bodies of this format be masked as the content demands?
    ///
    /// SECURITY: where a content knows channels, a stream of deltas that says it is text would pass with every value that is
    /// cut over two deltas; and where no detector runs, nothing would look at a text, for it has no fields; protobuf
    /// says nothing about itself.
    #[must_use]
    pub fn takes(&self, format: Format) -> bool {
        match format {
            Format::Json | Format::Lines | Format::Sse | Format::EventStream => true,
            Format::Form | Format::Multipart { .. } => self.channels.is_empty(),
            Format::Protobuf | Format::Grpc => self.schema.is_some(),
            Format::Text => self.channels.is_empty() && !self.active.is_empty(),
            Format::Opaque(_) => self.channels.is_empty(),
        }
    }

    /// The format of a body of this type; none if it is refused.
    #[must_use]
    pub fn format(&self, content_type: &[u8]) -> Option<Format> {
        let format = match Format::of(content_type) {
            Err(FormatError::UnknownType) => Format::Opaque(self.passing(content_type)?),
            other => other.ok()?,
        };
        self.takes(format).then_some(format)
    }

    /// The name by which content of this type passes without a look.
    pub(crate) fn passing(&self, content_type: &[u8]) -> Option<PassId> {
        covering(content_type, &self.passing)
    }

    pub(crate) fn schema(&self) -> Option<&SchemaPlan> {
        self.schema.as_ref()
    }

    pub(crate) fn set(&self) -> &DetectorSet {
        &self.set
    }

    pub(crate) fn active(&self) -> &DetectorBits {
        &self.active
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) fn actions(&self, state: StateId) -> Option<&Actions> {
        self.actions.get(state.index())
    }

    /// A key that needs no scan.
    pub(crate) fn is_clean(&self, name: NameId) -> bool {
        self.clean.get(name.index()).copied().unwrap_or(false)
    }

    /// How many pairs of signed text and signature there are.
    pub(crate) fn signed(&self) -> usize {
        self.signed
    }

    /// Must a finding in a signed text refuse the body?
    pub(crate) fn refuses_signed(&self) -> bool {
        match self.thinking {
            Thinking::Refuse => true,
            Thinking::MaskAndDropSignature | Thinking::Leave => false,
        }
    }

    /// What masks an attribute with this key, wholly or not at all.
    pub(crate) fn attribute(&self, key: &[u8]) -> Option<FieldPlan> {
        let fields = self.attributes.matching(key);
        // The tags were looked up when the plan was made.
        FieldPlan::new(fields, &self.replacements).ok().flatten()
    }

    /// Longest beginning of an attribute's key that decides.
    pub(crate) fn longest_attribute(&self) -> usize {
        self.attributes.longest()
    }

    /// Where the names of forms begin.
    pub(crate) fn form(&self) -> StateId {
        self.form
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    pub(crate) fn channel(&self, id: ChannelId) -> Option<&ChannelPlan> {
        self.channels.get(id)
    }

    /// Bytes that may be held.
    pub(crate) fn state_limit(&self) -> usize {
        self.state_limit
    }

    /// Longest message that is held beside it.
    pub(crate) fn message_limit(&self) -> usize {
        self.message_limit
    }

    pub(crate) fn json_depth(&self) -> usize {
        self.json_depth
    }

    /// Bytes that may come out of each byte of a content coding.
    pub(crate) fn inflate_ratio(&self) -> u32 {
        self.inflate_ratio
    }

    /// Is this payload the end of every channel?
    pub(crate) fn is_done(&self, payload: &[u8]) -> bool {
        // `[DONE]` ends streams of many APIs, known or not; it is no JSON, and no text either.
        let payload = payload.trim_ascii();
        payload == b"[DONE]" || self.done.iter().any(|done| done == payload)
    }

    /// Is there a JSON document that ends every channel?
    pub(crate) fn is_ended_by_documents(&self) -> bool {
        self.done.iter().any(|done| {
            matches!(done.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) && done != b"[DONE]"
        })
    }

    pub(crate) fn error_event(&self) -> Option<&[u8]> {
        (!self.error_event.is_empty()).then_some(&self.error_event)
    }

    /// The document of [`MaskPlan::error_event`], as a line.
    pub(crate) fn error_line(&self) -> Option<&[u8]> {
        const DATA: &[u8] = b"data: ";
        let mut lines = self.error_event.split_inclusive(|&byte| byte == b'\n');
        lines.find_map(|line| line.strip_prefix(DATA))
    }

    /// May JSON of this content be one document a line, whatever its content type says?
    pub(crate) fn expects_lines(&self) -> bool {
        self.lines
    }

    /// What stands for a span in which these detectors found something; `whole` if it is one value.
    pub(crate) fn replacement(&self, detectors: &DetectorBits, whole: bool) -> Chosen<'_> {
        self.replacements.strictest(detectors, whole)
    }

    /// The detectors that find tokens of pseudonyms.
    pub(crate) fn tokens(&self) -> &DetectorBits {
        &self.tokens
    }

    /// Are there values that must be known to write what stands for them?
    pub(crate) fn keeps_values(&self) -> bool {
        self.keeps_values
    }

    /// Are there members or elements that go as a whole?
    pub(crate) fn drops(&self) -> bool {
        self.drops
    }

    /// Most values of an exchange that have a token.
    pub(crate) fn pseudonyms(&self) -> usize {
        self.pseudonyms
    }

    /// The placeholder with which `text` begins.
    pub(crate) fn leading_placeholder(&self, text: &[u8]) -> Option<&[u8]> {
        self.replacements.beginning(text)
    }

    /// Is this the beginning of a placeholder, but not all of it?
    pub(crate) fn may_become_placeholder(&self, text: &[u8]) -> bool {
        self.replacements.may_become(text)
    }

    /// Counts a span for every mask that asked for one of its detectors.
    pub(crate) fn record(&self, detectors: &DetectorBits, location: &str, notes: &mut Notes) {
        for (mask, bits) in &self.masks {
            for detector in bits.intersection(detectors).iter() {
                notes.record(*mask, What::Detector(detector), location);
            }
        }
    }
}

impl Actions {
    /// Does a survey need the value here?
    pub(crate) fn is_observed(&self) -> bool {
        self.key.is_some() || !self.closers.is_empty() || !self.whens.is_empty()
    }
}

impl FieldPlan {
    /// What becomes of a value for which these masks have these tags; none if there are none.
    fn new(
        mut fields: Vec<(MaskId, TagId)>,
        replacements: &Replacements,
    ) -> Result<Option<FieldPlan>, InvalidPlan> {
        fields.sort_unstable();
        fields.dedup();
        let chosen = replacements.strictest_tag(fields.iter().map(|&(_, tag)| tag))?;
        let findings = || fields.iter().map(|&(mask, tag)| (mask, What::Field(tag))).collect();
        Ok(chosen.map(|Chosen { how, text, numbers }| FieldPlan {
            how: how.clone(),
            text: text.to_vec(),
            numbers,
            findings: findings(),
        }))
    }

    /// What stands for the value.
    pub(crate) fn replacement(&self) -> Chosen<'_> {
        Chosen { how: &self.how, text: &self.text, numbers: self.numbers }
    }

    /// Does the value go, with what names it?
    pub(crate) fn is_drop(&self) -> bool {
        self.how.is_drop()
    }

    /// Must the value be known?
    pub(crate) fn wants_value(&self) -> bool {
        self.how.wants_value()
    }

    /// Does a token stand for the value, whatever it is?
    pub(crate) fn is_token(&self) -> bool {
        matches!(self.how, How::Token(..))
    }

    pub(crate) fn record(&self, location: &str, notes: &mut Notes) {
        for &(mask, what) in &self.findings {
            notes.record(mask, what, location);
        }
    }
}

impl Actions {
    fn new(markers: &[Marker<'_>], replacements: &Replacements) -> Result<Actions, InvalidPlan> {
        let mut actions = Actions::default();
        let mut fields = Vec::new();
        for marker in markers {
            match *marker {
                Marker::Field(mask, field) => fields.push((mask, field.tag)),
                Marker::Leave => actions.leave = true,
                Marker::Attribute => actions.attribute = true,
                Marker::AttributeKey => actions.attribute_key = true,
                Marker::AttributeValue => actions.attribute_value = true,
                Marker::Null => actions.null = true,
                Marker::Once => actions.once = true,
                Marker::Skip => actions.skip = true,
                Marker::Nested => actions.nested = true,
                Marker::SignedText(pair) => actions.signed_text = Some(pair),
                Marker::Signature(pair) => actions.signature = Some(pair),
                Marker::SignedHere(pair) => actions.signed_here.push(pair),
                Marker::Fragment(channel) => {
                    if actions.fragment.replace(channel).is_some() {
                        return Err(InvalidPlan::ChannelPath);
                    }
                }
                Marker::ChannelSignature(channel) => actions.channel_signature = Some(channel),
                Marker::Key(key) => actions.key = Some(key),
                Marker::Closer(closer) => actions.closers.push(closer),
                Marker::When(channel) => actions.whens.push(channel),
            }
        }
        actions.field = FieldPlan::new(fields, replacements)?;
        let reads =
            |marker: &Marker<'_>| matches!(marker, Marker::Key(_) | Marker::Closer(_) | Marker::When(_));
        actions.writes = markers.iter().any(|marker| !reads(marker) && !matches!(marker, Marker::Skip));
        actions.surveys = markers.iter().any(|marker| {
            reads(marker) || matches!(marker, Marker::Fragment(_) | Marker::ChannelSignature(_))
        });
        Ok(actions)
    }
}
