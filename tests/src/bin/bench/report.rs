//! Medians over the rounds, on the terminal and as JSON.
//!
//! What a filter adds is its slice minus the slice without a filter *of the same round*, so that what slows a whole round
//! down does not count as the filter's. The spread is the distance between the first and the third quartile.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::load::Slice;
use crate::site::Variant;
use crate::worst::Worst;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    wasm_bytes: u64,
    rounds: usize,
    /// By scenario and variant, one value for each round.
    envoy: BTreeMap<(&'static str, Variant), Vec<f64>>,
    native: BTreeMap<&'static str, Vec<f64>>,
    pub(crate) worst: Worst,
}

/// Middle and spread of a series.
#[derive(Debug, Clone, Copy)]
struct Middle {
    median: f64,
    spread: f64,
}

/// The figures of one scenario, in microseconds of Envoy's CPU time for each exchange.
#[derive(Debug, Clone, Copy)]
struct Figures {
    plain: Middle,
    copy_added: Middle,
    /// What a filter adds that makes the host calls of identity, headers and audit, and decides and masks nothing.
    boundary_added: Middle,
    added: Middle,
    /// CPU time with the copying filter divided by CPU time with Veilwire.
    throughput_vs_copy: Middle,
}

impl Report {
    pub(crate) fn new(wasm_bytes: u64, rounds: usize) -> Self {
        Self { wasm_bytes, rounds, envoy: BTreeMap::new(), native: BTreeMap::new(), worst: Worst::default() }
    }

    pub(crate) fn add(&mut self, scenario: &'static str, variant: Variant, slice: Slice) {
        self.envoy.entry((scenario, variant)).or_default().push(slice.micros);
    }

    pub(crate) fn add_native(&mut self, name: &'static str, mb_per_second: f64) {
        self.native.entry(name).or_default().push(mb_per_second);
    }

    pub(crate) fn print(&self) {
        println!(
            "\nCPU time of Envoy for each exchange, microseconds; median of {} rounds (spread)",
            self.rounds
        );
        println!(
            "{:<10} {:>16} {:>18} {:>18} {:>18} {:>10} {:>12} {:>20}",
            "",
            "no filter",
            "copying filter +",
            "host calls +",
            "Veilwire +",
            "to copying",
            "to host calls",
            "throughput to copy"
        );
        for (scenario, figures) in self.scenarios() {
            let shown = |middle: Middle| format!("{:.1} ({:.1})", middle.median, middle.spread);
            println!(
                "{scenario:<10} {:>16} {:>18} {:>18} {:>18} {:>10.2} {:>12.2} {:>20.3}",
                shown(figures.plain),
                shown(figures.copy_added),
                shown(figures.boundary_added),
                shown(figures.added),
                figures.added.median / figures.copy_added.median,
                figures.added.median / figures.boundary_added.median,
                figures.throughput_vs_copy.median,
            );
        }
        if self.native.is_empty() {
            println!("\nThe masker alone: not measured in a debug build");
        } else {
            println!("\nThe masker alone, native, MB of input for each second of CPU time; median (spread)");
        }
        for (name, series) in &self.native {
            let middle = Middle::of(series);
            println!("{name:<10} {:>10.0} ({:.0})", middle.median, middle.spread);
        }
        self.worst.print();
        println!("\nfilter module: {} bytes", self.wasm_bytes);
    }

    /// Nested objects; the keys are explained in `docs/reference/benchmarks.md`.
    pub(crate) fn to_json(&self) -> Value {
        let mut envoy = Map::new();
        for (scenario, figures) in self.scenarios() {
            for (key, middle) in [
                ("plain", figures.plain),
                ("copy_added", figures.copy_added),
                ("boundary_added", figures.boundary_added),
                ("added", figures.added),
            ] {
                envoy.insert(format!("{key}_us_{scenario}"), rounded(middle.median));
                envoy.insert(format!("{key}_us_{scenario}_spread"), rounded(middle.spread));
            }
            let short = scenario.strip_prefix("json_").unwrap_or(scenario);
            envoy.insert(format!("throughput_vs_copy_{short}"), rounded(figures.throughput_vs_copy.median));
            let ratio = figures.added.median / figures.copy_added.median;
            envoy.insert(format!("added_vs_copy_{short}"), rounded(ratio));
            let ratio = figures.added.median / figures.boundary_added.median;
            envoy.insert(format!("added_vs_boundary_{short}"), rounded(ratio));
        }
        let native = self.native.iter().flat_map(|(name, series)| {
            let middle = Middle::of(series);
            [
                (format!("{name}_mb_per_s"), rounded(middle.median)),
                (format!("{name}_mb_per_s_spread"), rounded(middle.spread)),
            ]
        });
        let mut native: Map<String, Value> = native.collect();
        native.extend(self.worst.native());
        json!({
            "rounds": self.rounds,
            "wasm_bytes": self.wasm_bytes,
            "envoy": envoy,
            "native": native,
            "hold_back": self.worst.hold_back(),
        })
    }

    fn scenarios(&self) -> Vec<(&'static str, Figures)> {
        let mut names: Vec<&'static str> = self.envoy.keys().map(|(scenario, _)| *scenario).collect();
        names.dedup();
        names.into_iter().filter_map(|name| Some((name, self.figures(name)?))).collect()
    }

    fn figures(&self, scenario: &'static str) -> Option<Figures> {
        let plain = self.envoy.get(&(scenario, Variant::Plain))?;
        let copy = self.envoy.get(&(scenario, Variant::Copy))?;
        let boundary = self.envoy.get(&(scenario, Variant::Boundary))?;
        let veilwire = self.envoy.get(&(scenario, Variant::Veilwire))?;
        let pairs = |a: &[f64], b: &[f64], join: fn(f64, f64) -> f64| -> Middle {
            let joined: Vec<f64> = a.iter().zip(b).map(|(a, b)| join(*a, *b)).collect();
            Middle::of(&joined)
        };
        Some(Figures {
            plain: Middle::of(plain),
            copy_added: pairs(copy, plain, |a, b| a - b),
            boundary_added: pairs(boundary, plain, |a, b| a - b),
            added: pairs(veilwire, plain, |a, b| a - b),
            throughput_vs_copy: pairs(copy, veilwire, |a, b| a / b),
        })
    }
}

impl Middle {
    fn of(series: &[f64]) -> Self {
        let mut sorted = series.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |numerator: usize| {
            let index = sorted.len().saturating_sub(1) * numerator / 4;
            sorted.get(index).copied().unwrap_or(f64::NAN)
        };
        Self { median: at(2), spread: at(3) - at(1) }
    }
}

fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
