//! The channels of a content, compiled: which keys name an instance, what closes it, how a tail is carried.

use super::{InvalidPlan, Marker};
use crate::policy::model::Channel;
use crate::policy::path::PathStep;

/// Most keys of a channel.
pub(crate) const MAX_KEYS: usize = 4;

/// Most arrays on the path to a fragment.
pub(crate) const MAX_ARRAYS: usize = 6;

/// A channel: its place in the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChannelId(usize);

impl ChannelId {
    /// The channel after this one.
    pub(crate) fn next(self) -> ChannelId {
        ChannelId(self.0 + 1)
    }
}

/// All channels of a content.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    list: Vec<ChannelPlan>,
    closers: Vec<CloserPlan>,
}

/// One channel.
#[derive(Debug)]
pub(crate) struct ChannelPlan {
    /// How findings call it.
    pub(crate) label: String,
    /// The joined text is a document.
    pub(crate) nested: bool,
    /// What names an instance, as seen from a fragment.
    pub(crate) keys: Vec<KeyUse>,
    /// What names an instance, as seen from the signature.
    pub(crate) signature_keys: Vec<Option<KeyUse>>,
    pub(crate) signed: bool,
    pub(crate) tail: Option<Tail>,
    /// Without it, the fragments belong to the next channel.
    pub(crate) when: Option<WhenPlan>,
}

/// What must be observed beside a fragment.
#[derive(Debug)]
pub(crate) struct WhenPlan {
    pub(crate) is: Vec<u8>,
    /// How many arrays its path goes through; the fragments share them.
    pub(crate) arrays: usize,
}

/// A key, seen from another place of the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUse {
    /// Its number among all keys.
    pub(crate) key: usize,
    /// How many arrays its path goes through; the other place shares them.
    pub(crate) arrays: usize,
}

/// What closes instances of one channel.
#[derive(Debug)]
pub(crate) struct CloserPlan {
    pub(crate) channel: ChannelId,
    /// What is expected; none: anything but `null`.
    pub(crate) is: Option<Vec<u8>>,
    /// The keys of the channel, in their order; none if the closer says nothing about one.
    pub(crate) keys: Vec<Option<KeyUse>>,
}

/// The frame that carries a tail.
#[derive(Debug)]
pub(crate) struct Tail {
    event: Vec<u8>,
    document: Vec<TailPart>,
}

#[derive(Debug)]
enum TailPart {
    Raw(Vec<u8>),
    Text,
    Key(usize),
}

