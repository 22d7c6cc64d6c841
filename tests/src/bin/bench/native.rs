//! The masker alone, in this process: the same bodies as the criterion benchmark of the engine, the policy of this run.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskPlan, Masker};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{MaskId, RouteId};

use crate::cpu;
use crate::report::Report;
use crate::site::Site;
use crate::traffic::{self, Body};

/// Envoy's read size.
const CHUNK: usize = 16 * 1024;
const LONG_TEXT: usize = 1024 * 1024;
/// Input bytes of one slice: some milliseconds.
const SLICE: usize = 4 * 1024 * 1024;

/// Measures every case once. Not in a debug build, whose figures would say nothing; those of Envoy do not depend on it.
pub(crate) fn round(site: &Site, report: &mut Report) -> Result<()> {
    if cfg!(debug_assertions) {
        return Ok(());
    }
    let policy = Policy::load(&site.compiled.artifact)?;
    for (name, route, format, bodies) in [
        ("sse", "chat", Format::Sse, traffic::streams()?),
        ("json", "json", Format::Json, traffic::documents()?),
        ("text", "json", Format::Json, vec![traffic::long_text(LONG_TEXT)?]),
    ] {
        let plan = plan(&policy, route)?;
        for body in &bodies {
            check(&plan, format, body).with_context(|| format!("native {name}"))?;
        }
        report.add_native(name, throughput(&plan, format, &bodies)?);
    }
    Ok(())
}

fn plan(policy: &Policy, route: &str) -> Result<Arc<MaskPlan>> {
    let index = policy.model().routes.iter().position(|r| r.name == route).context("no such route")?;
    let plan = policy.plan(&[MaskId(0)], RouteId(u16::try_from(index)?), Direction::Response)?;
    plan.context("the route has no mask")
}

/// Input megabytes (10^6 bytes) for each second of CPU time.
fn throughput(plan: &Arc<MaskPlan>, format: Format, bodies: &[Body]) -> Result<f64> {
    let mut out = Vec::with_capacity(2 * LONG_TEXT);
    let mut bytes = 0;
    let before = cpu::of_this_thread()?;
    while bytes < SLICE {
        for body in bodies {
            out.clear();
            std::hint::black_box(mask(plan, format, &body.bytes, &mut out)?);
            bytes += body.bytes.len();
        }
    }
    let nanos = cpu::of_this_thread()?.saturating_sub(before).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a slice takes far less than 2^53 ns")]
    Ok(bytes as f64 * 1000.0 / nanos as f64)
}

/// Gives the number of findings.
pub(crate) fn mask(plan: &Arc<MaskPlan>, format: Format, body: &[u8], out: &mut Vec<u8>) -> Result<u64> {
    let mut masker = Masker::new(Arc::clone(plan), format);
    for chunk in body.chunks(CHUNK) {
        masker.write(chunk, out)?;
    }
    Ok(masker.end(out)?.findings.total())
}

fn check(plan: &Arc<MaskPlan>, format: Format, body: &Body) -> Result<()> {
    let mut out = Vec::new();
    let found = usize::try_from(mask(plan, format, &body.bytes, &mut out)?)?;
    ensure!(found >= body.planted, "{found} findings for {} planted values", body.planted);
    ensure!(!traffic::is_leaking(&out), "a planted value came out unmasked");
    Ok(())
}
