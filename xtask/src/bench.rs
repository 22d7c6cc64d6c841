//! `cargo xtask bench`: the benchmarks of masking and deciding (native) and the comparison through Envoy, in release builds.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::{console, instructions, process, setup, wasm, workspace};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if let Some((flag, rest)) = args.split_first()
        && flag == "--instructions"
    {
        return instructions::run(rest);
    }
    match args {
        [only] if only == "--native" => return engine(&[]),
        [first, ..] if first == "--native" => bail!(
            "usage: cargo xtask bench [identity [--json FILE] [--rounds N] | --native | --instructions [--bless] | --json FILE --rounds N | --json FILE --streams N]"
        ),
        _ => {}
    }
    let ready = setup::ensure_ready()?;
    wasm::build(false)?;
    wasm::build_helper(wasm::Helper::Copy)?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--package", "veilwire-tests", "--bin", "bench"]);
    process::quiet("building the benchmark (first time: 3 to 6 minutes)", &mut build, console::LONG)?;
    let mut bench = Command::new(workspace::target_dir().join("release/bench"));
    bench.args(args).current_dir(workspace::root()).env("ENVOY_BIN", &ready.envoy);
    process::stream(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

/// The criterion benchmarks of the engine, all or some.
fn engine(which: &[&str]) -> Result<ExitCode> {
    let all = ["bench", "--package", "veilwire-engine", "--features", "compile"];
    process::stream(process::cargo().args(all).args(which))?;
    Ok(ExitCode::SUCCESS)
}
