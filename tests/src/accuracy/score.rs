//! From rows and findings to counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::data::{Group, Kind, Label, OTHER, Row, STRUCTURED};

/// What somebody found in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Kind of value, in the words of the corpora.
    pub family: Option<String>,
    /// Who says so.
    pub detector: String,
}

/// Counts of one line of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Values that are labelled, and rows in which something must be found.
    pub labels: usize,
    /// Of these: at least nine tenths of the bytes are covered by findings.
    pub found: usize,
    /// Of these: by findings of the same family alone.
    pub named: usize,
    /// Findings of this family in rows where they can be judged.
    pub findings: usize,
    /// Of these: touching no label of an equivalent family.
    pub false_hits: usize,
    /// Rows in which nothing of this family is.
    pub negatives: usize,
    /// Of these: something of this family is found.
    pub hit_negatives: usize,
    /// Rows whose whole text is no value of this family.
    pub invalid: usize,
    /// Of these: something of this family is found in a part.
    pub hit_invalid: usize,
}

/// A line of the table: group and name.
pub type Key = (Group, String);

/// What somebody would want to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Line of the table.
    pub key: Key,
    /// Name of the row.
    pub row: String,
    /// Not found, or found where nothing is.
    pub missed: bool,
    /// The text in question, from public test data.
    pub text: String,
    /// Who found it.
    pub detector: String,
}

/// Counts of every line, and every error.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// By group and family, and for telephone numbers by format as well.
    pub counts: BTreeMap<Key, Counts>,
    /// In the order of the rows.
    pub errors: Vec<Error>,
}

/// Counts what was found in each row.
#[must_use]
pub fn score(rows: &[Row], found: &[Vec<Found>]) -> Score {
    let mut score = Score::default();
    let known = Known::new(rows);
    for (row, found) in rows.iter().zip(found) {
        let found: Vec<Found> = found.iter().map(|found| known.named(found)).collect();
        let found = found.as_slice();
        match row.kind {
            Kind::Negative if known.holds_a_value(row) => {}
            Kind::Labelled => score.labelled(row, found, &known),
            Kind::Flagged => score.flagged(row, found),
            Kind::Negative | Kind::Invalid => score.negative(row, found),
        }
    }
    score
}

/// What the rows say together.
struct Known<'r> {
    /// Families that some row is about.
    families: BTreeSet<&'r str>,
    /// Values that some row labels, with their families.
    values: Vec<(&'r str, &'r str)>,
}

impl<'r> Known<'r> {
    fn new(rows: &'r [Row]) -> Self {
        let labels = || rows.iter().flat_map(|row| row.labels.iter().map(move |label| (row, label)));
        let secrets = labels().filter(|(row, _)| row.group == Group::Secrets);
        Known {
            families: rows.iter().map(|row| row.family.as_str()).chain(STRUCTURED).collect(),
            values: secrets
                .filter_map(|(row, label)| Some((label.family.as_str(), row.text.get(label.range.clone())?)))
                .filter(|(_, value)| value.len() >= LONG)
                .collect(),
        }
    }

    /// Families that no row is about count as one.
    fn named(&self, found: &Found) -> Found {
        let family = found.family.clone().filter(|family| self.families.contains(family.as_str()));
        Found { family, ..found.clone() }
    }

    /// Is this a value that some row labels, though not the row that it was found in? Rules label one of several.
    fn is_a_value(&self, family: &str, text: &str) -> bool {
        text.len() >= LONG && self.values.iter().any(|(of, value)| *of == family && value.contains(text))
    }

    /// Is a value in it that another row labels as of its family? Negative for one rule, but not for the family.
    fn holds_a_value(&self, row: &Row) -> bool {
        self.values.iter().any(|(family, value)| *family == row.family && row.text.contains(value))
    }
}

/// Bytes of a value that is in two texts not by chance.
const LONG: usize = 20;

