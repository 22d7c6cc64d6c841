//! Masking alone, native: framing, detection and output, all detectors of the default packs on.
//!
//! Before anything is measured the planted values are looked for in what comes out: a fast masker that leaks would be no
//! result. Throughput is of input bytes; the chunks are those that Envoy hands over.
#![expect(unreachable_pub, reason = "its modules are shared with the benchmarks through Envoy")]
#![expect(dead_code, reason = "the other users of these modules need more of them")]

#[path = "mask/hostile.rs"]
mod hostile;
#[path = "mask/packs.rs"]
mod packs;
#[path = "mask/shapes.rs"]
mod shapes;
#[path = "mask/traffic.rs"]
mod traffic;

use criterion::{Criterion, Throughput};
use packs::{Failure, Plans};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use traffic::{Body, Fault};
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskPlan, Masker};

/// Envoy's read size.
const CHUNK: usize = 16 * 1024;
const LONG_TEXT: usize = 1024 * 1024;
const HOSTILE: usize = 256 * 1024;
const HOSTILE_TIME: Duration = Duration::from_millis(300);
/// Without it criterion writes beside the sources of this crate.
const OUTPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/criterion");

fn main() -> Result<(), Failure> {
    let plans = Plans::new()?;
    let mut criterion = Criterion::default().output_directory(Path::new(OUTPUT)).configure_from_args();
    let cases = [
        ("sse_chat", &plans.chat, Format::Sse, traffic::streams()?),
        ("sse_plain", &plans.plain, Format::Sse, traffic::streams()?),
        ("json_every_string", &plans.plain, Format::Json, traffic::documents()?),
        ("long_text", &plans.plain, Format::Json, vec![traffic::long_text(LONG_TEXT)?]),
    ];
    for (name, plan, format, bodies) in &cases {
        for body in bodies {
            // Cut by an event border, a value is whole only where channels join the fragments.
            if *name != "sse_plain" {
                check(plan, *format, body)?;
            }
        }
        let size: usize = bodies.iter().map(|body| body.bytes.len()).sum();
        let mut group = criterion.benchmark_group("mask");
        group.throughput(Throughput::Bytes(u64::try_from(size)?));
        let mut out = Vec::with_capacity(2 * LONG_TEXT);
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                for body in bodies {
                    out.clear();
                    // The set-up proved that this is accepted; here only the time counts.
                    let _ = black_box(mask(plan, *format, black_box(&body.bytes), &mut out));
                }
            });
        });
        group.finish();
    }
    hostile_bodies(&mut criterion, &plans)?;
    criterion.final_summary();
    Ok(())
}

/// What is made to be slow, with the default packs and with twenty more detectors.
fn hostile_bodies(criterion: &mut Criterion, plans: &Plans) -> Result<(), Failure> {
    for (set, plan) in [("hostile", &plans.plain), ("hostile_wide", &plans.wide)] {
        let mut group = criterion.benchmark_group(set);
        group.sample_size(10).warm_up_time(HOSTILE_TIME).measurement_time(HOSTILE_TIME);
        for family in hostile::families() {
            let body = family.body(HOSTILE);
            let mut out = Vec::with_capacity(2 * HOSTILE);
            mask(plan, family.format, &body, &mut out).ok_or(Fault("the masker refuses a hostile body"))?;
            group.throughput(Throughput::Bytes(u64::try_from(body.len())?));
            group.bench_function(family.name, |bencher| {
                bencher.iter(|| {
                    out.clear();
                    let _ = black_box(mask(plan, family.format, black_box(&body), &mut out));
                });
            });
        }
        group.finish();
    }
    Ok(())
}

/// Gives the number of findings.
fn mask(plan: &Arc<MaskPlan>, format: Format, body: &[u8], out: &mut Vec<u8>) -> Option<u64> {
    let mut masker = Masker::new(Arc::clone(plan), format);
    for chunk in body.chunks(CHUNK) {
        masker.write(chunk, out).ok()?;
    }
    Some(masker.end(out).ok()?.findings.total())
}

fn check(plan: &Arc<MaskPlan>, format: Format, body: &Body) -> Result<(), Fault> {
    let mut out = Vec::new();
    let found = mask(plan, format, &body.bytes, &mut out).ok_or(Fault("the masker refuses a recording"))?;
    if usize::try_from(found).is_ok_and(|found| found < body.planted) {
        return Err(Fault("fewer findings than planted values"));
    }
    if traffic::is_leaking(&out) { Err(Fault("a planted value came out unmasked")) } else { Ok(()) }
}
