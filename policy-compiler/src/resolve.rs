//! Names to what they name. Says everything about names that mean nothing, files that are not there and patterns that do not work.
//!
//! One module per kind of name. A name whose declaration is unreadable still counts as declared: its own error is the cause.

pub mod detectors;
pub mod identity;
pub mod masks;
pub mod packs;
mod remote_keys;
pub mod routes;
pub mod rules;
pub mod tags;
pub mod tls;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text, did_you_mean, listing};
use crate::files::Files;
use crate::pack::{BrokenPack, Pack};
use crate::source::Policy;
use crate::source::reader::Named;
use detectors::Catalogued;
use std::collections::BTreeMap;
use tags::Replaced;

/// A policy with everything its names stand for.
#[derive(Debug)]
pub struct Resolved<'p> {
    /// The policy as written.
    pub policy: &'p Policy,
    /// Imported packs, by reference.
    pub packs: Vec<Pack>,
    /// Tags by name: the policy's own, and those that imported packs suggest.
    pub tags: BTreeMap<String, Replaced>,
    /// Detectors by full name: the policy's own, and those of imported packs.
    pub detectors: BTreeMap<String, Catalogued>,
    /// Detectors of each mask, by full name; parallel to `policy.masks`.
    pub mask_detectors: Vec<Vec<String>>,
    /// Where keys are; parallel to `policy.identity`.
    pub key_sets: Vec<Option<identity::KeyPlace>>,
}

impl<'p> Resolved<'p> {
    /// Resolves every name of `policy`; problems are in `out`.
    ///
    /// # Errors
    /// A pack that ships with the compiler is broken.
    pub fn new(policy: &'p Policy, files: &dyn Files, out: &mut Diagnostics) -> Result<Self, BrokenPack> {
        let (packs, complete) = packs::resolve(policy, out)?;
        let tags = tags::resolve(policy, &packs, out);
        // What a missing pack would have brought is not missing on its own account.
        let mut from_packs = Diagnostics::default();
        let detectors = detectors::resolve(policy, &packs, &tags, &mut from_packs);
        let mask_detectors = masks::resolve(policy, &tags, &detectors, &mut from_packs);
        routes::resolve(policy, &packs, &mut from_packs);
        let excused = [Code::E0302, Code::E0303, Code::E0309, Code::E0312];
        out.extend(from_packs, |code| complete || !excused.contains(&code));
        let key_sets = identity::resolve(policy, files, out);
        tls::resolve(policy, files, out);
        rules::resolve(policy, &packs, out);
        Ok(Resolved { policy, packs, tags, detectors, mask_detectors, key_sets })
    }
}

/// Reports `reference` unless it is declared.
pub(crate) fn refer<T>(
    code: Code,
    what: &str,
    reference: &Text,
    declared: &[Named<T>],
    out: &mut Diagnostics,
) -> bool {
    let known = declared.iter().any(|entry| entry.name.value == reference.value);
    if !known {
        out.push(undeclared(code, what, reference, declared.iter().map(|entry| entry.name.value.as_str())));
    }
    known
}

/// "`x` is not declared", with what is.
pub(crate) fn undeclared<'a>(
    code: Code,
    what: &str,
    reference: &Text,
    declared: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let message = format!("{what} `{}` is not declared", reference.value);
    let diagnostic = Diagnostic::at(code, reference.span, message);
    let diagnostic = match did_you_mean(&reference.value, declared.clone()) {
        Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
        None => diagnostic,
    };
    diagnostic.help(format!("declared {what}s: {}", listing(declared)))
}
