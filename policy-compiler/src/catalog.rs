//! A choice of detectors with what is known of each: what `scan`, `cost` and `pack` talk about.
//!
//! Guarantees: what is found here is what the filter finds, because the automata, the validators and the scan are the
//! engine's own; a detector that several packs carry is in a catalogue once. It prints nothing.

use crate::detect::{Finding, Probe, ScanOverflow, Trouble, Wanted};
use crate::pack::{BrokenPack, Pack};
use crate::source::detectors::Detector as Written;
use std::collections::BTreeMap;
use veilwire_engine::policy::model::{Limits, Model, Validator};

/// One detector of a catalogue.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Full name, such as `pii-us.ssn`.
    pub name: String,
    /// Tag of what it finds.
    pub tag: String,
    /// The kind of value, in the words of the test corpora: `EMAIL_ADDRESS`, `AWS_KEY`.
    pub family: Option<String>,
    /// How much ordinary text looks like it.
    pub class: Option<String>,
    /// Where the format of the value is described.
    pub source: Option<String>,
    /// What decides beside the pattern, in words.
    pub checks: Vec<String>,
    /// The detector as written; a compiled policy keeps automata only.
    pub written: Option<Written>,
}

/// Detectors, built, with what is known of them.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
    probe: Probe,
}

/// Why there is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// No pack has this reference.
    #[error("pack `{0}` does not exist")]
    NoPack(String),
    /// A pack that ships is broken.
    #[error(transparent)]
    Broken(#[from] BrokenPack),
    /// The detectors cannot be built together.
    #[error("the detectors cannot be built: {0}")]
    Build(Trouble),
}

impl Catalog {
    /// The detectors of packs, by reference such as `secrets@1`.
    ///
    /// # Errors
    /// [`CatalogError`]
    pub fn of_packs<'a>(references: impl IntoIterator<Item = &'a str>) -> Result<Catalog, CatalogError> {
        let mut found = BTreeMap::new();
        for reference in references {
            let pack = Pack::load(reference).ok_or_else(|| CatalogError::NoPack(reference.to_owned()))??;
            found.extend(Entry::all(&pack).map(|entry| (entry.name.clone(), entry)));
        }
        let entries: Vec<Entry> = found.into_values().collect();
        let wanted: Vec<Wanted<'_>> = entries.iter().filter_map(Entry::wanted).collect();
        let probe = Probe::new(&wanted, Limits::default().window).map_err(CatalogError::Build)?;
        Ok(Catalog { entries, probe })
    }

    /// The detectors that a compiled policy carries.
    ///
    /// # Errors
    /// [`CatalogError::Build`] if its tables do not fit together.
    pub fn of_model(model: &Model) -> Result<Catalog, CatalogError> {
        let shipped = shipped()?;
        let entries = model.detectors.iter().map(|detector| {
            let tag = model.tags.get(detector.tag.index()).map(|tag| tag.name.clone()).unwrap_or_default();
            let known = shipped.get(&detector.name).cloned().unwrap_or_default();
            let checks = checks(detector.validator);
            Entry { name: detector.name.clone(), tag, checks, ..known }
        });
        let entries = entries.collect();
        let probe = Probe::from_model(model).map_err(CatalogError::Build)?;
        Ok(Catalog { entries, probe })
    }

    /// The detectors, in the order of their names or of the policy; a finding names one by its place here.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Everything that each detector finds by itself, by place, then detector. Overlaps are reported under every
    /// detector that has a part in them.
    ///
    /// # Errors
    /// [`ScanOverflow`]
    pub fn find(&self, text: &[u8]) -> Result<Vec<Finding>, ScanOverflow> {
        self.probe.each(text)
    }

    /// What fits a pattern, but not what else its detector asks for; nothing that is also found.
    ///
    /// # Errors
    /// [`ScanOverflow`]
    pub fn near_misses(&self, text: &[u8]) -> Result<Vec<Finding>, ScanOverflow> {
        // What one detector finds is in order and does not overlap.
        let mut found: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
        for finding in self.probe.each(text)? {
            found.entry(finding.detector).or_default().push(finding);
        }
        let overlaps = |candidate: &Finding| {
            let same = found.get(&candidate.detector).map_or(&[][..], Vec::as_slice);
            let next = same.partition_point(|finding| finding.end <= candidate.start);
            same.get(next).is_some_and(|finding| finding.start < candidate.end)
        };
        let mut candidates = self.probe.unchecked().each(text)?;
        candidates.retain(|candidate| !overlaps(candidate));
        Ok(candidates)
    }
}

impl Entry {
    /// The detectors of a pack.
    pub fn all(pack: &Pack) -> impl Iterator<Item = Entry> {
        pack.detectors.iter().map(|detector| Entry::written(pack.full_name(&detector.name), &detector.body))
    }

    fn written(name: String, body: &Written) -> Entry {
        let tag = body.tag.as_ref().map(|tag| tag.value.clone()).unwrap_or_default();
        let checks = checks(body.validate.as_ref().map(|validator| validator.value));
        Entry { name, tag, checks, written: Some(body.clone()), ..Entry::default() }
    }

    /// The detector as it is built, if it was written by somebody.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted<'_>> {
        let written = self.written.as_ref()?;
        let pattern = &written.pattern.as_ref()?.value;
        let validator = written.validate.as_ref().map(|validator| validator.value);
        Some(Wanted { name: &self.name, pattern, validator })
    }
}

/// What ships with the compiler, by full name.
fn shipped() -> Result<BTreeMap<String, Entry>, BrokenPack> {
    let mut entries = BTreeMap::new();
    for reference in crate::pack::references() {
        let Some(pack) = Pack::load(reference) else { continue };
        entries.extend(Entry::all(&pack?).map(|entry| (entry.name.clone(), entry)));
    }
    Ok(entries)
}

fn checks(validator: Option<Validator>) -> Vec<String> {
    let word = validator.map(|validator| match validator {
        Validator::Luhn => "check digit (Luhn)",
        Validator::UsSsn => "assigned area, group and serial",
    });
    word.into_iter().map(str::to_owned).collect()
}
