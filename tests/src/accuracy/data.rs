//! The rows of `tests/corpus/detect`: what a text is, what is labelled in it, and to which figures it counts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// A labelled text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name in the file it comes from.
    pub id: String,
    /// The text.
    pub text: String,
    /// Which figures it counts to.
    pub group: Group,
    /// What it shows.
    pub kind: Kind,
    /// Kind of value that a row of one value is about; sentences have one per label.
    pub family: String,
    /// A finer place in the table beside the family, such as the format of a telephone number.
    pub slice: Option<String>,
    /// What is to be found.
    pub labels: Vec<Label>,
}

/// A stretch of a row that is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Kind of value.
    pub family: String,
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Sentences of presidio-research: six structured types.
    Sentences,
    /// Single values and short texts of recognizer tests.
    Values,
    /// Telephone numbers of every region and format.
    Phones,
    /// Secrets.
    Secrets,
}

/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its labels are to be found; a finding of the same kind elsewhere in it is false.
    Labelled,
    /// Something is to be found, its place is not told.
    Flagged,
    /// Nothing of its family is in it.
    Negative,
    /// The whole is no value of its family; a part of it may well be.
    Invalid,
}

/// The types of presidio-research that have a structure.
pub const STRUCTURED: [&str; 6] =
    ["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN", "US_SSN", "IP_ADDRESS"];

/// The family of what has no name among the corpora's core families.
pub const OTHER: &str = "OTHER";

/// Every row, in the order of the files' names.
///
/// # Errors
/// When a file cannot be read or a row is not what the folder's README says.
pub fn load() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for path in files()? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let group = Group::of_file(name)?;
        for (line, number) in text.lines().zip(1u32..) {
            let written: Written =
                serde_json::from_str(line).with_context(|| format!("{name}, line {number}"))?;
            if let Some(row) = written.into_row(group).with_context(|| format!("{name}, line {number}"))? {
                rows.push(row);
            }
        }
    }
    ensure!(!rows.is_empty(), "no rows");
    Ok(rows)
}

/// What others call a kind of value, in the words of the corpora: as their own rows say it.
///
/// # Errors
/// As [`load`].
pub fn families() -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    for path in files()? {
        for line in std::fs::read_to_string(&path)?.lines() {
            let written: Written = serde_json::from_str(line)?;
            if let Some(core) = written.core {
                names.insert(written.entity, core);
            }
        }
    }
    Ok(names)
}

fn files() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/detect");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    Ok(paths)
}

/// A row as its file has it.
#[derive(Debug, Deserialize)]
struct Written {
    id: String,
    file: String,
    entity: String,
    text: String,
    byte_spans: Option<Vec<(usize, usize)>>,
    negative: bool,
    kind: String,
    core: Option<String>,
    #[serde(default)]
    labels: Vec<(usize, usize, String)>,
}

impl Group {
    /// Every group, in the order of the table.
    pub const ALL: [Group; 4] = [Group::Sentences, Group::Values, Group::Phones, Group::Secrets];

    /// The group's key in files.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Group::Sentences => "sentences",
            Group::Values => "values",
            Group::Phones => "phones",
            Group::Secrets => "secrets",
        }
    }

    fn of_file(name: &str) -> Result<Group> {
        Ok(match name.split("__").next() {
            Some("pii-sentence") => Group::Sentences,
            Some("pii") => Group::Values,
            Some("phone") => Group::Phones,
            Some("secret") => Group::Secrets,
            _ => bail!("not a file of a known group"),
        })
    }
}

impl Written {
    fn into_row(self, group: Group) -> Result<Option<Row>> {
        if group == Group::Sentences && self.file.ends_with("generated_small.json") {
            // Too few values to be a figure of their own; the two large files are what others report on.
            return Ok(None);
        }
        let kind = self.kind()?;
        let family = self.core.clone().unwrap_or_else(|| OTHER.to_owned());
        let slice = (group == Group::Phones).then(|| self.kind.split(':').nth(1).unwrap_or("").to_owned());
        let labels = match group {
            Group::Sentences => self.sentence_labels(),
            _ => self.whole_labels(&family),
        };
        for label in &labels {
            ensure!(self.text.get(label.range.clone()).is_some(), "row {}: a label lies outside", self.id);
        }
        Ok(Some(Row { id: self.id, text: self.text, group, kind, family, slice, labels }))
    }

    fn kind(&self) -> Result<Kind> {
        Ok(match (self.kind.split(':').next().unwrap_or(""), self.negative) {
            ("whole-invalid", true) => Kind::Invalid,
            ("sentence", _) => Kind::Labelled,
            (_, true) => Kind::Negative,
            (_, false) if self.byte_spans.is_none() => Kind::Flagged,
            ("whole" | "whole-valid" | "span-exact" | "rule-example" | "snapshot-ng", false) => {
                Kind::Labelled
            }
            (other, _) => bail!("row {}: kind `{other}`", self.id),
        })
    }

    fn whole_labels(&self, family: &str) -> Vec<Label> {
        let spans = self.byte_spans.iter().flatten();
        spans.map(|&(start, end)| Label { range: start..end, family: family.to_owned() }).collect()
    }

    fn sentence_labels(&self) -> Vec<Label> {
        let places = self.byte_spans.iter().flatten();
        let label = |(&(start, end), (.., name)): (&(usize, usize), &(usize, usize, String))| Label {
            range: start..end,
            family: if name == "IBAN_CODE" { "IBAN".to_owned() } else { name.clone() },
        };
        places.zip(&self.labels).map(label).collect()
    }
}
