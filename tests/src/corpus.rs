//! The cases that all runners share: `tests/corpus/*.toml`.
//!
//! A case is a body, what must come out of it, and what must be found. Whether it is run whole, at every split, in wasmtime or in
//! Envoy is the runner's business. The first line of a text written between `"""` is not part of it, as TOML has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// One case in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// `file: name (direction)`.
    pub name: String,
    /// Route of `tests/policies/corpus.yaml`.
    pub route: String,
    /// Which body of the exchange it is.
    pub direction: Direction,
    /// Value of `content-type`.
    pub content_type: String,
    /// Of a response: the request before it, which is JSON.
    pub asked: Asked,
    /// The body.
    pub input: Vec<u8>,
    /// What becomes of it.
    pub expect: Expect,
    /// What must be found: exactly this, if it is given.
    pub findings: Option<Vec<Finding>>,
    /// Why it is not run, by runner.
    pub disabled: BTreeMap<String, String>,
}

/// Which body of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the client.
    Request,
    /// From the upstream.
    Response,
}

/// The request that a response answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What the client sends.
    pub input: Vec<u8>,
    /// What the upstream gets.
    pub expect: Vec<u8>,
}

/// What becomes of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// These bytes come out.
    Output(Vec<u8>),
    /// It is refused, for this reason (`MaskError::reason`).
    Refused(String),
}

/// Does a refused stream end with the event, or the line, that says so in the words of its API?
#[must_use]
pub fn tells_of_refusal(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let ends_well = text.ends_with("\n\n") || !text.contains("\ndata:") && text.ends_with('\n');
    ends_well
        && text.trim_end().rsplit('\n').next().is_some_and(|last| last.contains("response refused by policy"))
}

/// A finding, as audit events tell it; what is absent is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Name of the detector.
    pub detector: Option<String>,
    /// Name of the tag.
    pub tag: Option<String>,
    /// Where.
    pub location: String,
    /// How often.
    pub count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    route: String,
    /// Both, if absent.
    direction: Option<Direction>,
    content_type: String,
    /// `{}`, if absent; both or none.
    request: Option<String>,
    request_expect: Option<String>,
    input: Option<String>,
    input_base64: Option<String>,
    expect: Option<String>,
    expect_base64: Option<String>,
    refuse: Option<String>,
    findings: Option<Vec<Finding>>,
    #[serde(default)]
    disabled: BTreeMap<String, String>,
}

/// Folder of the corpus.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Every case of every file, by file and place.
///
/// # Errors
/// A file that cannot be read, or a case that says too little or too much.
pub fn load() -> Result<Vec<Case>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    ensure!(!files.is_empty(), "the corpus is empty");
    let mut cases = Vec::new();
    for path in files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("corpus file `{stem}`"))?;
        for entry in file.case {
            let name = format!("{stem}: {}", entry.name);
            cases.extend(entry.into_cases(&name).with_context(|| name.clone())?);
        }
    }
    Ok(cases)
}

impl Entry {
    fn into_cases(self, name: &str) -> Result<Vec<Case>> {
        let input = bytes(self.input, self.input_base64)?.context("no `input`")?;
        let expect = match (bytes(self.expect, self.expect_base64)?, self.refuse) {
            (Some(output), None) => Expect::Output(output),
            (None, Some(reason)) => Expect::Refused(reason),
            _ => bail!("either `expect` or `refuse`"),
        };
        let asked = match (self.request, self.request_expect) {
            (Some(input), Some(expect)) if self.direction == Some(Direction::Response) => (input, expect),
            (None, None) => ("{}".to_owned(), "{}".to_owned()),
            _ => bail!("`request` and `request-expect` belong together, in front of a response"),
        };
        let asked = Asked { input: asked.0.into_bytes(), expect: asked.1.into_bytes() };
        let directions = match self.direction {
            Some(direction) => vec![direction],
            None => vec![Direction::Request, Direction::Response],
        };
        Ok(directions
            .into_iter()
            .map(|direction| Case {
                name: format!("{name} ({direction:?})"),
                route: self.route.clone(),
                direction,
                content_type: self.content_type.clone(),
                asked: asked.clone(),
                input: input.clone(),
                expect: expect.clone(),
                findings: self.findings.clone(),
                disabled: self.disabled.clone(),
            })
            .collect())
    }
}

fn bytes(text: Option<String>, encoded: Option<String>) -> Result<Option<Vec<u8>>> {
    match (text, encoded) {
        (Some(_), Some(_)) => bail!("text and base64 of the same value"),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(encoded)) => Ok(Some(STANDARD.decode(encoded)?)),
        (None, None) => Ok(None),
    }
}
