//! `veilwire scan`: what detectors find in texts, why, and what they nearly find.
//!
//! SECURITY: values are not printed unless `--show` asks for it; a terminal's scroll-back and a CI log are places where they would leak.
//! The rest of a line in which something was found is printed for people, with every value and near miss in it reduced to its form.

mod human;
mod json;
mod records;
mod text;

use super::{compile, folder_of};
use crate::catalog::{Catalog, CatalogError};
use crate::cli::{Deny, Format, Outcome, PolicyArguments};
use crate::detect::Finding;
use crate::emit::envoy::Deployment;
use crate::output;
use crate::pack;
use clap::ValueEnum;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use text::Lines;

/// Arguments of `scan`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The texts; `-` or none for stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Print the values that were found
    #[arg(long)]
    show: bool,
    /// Print near misses too: what fits a pattern, and what else its detector asks for
    #[arg(long)]
    why: bool,
    /// How findings are printed: for people, or one JSON object per finding and line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What the files are: one text each, or a JSON object per line of which --field is the text
    #[arg(long, value_enum, default_value_t)]
    input: Input,
    /// The text of a record [default: text]
    #[arg(long, value_name = "KEY")]
    field: Option<String>,
}

/// Which detectors.
#[derive(Clone, Debug, clap::Args)]
pub struct Choice {
    /// Use the detectors of this policy's masks
    #[arg(long, value_name = "FILE", conflicts_with = "pack")]
    policy: Option<PathBuf>,
    /// Use the detectors of this pack, such as secrets@1; may be repeated [default: all packs]
    #[arg(long, value_name = "NAME")]
    pack: Vec<String>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Input {
    /// One text
    #[default]
    Text,
    /// A JSON object per line
    Jsonl,
}

/// What was looked at and found in all files.
#[derive(Debug, Default)]
struct Totals {
    files: usize,
    files_with_findings: usize,
    findings: usize,
    bytes: usize,
    seconds: f64,
}

/// Runs `scan`.
pub fn run(arguments: &Arguments) -> Outcome {
    match attempt(arguments) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

fn attempt(arguments: &Arguments) -> Result<Outcome, Outcome> {
    if arguments.field.is_some() && arguments.input == Input::Text {
        output::report("error: --field needs --input jsonl\n");
        return Err(Outcome::Usage);
    }
    let catalog = arguments.choice.catalog()?;
    let stdin = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &stdin[..] } else { &arguments.files };
    let mut totals = Totals::default();
    for file in files {
        let content = read(file)?;
        let before = totals.findings;
        match arguments.input {
            Input::Text => scan_text(arguments, &catalog, file, &content, &mut totals)?,
            Input::Jsonl => {
                let several = files.len() > 1;
                records::scan(arguments, &catalog, (file, several), &content, &mut totals)?;
            }
        }
        totals.files += 1;
        totals.files_with_findings += usize::from(totals.findings > before);
    }
    if arguments.format == Format::Human && arguments.input == Input::Text {
        output::report(&totals.sentence(catalog.entries().len()));
    }
    Ok(if totals.findings == 0 { Outcome::Clean } else { Outcome::Findings })
}

fn scan_text(
    arguments: &Arguments,
    catalog: &Catalog,
    file: &Path,
    content: &[u8],
    totals: &mut Totals,
) -> Result<(), Outcome> {
    let found = totals.timed(content, || catalog.find(content))?;
    let missed = if arguments.why {
        catalog.near_misses(content).map_err(|error| broken(&error))?
    } else {
        Vec::new()
    };
    totals.findings += found.len();
    let lines = Lines::new(content);
    let view = View { arguments, catalog, file, lines, found: &found, missed: &missed };
    output::print(&match arguments.format {
        Format::Human => human::render(&view, output::color()),
        Format::Json => json::render(&view),
    });
    Ok(())
}

/// One text and what is to be told of it.
struct View<'v> {
    arguments: &'v Arguments,
    catalog: &'v Catalog,
    file: &'v Path,
    lines: Lines<'v>,
    found: &'v [Finding],
    missed: &'v [Finding],
}

impl Choice {
    /// The detectors; a failure is reported.
    pub(super) fn catalog(&self) -> Result<Catalog, Outcome> {
        if let Some(policy) = &self.policy {
            let folder = folder_of(policy)?.display().to_string();
            let deployment = Deployment { wasm: format!("{folder}/veilwire_filter.wasm"), files: folder };
            let arguments =
                PolicyArguments { policy: policy.clone(), format: Format::Human, deny: None::<Deny> };
            let (_, compiled) = compile(&arguments, &deployment)?;
            return Catalog::of_model(&compiled.model).map_err(|error| broken(&error));
        }
        let catalog = if self.pack.is_empty() {
            Catalog::of_packs(pack::references())
        } else {
            Catalog::of_packs(self.pack.iter().map(String::as_str))
        };
        catalog.map_err(|error| match error {
            CatalogError::NoPack(_) => {
                let known = crate::diagnostic::listing(pack::references());
                output::report(&format!("error: {error}; packs: {known}\n"));
                Outcome::Usage
            }
            error => broken(&error),
        })
    }
}

impl Totals {
    /// Counts the text and the time that looking at it takes.
    #[expect(clippy::disallowed_methods, reason = "how fast a scan is can only be told with a clock")]
    fn timed<T, E: std::error::Error>(
        &mut self,
        text: &[u8],
        scan: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, Outcome> {
        let start = Instant::now();
        let found = scan().map_err(|error| broken(&error))?;
        self.seconds += start.elapsed().as_secs_f64();
        self.bytes += text.len();
        Ok(found)
    }

    /// Totals and speed.
    #[expect(clippy::cast_precision_loss, reason = "a speed in three digits")]
    fn sentence(&self, detectors: usize) -> String {
        let megabytes = self.bytes as f64 / 1e6;
        let speed = if self.seconds > 0.0 { megabytes / self.seconds } else { 0.0 };
        format!(
            "{} in {} of {}; {megabytes:.3} MB in {:.1} ms ({speed:.0} MB/s), {}\n",
            counted(self.findings, "finding"),
            self.files_with_findings,
            counted(self.files, "file"),
            self.seconds * 1e3,
            counted(detectors, "detector"),
        )
    }
}

/// `1 finding`, `2 findings`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
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