impl Score {
    fn labelled(&mut self, row: &Row, found: &[Found], known: &Known<'_>) {
        for label in row.labels.iter().filter(|label| counts(row, &label.family)) {
            let hit = covers(&label.range, found.iter());
            let named = covers(&label.range, found.iter().filter(|found| found.is(&label.family)));
            for key in row.keys(&label.family) {
                let line = self.counts.entry(key).or_default();
                line.labels += 1;
                line.found += usize::from(hit);
                line.named += usize::from(named);
            }
            if !hit {
                self.error(row, &label.family, true, row.text.get(label.range.clone()), "");
            }
        }
        for found in found {
            let family = found.family.as_deref().unwrap_or(OTHER);
            let judged =
                if row.group == Group::Sentences { counts(row, family) } else { family == row.family };
            if !judged {
                continue;
            }
            let text = row.text.get(found.range.clone()).unwrap_or_default();
            let right = row.labels.iter().any(|label| found.fits(label)) || known.is_a_value(family, text);
            for key in row.keys(family) {
                let line = self.counts.entry(key).or_default();
                line.findings += 1;
                line.false_hits += usize::from(!right);
            }
            if !right {
                self.error(row, family, false, row.text.get(found.range.clone()), &found.detector);
            }
        }
    }

    fn flagged(&mut self, row: &Row, found: &[Found]) {
        let named = found.iter().any(|found| found.is(&row.family));
        for key in row.keys(&row.family) {
            let line = self.counts.entry(key).or_default();
            line.labels += 1;
            line.found += usize::from(!found.is_empty());
            line.named += usize::from(named);
        }
        if found.is_empty() {
            self.error(row, &row.family, true, Some(&row.text), "");
        }
    }

    fn negative(&mut self, row: &Row, found: &[Found]) {
        let same: Vec<&Found> = found.iter().filter(|found| found.is(&row.family)).collect();
        for key in row.keys(&row.family) {
            let line = self.counts.entry(key).or_default();
            let hit = usize::from(!same.is_empty());
            if row.kind == Kind::Invalid {
                line.invalid += 1;
                line.hit_invalid += hit;
            } else {
                line.negatives += 1;
                line.hit_negatives += hit;
                line.findings += same.len();
                line.false_hits += same.len();
            }
        }
        if row.kind == Kind::Negative {
            for found in same {
                self.error(row, &row.family, false, row.text.get(found.range.clone()), &found.detector);
            }
        }
    }

    fn error(&mut self, row: &Row, family: &str, missed: bool, text: Option<&str>, detector: &str) {
        self.errors.push(Error {
            key: (row.group, family.to_owned()),
            row: row.id.clone(),
            missed,
            text: text.unwrap_or_default().to_owned(),
            detector: detector.to_owned(),
        });
    }
}

impl Row {
    /// The lines that a value of this family counts to.
    fn keys(&self, family: &str) -> impl Iterator<Item = Key> {
        let line = (self.group, family.to_owned());
        let finer = self.slice.as_ref().map(|slice| (self.group, format!("{family} {slice}")));
        std::iter::once(line).chain(finer)
    }
}

impl Counts {
    /// Part of the labels that is found, of one; one when there is none.
    #[must_use]
    pub fn recall(&self) -> f64 {
        part(self.found, self.labels)
    }

    /// Part of the findings that is right, of one; one when there is none.
    #[must_use]
    pub fn precision(&self) -> f64 {
        part(self.findings.saturating_sub(self.false_hits), self.findings)
    }
}

impl Found {
    fn is(&self, family: &str) -> bool {
        self.family.as_deref().unwrap_or(OTHER) == family
    }

    /// Does it touch the label, and is it the same kind of value under some name?
    fn fits(&self, label: &Label) -> bool {
        let touches = self.range.start < label.range.end && label.range.start < self.range.end;
        let family = self.family.as_deref().unwrap_or(OTHER);
        touches && (family == label.family || EQUIVALENT.contains(&(family, label.family.as_str())))
    }
}

/// A finding of the first is right on a label of the second: one contains the other by nature.
const EQUIVALENT: [(&str, &str); 3] =
    [("URL", "DOMAIN_NAME"), ("URL_CREDENTIALS", "URL"), ("DATE_OF_BIRTH", "DATE_TIME")];

/// Of sentences only six types are judged.
fn counts(row: &Row, family: &str) -> bool {
    row.group != Group::Sentences || STRUCTURED.contains(&family)
}

