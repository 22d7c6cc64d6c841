//! `cargo xtask fuzz`: builds the targets under `fuzz/fuzz_targets` with coverage and runs each for a while.
//!
//! The flags are those of cargo-fuzz without a sanitizer: the workspace has no unsafe code, and so a stable
//! compiler suffices and nothing has to be installed but the C++ compiler that libFuzzer itself needs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{console, packages, process, workspace};

const DEFAULT_SECONDS: u64 = 60;
/// One input may not take longer: the engine promises linear time.
const INPUT_SECONDS: u64 = 10;
const MEMORY_MB: u64 = 2048;
/// Targets that run side by side: one a core of the smallest machine that builds this.
const AT_ONCE: usize = 2;
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

pub(crate) fn run(args: &[String]) -> Result<()> {
    let seconds = match args {
        [] => DEFAULT_SECONDS,
        [flag, number] if flag == "--seconds" => {
            number.parse().with_context(|| format!("`{number}` is not a number of seconds"))?
        }
        _ => bail!("usage: cargo xtask fuzz [--seconds N]"),
    };
    let found = all(seconds)?;
    ensure!(found.is_empty(), "crashes in {}; the inputs are in fuzz/crashes", found.join(", "));
    Ok(())
}

/// Runs every target; the names of those that crashed come back.
pub(crate) fn all(seconds: u64) -> Result<Vec<String>> {
    let targets = targets()?;
    let folder = build()?;
    let mut crashed = Vec::new();
    for together in targets.chunks(AT_ONCE) {
        console::step(&format!("fuzzing {} for {seconds} s", together.join(" and ")));
        let runs: Vec<Result<bool>> = std::thread::scope(|scope| {
            let started: Vec<_> =
                together.iter().map(|target| scope.spawn(|| run_target(&folder, target, seconds))).collect();
            started.into_iter().map(|run| run.join().unwrap_or_else(|_| bail!("the run panicked"))).collect()
        });
        for (target, run) in together.iter().zip(runs) {
            if !run? {
                crashed.push(target.clone());
            }
        }
    }
    Ok(crashed)
}

fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).context("there are no fuzz targets (fuzz/fuzz_targets)")?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    ensure!(!names.is_empty(), "there are no fuzz targets (fuzz/fuzz_targets)");
    Ok(names)
}

fn build() -> Result<PathBuf> {
    if process::find("c++").is_none() && process::find("g++").is_none() {
        packages::install(&["g++"], "libFuzzer needs a C++ compiler", "Install a C++ compiler.")?;
    }
    let target_dir = workspace::target_dir().join("fuzz-build");
    let host = host_triple()?;
    let mut command = process::cargo();
    command
        .args(["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target", &host])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    process::quiet("building the fuzz targets (first time: 2 to 3 minutes)", &mut command, console::LONG)?;
    Ok(target_dir.join(host).join("release"))
}

fn host_triple() -> Result<String> {
    let text = process::capture(Command::new("rustc").arg("-vV"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("host: "));
    Ok(line.context("`rustc -vV` names no host")?.to_owned())
}

/// New inputs go to a scratch folder, so that a run leaves the committed corpus as it is.
fn run_target(folder: &Path, target: &str, seconds: u64) -> Result<bool> {
    let root = workspace::root();
    let scratch = workspace::target_dir().join("fuzz-corpus").join(target);
    let seeds = root.join("fuzz/corpus").join(target);
    let crashes = root.join("fuzz/crashes").join(target);
    for dir in [&scratch, &crashes] {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    }
    let mut artifacts = OsString::from("-artifact_prefix=");
    artifacts.push(&crashes);
    artifacts.push("/");
    let mut command = Command::new(folder.join(target));
    command
        .arg(&scratch)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(artifacts)
        .args(["-print_final_stats=1", "-verbosity=0"]);
    if seeds.is_dir() {
        command.arg(&seeds);
    }
    // Inputs that once crashed are tried first; they must stay fixed.
    let known = std::fs::read_dir(&crashes)?.flatten().map(|e| e.path()).filter(|p| p.is_file());
    let known: Vec<PathBuf> = known.collect();
    if !known.is_empty() && process::stream(Command::new(folder.join(target)).args(&known)).is_err() {
        console::note(&format!("{target}: an input of fuzz/crashes fails"));
        return Ok(false);
    }
    // libFuzzer prints pages about what it learnt: shown only where something went wrong.
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {target}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let units = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    match (output.status.success(), units) {
        (true, Some(units)) => console::note(&format!("{target}: {} inputs, no crash", units.trim())),
        _ => console::note(&format!("{target}: {}\n{}", output.status, process::tail(&text))),
    }
    Ok(output.status.success())
}
