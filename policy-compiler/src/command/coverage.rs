//! `veilwire coverage`: what is inspected, what passes by design, what is refused; with a policy, what it does on each route.

use super::load;
use crate::cli::Outcome;
use crate::coverage::{self, Coverage, NoCoverage, PolicyCoverage};
use crate::output;
use std::path::PathBuf;
use veilwire_engine::policy::Policy;

/// Arguments of `coverage`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The policy, or an artifact that was compiled from it [default: what holds for every policy]
    policy: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How coverage is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// One JSON document
    Json,
    /// For documents
    Markdown,
}

/// Runs `coverage`.
pub fn run(arguments: &Arguments) -> Outcome {
    match attempt(arguments) {
        Ok(text) => {
            output::print(&text);
            Outcome::Clean
        }
        Err(outcome) => outcome,
    }
}

fn attempt(arguments: &Arguments) -> Result<String, Outcome> {
    let policy = arguments.policy.as_deref().map(|path| load(path, &[])).transpose()?;
    told(policy.as_ref(), arguments.format).map_err(|error| {
        output::report(&format!("error: {error}\n"));
        Outcome::Bug
    })
}

/// Of a policy its routes, of no policy everything; a JSON document has both.
fn told(policy: Option<&Policy>, format: Format) -> Result<String, NoCoverage> {
    Ok(match (policy, format) {
        (Some(policy), Format::Human) => coverage::policy_human(&PolicyCoverage::new(policy)?),
        (Some(policy), Format::Markdown) => coverage::policy_markdown(&PolicyCoverage::new(policy)?),
        (Some(policy), Format::Json) => json(&Coverage::of_policy(policy)?),
        (None, Format::Human) => coverage::human(&Coverage::of_packs()?),
        (None, Format::Markdown) => coverage::markdown(&Coverage::of_packs()?),
        (None, Format::Json) => json(&Coverage::of_packs()?),
    })
}

fn json(coverage: &Coverage) -> String {
    // Names and numbers can always be written.
    serde_json::to_string_pretty(coverage).unwrap_or_default() + "\n"
}
