//! The figures as a file: what `--json` writes, what `tests/accuracy.json` records, and whether one is worse than the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::data::Group;
use super::score::{Counts, Score};

/// Everything that is measured in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figures {
    /// The detectors of all packs.
    pub veilwire: Groups,
    /// Presidio's pattern recognizers over the same rows, if they ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presidio: Option<Peer>,
    /// Bytes of text that are scanned per second, in megabytes, in a release build; absent where it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub megabytes_per_second: Option<f64>,
}

/// Another program's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    /// Its version.
    pub version: String,
    /// Megabytes of text per second.
    pub megabytes_per_second: f64,
    /// Its lines.
    pub groups: Groups,
}

/// Lines by group and family.
pub type Groups = BTreeMap<String, BTreeMap<String, Line>>;

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// See [`Counts::labels`].
    pub labels: usize,
    /// See [`Counts::found`].
    pub found: usize,
    /// See [`Counts::named`].
    pub named: usize,
    /// `found` of `labels`, in parts of one, four digits.
    pub recall: f64,
    /// See [`Counts::findings`].
    pub findings: usize,
    /// See [`Counts::false_hits`].
    pub false_hits: usize,
    /// Right ones of `findings`, in parts of one, four digits.
    pub precision: f64,
    /// See [`Counts::negatives`].
    pub negatives: usize,
    /// See [`Counts::hit_negatives`].
    pub hit_negatives: usize,
    /// See [`Counts::invalid`].
    pub invalid: usize,
    /// See [`Counts::hit_invalid`].
    pub hit_invalid: usize,
}

/// Where the recorded figures are.
#[must_use]
pub fn recorded_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("accuracy.json")
}

impl Figures {
    /// The recorded figures.
    ///
    /// # Errors
    /// When the file is absent or not what this program writes.
    pub fn recorded() -> Result<Figures> {
        let path = recorded_path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Every line that is worse than in `recorded`: fewer values found, or more false hits.
    #[must_use]
    pub fn worse_than(&self, recorded: &Figures) -> Vec<String> {
        let mut worse = Vec::new();
        for (group, lines) in &recorded.veilwire {
            for (family, before) in lines {
                let now = self.veilwire.get(group).and_then(|lines| lines.get(family));
                let mut say = |what: String| worse.push(format!("{group} {family}: {what}"));
                let Some(now) = now else {
                    say("no figures any more".to_owned());
                    continue;
                };
                if (now.labels, now.negatives) != (before.labels, before.negatives) {
                    say("other rows than recorded; look, then record them".to_owned());
                    continue;
                }
                for (name, now, before) in [
                    (
                        "missed",
                        now.labels.saturating_sub(now.found),
                        before.labels.saturating_sub(before.found),
                    ),
                    ("false hits", now.false_hits, before.false_hits),
                    ("negatives hit", now.hit_negatives, before.hit_negatives),
                ] {
                    if now > before {
                        say(format!("{name}: {now}, recorded {before}"));
                    }
                }
            }
        }
        worse
    }
}

/// The lines of a score.
#[must_use]
pub fn groups(score: &Score) -> Groups {
    let mut groups = Groups::new();
    for group in Group::ALL {
        let lines = score.counts.iter().filter(|((of, _), _)| *of == group);
        let lines = lines.map(|((_, family), counts)| (family.clone(), Line::from(counts)));
        groups.insert(group.key().to_owned(), lines.collect());
    }
    groups
}

impl From<&Counts> for Line {
    fn from(counts: &Counts) -> Line {
        let four = |value: f64| (value * 10_000.0).round() / 10_000.0;
        Line {
            labels: counts.labels,
            found: counts.found,
            named: counts.named,
            recall: four(counts.recall()),
            findings: counts.findings,
            false_hits: counts.false_hits,
            precision: four(counts.precision()),
            negatives: counts.negatives,
            hit_negatives: counts.hit_negatives,
            invalid: counts.invalid,
            hit_invalid: counts.hit_invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(found: usize, false_hits: usize) -> Figures {
        let counts = Counts { labels: 10, found, findings: 10, false_hits, ..Counts::default() };
        let lines = BTreeMap::from([("JWT".to_owned(), Line::from(&counts))]);
        let veilwire = Groups::from([("secrets".to_owned(), lines)]);
        Figures { veilwire, presidio: None, megabytes_per_second: None }
    }

    #[test]
    fn fewer_found_and_more_false_hits_are_worse() {
        let recorded = figures(8, 1);
        assert_eq!(figures(8, 1).worse_than(&recorded), Vec::<String>::new());
        assert_eq!(figures(9, 0).worse_than(&recorded), Vec::<String>::new());
        assert_eq!(figures(7, 1).worse_than(&recorded), ["secrets JWT: missed: 3, recorded 2"]);
        assert_eq!(figures(10, 2).worse_than(&recorded), ["secrets JWT: false hits: 2, recorded 1"]);
        let none = Figures { veilwire: Groups::new(), presidio: None, megabytes_per_second: None };
        assert_eq!(none.worse_than(&recorded), ["secrets JWT: no figures any more"]);
    }
}
