//! What was masked: names, places and counts.
//!
//! SECURITY: a finding never holds a byte of the message. Its location is made of names that the policy or a pack wrote;
//! whatever the message calls its members is shown as `*`, every index as `[*]`.

use crate::format::PassId;
use crate::policy::id::{DetectorId, MaskId, TagId};
use crate::policy::model::{Limits, UnknownContent};

/// What a finding was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A detector matched the content.
    Detector(DetectorId),
    /// The place is masked whatever it holds.
    Field(TagId),
}

/// One kind of finding at one place, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The mask that asked for it.
    pub mask: MaskId,
    /// Detector or field.
    pub what: What,
    /// Where, such as `$.messages[*].content`, `channel.content` or `sse.comment`.
    pub location: String,
    /// How often.
    pub count: u64,
}

impl Finding {
    /// The detector that matched; none for a field.
    #[must_use]
    pub fn detector(&self) -> Option<DetectorId> {
        match self.what {
            What::Detector(detector) => Some(detector),
            What::Field(_) => None,
        }
    }

    /// The tag of a field; a detector's tag is in the policy.
    #[must_use]
    pub fn tag(&self) -> Option<TagId> {
        match self.what {
            What::Field(tag) => Some(tag),
            What::Detector(_) => None,
        }
    }
}

/// Something that passed without a look, because the policy says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What it is.
    pub kind: UnseenKind,
    /// Where, as in a [`Finding`]; `body` for all of it.
    pub location: String,
    /// How often.
    pub count: u64,
}

/// Why something was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnseenKind {
    /// `limits.unknownContent` names its type.
    Content(PassId),
    /// Reasoning that may be signed, and the route says `thinking: leave`.
    SignedReasoning,
}

impl UnseenKind {
    /// What audit events and reports call it: the entry of `limits.unknownContent`, or `signed-reasoning`.
    #[must_use]
    pub fn name(self, limits: &Limits) -> &str {
        match (self, &limits.unknown_content) {
            (UnseenKind::Content(PassId(name)), UnknownContent::Pass(names)) => {
                names.get(name).map_or("", String::as_str)
            }
            (UnseenKind::Content(_), UnknownContent::Refuse) => "",
            (UnseenKind::SignedReasoning, _) => "signed-reasoning",
        }
    }
}

/// All findings of one direction of an exchange. Holds at most [`Findings::MAX_PLACES`] entries, then only counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    overflow: u64,
    unseen: Vec<Unseen>,
    restored: u64,
}

impl Findings {
    /// Most entries that are kept apart.
    pub const MAX_PLACES: usize = 64;

    /// In the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    /// Was nothing masked?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.overflow == 0
    }

    /// How many findings were not kept apart because there were too many places.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// How many values were masked in all; a value that several masks or detectors cover counts for each.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.list.iter().fold(self.overflow, |total, finding| total.saturating_add(finding.count))
    }

    /// What passed without a look. Beyond [`Findings::MAX_PLACES`] places the last entry counts for all others.
    pub fn unseen(&self) -> impl Iterator<Item = &Unseen> {
        self.unseen.iter()
    }

    /// How many pseudonyms became their values again.
    #[must_use]
    pub fn restored(&self) -> u64 {
        self.restored
    }

    /// Counts a pseudonym that became its value again.
    pub(crate) fn restore(&mut self) {
        self.restored = self.restored.saturating_add(1);
    }

    /// Counts something that passed without a look.
    pub(crate) fn pass(&mut self, kind: UnseenKind, location: String) {
        let full = self.unseen.len() >= Self::MAX_PLACES;
        let same = self.unseen.iter().position(|known| known.kind == kind && known.location == location);
        let place = same.or_else(|| if full { self.unseen.len().checked_sub(1) } else { None });
        match place.and_then(|place| self.unseen.get_mut(place)) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => self.unseen.push(Unseen { kind, location, count: 1 }),
        }
    }

    /// Counts one finding. `location` is written out only if the entry is new.
    pub(crate) fn record(&mut self, mask: MaskId, what: What, location: &str) {
        let same =
            |known: &&mut Finding| known.mask == mask && known.what == what && known.location == location;
        if let Some(known) = self.list.iter_mut().find(same) {
            known.count = known.count.saturating_add(1);
        } else if self.list.len() < Self::MAX_PLACES {
            self.list.push(Finding { mask, what, location: location.to_owned(), count: 1 });
        } else {
            self.overflow = self.overflow.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_per_mask_kind_and_place_and_stops_keeping_places_apart() {
        let mut findings = Findings::default();
        let what = What::Detector(DetectorId(3));
        for _ in 0..3 {
            findings.record(MaskId(0), what, "$.a");
        }
        findings.record(MaskId(1), what, "$.a");
        findings.record(MaskId(0), What::Field(TagId(3)), "$.a");
        assert_eq!(findings.iter().map(|f| f.count).collect::<Vec<_>>(), [3, 1, 1]);
        for place in 0..100 {
            findings.record(MaskId(0), what, &format!("$.b{place}"));
        }
        assert_eq!(findings.iter().count(), Findings::MAX_PLACES);
        assert_eq!(findings.overflow(), 39);
        assert_eq!(findings.total(), 105);
    }
}
