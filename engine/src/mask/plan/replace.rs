//! What is written where a value was.
//!
//! Of several tags in one span the strictest replacement speaks for all: nothing before a fixed text before what depends
//! on the value; then the highest severity, then the name in byte order. So the order in which a policy declares things
//! never matters. What depends on the value is written only for one value that is there as a whole: a span of several
//! matches, or one with several tags, has a text.

use super::InvalidPlan;
use crate::mask::detector::DetectorBits;
use crate::policy::id::TagId;
use crate::policy::model::{Detector, Keyed, Numbers, Partial, Replacement, Tag};
use std::cmp::Reverse;

/// The replacements of all tags, and which detector has which.
#[derive(Debug)]
pub(crate) struct Replacements {
    /// By tag.
    tags: Vec<Entry>,
    /// By detector: its tag, and its text where that names it.
    detectors: Vec<(usize, Option<Vec<u8>>)>,
}

/// What stands for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<'r> {
    pub(crate) how: &'r How,
    /// What is written if nothing else can be.
    pub(crate) text: &'r [u8],
    pub(crate) numbers: Numbers,
}

/// How what stands for a value comes about.
#[derive(Clone, Debug)]
pub(crate) enum How {
    /// It is a text.
    Text,
    /// It is nothing.
    Drop,
    /// It is the ends of the value.
    Partial(Partial),
    /// It is a token with this name.
    Pseudonym(String),
    /// It is made with a key, for this tag.
    Token(String, Keyed),
    Shape(String, Keyed),
}

#[derive(Clone, Debug)]
struct Entry {
    /// The lowest is the strictest.
    rank: (u8, usize),
    how: How,
    text: Vec<u8>,
    numbers: Numbers,
}

/// Longest value, in bytes, that something which depends on it stands for.
pub(crate) const MAX_VALUE: usize = 4096;

/// What stands for the name of a detector.
const VARIABLE: &str = "{detector}";

impl Replacements {
    pub(super) fn new(detectors: &[Detector], tags: &[Tag]) -> Result<Replacements, InvalidPlan> {
        let mut order: Vec<(usize, &Tag)> = tags.iter().enumerate().collect();
        order.sort_by_key(|(_, tag)| (Reverse(tag.severity), &tag.name));
        let ranked = order.iter().zip(0..).map(|((at, tag), place)| Ok((*at, Entry::new(tag, place)?)));
        let mut entries = ranked.collect::<Result<Vec<_>, InvalidPlan>>()?;
        entries.sort_by_key(|(at, _)| *at);
        let of_detector = |detector: &Detector| {
            let place = detector.tag.index();
            let tag = tags.get(place).ok_or(InvalidPlan::Dangling)?;
            let template = tag.replacement.text().filter(|text| text.contains(VARIABLE));
            let own = template.map(|text| safe(&text.replace(VARIABLE, &detector.name))).transpose()?;
            Ok((place, own))
        };
        Ok(Replacements {
            tags: entries.into_iter().map(|(_, entry)| entry).collect(),
            detectors: detectors.iter().map(of_detector).collect::<Result<_, _>>()?,
        })
    }