/// Are nine tenths of these bytes covered?
fn covers<'f>(label: &Range<usize>, found: impl Iterator<Item = &'f Found>) -> bool {
    let mut ranges: Vec<Range<usize>> = found
        .map(|found| found.range.start.max(label.start)..found.range.end.min(label.end))
        .filter(|range| range.start < range.end)
        .collect();
    ranges.sort_by_key(|range| range.start);
    let (mut covered, mut reached) = (0, label.start);
    for range in ranges {
        let start = range.start.max(reached);
        covered += range.end.saturating_sub(start);
        reached = reached.max(range.end);
    }
    !label.is_empty() && covered * 10 >= label.len() * 9
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are small")]
fn part(some: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { some as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(range: Range<usize>, family: &str) -> Found {
        Found { range, family: Some(family.to_owned()), detector: "d".to_owned() }
    }

    fn row(group: Group, kind: Kind, family: &str, labels: &[(Range<usize>, &str)]) -> Row {
        let labels =
            labels.iter().map(|(range, family)| Label { range: range.clone(), family: (*family).to_owned() });
        Row {
            id: "r".to_owned(),
            text: "0123456789".repeat(10),
            group,
            kind,
            family: family.to_owned(),
            slice: None,
            labels: labels.collect(),
        }
    }

    fn line(row: Row, found: Vec<Found>, family: &str) -> Counts {
        let group = row.group;
        score(&[row], &[found]).counts.get(&(group, family.to_owned())).copied().unwrap_or_default()
    }

    #[test]
    fn nine_tenths_count_however_many_findings_make_them() {
        let label = [(10..30, "IBAN")];
        let one = |found| line(row(Group::Values, Kind::Labelled, "IBAN", &label), found, "IBAN");
        assert_eq!(one(vec![found(10..28, "IBAN")]).found, 1);
        assert_eq!(one(vec![found(10..27, "IBAN")]).found, 0);
        // Overlaps are not counted twice.
        assert_eq!(one(vec![found(10..20, "IBAN"), found(11..21, "IBAN")]).found, 0);
        let mixed = one(vec![found(10..20, "PHONE_NUMBER"), found(20..30, "IBAN")]);
        assert_eq!((mixed.found, mixed.named, mixed.findings, mixed.false_hits), (1, 0, 1, 0));
    }

    #[test]
    fn a_finding_of_a_family_on_a_label_of_another_is_false() {
        let labels = [(0..5, "US_SSN"), (20..30, "PERSON")];
        let found = vec![found(0..5, "PHONE_NUMBER"), found(20..30, "URL")];
        let counts = line(row(Group::Sentences, Kind::Labelled, "MIXED", &labels), found, "PHONE_NUMBER");
        assert_eq!((counts.findings, counts.false_hits), (1, 1));
    }

    #[test]
    fn negatives_are_judged_by_their_family_and_invalid_rows_apart() {
        let hits = || vec![found(0..5, "JWT"), found(5..9, "AWS_KEY")];
        let negative = line(row(Group::Secrets, Kind::Negative, "JWT", &[]), hits(), "JWT");
        assert_eq!((negative.negatives, negative.hit_negatives, negative.false_hits), (1, 1, 1));
        let other = line(row(Group::Secrets, Kind::Negative, "HF_TOKEN", &[]), hits(), "HF_TOKEN");
        assert_eq!((other.negatives, other.hit_negatives), (1, 0));
        let invalid = line(row(Group::Values, Kind::Invalid, "JWT", &[]), hits(), "JWT");
        assert_eq!((invalid.invalid, invalid.hit_invalid, invalid.findings), (1, 1, 0));
    }

    #[test]
    fn a_negative_that_holds_a_labelled_value_is_not_judged() {
        let labelled = row(Group::Secrets, Kind::Labelled, "JWT", &[(0..30, "JWT")]);
        let negative = row(Group::Secrets, Kind::Negative, "JWT", &[]);
        let rows = [labelled, negative];
        let score = score(&rows, &[vec![found(0..30, "JWT")], vec![found(0..30, "JWT")]]);
        let counts = score.counts[&(Group::Secrets, "JWT".to_owned())];
        assert_eq!((counts.found, counts.negatives, counts.false_hits), (1, 0, 0));
    }

    #[test]
    fn a_flagged_row_needs_any_finding() {
        let flagged = |found| line(row(Group::Secrets, Kind::Flagged, "JWT", &[]), found, "JWT");
        assert_eq!(flagged(vec![found(3..4, "AWS_KEY")]).found, 1);
        let none = flagged(Vec::new());
        assert_eq!((none.labels, none.found, none.recall()), (1, 0, 0.0));
    }
}
