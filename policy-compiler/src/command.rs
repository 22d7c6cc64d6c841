//! What the verbs do. Each module holds the arguments of its verb and the run.

pub mod check;
pub mod compile;
pub mod cost;
pub mod coverage;
pub mod key;
pub mod mask;
pub mod pack;
pub mod scan;

use crate::cli::{Deny, Format, Outcome, PolicyArguments, Verb};
use crate::diagnostic::render;
use crate::diagnostic::{Code, Diagnostics, Severity};
use crate::emit::envoy::Deployment;
use crate::files::DiskFiles;
use crate::source::keys::is_secret;
use crate::{Compiled, Source, compile_policy, output};
use std::path::{Path, PathBuf};
use veilwire_engine::policy::model::Key;
use veilwire_engine::policy::{InvalidPolicy, Policy, artifact};

/// Longest policy file in bytes.
const MAX_POLICY: u64 = 4 << 20;

/// Runs a verb.
pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Check(arguments) => check::run(arguments),
        Verb::Compile(arguments) => compile::run(arguments),
        Verb::Cost(arguments) => cost::run(arguments),
        Verb::Coverage(arguments) => coverage::run(arguments),
        Verb::Key(arguments) => key::run(arguments),
        Verb::Mask(arguments) => mask::run(arguments),
        Verb::Pack(arguments) => pack::run(arguments),
        Verb::Scan(arguments) => scan::run(arguments),
    }
}

/// Reads a policy from disk; a failure is reported.
fn read_source(path: &Path) -> Result<Source, Outcome> {
    into_source(path, read_bytes(path)?)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Outcome> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable(path, "not a regular file"));
    }
    if metadata.len() > MAX_POLICY {
        return Err(unreadable(path, "larger than 4 MiB"));
    }
    std::fs::read(path).map_err(|error| unreadable(path, &error.to_string()))
}

fn into_source(path: &Path, bytes: Vec<u8>) -> Result<Source, Outcome> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(error) => {
            Err(unreadable(path, &format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to())))
        }
    }
}

fn unreadable(path: &Path, reason: &str) -> Outcome {
    output::report(&format!("error: {}: {reason}\n", path.display()));
    Outcome::Io
}

/// The policy as the filter loads it: from an artifact, or compiled from YAML. Whatever is wrong goes to stderr.
fn load(path: &Path, keys: &[NamedKey]) -> Result<Policy, Outcome> {
    let bytes = read_bytes(path)?;
    if artifact::is_artifact(&bytes) {
        return loaded(&bytes, keys).map_err(|error| {
            output::report(&format!("error: {}: {error}\n", path.display()));
            Outcome::Findings
        });
    }
    let source = into_source(path, bytes)?;
    let folder = folder_of(path)?;
    let files = folder.display().to_string();
    let deployment = Deployment { wasm: format!("{files}/veilwire_filter.wasm"), files };
    let compiled = compile_policy(&source, &DiskFiles::new(folder), &deployment).map_err(|diagnostics| {
        output::report(&render::human(&source, &diagnostics, false));
        refused(&diagnostics)
    })?;
    loaded(&compiled.artifact, keys).map_err(|error| {
        output::report(&format!("error: {error}\n"));
        if matches!(error, InvalidPolicy::Key(_)) { Outcome::Usage } else { Outcome::Bug }
    })
}

/// A key of replacements, as it stands in a file.
struct NamedKey {
    name: String,
    text: Vec<u8>,
}

/// With all keys of replacements that the policy has, or with none: then placeholders stand for what they would make.
fn loaded(artifact: &[u8], keys: &[NamedKey]) -> Result<Policy, InvalidPolicy> {
    if keys.is_empty() {
        return Policy::load(artifact);
    }
    // Nobody is verified here, so that any bytes do for the secret of a provider.
    let unused = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0; 64]).into_bytes();
    let text = |wanted: &Key| match keys.iter().find(|key| key.name == wanted.name) {
        Some(key) => Some(key.text.clone()),
        None => is_secret(&wanted.name).then(|| unused.clone()),
    };
    Policy::load_with_keys(artifact, &text)
}

/// Reads `NAME=FILE`.
fn read_key(argument: &str) -> Result<NamedKey, Outcome> {
    let Some((name, path)) = argument.split_once('=') else {
        output::report("error: --key: expected NAME=FILE\n");
        return Err(Outcome::Usage);
    };
    Ok(NamedKey { name: name.to_owned(), text: read_bytes(Path::new(path))? })
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
            Err(refused(&diagnostics))
        }
    }
}

fn refused(diagnostics: &Diagnostics) -> Outcome {
    let bug = diagnostics.items().iter().any(|item| item.code == Code::E0999);
    if bug { Outcome::Bug } else { Outcome::Findings }
}

fn show(source: &Source, diagnostics: &Diagnostics, format: Format) {
    output::print(&match format {
        Format::Human => render::human(source, diagnostics, output::color()),
        Format::Json => render::json(source, diagnostics) + "\n",
    });
}

/// Writes beside and renames, so that a reader never sees half a file.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Outcome> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path)).map_err(|error| {
        output::report(&format!("error: {}: {error}\n", path.display()));
        Outcome::Io
    })
}

/// `1 warning`, `2 warnings`.
fn warnings(diagnostics: &Diagnostics) -> String {
    match diagnostics.count(Severity::Warning) {
        1 => "1 warning".to_owned(),
        count => format!("{count} warnings"),
    }
}
