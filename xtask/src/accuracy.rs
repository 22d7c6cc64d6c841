//! `cargo xtask accuracy`: what detectors find and miss in labelled texts, in a release build.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{console, process, sdk, workspace};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let alone = ["--no-presidio", "--errors", "--noise"];
    let peer = if args.iter().any(|argument| alone.contains(&argument.as_str())) {
        None
    } else {
        Some(sdk::presidio()?)
    };
    let mut build = process::cargo();
    build.args(["build", "--release", "--package", "veilwire-tests", "--bin", "accuracy"]);
    process::quiet("building the measurement (first time: 3 to 6 minutes)", &mut build, console::LONG)?;
    let mut measure = Command::new(workspace::target_dir().join("release/accuracy"));
    measure.args(args.iter().filter(|argument| *argument != "--no-presidio")).current_dir(workspace::root());
    if let Some(python) = peer {
        measure.arg("--peer").arg(python);
    }
    process::stream(&mut measure)?;
    Ok(ExitCode::SUCCESS)
}