impl Channels {
    pub(super) fn new<'p>(
        channels: &[Channel],
        mut add: impl FnMut(&[PathStep], Marker<'p>),
    ) -> Result<Channels, InvalidPlan> {
        let mut all = Channels::default();
        let mut keys: Vec<&[PathStep]> = Vec::new();
        for (place, channel) in channels.iter().enumerate() {
            let id = ChannelId(place);
            let mut own = Vec::new();
            for path in &channel.key {
                let steps = followable(path.steps())?;
                let number = keys.iter().position(|known| *known == steps).unwrap_or_else(|| {
                    add(steps, Marker::Key(keys.len()));
                    keys.push(steps);
                    keys.len() - 1
                });
                own.push((number, steps));
            }
            if own.len() > MAX_KEYS || channel.fragments.is_empty() {
                return Err(InvalidPlan::ChannelPath);
            }
            let next = channels.get(place + 1).map(|next| &next.fragments);
            if channel.when.is_some() && next != Some(&channel.fragments) {
                return Err(InvalidPlan::Otherwise);
            }
            let when = channel.when.as_ref().map(|when| followable(when.at.steps())).transpose()?;
            // Of channels that share their fragments the first one stands for all.
            let shared =
                place.checked_sub(1).and_then(|before| channels.get(before)?.when.as_ref()).is_some();
            for path in &channel.fragments {
                let steps = followable(path.steps())?;
                let beside = own.iter().map(|(_, key)| *key).chain(when);
                if beside.into_iter().any(|key| seen_from(key, steps).is_none()) {
                    return Err(InvalidPlan::ChannelPath);
                }
                if !shared {
                    add(steps, Marker::Fragment(id));
                }
            }
            if let Some(steps) = when {
                add(steps, Marker::When(id));
            }
            let uses = |from: &[PathStep]| -> Vec<Option<KeyUse>> {
                let seen = own
                    .iter()
                    .map(|&(key, steps)| seen_from(steps, from).map(|arrays| KeyUse { key, arrays }));
                seen.collect()
            };
            for closer in &channel.closed_by {
                let steps = followable(closer.at.steps())?;
                add(steps, Marker::Closer(all.closers.len()));
                let is = closer.is.clone().map(String::into_bytes);
                let mut seen = uses(steps);
                for (slot, (_, key)) in seen.iter_mut().zip(&own) {
                    // What a closer looks for is not what the fragments of its channel have there.
                    slot.take_if(|_| *key == steps);
                }
                all.closers.push(CloserPlan { channel: id, is, keys: seen });
            }
            let signature = channel.signature.as_ref().map(|path| followable(path.steps())).transpose()?;
            if let Some(steps) = signature {
                add(steps, Marker::ChannelSignature(id));
            }
            all.list.push(ChannelPlan {
                label: format!("channel.{}", channel.name),
                nested: channel.nested,
                keys: own.iter().map(|&(key, steps)| KeyUse { key, arrays: arrays(steps) }).collect(),
                signature_keys: signature.map(uses).unwrap_or_default(),
                signed: signature.is_some(),
                tail: channel.tail.as_ref().map(|text| Tail::new(text, own.len())).transpose()?,
                when: channel.when.as_ref().map(|when| WhenPlan {
                    is: when.is.clone().into_bytes(),
                    arrays: arrays(when.at.steps()),
                }),
            });
        }
        Ok(all)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn get(&self, id: ChannelId) -> Option<&ChannelPlan> {
        self.list.get(id.0)
    }

    /// Does anything close this channel before the end of the body?
    pub(crate) fn has_closer(&self, id: ChannelId) -> bool {
        self.closers.iter().any(|closer| closer.channel == id)
    }

    pub(crate) fn closer(&self, closer: usize) -> Option<&CloserPlan> {
        self.closers.get(closer)
    }
}

impl Tail {
    /// Reads an event of one data line: other syntaxes carry the same document in their own way.
    fn new(template: &str, keys: usize) -> Result<Tail, InvalidPlan> {
        let (event, rest) = match template.strip_prefix("event: ") {
            Some(rest) => rest.split_once('\n').ok_or(InvalidPlan::Template)?,
            None => ("", template),
        };
        let document = rest.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n"));
        let mut rest =
            document.filter(|document| !document.contains(['\r', '\n'])).ok_or(InvalidPlan::Template)?;
        let mut parts = Vec::new();
        let mut texts = 0;
        while let Some((before, after)) = rest.split_once('%') {
            parts.push(TailPart::Raw(before.as_bytes().to_vec()));
            let mut chars = after.chars();
            parts.push(match chars.next() {
                Some('t') => {
                    texts += 1;
                    TailPart::Text
                }
                Some('%') => TailPart::Raw(b"%".to_vec()),
                Some(digit) => {
                    let key = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                    TailPart::Key(key.filter(|&key| key < keys).ok_or(InvalidPlan::Template)?)
                }
                None => return Err(InvalidPlan::Template),
            });
            rest = chars.as_str();
        }
        parts.push(TailPart::Raw(rest.as_bytes().to_vec()));
        if texts != 1 {
            return Err(InvalidPlan::Template);
        }
        Ok(Tail { event: event.as_bytes().to_vec(), document: parts })
    }

    /// Name of the event; may be empty.
    pub(crate) fn event(&self) -> &[u8] {
        &self.event
    }

    /// The document of the event; `keys` are the values of the instance.
    pub(crate) fn document(&self, text: &[u8], keys: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.document {
            match part {
                TailPart::Raw(raw) => out.extend_from_slice(raw),
                TailPart::Text => out.extend_from_slice(text),
                TailPart::Key(key) => {
                    let value = keys.get(*key).copied().unwrap_or(0);
                    out.extend_from_slice(value.to_string().as_bytes());
                }
            }
        }
        out
    }
}

/// A path whose every array has one place in an event.
fn followable(steps: &[PathStep]) -> Result<&[PathStep], InvalidPlan> {
    let plain = steps.iter().all(|step| matches!(step, PathStep::Key(_) | PathStep::AnyElement));
    if plain && arrays(steps) <= MAX_ARRAYS { Ok(steps) } else { Err(InvalidPlan::ChannelPath) }
}

fn arrays(steps: &[PathStep]) -> usize {
    steps.iter().filter(|step| **step == PathStep::AnyElement).count()
}

/// How many arrays `key` goes through, if `other` goes through the same ones.
fn seen_from(key: &[PathStep], other: &[PathStep]) -> Option<usize> {
    let shared = key.iter().rposition(|step| *step == PathStep::AnyElement).map_or(0, |last| last + 1);
    (key.get(..shared) == other.get(..shared)).then(|| arrays(key))
}
