//! What the verbs do. Each module holds the arguments of its verb and the run.

pub mod check;
pub mod compile;
pub mod scan;

use crate::cli::{Deny, Format, Outcome, PolicyArguments, Verb};
use crate::diagnostic::render;
use crate::diagnostic::{Code, Diagnostics, Severity};
use crate::emit::envoy::Deployment;
use crate::files::DiskFiles;
use crate::{Compiled, Source, compile_policy, output};
use std::path::{Path, PathBuf};

/// Longest policy file in bytes.
const MAX_POLICY: u64 = 4 << 20;

/// Runs a verb.
pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Check(arguments) => check::run(arguments),
        Verb::Compile(arguments) => compile::run(arguments),
        Verb::Scan(arguments) => scan::run(arguments),
    }
}

/// Reads a policy from disk; a failure is reported.
fn read_source(path: &Path) -> Result<Source, Outcome> {
    let failed = |reason: &str| {
        output::report(&format!("error: {}: {reason}\n", path.display()));
        Outcome::Io
    };
    let metadata = std::fs::metadata(path).map_err(|error| failed(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(failed("not a regular file"));
    }
    if metadata.len() > MAX_POLICY {
        return Err(failed("larger than 4 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(&error.to_string()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(error) => Err(failed(&format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))),
    }
}

/// The folder of a file, absolute, without following links.
fn folder_of(path: &Path) -> Result<PathBuf, Outcome> {
    let absolute = std::path::absolute(path).map_err(|error| {
        output::report(&format!("error: {}: {error}\n", path.display()));
        Outcome::Io
    })?;
    Ok(absolute.parent().map(Path::to_path_buf).unwrap_or(absolute))
}

/// Compiles a policy from disk. Diagnostics of a refused policy are printed here.
fn compile(arguments: &PolicyArguments, deployment: &Deployment) -> Result<(Source, Compiled), Outcome> {
    let source = read_source(&arguments.policy)?;
    let files = DiskFiles::new(folder_of(&arguments.policy)?);
    let denied =
        |diagnostics: &Diagnostics| arguments.deny == Some(Deny::Warnings) && !diagnostics.is_empty();
    match compile_policy(&source, &files, deployment) {
        Ok(compiled) if denied(&compiled.warnings) => {
            show(&source, &compiled.warnings, arguments.format);
            Err(Outcome::Findings)
        }
        Ok(compiled) => Ok((source, compiled)),
        Err(diagnostics) => {
            show(&source, &diagnostics, arguments.format);
            let bug = diagnostics.items().iter().any(|item| item.code == Code::E0999);
            Err(if bug { Outcome::Bug } else { Outcome::Findings })
        }
    }
}

fn show(source: &Source, diagnostics: &Diagnostics, format: Format) {
    output::print(&match format {
        Format::Human => render::human(source, diagnostics, output::color()),
        Format::Json => render::json(source, diagnostics) + "\n",
    });
}

/// `1 warning`, `2 warnings`.
fn warnings(diagnostics: &Diagnostics) -> String {
    match diagnostics.count(Severity::Warning) {
        1 => "1 warning".to_owned(),
        count => format!("{count} warnings"),
    }
}
