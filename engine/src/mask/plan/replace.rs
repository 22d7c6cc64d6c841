//! What is written where a value was.
//!
//! Of several tags in one span the strictest speaks for all: the highest severity, then the name in byte order. So the
//! order in which a policy declares things never matters.

use super::InvalidPlan;
use crate::mask::detector::DetectorBits;
use crate::policy::id::TagId;
use crate::policy::model::{Detector, Replacement, Tag};
use std::cmp::Reverse;

/// The texts of all tags, and which detector has which.
#[derive(Debug)]
pub(crate) struct Replacements {
    /// By tag: its rank (the lowest is the strictest) and text.
    tags: Vec<(usize, Vec<u8>)>,
    /// By detector: its tag.
    detectors: Vec<usize>,
}

impl Replacements {
    pub(super) fn new(detectors: &[Detector], tags: &[Tag]) -> Result<Replacements, InvalidPlan> {
        let mut order: Vec<&Tag> = tags.iter().collect();
        order.sort_by_key(|tag| (Reverse(tag.severity), &tag.name));
        let texts = tags.iter().map(|tag| {
            let Replacement::Placeholder(text) = &tag.replacement;
            let rank = order.iter().position(|other| std::ptr::eq(*other, tag)).unwrap_or(usize::MAX);
            let text = text.clone().into_bytes();
            is_safe(&text).then_some((rank, text)).ok_or(InvalidPlan::Replacement)
        });
        let tag_of = |detector: &Detector| {
            let tag = detector.tag.index();
            (tag < tags.len()).then_some(tag).ok_or(InvalidPlan::Dangling)
        };
        Ok(Replacements {
            tags: texts.collect::<Result<_, _>>()?,
            detectors: detectors.iter().map(tag_of).collect::<Result<_, _>>()?,
        })
    }

    /// The text for a span in which these detectors found something.
    pub(super) fn strictest(&self, found: &DetectorBits) -> &[u8] {
        let tags = found.iter().filter_map(|id| self.tags.get(*self.detectors.get(id.index())?));
        // SECURITY: a span without a known tag is still replaced, by a text that says so.
        tags.min_by_key(|(rank, _)| *rank).map_or(b"[MASKED]", |(_, text)| text)
    }

    /// The text of a tag with which `text` begins.
    pub(super) fn beginning(&self, text: &[u8]) -> Option<&[u8]> {
        self.tags.iter().map(|(_, tag)| tag.as_slice()).find(|tag| text.starts_with(tag))
    }

    /// Is this the beginning of a longer text of a tag?
    pub(super) fn may_become(&self, text: &[u8]) -> bool {
        self.tags.iter().any(|(_, tag)| tag.len() > text.len() && tag.starts_with(text))
    }

    /// The text for a field with these tags; none without tags.
    pub(super) fn strictest_tag(
        &self,
        tags: impl Iterator<Item = TagId>,
    ) -> Result<Option<Vec<u8>>, InvalidPlan> {
        let tags = tags.map(|tag| self.tags.get(tag.index()).ok_or(InvalidPlan::Dangling));
        let tags = tags.collect::<Result<Vec<_>, _>>()?;
        Ok(tags.into_iter().min_by_key(|(rank, _)| *rank).map(|(_, text)| text.clone()))
    }
}

/// Text that means itself in a JSON string, in a JSON string inside a JSON string, and on a line of its own.
fn is_safe(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| (0x20..0x7F).contains(byte) && !b"\"\\".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::id::DetectorId;
    use crate::policy::model::Severity;

    fn tag(name: &str, severity: Severity) -> Tag {
        Tag { name: name.into(), severity, replacement: Replacement::Placeholder(format!("[{name}]")) }
    }

    fn detector(tag: u16) -> Detector {
        Detector { name: format!("d{tag}"), tag: TagId(tag), validator: None }
    }

    #[test]
    fn severity_decides_then_the_name_never_the_order() {
        let tags = [tag("b", Severity::High), tag("z", Severity::Critical), tag("a", Severity::High)];
        let detectors = [detector(0), detector(1), detector(2)];
        let replacements = Replacements::new(&detectors, &tags).unwrap();
        let strictest =
            |ids: &[u16]| replacements.strictest(&ids.iter().map(|&id| DetectorId(id)).collect()).to_vec();
        assert_eq!(strictest(&[0]), b"[b]");
        assert_eq!(strictest(&[0, 2]), b"[a]");
        assert_eq!(strictest(&[2, 0]), b"[a]");
        assert_eq!(strictest(&[0, 1, 2]), b"[z]");
        let named = |ids: [u16; 2]| replacements.strictest_tag(ids.into_iter().map(TagId)).unwrap().unwrap();
        assert_eq!(named([0, 2]), b"[a]");
        assert_eq!(named([2, 0]), b"[a]");
        assert_eq!(replacements.strictest_tag([TagId(9)].into_iter()).err(), Some(InvalidPlan::Dangling));
    }

    #[test]
    fn texts_that_need_an_escape_are_refused() {
        for text in ["", "a\"b", "a\\b", "a\nb", "\u{e9}"] {
            let replacement = Replacement::Placeholder(text.to_owned());
            let tags = [Tag { name: "t".into(), severity: Severity::Low, replacement }];
            assert_eq!(Replacements::new(&[], &tags).err(), Some(InvalidPlan::Replacement), "{text:?}");
        }
        assert_eq!(Replacements::new(&[detector(1)], &[]).err(), Some(InvalidPlan::Dangling));
    }
}
