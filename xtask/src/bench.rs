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
    if args == ["identity"] {
        process::stream(process::cargo().args([
            "bench",
            "--package",
            "veilwire-engine",
            "--features",
            "compile",
            "--bench",
            "identity",
        ]))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (native, rest) = match args.split_first() {
        Some((flag, rest)) if flag == "--native" => (true, rest),
        _ => (false, args),
    };
    if native {
        if !rest.is_empty() {
            bail!(
                "usage: cargo xtask bench [identity | --native | --instructions [--bless] | --json FILE --rounds N | --json FILE --streams N]"
            );
        }
        process::stream(process::cargo().args([
            "bench",
            "--package",
            "veilwire-engine",
            "--features",
            "compile",
        ]))?;
        return Ok(ExitCode::SUCCESS);
    }
    let ready = setup::ensure_ready()?;
    wasm::build(false)?;
    wasm::build_copy_filter()?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--package", "veilwire-tests", "--bin", "bench"]);
    process::quiet("building the benchmark (first time: 3 to 6 minutes)", &mut build, console::LONG)?;
    let mut bench = Command::new(workspace::target_dir().join("release/bench"));
    bench.args(rest).current_dir(workspace::root()).env("ENVOY_BIN", &ready.envoy);
    process::stream(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}