    /// What stands for a span in which these detectors found something; `whole` if it is one value.
    pub(super) fn strictest(&self, found: &DetectorBits, whole: bool) -> Chosen<'_> {
        let mut best: Option<(&Entry, &[u8])> = None;
        let mut mixed = !whole;
        for (tag, own) in found.iter().filter_map(|id| self.detectors.get(id.index())) {
            let Some(entry) = self.tags.get(*tag) else { continue };
            let text = own.as_ref().unwrap_or(&entry.text).as_slice();
            mixed |= best.is_some_and(|(known, _)| known.rank != entry.rank);
            if best.is_none_or(|(known, words)| (entry.rank, text) < (known.rank, words)) {
                best = Some((entry, text));
            }
        }
        // SECURITY: a span without a known tag is still replaced, by a text that says so.
        best.map_or(
            Chosen { how: &How::Text, text: b"[MASKED]", numbers: Numbers::String },
            |(entry, text)| entry.chosen(text, mixed),
        )
    }

    /// The text of a tag with which `text` begins.
    pub(super) fn beginning(&self, text: &[u8]) -> Option<&[u8]> {
        self.texts().find(|tag| !tag.is_empty() && text.starts_with(tag))
    }

    /// Is this the beginning of a longer text of a tag?
    pub(super) fn may_become(&self, text: &[u8]) -> bool {
        self.texts().any(|tag| tag.len() > text.len() && tag.starts_with(text))
    }

    /// What stands for a field with these tags; none without tags.
    pub(super) fn strictest_tag(
        &self,
        tags: impl Iterator<Item = TagId>,
    ) -> Result<Option<Chosen<'_>>, InvalidPlan> {
        let tags = tags.map(|tag| self.tags.get(tag.index()).ok_or(InvalidPlan::Dangling));
        let tags = tags.collect::<Result<Vec<_>, _>>()?;
        let best = tags.iter().min_by_key(|entry| entry.rank);
        let mixed = tags.iter().any(|entry| best.is_some_and(|best| best.rank != entry.rank));
        Ok(best.map(|entry| entry.chosen(&entry.text, mixed)))
    }

    /// Does what stands for a finding of these detectors depend on the value?
    pub(super) fn want_values(&self, found: &DetectorBits) -> bool {
        found.iter().any(|id| self.strictest(&DetectorBits::from_iter([id]), true).how.wants_value())
    }

    /// Does nothing stand for the values of this tag?
    pub(super) fn drops(&self, tag: TagId) -> bool {
        self.tags.get(tag.index()).is_some_and(|entry| entry.how.is_drop())
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let own = self.detectors.iter().filter_map(|(_, own)| own.as_deref());
        self.tags.iter().map(|entry| entry.text.as_slice()).chain(own)
    }
}

impl Entry {
    fn new(tag: &Tag, place: usize) -> Result<Entry, InvalidPlan> {
        let (class, how) = match &tag.replacement {
            Replacement::Drop => (0, How::Drop),
            Replacement::Placeholder(_) => (1, How::Text),
            Replacement::Pseudonym(pseudonym) => (2, How::Pseudonym(pseudonym.name.clone())),
            Replacement::Tokenize(keyed) => (2, How::Token(tag.name.clone(), keyed.clone())),
            Replacement::Shape(keyed) => (2, How::Shape(tag.name.clone(), keyed.clone())),
            Replacement::Partial(partial) => (3, How::Partial(partial.clone())),
        };
        let text = tag.replacement.text().map(|text| safe(&text.replace(VARIABLE, &tag.name))).transpose()?;
        Ok(Entry { rank: (class, place), how, text: text.unwrap_or_default(), numbers: tag.numbers })
    }

    fn chosen<'r>(&'r self, text: &'r [u8], mixed: bool) -> Chosen<'r> {
        let how = if mixed && self.how.wants_value() { &How::Text } else { &self.how };
        Chosen { how, text, numbers: self.numbers }
    }
}

impl How {
    pub(crate) fn is_drop(&self) -> bool {
        matches!(self, How::Drop)
    }

    /// Must the value be known?
    pub(crate) fn wants_value(&self) -> bool {
        !matches!(self, How::Text | How::Drop)
    }
}

/// The ends of a value, and what stands between them; none if they would be more than a third of it, or it is no text.
pub(crate) fn ends(partial: &Partial, value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let length = text.chars().count();
    let (first, last) = (usize::from(partial.keep_first), usize::from(partial.keep_last));
    if (first + last) * 3 > length {
        return None;
    }
    let hidden = partial.mask_length.map_or(length - first - last, usize::from);
    let stars = std::iter::repeat_n('*', hidden);
    Some(text.chars().take(first).chain(stars).chain(text.chars().skip(length - last)).collect())
}

