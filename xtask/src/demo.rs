//! `cargo xtask demo`: set-up, build, then the demo binary of the test crate.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{console, process, setup, wasm, workspace};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    match args {
        [] => {}
        [option] if option == "--once" || option == "--prepare" => {}
        _ => bail!("usage: cargo xtask demo [--once | --prepare]"),
    }
    let ready = setup::ensure_ready()?;
    wasm::build(false)?;
    let mut build = process::cargo();
    build.args(["build", "--package", "veilwire-tests", "--bin", "demo"]);
    process::quiet("building the demo (first time: 2 to 4 minutes)", &mut build, console::LONG)?;
    let mut demo = Command::new(workspace::target_dir().join("debug/demo"));
    demo.args(args).current_dir(workspace::root()).env("ENVOY_BIN", &ready.envoy).stdin(Stdio::null());
    let status = demo.status().context("cannot start the demo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
