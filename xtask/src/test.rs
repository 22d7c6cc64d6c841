//! `cargo xtask test`: native tests, doctests, the filter in wasmtime, the filter in Envoy; totals at the end.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;

use anyhow::{Context as _, Result, bail};

use crate::console::{self, Stopwatch};
use crate::totals::Totals;
use crate::{process, providers, sdk, setup, wasm};

const FEATURES: &str = "veilwire-engine/compile,veilwire-engine/test-util";

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        bail!("usage: cargo xtask test");
    }
    let totals = all()?;
    // The closing line stands alone: other programs look for it.
    println!("\n{totals}");
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every test; the totals count a runner that could not build or ran no test as one failure.
pub(crate) fn all() -> Result<Totals> {
    let ready = setup::ensure_ready()?;
    let sdks = sdk::find_or_say();
    let idps = providers::find_or_say();
    wasm::build(false)?;
    wasm::build_helper(wasm::Helper::Signatures)?;
    let mut lines = Vec::new();
    let mut sum = Totals::default();
    for (name, mut command) in runners(&ready.envoy, sdks.as_deref(), idps.as_deref()) {
        console::step(&format!("{name}: {}", process::show(&command)));
        let watch = Stopwatch::start();
        let totals = observe(&mut command)?;
        lines.push(format!("{name:<28} {totals:<32} {:>7.1} s", watch.seconds()));
        sum += totals;
    }
    println!("\nSummary");
    for line in lines {
        println!("  {line}");
    }
    Ok(sum)
}

/// nextest where it is installed; doctests and the harness's tests always by cargo: doctests because nextest
/// has none, the harness because its tests share one compiled module per process.
fn runners(envoy: &Path, sdks: Option<&Path>, idps: Option<&Path>) -> Vec<(&'static str, Command)> {
    let native = ["--workspace", "--exclude", "veilwire-tests", "--features", FEATURES];
    let mut list = Vec::new();
    if process::find("cargo-nextest").is_some() {
        let mut unit = process::cargo();
        unit.args(["nextest", "run", "--no-fail-fast"]).args(native);
        list.push(("native (nextest)", unit));
        let mut doc = process::cargo();
        doc.args(["test", "--doc", "--no-fail-fast"]).args(native);
        list.push(("doctests", doc));
    } else {
        let mut unit = process::cargo();
        unit.args(["test", "--no-fail-fast"]).args(native);
        list.push(("native and doctests", unit));
    }
    let mut hosted = process::cargo();
    hosted
        .args(["test", "--no-fail-fast", "--package", "veilwire-tests", "--features", "wasm-host"])
        .env("ENVOY_BIN", envoy);
    if let Some(python) = sdks {
        hosted.env("VEILWIRE_SDK_PYTHON", python);
    }
    if let Some(packages) = idps {
        hosted.env(providers::VARIABLE, packages);
    }
    list.push(("wasmtime and Envoy", hosted));
    list
}

/// Runs a test runner, shows its output and reads the totals from it.
fn observe(command: &mut Command) -> Result<Totals> {
    let shown = process::show(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let (lines, received) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, lines.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, lines);
    }
    let mut totals = Totals::default();
    for line in received {
        println!("{line}");
        totals.read_line(&line);
    }
    let status = child.wait()?;
    if totals.failed == 0 && (!status.success() || totals.passed == 0) {
        console::note(&format!("`{shown}` ended with {status} and {totals}: counted as one failure"));
        totals += Totals::one_failure();
    }
    Ok(totals)
}

fn forward(stream: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if lines.send(text).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Totals {
        observe(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn totals_of_both_streams_are_added() {
        let totals = shell(
            "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'; \
             echo 'Summary [ 1s] 3 tests run: 3 passed, 0 skipped' >&2",
        );
        assert_eq!(totals, Totals { passed: 5, failed: 0, skipped: 0 });
    }

    #[test]
    fn a_runner_that_cannot_build_is_a_failure() {
        assert_eq!(shell("exit 101").failed, 1);
    }

    #[test]
    fn a_runner_without_tests_is_a_failure() {
        assert_eq!(shell("exit 0").failed, 1);
    }
}
