//! The benchmarks: what Veilwire adds to Envoy, beside what a filter adds that only copies bodies, and the masker alone.
//!
//! Everything is measured in one run, in rounds that alternate between the variants, because figures of different runs
//! cannot be compared on a busy machine. What is measured is CPU time of the Envoy process, not time on the wall. Every
//! answer is searched for planted values: if one comes through Veilwire unmasked, the run fails.
//!
//! Deliberately absent: targets. The figures are for `docs/reference/benchmarks.md` and for comparing two commits.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks on its terminal")]

mod cpu;
#[expect(unreachable_pub, dead_code, reason = "shared with the benchmark of the engine")]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#[path = "../../../../engine/benches/identity/decide.rs"]
mod decide;
#[expect(unreachable_pub, reason = "shared with the benchmark of the engine")]
#[path = "../../../../engine/benches/mask/hold_back.rs"]
mod hold_back;
#[expect(unreachable_pub, reason = "shared with the benchmark of the engine")]
#[path = "../../../../engine/benches/mask/hostile.rs"]
mod hostile;
mod identity;
mod load;
mod memory;
mod native;
#[expect(unreachable_pub, dead_code, reason = "shared with the benchmark of the engine")]
#[path = "../../../../engine/benches/mask/packs.rs"]
mod packs;
mod report;
mod scenario;
#[expect(unreachable_pub, reason = "shared with the benchmark of the engine")]
#[path = "../../../../engine/benches/mask/shapes.rs"]
mod shapes;
mod site;
mod streams;
#[expect(unreachable_pub, reason = "shared with the benchmark of the engine")]
#[path = "../../../../engine/benches/mask/traffic.rs"]
mod traffic;
mod upstream;
mod worst;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};

use load::Client;
use report::Report;
use scenario::Scenario;
use serde_json::{Value, json};
use site::{Site, Variant};
use streams::Figures;
use worst::Worst;

const DEFAULT_ROUNDS: usize = 15;
const MAX_ROUNDS: usize = 200;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, rest)) if first == "identity" => identity::run(rest),
        _ => Options::parse(&args).and_then(|options| run(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug)]
struct Options {
    json: Option<PathBuf>,
    rounds: usize,
    /// Only the streams that are open at the same time, so many.
    streams: Option<usize>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { json: None, rounds: DEFAULT_ROUNDS, streams: None };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("`{flag}` needs a value"))?;
            match flag.as_str() {
                "--json" => options.json = Some(PathBuf::from(value)),
                "--streams" => options.streams = Some(value.parse().context("`--streams` needs a number")?),
                "--rounds" => options.rounds = value.parse().context("`--rounds` needs a number")?,
                _ => bail!("usage: bench [identity] [--json FILE] [--rounds N | --streams N]"),
            }
        }
        ensure!((1..=MAX_ROUNDS).contains(&options.rounds), "between 1 and {MAX_ROUNDS} rounds are possible");
        Ok(options)
    }

    fn write(&self, figures: &Value) -> Result<()> {
        let Some(file) = &self.json else { return Ok(()) };
        let text = format!("{figures:#}\n");
        std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(count) = options.streams {
        let figures = Figures::measure(count)?;
        figures.print();
        return options.write(&json!({ "envoy": { "streams": figures.to_json() } }));
    }
    let site = Site::start()?;
    let scenarios = Scenario::all()?;
    println!("checking that planted values arrive through the others and not through Veilwire");
    let mut clients =
        Variant::ALL.into_iter().map(|v| Client::connect(&site, v)).collect::<Result<Vec<_>>>()?;
    for scenario in &scenarios {
        for client in &mut clients {
            client.warm_up(&site, scenario)?;
        }
    }
    let mut report = Report::new(site.wasm_bytes, options.rounds);
    for round in 0..options.rounds {
        println!("round {} of {}", round + 1, options.rounds);
        // Who is first changes, so that no variant always follows the same other one.
        clients.rotate_left(1);
        for scenario in &scenarios {
            for client in &mut clients {
                let slice = client.measure(&site, scenario)?;
                report.add(scenario.name, client.variant, slice);
            }
        }
        native::round(&site, &mut report)?;
    }
    println!("hostile bodies, long streams, what waits");
    report.worst = Worst::measure()?;
    report.print();
    options.write(&report.to_json())
}
