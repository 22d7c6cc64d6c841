//! Presidio over the same rows: its pattern recognizers, in a Python that has `tests/accuracy/requirements.txt`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::data::{self, Row};
use super::score::Found;

/// What Presidio found, and how fast.
#[derive(Debug)]
pub struct Answer {
    /// Its version.
    pub version: String,
    /// Megabytes of text per second, start-up not included.
    pub megabytes_per_second: f64,
    /// Per row.
    pub found: Vec<Vec<Found>>,
}

/// Runs Presidio over the rows.
///
/// # Errors
/// When the program fails or does not answer every row.
pub fn presidio(python: &Path, rows: &[Row]) -> Result<Answer> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("accuracy/presidio.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| python.display().to_string())?;
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let input = serde_json::to_vec(&texts)?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    // It reads everything before it answers.
    stdin.write_all(&input).context("Presidio does not read")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("Presidio failed");
    }
    let written: Written = serde_json::from_slice(&output.stdout).context("Presidio's answer")?;
    ensure!(written.rows.len() == rows.len(), "Presidio did not answer every row");
    let names = data::families()?;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let found = written.rows.into_iter().map(|row| row.into_iter().map(|finding| finding.into_found(&names)));
    Ok(Answer {
        version: written.version,
        megabytes_per_second: super::megabytes(bytes) / written.seconds,
        found: found.map(Iterator::collect).collect(),
    })
}

#[derive(Debug, Deserialize)]
struct Written {
    version: String,
    seconds: f64,
    rows: Vec<Vec<Finding>>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    start: usize,
    end: usize,
    entity: String,
}

impl Finding {
    fn into_found(self, names: &BTreeMap<String, String>) -> Found {
        let family = names.get(&self.entity).cloned().unwrap_or_else(|| self.entity.clone());
        Found { range: self.start..self.end, family: Some(family), detector: self.entity }
    }
}
