//! The detectors of pseudonyms: they find the tokens in answers, and what looks like one in requests.

use super::LowerError;
use crate::detect::Rule;
use crate::resolve::Resolved;
use std::collections::{BTreeMap, BTreeSet};
use veilwire_engine::compile::token_pattern;
use veilwire_engine::policy::id::{DetectorId, TagId};
use veilwire_engine::policy::model::{Pseudonym, Replacement};

/// The detector of the tokens with one name. It comes behind all detectors that policies name.
pub(super) struct Token {
    /// As findings call it: no detector of a policy can be called so.
    pub(super) name: String,
    pub(super) rule: Rule,
    pub(super) id: DetectorId,
    pub(super) tag: TagId,
}

/// One detector for each name of a pseudonym among these tags; `first` is the number of the first.
pub(super) fn tokens(
    resolved: &Resolved<'_>,
    tags: &BTreeMap<String, u16>,
    first: usize,
) -> Result<BTreeMap<String, Token>, LowerError> {
    let mut tokens = BTreeMap::new();
    for (tag, &id) in tags {
        if let Some(name) = name_of(resolved, tag) {
            tokens.entry(name.to_owned()).or_insert(Token {
                name: format!("pseudonym:{name}"),
                rule: Rule { pattern: token_pattern(name), ..Rule::default() },
                id: DetectorId(0),
                tag: TagId(id),
            });
        }
    }
    for (place, token) in tokens.values_mut().enumerate() {
        token.id = DetectorId(u16::try_from(first + place).map_err(|_| LowerError::TooMany("detectors"))?);
    }
    Ok(tokens)
}

/// The detectors of the tokens that values of these tags get.
pub(super) fn of_tags<'t>(
    resolved: &Resolved<'_>,
    tokens: &BTreeMap<String, Token>,
    tags: impl Iterator<Item = &'t String>,
) -> Vec<DetectorId> {
    let ids = tags.filter_map(|tag| Some(tokens.get(name_of(resolved, tag)?)?.id));
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

fn name_of<'r>(resolved: &'r Resolved<'_>, tag: &str) -> Option<&'r str> {
    match resolved.tags.get(tag)?.replacement.as_ref()? {
        Replacement::Pseudonym(Pseudonym { name, .. }) => Some(name),
        _ => None,
    }
}
