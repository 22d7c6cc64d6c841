//! A choice of detectors with what is known of each: what `scan`, `cost` and `pack` talk about.
//!
//! Guarantees: what is found here is what the filter finds, because the automata, the validators and the scan are the
//! engine's own; a detector that several packs carry is in a catalogue once. It prints nothing.

use crate::detect::{Finding, Probe, Rule, ScanOverflow, Trouble, Wanted};
use crate::pack::{BrokenPack, Pack};
use crate::source::detectors::{CLASSES, Detector as Written, VALIDATORS};
use std::cell::OnceCell;
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
    /// What keeps it from finding what it should not.
    pub class: Option<&'static str>,
    /// Where the format of the value is described.
    pub source: Option<String>,
    /// What decides beside the pattern, in words.
    pub checks: Vec<String>,
    /// What it finds; of a detector that a policy writes itself the compiled policy keeps automata only.
    pub rule: Option<Rule>,
}

/// Detectors, built, with what is known of them.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
    probe: Probe,
    /// The same patterns, without what else decides; built when somebody asks.
    candidates: OnceCell<Probe>,
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
        // By name in the library: a detector that two packs carry is one detector, named by the first.
        let mut found: BTreeMap<String, (usize, Entry)> = BTreeMap::new();
        for reference in references {
            let pack = Pack::load(reference).ok_or_else(|| CatalogError::NoPack(reference.to_owned()))??;
            for (detector, entry) in pack.detectors.iter().zip(Entry::all(&pack)) {
                let name = &detector.name.value;
                if found.get(name).is_none_or(|(rank, _)| pack.rank < *rank) {
                    found.insert(name.clone(), (pack.rank, entry));
                }
            }
        }
        let mut entries: Vec<Entry> = found.into_values().map(|(_, entry)| entry).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let wanted: Vec<Wanted<'_>> = entries.iter().filter_map(Entry::wanted).collect();
        let probe = Probe::new(&wanted, Limits::default().window).map_err(CatalogError::Build)?;
        Ok(Catalog { entries, probe, candidates: OnceCell::new() })
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
            let checks = if known.rule.is_some() { known.checks.clone() } else { check(detector.validator) };
            Entry { name: detector.name.clone(), tag, checks, ..known }
        });
        let entries = entries.collect();
        let probe = Probe::from_model(model).map_err(CatalogError::Build)?;
        Ok(Catalog { entries, probe, candidates: OnceCell::new() })
    }

    /// The detectors, in the order of their names or of the policy; a finding names one by its place here.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Everything that each detector finds by itself, by place, then detector. Overlaps are reported under every
    /// detector that has a part in them, but for what only has the shape of a value and lies within a longer finding: the
    /// groups `93.92.16.85` of the telephone number `03.93.92.16.85` are no address.
    ///
    /// # Errors
    /// [`ScanOverflow`]
    pub fn find(&self, text: &[u8]) -> Result<Vec<Finding>, ScanOverflow> {
        let mut found = self.probe.each(text)?;
        // From the outside in: what begins earlier or ends later comes first.
        found.sort_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end)));
        let (mut reached, mut last) = (0, 0..0);
        found.retain(|finding| {
            // As far as findings of other places reach: equal ones do not lie within each other.
            if finding.range() != last {
                reached = reached.max(last.end);
                last = finding.range();
            }
            reached < finding.end || !self.is_shape(finding)
        });
        found.sort_unstable();
        Ok(found)
    }

    fn is_shape(&self, finding: &Finding) -> bool {
        self.entries.get(finding.detector).is_some_and(|entry| entry.class == Some("shape"))
    }

    /// What fits a pattern, but not what else its detector asks for; nothing where something is found.
    ///
    /// # Errors
    /// [`ScanOverflow`]
    pub fn near_misses(&self, text: &[u8]) -> Result<Vec<Finding>, ScanOverflow> {
        let candidates = self.candidates.get_or_init(|| self.without_checks());
        // United, so that one look tells whether anything is found at a place.
        let mut found: Vec<Finding> = Vec::new();
        for finding in self.probe.each(text)? {
            match found.last_mut().filter(|last| last.end > finding.start) {
                Some(last) => last.end = last.end.max(finding.end),
                None => found.push(finding),
            }
        }
        let overlaps = |candidate: &Finding| {
            let next = found.partition_point(|finding| finding.end <= candidate.start);
            found.get(next).is_some_and(|finding| finding.start < candidate.end)
        };
        let mut candidates = candidates.each(text)?;
        candidates.retain(|candidate| !overlaps(candidate));
        Ok(candidates)
    }
}

impl Catalog {
    /// Without near words where the rules are known; a compiled policy's detectors lose their validators only.
    fn without_checks(&self) -> Probe {
        let rules: Vec<(&str, Rule)> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.name.as_str(), bare(entry.rule.as_ref()?))))
            .collect();
        let wanted: Vec<Wanted<'_>> = rules.iter().map(|(name, rule)| Wanted { name, rule }).collect();
        let all = wanted.len() == self.entries.len();
        let bare = Probe::new(&wanted, Limits::default().window).ok().filter(|_| all);
        bare.unwrap_or_else(|| self.probe.unchecked())
    }
}

impl Entry {
    /// The detectors of a pack.
    pub fn all(pack: &Pack) -> impl Iterator<Item = Entry> {
        pack.detectors.iter().map(|detector| Entry::written(pack.full_name(&detector.name), &detector.body))
    }

    fn written(name: String, body: &Written) -> Entry {
        let text = |text: &crate::diagnostic::Text| text.value.clone();
        let class = body.class.as_ref().map(|class| class.value);
        let rule = body.rule();
        Entry {
            name,
            tag: body.tag.as_ref().map(text).unwrap_or_default(),
            family: body.family.as_ref().map(text),
            class: CLASSES.iter().find(|(_, known)| Some(*known) == class).map(|(word, _)| *word),
            source: body.source.as_ref().map(text),
            checks: rule.as_ref().map(checks).unwrap_or_default(),
            rule,
        }
    }

    /// The detector as it is built, if what it finds is known.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted<'_>> {
        Some(Wanted { name: &self.name, rule: self.rule.as_ref()? })
    }
}

/// What looks like it: the pattern behind its prefix, without near words and validator.
fn bare(rule: &Rule) -> Rule {
    Rule { validator: None, near: None, ..rule.clone() }
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

/// What decides beside the pattern, in words.
fn checks(rule: &Rule) -> Vec<String> {
    let mut words = check(rule.validator);
    if let Some(near) = &rule.near {
        words.push(format!("a word of its kind within {} bytes before it", near.within));
    }
    words
}

fn check(validator: Option<Validator>) -> Vec<String> {
    let word = validator.map(|validator| match validator {
        Validator::Luhn => "check digit (Luhn)".to_owned(),
        Validator::Entropy(tenths) => format!("{} of entropy", bits(tenths)),
        Validator::Secret(tenths) => format!("{} of entropy, no placeholder", bits(tenths)),
        other => {
            let word = VALIDATORS.iter().find(|(_, known)| *known == other).map_or("", |(word, _)| *word);
            format!("check ({word})")
        }
    });
    word.into_iter().collect()
}

fn bits(tenths: u8) -> String {
    format!("{}.{} bits a character", tenths / 10, tenths % 10)
}