/// Text that means itself in a JSON string, in a JSON string inside a JSON string, and on a line of its own.
fn safe(text: &str) -> Result<Vec<u8>, InvalidPlan> {
    let bytes = text.as_bytes();
    let means_itself = |byte: &u8| (0x20..0x7F).contains(byte) && !b"\"\\".contains(byte);
    let safe = !bytes.is_empty() && bytes.iter().all(means_itself);
    if safe { Ok(bytes.to_vec()) } else { Err(InvalidPlan::Replacement) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::id::DetectorId;
    use crate::policy::model::Severity;

    fn tag(name: &str, severity: Severity, replacement: Replacement) -> Tag {
        Tag { name: name.into(), severity, replacement, numbers: Numbers::String }
    }

    fn placeholder(name: &str, severity: Severity) -> Tag {
        tag(name, severity, Replacement::Placeholder(format!("[{name}]")))
    }

    fn partial(keep_first: u8, keep_last: u8, mask_length: Option<u8>) -> Partial {
        Partial { keep_first, keep_last, mask_length, otherwise: "[P]".into() }
    }

    fn detector(tag: u16) -> Detector {
        Detector { name: format!("d{tag}"), tag: TagId(tag), validator: None }
    }

    fn bits(ids: &[u16]) -> DetectorBits {
        ids.iter().map(|&id| DetectorId(id)).collect()
    }

    #[test]
    fn severity_decides_then_the_name_never_the_order() {
        let tags = [
            placeholder("b", Severity::High),
            placeholder("z", Severity::Critical),
            placeholder("a", Severity::High),
        ];
        let detectors = [detector(0), detector(1), detector(2)];
        let replacements = Replacements::new(&detectors, &tags).unwrap();
        let strictest = |ids: &[u16]| replacements.strictest(&bits(ids), true).text.to_vec();
        assert_eq!(strictest(&[0]), b"[b]");
        assert_eq!(strictest(&[0, 2]), b"[a]");
        assert_eq!(strictest(&[2, 0]), b"[a]");
        assert_eq!(strictest(&[0, 1, 2]), b"[z]");
        let named = |ids: [u16; 2]| {
            replacements.strictest_tag(ids.into_iter().map(TagId)).unwrap().unwrap().text.to_vec()
        };
        assert_eq!(named([0, 2]), b"[a]");
        assert_eq!(named([2, 0]), b"[a]");
        assert_eq!(replacements.strictest_tag([TagId(9)].into_iter()).err(), Some(InvalidPlan::Dangling));
    }

    #[test]
    fn nothing_beats_text_beats_what_depends_on_the_value() {
        let tags = [
            tag("drop", Severity::Low, Replacement::Drop),
            placeholder("text", Severity::Medium),
            tag("ends", Severity::Critical, Replacement::Partial(partial(0, 4, None))),
        ];
        let detectors = [detector(0), detector(1), detector(2), detector(2)];
        let replacements = Replacements::new(&detectors, &tags).unwrap();
        let chosen = |ids: &[u16], whole| {
            let chosen = replacements.strictest(&bits(ids), whole);
            (format!("{:?}", chosen.how).split('(').next().unwrap().to_owned(), chosen.text.to_vec())
        };
        assert_eq!(chosen(&[0, 1, 2], true).0, "Drop");
        assert_eq!(chosen(&[1, 2], true), ("Text".to_owned(), b"[text]".to_vec()));
        assert_eq!(chosen(&[2, 3], true).0, "Partial");
        assert_eq!(chosen(&[2, 3], false), ("Text".to_owned(), b"[P]".to_vec()), "several values");
        assert!(replacements.want_values(&bits(&[0, 2])) && !replacements.want_values(&bits(&[0, 1])));
    }

    #[test]
    fn a_text_can_name_the_detector() {
        let tags = [tag("t", Severity::Low, Replacement::Placeholder("[{detector}]".into()))];
        let replacements = Replacements::new(&[detector(0), detector(0)], &tags).unwrap();
        assert_eq!(replacements.strictest(&bits(&[1]), true).text, b"[d0]");
        assert_eq!(replacements.strictest_tag([TagId(0)].into_iter()).unwrap().unwrap().text, b"[t]");
        assert!(replacements.beginning(b"[d0] and").is_some());
    }

    #[test]
    fn ends_are_counted_in_characters_and_are_at_most_a_third() {
        let of = |first, last, mask, value: &str| ends(&partial(first, last, mask), value.as_bytes());
        assert_eq!(of(0, 4, None, "4111111111111111").as_deref(), Some("************1111"));
        assert_eq!(of(1, 1, Some(8), "\u{e9}xxxx\u{1F600}").as_deref(), Some("\u{e9}********\u{1F600}"));
        assert_eq!(of(0, 4, None, "41111111111"), None, "more than a third");
        assert_eq!(of(0, 0, Some(3), "a").as_deref(), Some("***"));
        assert_eq!(ends(&partial(0, 1, None), b"abc\xFF"), None);
    }

    #[test]
    fn texts_that_need_an_escape_are_refused() {
        for text in ["", "a\"b", "a\\b", "a\nb", "\u{e9}"] {
            let tags = [tag("t", Severity::Low, Replacement::Placeholder(text.to_owned()))];
            assert_eq!(Replacements::new(&[], &tags).err(), Some(InvalidPlan::Replacement), "{text:?}");
        }
        assert_eq!(Replacements::new(&[detector(1)], &[]).err(), Some(InvalidPlan::Dangling));
    }
}
