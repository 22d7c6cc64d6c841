//! Arguments and exit codes.

use crate::command::{self, check, compile, cost, coverage, key, mask, pack, scan};
use crate::output;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Compiles Veilwire policies: checks them, writes the artifact and the Envoy configuration, tries masks and detectors.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "veilwire",
    version,
    after_help = "Exit codes: 0 nothing found, 1 errors in the policy, findings or a refused body, 2 wrong usage, 3 a file cannot be read or written, 4 a mistake in veilwire."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Check a policy and show what it does; writes nothing
    Check(check::Arguments),
    /// Check a policy and write policy.artifact and envoy.yaml
    Compile(compile::Arguments),
    /// Show what each detector costs: size, text held back, speed
    Cost(cost::Arguments),
    /// Show what is inspected, what passes by design and what is refused
    Coverage(coverage::Arguments),
    /// Hash API keys: what a policy may hold of one
    Key(key::Arguments),
    /// Mask a body as the filter does: stdin to stdout
    Mask(mask::Arguments),
    /// List packs, show what one brings, or pin those of a policy
    Pack(pack::Arguments),
    /// Look for what detectors find in a text
    Scan(scan::Arguments),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Human,
    /// One JSON document on stdout
    Json,
}

/// Options of every verb that reads a policy.
#[derive(Clone, Debug, Args)]
pub struct PolicyArguments {
    /// The policy
    pub policy: PathBuf,
    /// How diagnostics are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Treat warnings as errors
    #[arg(long, value_enum, value_name = "WHAT")]
    pub deny: Option<Deny>,
}

/// What `--deny` refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    /// Warnings
    Warnings,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to complain about.
    Clean,
    /// Errors in the policy, or something was found.
    Findings,
    /// Arguments that make no sense together.
    Usage,
    /// A file cannot be read or written, or a program cannot be started.
    Io,
    /// A mistake in veilwire.
    Bug,
}

impl Outcome {
    /// The exit code of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Outcome::Clean => 0,
            Outcome::Findings => 1,
            Outcome::Usage => 2,
            Outcome::Io => 3,
            Outcome::Bug => 4,
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => command::run(&cli.verb),
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let text = error.render().to_string();
            if asked {
                output::print(&text);
                Outcome::Clean
            } else {
                output::report(&text);
                Outcome::Usage
            }
        }
    };
    ExitCode::from(outcome.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
