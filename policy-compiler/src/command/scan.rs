//! `veilwire scan`: what detectors find in a text.
//!
//! SECURITY: values are not printed unless `--show` asks for it; a terminal's scroll-back and a CI log are places where they would leak.

use super::{compile, folder_of};
use crate::cli::{Deny, Format, Outcome, PolicyArguments};
use crate::detect::{Hit, Probe, Rule, Wanted};
use crate::emit::envoy::Deployment;
use crate::output;
use crate::pack::{self, Pack};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use veilwire_engine::policy::model::Limits;

/// Arguments of `scan`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The text, or `-` for stdin
    file: PathBuf,
    /// Use the detectors of this policy's masks
    #[arg(long, value_name = "FILE", conflicts_with = "pack")]
    policy: Option<PathBuf>,
    /// Use the detectors of this pack, such as secrets@1; may be repeated [default: all packs]
    #[arg(long, value_name = "NAME")]
    pack: Vec<String>,
    /// Print the values that were found
    #[arg(long)]
    show: bool,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Detectors with what their findings mean.
struct Detectors {
    probe: Probe,
    tags: BTreeMap<String, String>,
}

/// Runs `scan`.
pub fn run(arguments: &Arguments) -> Outcome {
    match attempt(arguments) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

fn attempt(arguments: &Arguments) -> Result<Outcome, Outcome> {
    let detectors = match &arguments.policy {
        Some(policy) => of_policy(policy)?,
        None => of_packs(&arguments.pack)?,
    };
    let text = read(&arguments.file)?;
    let hits = detectors.probe.find(&text).map_err(|error| {
        output::report(&format!("error: {error}\n"));
        Outcome::Bug
    })?;
    let lines = Lines::new(&text);
    output::print(&match arguments.format {
        Format::Human => human(arguments, &detectors, &lines, &hits),
        Format::Json => json(arguments, &detectors, &lines, &hits),
    });
    Ok(if hits.is_empty() { Outcome::Clean } else { Outcome::Findings })
}

fn of_policy(policy: &Path) -> Result<Detectors, Outcome> {
    let folder = folder_of(policy)?.display().to_string();
    let deployment = Deployment { wasm: format!("{folder}/veilwire_filter.wasm"), files: folder };
    let arguments = PolicyArguments { policy: policy.to_owned(), format: Format::Human, deny: None::<Deny> };
    let (_, compiled) = compile(&arguments, &deployment)?;
    let probe = Probe::from_model(&compiled.model).map_err(|error| broken(&error))?;
    let tag = |index: usize| compiled.model.tags.get(index).map(|tag| tag.name.clone()).unwrap_or_default();
    let tags =
        compiled.model.detectors.iter().map(|found| (found.name.clone(), tag(found.tag.index()))).collect();
    Ok(Detectors { probe, tags })
}

fn of_packs(chosen: &[String]) -> Result<Detectors, Outcome> {
    let all: Vec<&str> = match chosen {
        [] => pack::references().collect(),
        chosen => chosen.iter().map(String::as_str).collect(),
    };
    // By name in the library: a detector that two packs carry is one detector, named by the first.
    let mut found: BTreeMap<String, (usize, String, String, Rule)> = BTreeMap::new();
    for reference in all {
        let Some(pack) = Pack::load(reference) else {
            let known = crate::diagnostic::listing(pack::references());
            output::report(&format!("error: pack `{reference}` does not exist; packs: {known}\n"));
            return Err(Outcome::Usage);
        };
        let pack = pack.map_err(|error| broken(&error))?;
        for detector in &pack.detectors {
            let body = &detector.body;
            let (Some(tag), Some(rule)) = (&body.tag, body.rule()) else { continue };
            let name = detector.name.value.clone();
            if found.get(&name).is_none_or(|(rank, ..)| pack.rank < *rank) {
                found.insert(name, (pack.rank, pack.full_name(&detector.name), tag.value.clone(), rule));
            }
        }
    }
    let wanted: Vec<Wanted<'_>> = found.values().map(|(_, name, _, rule)| Wanted { name, rule }).collect();
    let probe = Probe::new(&wanted, Limits::default().window).map_err(|error| broken(&error))?;
    Ok(Detectors { probe, tags: found.into_values().map(|(_, name, tag, _)| (name, tag)).collect() })
}

fn broken(error: &dyn std::error::Error) -> Outcome {
    output::report(&format!("error: {error}\n"));
    Outcome::Bug
}

fn read(file: &Path) -> Result<Vec<u8>, Outcome> {
    let content = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    content.map_err(|error| {
        output::report(&format!("error: {}: {error}\n", file.display()));
        Outcome::Io
    })
}

fn human(arguments: &Arguments, detectors: &Detectors, lines: &Lines<'_>, hits: &[Hit]) -> String {
    let mut text = String::new();
    for hit in hits {
        let (line, column) = lines.position(hit.range.start);
        let value = lines.text.get(hit.range.clone()).unwrap_or_default();
        let shown = if arguments.show {
            String::from_utf8_lossy(value).escape_debug().to_string()
        } else {
            preview(value)
        };
        let names = hit.detectors.join(", ");
        let tags = detectors.tags_of(hit).join(", ");
        text.push_str(&format!("{}:{line}:{column}: {names} ({tags}): {shown}\n", arguments.file.display()));
    }
    let counted = if hits.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", hits.len()) };
    text.push_str(&format!("{}: {counted}\n", arguments.file.display()));
    text
}

fn json(arguments: &Arguments, detectors: &Detectors, lines: &Lines<'_>, hits: &[Hit]) -> String {
    let findings: Vec<serde_json::Value> = hits
        .iter()
        .map(|hit| {
            let (line, column) = lines.position(hit.range.start);
            let mut finding = serde_json::json!({
                "detectors": hit.detectors,
                "tags": detectors.tags_of(hit),
                "start": hit.range.start,
                "end": hit.range.end,
                "line": line,
                "column": column,
            });
            if arguments.show
                && let Some(finding) = finding.as_object_mut()
            {
                let value = lines.text.get(hit.range.clone()).unwrap_or_default();
                finding.insert("value".to_owned(), String::from_utf8_lossy(value).into());
            }
            finding
        })
        .collect();
    let document = serde_json::json!({"file": arguments.file.display().to_string(), "findings": findings});
    format!("{document:#}\n")
}

/// The form of a value without the value: letters as `a`, digits as `0`, at most 24 characters.
fn preview(value: &[u8]) -> String {
    let form = |byte: &u8| match byte {
        b'0'..=b'9' => '0',
        b'a'..=b'z' | b'A'..=b'Z' => 'a',
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    let mut text: String = value.iter().take(24).map(form).collect();
    if value.len() > 24 {
        text.push('…');
    }
    format!("{text} ({} bytes)", value.len())
}

impl Detectors {
    fn tags_of(&self, hit: &Hit) -> Vec<String> {
        let mut tags: Vec<String> =
            hit.detectors.iter().filter_map(|name| self.tags.get(name).cloned()).collect();
        tags.sort();
        tags.dedup();
        tags
    }
}

/// Lines and columns, both from 1; columns count bytes.
struct Lines<'t> {
    text: &'t [u8],
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        (line, at - start + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_has_the_form_and_not_the_value() {
        assert_eq!(preview(b"519-12-1204"), "000-00-0000 (11 bytes)");
        assert_eq!(preview(b"Ada.L@example.com"), "aaa.a@aaaaaaa.aaa (17 bytes)");
        assert_eq!(preview(&[b'x'; 30]), format!("{}… (30 bytes)", "a".repeat(24)));
    }

    #[test]
    fn positions_are_lines_and_byte_columns() {
        let lines = Lines::new(b"ab\ncd\n");
        assert_eq!([0, 1, 3, 4].map(|at| lines.position(at)), [(1, 1), (1, 2), (2, 1), (2, 2)]);
    }
}
