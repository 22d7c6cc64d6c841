//! `veilwire compile`: writes the artifact and the Envoy configuration.

use super::{compile, folder_of, show, warnings, write};
use crate::cli::{Format, Outcome, PolicyArguments};
use crate::emit::envoy::Deployment;
use crate::output;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name of the artifact in the output folder.
pub const ARTIFACT: &str = "policy.artifact";
/// Name of the Envoy configuration in the output folder.
pub const ENVOY: &str = "envoy.yaml";
/// Name of the filter module beside it, unless `--wasm` says otherwise.
const WASM: &str = "veilwire_filter.wasm";

/// Arguments of `compile`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: PolicyArguments,
    /// Folder for policy.artifact and envoy.yaml; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Where Envoy finds the filter [default: veilwire_filter.wasm in the output folder, or in the path prefix]
    #[arg(long, value_name = "PATH")]
    wasm: Option<PathBuf>,
    /// Folder where Envoy finds what the policy names by a relative path [default: the folder of the policy]
    #[arg(long, value_name = "DIR")]
    path_prefix: Option<String>,
    /// Let this Envoy validate what was written; loads the filter and the artifact
    #[arg(long, value_name = "BIN")]
    envoy: Option<PathBuf>,
}

/// Runs `compile`.
pub fn run(arguments: &Arguments) -> Outcome {
    match attempt(arguments) {
        Ok(()) => Outcome::Clean,
        Err(outcome) => outcome,
    }
}

fn attempt(arguments: &Arguments) -> Result<(), Outcome> {
    let deployment = deployment(arguments)?;
    let (source, compiled) = compile(&arguments.policy, &deployment)?;
    let artifact = arguments.output.join(ARTIFACT);
    let envoy = arguments.output.join(ENVOY);
    std::fs::create_dir_all(&arguments.output).map_err(|error| failed(&arguments.output, &error))?;
    write(&artifact, &compiled.artifact)?;
    write(&envoy, compiled.envoy_yaml.as_bytes())?;
    if let Some(binary) = &arguments.envoy {
        validate(binary, &envoy)?;
    }
    match arguments.policy.format {
        Format::Json => {
            let document = serde_json::json!({
                "artifact": {"path": artifact.display().to_string(), "bytes": compiled.artifact.len(), "sha256": compiled.digest},
                "envoy": {"path": envoy.display().to_string(), "validated": arguments.envoy.is_some()},
                "warnings": compiled.warnings.redacted().items(),
            });
            output::print(&format!("{document:#}\n"));
        }
        Format::Human => {
            show(&source, &compiled.warnings, Format::Human);
            let validated = if arguments.envoy.is_some() { ", accepted by Envoy" } else { "" };
            output::print(&format!(
                "{}: {} bytes, sha256 {}\n{}: complete configuration{validated}, {}\n",
                artifact.display(),
                compiled.artifact.len(),
                compiled.digest,
                envoy.display(),
                warnings(&compiled.warnings),
            ));
        }
    }
    Ok(())
}

fn deployment(arguments: &Arguments) -> Result<Deployment, Outcome> {
    let files = match &arguments.path_prefix {
        Some(prefix) => prefix.clone(),
        None => folder_of(&arguments.policy.policy)?.display().to_string(),
    };
    let wasm = match (&arguments.wasm, &arguments.path_prefix) {
        (Some(wasm), Some(_)) => wasm.clone(),
        (Some(wasm), None) => std::path::absolute(wasm).map_err(|error| failed(wasm, &error))?,
        (None, Some(prefix)) => Path::new(prefix).join(WASM),
        (None, None) => {
            let path = arguments.output.join(WASM);
            std::path::absolute(&path).map_err(|error| failed(&path, &error))?
        }
    };
    Ok(Deployment { files, wasm: wasm.display().to_string() })
}

fn failed(path: &Path, error: &std::io::Error) -> Outcome {
    output::report(&format!("error: {}: {error}\n", path.display()));
    Outcome::Io
}

fn validate(binary: &Path, config: &Path) -> Result<(), Outcome> {
    let run = Command::new(binary)
        .args(["--mode", "validate", "--log-level", "error", "--config-path"])
        .arg(config)
        .output()
        .map_err(|error| failed(binary, &error))?;
    if run.status.success() {
        return Ok(());
    }
    output::report(&format!("error: Envoy refuses {}:\n", config.display()));
    output::report(&String::from_utf8_lossy(&run.stderr));
    Err(Outcome::Findings)
}
