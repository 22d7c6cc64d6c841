//! Deciding among few and many rules, native, and what loading them costs.
//!
//! Two shapes: rules spread over a hundred groups and routes, and rules that all concern one group and route and differ in a claim.
//! In each the caller matches exactly one rule; before anything is measured, that is checked. Printed are nanoseconds per decision
//! (`decide.ns_10` and so on, of the first shape), the time of a load and the size of the artifact.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

#[expect(unreachable_pub, reason = "shared with the benchmark through Envoy")]
#[path = "identity/decide.rs"]
mod decide;

use decide::{Failure, SIZES, figures};

fn main() -> Result<(), Failure> {
    for (shape, spread) in [("decide", true), ("decide.by_claim", false)] {
        for size in SIZES {
            let figures = figures(size, spread)?;
            println!("{shape}.ns_{size} {}", figures.nanos);
            println!("{shape}.load_us_{size} {}", figures.load.as_micros());
            println!("{shape}.artifact_bytes_{size} {}", figures.bytes);
        }
    }
    Ok(())
}
