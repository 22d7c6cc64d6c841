//! Attributes that are masked by their key, of all masks of a plan.

use crate::policy::id::{MaskId, TagId};
use crate::policy::model::Mask;

/// The keys.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    list: Vec<Key>,
}

/// A key, or the beginning of many.
#[derive(Debug)]
struct Key {
    text: Vec<u8>,
    /// Every longer key counts, and it alone does not.
    beginning: bool,
    mask: MaskId,
    tag: TagId,
}

impl Attributes {
    pub(super) fn new<'m>(masks: impl Iterator<Item = &'m (MaskId, &'m Mask)>) -> Attributes {
        let keys = masks.flat_map(|(mask, body)| {
            body.attributes.iter().map(|attribute| {
                let key = attribute.key.as_str();
                let beginning = key.strip_suffix('*').filter(|beginning| beginning.ends_with('.'));
                let text = beginning.unwrap_or(key).as_bytes().to_vec();
                Key { text, beginning: beginning.is_some(), mask: *mask, tag: attribute.tag }
            })
        });
        Attributes { list: keys.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Of a longer text only as much need be kept, and one byte that says that it is longer.
    pub(super) fn longest(&self) -> usize {
        self.list.iter().map(|key| key.text.len()).max().unwrap_or_default()
    }

    /// The tags of all keys.
    pub(super) fn tags(&self) -> impl Iterator<Item = TagId> {
        self.list.iter().map(|key| key.tag)
    }

    /// The masks and tags of a key.
    pub(super) fn matching(&self, text: &[u8]) -> Vec<(MaskId, TagId)> {
        let matches = |key: &&Key| match text.strip_prefix(key.text.as_slice()) {
            Some(rest) => rest.is_empty() != key.beginning,
            None => false,
        };
        self.list.iter().filter(matches).map(|key| (key.mask, key.tag)).collect()
    }
}
