//! `cargo xtask bench --instructions`: what the masker costs, in instructions instead of time.
//!
//! Counted by valgrind, so that no load of the machine disturbs it: the same program on the same kind of processor gives the
//! same figures but for what the compiler changes. They depend on the processor, because memchr and the C library choose
//! their loops at run time: what is recorded is recorded for each kind. Not a step of CI for that reason; there the steps of
//! the automata are counted (`engine/tests/worst_case.rs`), which depend on nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::{packages, process, workspace};

/// What is recorded, relative to the workspace.
const RECORD: &str = "tests/bench/instructions.json";
/// Above it a figure counts as worse than recorded.
const TOLERANCE: f64 = 1.1;
/// A body of twice the size may cost so many times as much.
const LINEAR: f64 = 2.1;
/// The benchmark and its function that is counted.
const PROGRAM: &str = "count";
const FUNCTION: &str = "count::counted*";

/// Bytes and instructions of one case.
#[derive(Debug, Clone, Copy)]
struct Counted {
    bytes: f64,
    instructions: f64,
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let bless = match args {
        [] => false,
        [flag] if flag == "--bless" => true,
        _ => bail!("usage: cargo xtask bench --instructions [--bless]"),
    };
    if process::find("valgrind").is_none() {
        packages::install(&["valgrind"], "instructions are counted by valgrind", "Install valgrind.")?;
    }
    let counted = count(&build()?)?;
    let mut faults = not_linear(&counted);
    let figures = per_byte(&counted);
    let file = workspace::root().join(RECORD);
    let kind = kind_of_processor();
    let mut record: Map<String, Value> = match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("`{RECORD}` is not JSON"))?,
        Err(_) => Map::new(),
    };
    let known = record.get(&kind).and_then(Value::as_object).cloned().unwrap_or_default();
    println!("instructions a byte, {kind}\n{:<28} {:>9} {:>9}", "", "recorded", "now");
    for (name, now) in &figures {
        let before = known.get(name).and_then(Value::as_f64);
        let worse = before.is_some_and(|before| *now > before * TOLERANCE);
        let shown = before.map_or_else(|| "-".to_owned(), |before| format!("{before:.1}"));
        println!("{name:<28} {shown:>9} {now:>9.1}{}", if worse { "  worse" } else { "" });
        if worse && !bless {
            faults.push(format!("{name}: {now:.1} instructions a byte, recorded are {shown}"));
        }
    }
    if bless {
        let rounded = figures.iter().map(|(name, now)| (name.clone(), json!((now * 10.0).round() / 10.0)));
        record.insert(kind, Value::Object(rounded.collect()));
        std::fs::write(&file, format!("{:#}\n", Value::Object(record)))
            .with_context(|| format!("cannot write `{RECORD}`"))?;
    } else if known.is_empty() {
        println!("nothing is recorded for this kind of processor; `--bless` records it");
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// Builds the benchmark; gives its executable.
fn build() -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["bench", "--package", "veilwire-engine", "--features", "compile", "--bench", PROGRAM]);
    let messages = process::capture(build.args(["--no-run", "--message-format", "json-render-diagnostics"]))?;
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_ours = message.pointer("/target/name").and_then(Value::as_str) == Some(PROGRAM);
        is_ours.then(|| message.get("executable").and_then(Value::as_str).map(PathBuf::from)).flatten()
    };
    messages.lines().find_map(executable).context("cargo names no executable of the benchmark")
}

/// Runs it in valgrind, which writes one file for each call of the function.
fn count(program: &Path) -> Result<BTreeMap<String, Counted>> {
    let folder = workspace::target_dir().join("instructions");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("cannot remove earlier counts")?;
    }
    std::fs::create_dir_all(&folder)?;
    let out = folder.join("counted");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.args([format!("--toggle-collect={FUNCTION}"), format!("--dump-after={FUNCTION}")]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(program);
    let names = process::capture(&mut valgrind)?;
    let mut counted = BTreeMap::new();
    for (line, number) in names.lines().zip(1..) {
        let (name, bytes) = line.rsplit_once(' ').context("a line without a number of bytes")?;
        let file = out.with_extension(number.to_string());
        let text =
            std::fs::read_to_string(&file).context("valgrind counted fewer calls than there are cases")?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let instructions = total.context("a count without a total")?.trim().parse()?;
        counted.insert(name.to_owned(), Counted { bytes: bytes.parse()?, instructions });
    }
    ensure!(!counted.is_empty(), "nothing was counted");
    Ok(counted)
}

/// The cases that end in a number are the same at several sizes: the largest counts.
fn per_byte(counted: &BTreeMap<String, Counted>) -> BTreeMap<String, f64> {
    let mut figures: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, case) in counted {
        let figure = figures.entry(family(name).to_owned()).or_default();
        if case.bytes > figure.0 {
            *figure = (case.bytes, case.instructions / case.bytes);
        }
    }
    figures.into_iter().map(|(name, (_, figure))| (name, figure)).collect()
}

/// Hostile cases come in two sizes, of which one is the double of the other.
fn not_linear(counted: &BTreeMap<String, Counted>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, case) in counted.iter().filter(|(name, _)| !name.starts_with("usual ")) {
        let others = counted.iter().filter(|(other, _)| family(other) == family(name));
        for (_, larger) in others.filter(|(_, other)| other.bytes > case.bytes) {
            let times = larger.instructions / case.instructions;
            if times > LINEAR {
                faults.push(format!("{}: twice the bytes cost {times:.2} times as much", family(name)));
            }
        }
    }
    faults
}

fn family(name: &str) -> &str {
    name.rsplit_once(' ').map_or(name, |(family, _)| family)
}

/// What the loops of libraries are chosen by.
fn kind_of_processor() -> String {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    let wide = if has("avx2") { "-avx2" } else { "" };
    format!("{}{wide}", std::env::consts::ARCH)
}
