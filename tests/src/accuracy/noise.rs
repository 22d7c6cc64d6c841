//! What the packs find in recorded traffic that has hardly anything to find: every hit must have an explanation.
//!
//! Each file of `engine/tests/data/{recorded,llm}` is one text, scanned as it is on the wire: ids and
//! signatures that a mask never touches are scanned here too, so the figure is an upper bound of what a policy would mask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use veilwire_policy_compiler::catalog::Catalog;

/// Hits of one detector in one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hits {
    /// Full name of the detector.
    pub detector: String,
    /// Name of the file.
    pub file: String,
    /// Forms of what was found, with how often: letters as `a`, digits as `0`.
    pub forms: BTreeMap<String, usize>,
}

/// Everything that was found.
#[derive(Debug, Clone)]
pub struct Noise {
    /// By detector and file.
    pub hits: Vec<Hits>,
    /// Bytes scanned.
    pub bytes: usize,
    /// Files scanned.
    pub files: usize,
}

/// Why something is found in recorded traffic.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Full name of the detector.
    pub detector: String,
    /// Names of files begin like this.
    pub files: String,
    /// Most hits of this detector in all of these files.
    pub most: usize,
    /// What it is, and whether finding it is right.
    pub why: String,
}

/// The explanations of `tests/accuracy/noise.toml`.
///
/// # Errors
/// When the file is not what this module reads.
pub fn explanations() -> Result<Vec<Explanation>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        hit: Vec<Explanation>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("accuracy/noise.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(toml::from_str::<File>(&text).with_context(|| path.display().to_string())?.hit)
}

/// Scans the recorded traffic.
///
/// # Errors
/// When a file cannot be read or a scan gives up.
pub fn measure(catalog: &Catalog) -> Result<Noise> {
    let mut noise = Noise { hits: Vec::new(), bytes: 0, files: 0 };
    for path in recorded()? {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let bytes = std::fs::read(&path).with_context(|| file.clone())?;
        noise.bytes += bytes.len();
        noise.files += 1;
        let mut found: BTreeMap<usize, BTreeMap<String, usize>> = BTreeMap::new();
        for finding in catalog.find(&bytes).with_context(|| file.clone())? {
            let form = form(bytes.get(finding.range()).unwrap_or_default());
            *found.entry(finding.detector).or_default().entry(form).or_default() += 1;
        }
        for (detector, forms) in found {
            let entry = catalog.entries().get(detector).context("a finding names no detector")?;
            noise.hits.push(Hits { detector: entry.name.clone(), file: file.clone(), forms });
        }
    }
    noise.hits.sort();
    ensure!(noise.files > 0, "no recorded traffic");
    Ok(noise)
}

impl Noise {
    /// Hits by pack.
    #[must_use]
    pub fn by_pack(&self) -> BTreeMap<String, usize> {
        let mut packs = BTreeMap::new();
        for hits in &self.hits {
            let pack = hits.detector.split('.').next().unwrap_or_default();
            *packs.entry(pack.to_owned()).or_default() += hits.count();
        }
        packs
    }

    /// Hits without an explanation, and explanations of nothing.
    #[must_use]
    pub fn unexplained(&self, explanations: &[Explanation]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut explained: Vec<usize> = vec![0; explanations.len()];
        for hits in &self.hits {
            let fits = |why: &Explanation| hits.detector == why.detector && hits.file.starts_with(&why.files);
            let place = explanations.iter().position(fits);
            match place.and_then(|place| explained.get_mut(place)) {
                Some(count) => *count += hits.count(),
                None => faults.push(format!("{} in {}: {:?}", hits.detector, hits.file, hits.forms)),
            }
        }
        for (why, count) in explanations.iter().zip(explained) {
            let name = format!("{} in {}*", why.detector, why.files);
            if count == 0 {
                faults.push(format!("{name} is explained, but not found any more"));
            } else if count > why.most {
                faults.push(format!("{name}: {count} hits, {} are explained", why.most));
            }
        }
        faults
    }
}

impl Hits {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.forms.values().sum()
    }
}

fn recorded() -> Result<Vec<PathBuf>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data");
    let mut paths = Vec::new();
    for folder in ["recorded", "llm"] {
        for entry in std::fs::read_dir(data.join(folder)).with_context(|| folder.to_owned())? {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "md"));
    paths.sort();
    Ok(paths)
}

/// The form of a value: what a failed test may show.
fn form(value: &[u8]) -> String {
    let shape = |byte: &u8| match byte {
        b'0'..=b'9' => '0',
        b'a'..=b'z' | b'A'..=b'Z' => 'a',
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    value.iter().take(40).map(shape).collect()
}
