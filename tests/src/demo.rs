//! The demo: Veilwire on this machine, told step by step over real TLS.
//!
//! It makes keys, certificates and tokens for one run, compiles `examples/first-light/policy.yaml` as a user would,
//! starts an upstream that requires client certificates and Envoy with the built filter, and asks. Every step says
//! what was asked, what was expected and what came. Nothing of it listens outside of the loopback interface.
//!
//! Deliberately absent: sleeps, and values that only look masked because nobody compared them.

pub mod kit;
pub mod leak;
mod prepare;
pub mod recording;
pub mod relay;
pub mod show;
pub mod stage;
mod stay;
pub mod story;
pub mod values;

use std::io::Write;

use anyhow::Result;

pub use kit::repository;
pub use prepare::{FOLDER, PREPARED, prepare, prepare_in};
pub use show::Check;

use show::Teller;
use stage::Stage;
use story::Story;

/// How the demo ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After the story.
    Once,
    /// When somebody says so (Ctrl-C); until then callers are served.
    Stay,
}

/// Sets up, tells the story on `out`, stays if wanted, and cleans up. Returns the checks of the story.
///
/// # Errors
/// When something is missing or does not start, or when `out` is gone. What goes wrong in the story is a failed check.
pub fn run(out: &mut dyn Write, color: bool, ending: Ending) -> Result<Vec<Check>> {
    let mut teller = Teller::new(out, color);
    teller.line("Veilwire demo")?;
    let mut stage = Stage::set_up(&mut teller)?;
    teller.line("")?;
    Story::tell(&mut stage, &mut teller)?;
    let failed = teller.checks().iter().filter(|check| !check.passed).count();
    let total = teller.checks().len();
    teller.line(&format!("{} of {total} as expected", total - failed))?;
    if ending == Ending::Stay {
        stay::stay(stage, &mut teller)?;
    }
    Ok(teller.into_checks())
}
