//! `cargo xtask demo`: tells the demo's story, or prepares the folder of `docker-compose.yml`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};
use veilwire_tests::demo::{self, Ending};

const USAGE: &str = "usage: demo [--once | --prepare]";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            writeln!(io::stderr(), "demo: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as expected.
fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ending = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ending::Stay,
        ["--once"] => Ending::Once,
        ["--prepare"] => {
            let folder = demo::prepare()?;
            writeln!(io::stdout(), "{} is ready; next: docker compose up", folder.display())?;
            return Ok(true);
        }
        _ => bail!("{USAGE}"),
    };
    let mut stdout = io::stdout();
    let color = stdout.is_terminal();
    let checks = demo::run(&mut stdout, color, ending)?;
    Ok(!checks.is_empty() && checks.iter().all(|check| check.passed))
}
