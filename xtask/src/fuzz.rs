//! `cargo xtask fuzz`: builds the targets under `fuzz/fuzz_targets` with coverage and runs each for a while.
//!
//! The flags are those of cargo-fuzz without a sanitizer: the workspace has no unsafe code, and so a stable
//! compiler suffices and nothing has to be installed but the C++ compiler that libFuzzer itself needs.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{console, packages, process, workspace};

const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [--seed S] [TARGET...]";
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

/// What to run, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Of each target.
    pub(crate) seconds: u64,
    /// With a seed a run is the same every time, as far as its time goes; without one it goes on from what earlier
    /// runs have found.
    pub(crate) seed: Option<NonZeroU32>,
    /// Names of targets; all of them when empty.
    pub(crate) targets: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let found = all(&Options::parse(args)?)?;
    ensure!(found.is_empty(), "crashes in {}; the inputs are in fuzz/crashes", found.join(", "));
    Ok(())
}

/// Runs the targets; the names of those that crashed come back.
pub(crate) fn all(options: &Options) -> Result<Vec<String>> {
    let targets = chosen(&targets()?, &options.targets)?;
    let folder = build()?;
    let mut crashed = Vec::new();
    for together in targets.chunks(AT_ONCE) {
        console::step(&format!("fuzzing {} for {} s", together.join(" and "), options.seconds));
        let runs: Vec<Result<bool>> = std::thread::scope(|scope| {
            let started: Vec<_> =
                together.iter().map(|target| scope.spawn(|| run_target(&folder, target, options))).collect();
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

impl Options {
    fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options { seconds: DEFAULT_SECONDS, seed: None, targets: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match (arg.as_str(), arg.starts_with('-')) {
                ("--seconds", _) => options.seconds = number(args.next())?,
                ("--seed", _) => options.seed = Some(number(args.next())?),
                (_, false) => options.targets.push(arg.clone()),
                _ => bail!("{USAGE}"),
            }
        }
        Ok(options)
    }
}

fn number<N: FromStr>(word: Option<&String>) -> Result<N> {
    let Some(word) = word else { bail!("{USAGE}") };
    word.parse().ok().with_context(|| format!("`{word}` is not a number above 0"))
}

fn chosen(targets: &[String], names: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = names.iter().find(|name| !targets.contains(name)) {
        bail!("there is no target `{unknown}`; there are {}", targets.join(", "));
    }
    Ok(if names.is_empty() { targets } else { names }.to_vec())
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

fn run_target(folder: &Path, target: &str, options: &Options) -> Result<bool> {
    let root = workspace::root();
    let crashes = root.join("fuzz/crashes").join(target);
    create(&crashes)?;
    let mut artifacts = OsString::from("-artifact_prefix=");
    artifacts.push(&crashes);
    artifacts.push("/");
    let mut command = Command::new(folder.join(target));
    command
        .current_dir(&root)
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(artifacts)
        .args(["-print_final_stats=1", "-verbosity=0"]);
    let seeds = files(&root.join("fuzz/corpus").join(target))?;
    // A list has an order that does not depend on the file system.
    if !seeds.is_empty() {
        command.arg(format!("-seed_inputs={}", seeds.join(",")));
    }
    match options.seed {
        // Nothing that was found before, nothing that is kept.
        Some(seed) => command.arg(format!("-seed={seed}")).arg("-reload=0"),
        // What is new goes to a scratch folder, so that a run leaves the committed corpus as it is.
        None => {
            let scratch = workspace::target_dir().join("fuzz-corpus").join(target);
            create(&scratch)?;
            command.arg(&scratch)
        }
    };
    // Inputs that once crashed are tried first; they must stay fixed.
    let known = files(&crashes)?;
    let mut replay = Command::new(folder.join(target));
    if !known.is_empty() && process::stream(replay.current_dir(&root).args(&known)).is_err() {
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

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))
}

/// The files of a folder as seen from the root, by name; none if it does not exist.
fn files(folder: &Path) -> Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            let name = path.strip_prefix(workspace::root()).unwrap_or(&path).to_str();
            files.push(name.context("the name of an input is not UTF-8")?.to_owned());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_in_any_order_and_targets_by_name() {
        let options = Options::parse(&words("sse --seed 7 --seconds 5 json")).unwrap();
        assert_eq!((options.seconds, options.seed.map(NonZeroU32::get)), (5, Some(7)));
        assert_eq!(chosen(&words("json sse token"), &options.targets).unwrap(), words("sse json"));
        assert_eq!(chosen(&words("json sse"), &[]).unwrap(), words("json sse"));
        assert!(chosen(&words("json sse"), &words("jsn")).is_err());
        for wrong in ["--seed", "--seed 0", "--seed x", "--seconds", "--other 1"] {
            assert!(Options::parse(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
