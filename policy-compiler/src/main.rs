//! `veilwire`: reads arguments, runs a command, turns its outcome into an exit code. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    veilwire_policy_compiler::cli::main()
}
