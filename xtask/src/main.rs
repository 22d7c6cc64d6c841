//! `cargo xtask <command>`: everything that a person or CI runs in this repository.
//!
//! Guarantees: each command installs or names what it needs, prints progress on long steps, and exits with 0
//! only when everything it promised was done. Deliberately absent: product logic; this crate depends on
//! nothing of ours, it only starts cargo, Envoy's installer and the binaries of the other crates.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks on its terminal")]

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

mod accuracy;
mod bench;
mod ci;
mod console;
mod demo;
mod deny;
mod envoy;
mod fuzz;
mod help;
mod instructions;
mod packages;
mod process;
mod providers;
mod rules;
mod sdk;
mod setup;
mod source_digest;
mod test;
mod tidy;
mod toolchain;
mod totals;
mod wasm;
mod wasm_section;
mod workspace;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = args.split_first() else {
        print!("{}", help::OVERVIEW);
        return Ok(ExitCode::from(2));
    };
    if rest.iter().any(|a| a == "--help" || a == "-h") {
        print!("{}", help::of(command).with_context(|| unknown(command))?);
        return Ok(ExitCode::SUCCESS);
    }
    match command.as_str() {
        "setup" => done(setup::run(rest)),
        "wasm" => done(wasm::run(rest)),
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "accuracy" => accuracy::run(rest),
        "ci" => ci::run(rest),
        "tidy" => done(tidy::run(rest)),
        "fuzz" => done(fuzz::run(rest)),
        "help" | "--help" | "-h" => {
            let text = match rest.first() {
                Some(topic) => help::of(topic).with_context(|| unknown(topic))?,
                None => help::OVERVIEW,
            };
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!(unknown(other)),
    }
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

fn unknown(command: &str) -> String {
    format!("`{command}` is not a command; `cargo xtask help` lists them")
}
