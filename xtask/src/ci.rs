//! `cargo xtask ci`: everything that must hold before a change lands. `.ci/run` calls only this.
//!
//! Every step runs even when an earlier one failed, so that one run tells everything.

use std::num::NonZeroU32;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::console::{self, Stopwatch};
use crate::toolchain::TARGET;
use crate::totals::Totals;
use crate::{deny, fuzz, process, rules, setup, test, tidy, wasm};

const FUZZ_SECONDS: u64 = 20;
/// What CI tries is the same every time, so that a change is judged by what it changes and not by luck; whoever wants
/// luck runs `cargo xtask fuzz`.
const FUZZ_SEED: NonZeroU32 = NonZeroU32::new(20_261).unwrap();
/// The engine with everything in it, as the other crates' tests see it.
const ENGINE_FEATURES: &str = "veilwire-engine/compile,veilwire-engine/test-util";
/// The wasmtime host is built for tests only, and is linted like everything else.
const LINT_FEATURES: &str = "veilwire-engine/compile,veilwire-engine/test-util,veilwire-tests/wasm-host";

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let only = match args {
        [] => None,
        [flag, step] if flag == "--only" => Some(step.clone()),
        _ => bail!("usage: cargo xtask ci [--only STEP]"),
    };
    let mut report = Report { only, ..Report::default() };
    report.step("setup", || setup::ensure_ready().map(drop));
    report.step("format", || process::stream(process::cargo().args(["fmt", "--all", "--check"])));
    report.step("filter module", || wasm::build(false));
    report.step("clippy", clippy);
    report.step("documentation", documentation);
    report.step("dependency rules", rules::check);
    report.step("licences, bans, sources", deny::check);
    report.step("tidy", tidy::check);
    let mut totals = None;
    report.step("tests", || {
        let found = test::all()?;
        totals = Some(found);
        if found.failed > 0 {
            bail!("{found}");
        }
        Ok(())
    });
    report.step("fuzz smoke", || {
        let smoke = fuzz::Options { seconds: FUZZ_SECONDS, seed: Some(FUZZ_SEED), targets: Vec::new() };
        let crashed = fuzz::all(&smoke)?;
        if !crashed.is_empty() {
            bail!("crashes in {}", crashed.join(", "));
        }
        Ok(())
    });
    if report.lines.is_empty() {
        bail!("no step's name begins like that");
    }
    Ok(report.close(totals))
}

fn clippy() -> Result<()> {
    let mut host = process::cargo();
    host.args(["clippy", "--workspace", "--all-targets", "--locked", "--features", LINT_FEATURES]);
    process::stream(host.args(["--", "-D", "warnings"]))?;
    // What is compiled for the filter alone: the engine without features, for the target where its std is there.
    let mut filter = process::cargo();
    filter.args(["clippy", "--package", "veilwire-filter", "--locked"]);
    if crate::toolchain::std_installed() {
        filter.args(["--target", TARGET]);
    }
    process::stream(filter.args(["--", "-D", "warnings"]))
}

fn documentation() -> Result<()> {
    let mut doc = process::cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"]);
    process::stream(doc.args(["--features", ENGINE_FEATURES]).env("RUSTDOCFLAGS", "-D warnings"))
}

#[derive(Debug, Default)]
struct Report {
    /// Begin of the name of the steps to run; all of them when absent.
    only: Option<String>,
    lines: Vec<String>,
    failed: usize,
}

impl Report {
    fn step(&mut self, name: &str, action: impl FnOnce() -> Result<()>) {
        if self.only.as_ref().is_some_and(|begin| !name.starts_with(begin.as_str())) {
            return;
        }
        console::step(name);
        let watch = Stopwatch::start();
        let outcome = action();
        let word = match &outcome {
            Ok(()) => "ok",
            Err(error) => {
                eprintln!("{name}: {error:#}");
                self.failed += 1;
                "FAILED"
            }
        };
        self.lines.push(format!("{name:<26} {word:<8} {:>7.1} s", watch.seconds()));
    }

    /// The table, and alone on the last line the totals. A failed step counts as a failed test, so that the
    /// closing line cannot look good when a lint or a rule is broken.
    fn close(self, totals: Option<Totals>) -> ExitCode {
        println!("\nSteps");
        for line in &self.lines {
            println!("  {line}");
        }
        let mut sum = totals.unwrap_or_default();
        if sum.failed == 0 {
            sum.failed = self.failed;
        }
        println!("\n{sum}");
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
