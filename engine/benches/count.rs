//! Work for a counter of instructions, and nothing else: every case once, each within one call of [`counted`].
//!
//! `cargo xtask bench --instructions` runs it in valgrind, which ignores everything outside of that call. Printed are the
//! names of the cases in their order, and how many bytes each has.
#![expect(unreachable_pub, reason = "its modules are shared with the benchmarks through Envoy")]
#![expect(dead_code, reason = "the other users of these modules need more of them")]
#![expect(clippy::print_stdout, reason = "the names of the cases, in order, are what the counter asks for")]

#[path = "mask/hostile.rs"]
mod hostile;
#[path = "mask/packs.rs"]
mod packs;
#[path = "mask/shapes.rs"]
mod shapes;
#[path = "mask/traffic.rs"]
mod traffic;

use packs::{Failure, Plans};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};

/// Envoy's read size.
const CHUNK: usize = 16 * 1024;
/// Size of a hostile body: the bodies of the double size show that the cost is linear.
const SIZES: [usize; 2] = [32 * 1024, 64 * 1024];

fn main() -> Result<(), Failure> {
    let plans = Plans::new()?;
    let mut out = Vec::with_capacity(4 * 64 * 1024);
    for (set, plan) in [("packs", &plans.plain), ("wide", &plans.wide)] {
        for family in hostile::families() {
            for size in SIZES {
                let name = format!("{set} {} {size}", family.name);
                measure(&name, plan, family.format, &family.body(size), &mut out)?;
            }
        }
    }
    let usual = [
        ("sse", &plans.chat, Format::Sse, traffic::streams()?),
        ("sse_plain", &plans.plain, Format::Sse, traffic::streams()?),
        ("json", &plans.plain, Format::Json, traffic::documents()?),
        ("text", &plans.plain, Format::Json, vec![traffic::long_text(SIZES.iter().sum())?]),
    ];
    for (name, plan, format, bodies) in usual {
        for (number, body) in bodies.iter().enumerate() {
            let name = format!("usual {name} {number}");
            measure(&name, plan, format, &body.bytes, &mut out)?;
        }
    }
    Ok(())
}

fn measure(
    name: &str,
    plan: &Arc<MaskPlan>,
    format: Format,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    out.clear();
    counted(plan, format, body, out)?;
    println!("{name} {}", body.len());
    Ok(())
}

/// What is counted: `xtask` knows it by this name.
#[inline(never)]
fn counted(plan: &Arc<MaskPlan>, format: Format, body: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
    let mut masker = Masker::new(Arc::clone(plan), format);
    for chunk in body.chunks(CHUNK) {
        masker.write(chunk, out)?;
    }
    masker.end(out).map(drop)
}
