//! `veilwire cost`: what each detector costs, built alone, and all of them together.
//!
//! Sizes and bounds are exact and the same everywhere. Speed is that of this machine over a sample of prose, JSON and numbers,
//! scanned by the detector alone: detectors of one policy share most of their work, so the last line is not their sum.

use super::scan::Choice;
use crate::catalog::{Catalog, Entry};
use crate::cli::{Format, Outcome};
use crate::detect::{self, Probe, Wanted};
use crate::output;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use veilwire_engine::policy::model::Limits;

/// Arguments of `cost`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// How costs are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What detectors cost, one or all.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// States of the automata.
    states: usize,
    /// Bytes of the tables as the artifact carries them.
    bytes: usize,
    /// Most bytes of text that can stay undecided.
    indecision: u32,
    /// Megabytes of the sample per second.
    speed: f64,
}

/// Runs `cost`.
pub fn run(arguments: &Arguments) -> Outcome {
    match attempt(arguments) {
        Ok(()) => Outcome::Clean,
        Err(outcome) => outcome,
    }
}

fn attempt(arguments: &Arguments) -> Result<(), Outcome> {
    let catalog = arguments.choice.catalog()?;
    let sample = sample();
    let mut lines: Vec<(&Entry, Cost)> = Vec::new();
    for entry in catalog.entries() {
        // Of a policy's own detector the compiled artifact keeps no pattern.
        let Some(wanted) = entry.wanted() else { continue };
        lines.push((entry, measure(&[wanted], &sample)?));
    }
    let all: Vec<Wanted<'_>> = lines.iter().filter_map(|(entry, _)| entry.wanted()).collect();
    let together = if all.is_empty() { None } else { Some(measure(&all, &sample)?) };
    output::print(&match arguments.format {
        Format::Human => human(&lines, together, &catalog),
        Format::Json => json(&lines, together),
    });
    Ok(())
}

fn measure(wanted: &[Wanted<'_>], sample: &[u8]) -> Result<Cost, Outcome> {
    let failed = |error: &dyn std::error::Error| {
        output::report(&format!("error: {error}\n"));
        Outcome::Bug
    };
    let size = detect::size(wanted, Limits::default().window).map_err(|error| failed(&error))?;
    let probe = Probe::new(wanted, Limits::default().window).map_err(|error| failed(&error))?;
    let speed = speed(&probe, sample).map_err(|error| failed(&error))?;
    Ok(Cost { states: size.states, bytes: size.bytes, indecision: size.indecision, speed })
}

/// The best of a few passes.
#[expect(clippy::disallowed_methods, reason = "a speed can only be told with a clock")]
#[expect(clippy::cast_precision_loss, reason = "a speed in three digits")]
fn speed(probe: &Probe, sample: &[u8]) -> Result<f64, detect::ScanOverflow> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        probe.find(sample)?;
        best = best.min(start.elapsed());
    }
    Ok(sample.len() as f64 / 1e6 / best.as_secs_f64().max(1e-9))
}

/// Text as models and tools write it: prose, JSON with ids, times and numbers. No value of any detector.
fn sample() -> Vec<u8> {
    const PIECE: &str = "The reconciliation job finished after 42 minutes; three of the 1,204 rows could not be matched, see \
        `jobs/2026-03-14T09:26:53Z/report.json` for details.\n{\"id\":\"chatcmpl-9xQzR2sT7uV8wXyZ\",\"created\":1773480413,\
        \"model\":\"a-model-4.1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" usually written as\"}}],\
        \"usage\":{\"prompt_tokens\":1812,\"completion_tokens\":96}}\nSo far, so good: version 3.11.2, 0.75 of 17, \
        a1b2c3d4e5f60718293a4b5c6d7e8f9012345678, and nothing else to report.\n";
    PIECE.repeat((64 << 10) / PIECE.len()).into_bytes()
}

fn human(lines: &[(&Entry, Cost)], together: Option<Cost>, catalog: &Catalog) -> String {
    let mut text =
        format!("{:<34}{:>8}{:>9}{:>8}{:>8}  class\n", "detector", "states", "bytes", "held", "MB/s");
    let line = |name: &str, cost: Cost, class: &str| {
        let Cost { states, bytes, indecision, speed } = cost;
        let line = format!("{name:<34}{states:>8}{bytes:>9}{indecision:>8}{speed:>8.0}  {class}");
        format!("{}\n", line.trim_end())
    };
    for (entry, cost) in lines {
        text.push_str(&line(&entry.name, *cost, entry.class.unwrap_or_default()));
    }
    if let Some(cost) = together {
        text.push_str(&line(&format!("all {} together", lines.len()), cost, ""));
    }
    let own = catalog.entries().len().saturating_sub(lines.len());
    if own > 0 {
        text.push_str(&format!("not shown: {own} of the policy's own, which no pack brings\n"));
    }
    text
}

fn json(lines: &[(&Entry, Cost)], together: Option<Cost>) -> String {
    let value = |cost: Cost| {
        let speed = (cost.speed * 10.0).round() / 10.0;
        json!({"states": cost.states, "bytes": cost.bytes, "indecision": cost.indecision, "megabytesPerSecond": speed})
    };
    let detectors: Vec<Value> = lines
        .iter()
        .map(|(entry, cost)| {
            let mut object = value(*cost);
            if let Some(object) = object.as_object_mut() {
                object.insert("detector".to_owned(), entry.name.clone().into());
                object.insert("class".to_owned(), entry.class.into());
            }
            object
        })
        .collect();
    let document = json!({"detectors": detectors, "together": together.map(value)});
    format!("{document:#}\n")
}
