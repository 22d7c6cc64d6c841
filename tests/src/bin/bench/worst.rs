//! What no traffic may do to the masker: the cost of hostile bodies, what it holds in a long stream, what waits in a usual one.
//!
//! Measured once in a run, by CPU time of this thread; the bodies are those of the engine's own benchmarks and tests.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Map, Value, json};
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskPlan, Masker};

use crate::hold_back::{self, HoldBack};
use crate::hostile::{self, Stream};
use crate::packs::{Packs, Plans};
use crate::{cpu, native, traffic};

/// Bytes of a hostile body.
const SIZE: usize = 1024 * 1024;
/// The best of so many rounds counts.
const ROUNDS: usize = 3;
/// Bytes of a long stream.
const LONG: usize = 100_000_000;

/// The figures of one run.
#[derive(Debug, Default)]
pub(crate) struct Worst {
    /// MB/s, by set of detectors and family.
    families: Vec<(&'static str, &'static str, f64)>,
    /// The worst cost a byte with the default packs, in units of usual traffic without the filter in front of the automata.
    ratio: f64,
    /// The most bytes held in a stream of 100 MB.
    state: Vec<(&'static str, usize)>,
    hold_back: Vec<(&'static str, HoldBack)>,
}

impl Worst {
    /// Measures everything. Nothing in a debug build, whose figures would say nothing.
    pub(crate) fn measure() -> Result<Self> {
        let mut worst = Self::default();
        if cfg!(debug_assertions) {
            return Ok(worst);
        }
        let plans = Plans::new().map_err(|error| anyhow!(error))?;
        let packs = Packs::new().map_err(|error| anyhow!(error))?;
        let unfiltered = Arc::new(packs.set.as_ref().clone().unfiltered());
        let unfiltered = packs.plan(&unfiltered).map_err(|error| anyhow!(error))?;
        let usual_text = best(&unfiltered, Format::Json, &traffic::long_text(SIZE)?.bytes)?;
        let mut usual_json = f64::INFINITY;
        for body in traffic::documents()? {
            usual_json = usual_json.min(best(&unfiltered, Format::Json, &body.bytes)?);
        }
        for (set, plan) in [("packs", &plans.plain), ("wide", &plans.wide)] {
            for family in hostile::families() {
                let speed = best(plan, family.format, &family.body(SIZE))?;
                worst.families.push((set, family.name, speed));
                let usual = if family.format == Format::Text { usual_text } else { usual_json };
                if set == "packs" {
                    worst.ratio = worst.ratio.max(usual / speed);
                }
            }
        }
        for stream in Stream::ALL {
            let plan = if stream.format() == Format::Sse { &plans.chat } else { &plans.plain };
            worst.state.push((stream.name(), most_held(plan, stream)?));
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/data/recorded");
        let channels = hold_back::channels(&folder)?;
        for (name, active) in packs.each.iter().chain([&("all", packs.set.all())]) {
            worst.hold_back.push((name, HoldBack::of(&packs.set, active, &channels)));
        }
        Ok(worst)
    }

    pub(crate) fn print(&self) {
        if self.families.is_empty() {
            return;
        }
        println!(
            "\nHostile bodies, MB of input for each second of CPU time: default packs, and twenty detectors more"
        );
        for family in hostile::families() {
            let speed = |set: &str| {
                let found = self.families.iter().find(|(of, name, _)| *of == set && *name == family.name);
                found.map_or(f64::NAN, |(_, _, speed)| *speed)
            };
            println!("{:<14} {:>8.1} {:>8.1}", family.name, speed("packs"), speed("wide"));
        }
        println!("worst cost a byte: {:.1} times that of usual traffic with the filter off", self.ratio);
        println!("\nMost bytes held in a stream of 100 MB");
        for (name, most) in &self.state {
            println!("{name:<14} {most:>8}");
        }
        println!(
            "\nDeltas of the recorded streams: with nothing held, and bytes held on average and at most"
        );
        for (name, waits) in &self.hold_back {
            println!("{name:<14} {:>7.2} % {:>8.2} {:>6}", waits.free_percent(), waits.mean(), waits.most);
        }
    }

    /// Members for `native`.
    pub(crate) fn native(&self) -> Map<String, Value> {
        let mut members = Map::new();
        if self.families.is_empty() {
            return members;
        }
        let mut families = Map::new();
        for (set, name, speed) in &self.families {
            families.insert(format!("{set} {name}"), json!((speed * 10.0).round() / 10.0));
        }
        members.insert("worst_case_ratio".to_owned(), json!((self.ratio * 100.0).round() / 100.0));
        members.insert("worst_case_mb_per_s".to_owned(), Value::Object(families));
        for (name, most) in &self.state {
            members.insert(format!("state_bytes_{name}"), json!(most));
        }
        members
    }

    /// The member `hold_back`.
    pub(crate) fn hold_back(&self) -> Value {
        let sets = self.hold_back.iter().map(|(name, waits)| {
            let share = (waits.free_percent() * 100.0).round() / 10_000.0;
            let figures = json!({
                "nothing_held_share": share,
                "mean_held_bytes": (waits.mean() * 100.0).round() / 100.0,
                "max_held_bytes": waits.most,
            });
            ((*name).to_owned(), figures)
        });
        Value::Object(sets.collect())
    }
}

/// MB/s, of the best round.
fn best(plan: &Arc<MaskPlan>, format: Format, body: &[u8]) -> Result<f64> {
    let (mut out, mut best) = (Vec::with_capacity(2 * body.len()), 0.0_f64);
    for _ in 0..ROUNDS {
        let (mut bytes, before) = (0, cpu::of_this_thread()?);
        // The scheduler counts in steps of some milliseconds.
        let nanos = loop {
            out.clear();
            std::hint::black_box(native::mask(plan, format, body, &mut out)?);
            bytes += body.len();
            let nanos = cpu::of_this_thread()?.saturating_sub(before);
            if nanos > 20_000_000 {
                break nanos;
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a round takes far less than 2^53 ns")]
        let speed = bytes as f64 * 1000.0 / nanos as f64;
        best = best.max(speed);
    }
    Ok(best)
}

/// The most bytes that a masker holds between two pieces of a long stream.
fn most_held(plan: &Arc<MaskPlan>, stream: Stream) -> Result<usize> {
    let mut masker = Masker::new(Arc::clone(plan), stream.format());
    let (mut out, mut most) = (Vec::new(), 0);
    for piece in stream.pieces(LONG) {
        masker.write(&piece, &mut out)?;
        out.clear();
        most = most.max(masker.held());
    }
    masker.end(&mut out)?;
    ensure!(most <= 64 * 1024, "{most} bytes are held in a long stream ({})", stream.name());
    Ok(most)
}
