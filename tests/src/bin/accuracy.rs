//! `cargo xtask accuracy`: measures the detectors over labelled texts, beside Presidio if it is there.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use veilwire_policy_compiler::catalog::Catalog;
use veilwire_tests::accuracy::data::Row;
use veilwire_tests::accuracy::figures::{Figures, Peer, groups, recorded_path};
use veilwire_tests::accuracy::score::Score;
use veilwire_tests::accuracy::{self, data, noise, peer, score, table};

const USAGE: &str = "usage: accuracy [--json FILE] [--peer PYTHON] [--errors GROUP] [--noise] [--bless]";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            writeln!(io::stderr(), "accuracy: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default)]
struct Options {
    json: Option<PathBuf>,
    peer: Option<PathBuf>,
    errors: Option<String>,
    noise: bool,
    bless: bool,
}

/// Whether nothing is worse than recorded.
fn run() -> Result<bool> {
    let options = options()?;
    let mut out = io::stdout();
    let catalog = accuracy::catalog()?;
    if options.noise {
        return show_noise(&mut out, &catalog);
    }
    let rows = data::load()?;
    let score = score::score(&rows, &accuracy::find(&catalog, &rows)?);
    if let Some(group) = &options.errors {
        return show_errors(&mut out, &score, group);
    }
    let figures = measure(&catalog, &rows, &score, &options)?;
    write!(out, "{}", table::terminal(&figures))?;
    if let Some(path) = &options.json {
        std::fs::write(path, json(&figures)?).with_context(|| path.display().to_string())?;
    }
    if options.bless {
        std::fs::write(recorded_path(), json(&figures)?)?;
        let page = std::fs::read_to_string(table::page_path())?;
        std::fs::write(table::page_path(), table::into_page(&page, &figures)?)?;
        return Ok(true);
    }
    let worse = figures.worse_than(&Figures::recorded()?);
    for line in &worse {
        writeln!(out, "worse than recorded: {line}")?;
    }
    Ok(worse.is_empty())
}

fn measure(catalog: &Catalog, rows: &[Row], score: &Score, options: &Options) -> Result<Figures> {
    // What was recorded of the peer stays on record when it does not run.
    let recorded = Figures::recorded().ok().filter(|_| options.bless).and_then(|figures| figures.presidio);
    let presidio = match &options.peer {
        Some(python) => {
            let answer = peer::presidio(python, rows)?;
            let peer = score::score(rows, &answer.found);
            let megabytes_per_second = (answer.megabytes_per_second * 100.0).round() / 100.0;
            Some(Peer { version: answer.version, megabytes_per_second, groups: groups(&peer) })
        }
        None => recorded,
    };
    // A debug build says nothing about speed.
    let megabytes_per_second =
        if cfg!(debug_assertions) { None } else { Some(speed(catalog, rows)?.round()) };
    Ok(Figures { veilwire: groups(score), presidio, megabytes_per_second })
}

/// Megabytes of the rows' texts per second, each row scanned by itself.
#[expect(clippy::disallowed_methods, reason = "a measurement looks at the clock")]
fn speed(catalog: &Catalog, rows: &[Row]) -> Result<f64> {
    let bytes: usize = rows.iter().map(|row| row.text.len()).sum();
    let (start, mut rounds) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(1) {
        for row in rows {
            catalog.find(row.text.as_bytes())?;
        }
        rounds += 1;
    }
    Ok(accuracy::megabytes(bytes) * f64::from(rounds) / start.elapsed().as_secs_f64())
}

fn show_errors(out: &mut impl io::Write, score: &Score, group: &str) -> Result<bool> {
    for error in score.errors.iter().filter(|error| error.key.0.key() == group) {
        let what = if error.missed { "missed" } else { "false" };
        writeln!(out, "{what} {} {} {:?} {}", error.key.1, error.row, error.text, error.detector)?;
    }
    Ok(true)
}

fn show_noise(out: &mut impl io::Write, catalog: &Catalog) -> Result<bool> {
    let noise = noise::measure(catalog)?;
    let megabytes = accuracy::megabytes(noise.bytes);
    writeln!(out, "{} files, {megabytes:.2} MB", noise.files)?;
    for (pack, hits) in noise.by_pack() {
        let hits = u32::try_from(hits).unwrap_or(u32::MAX);
        writeln!(out, "{pack}: {hits} hits, {:.2} per MB", f64::from(hits) / megabytes)?;
    }
    for hits in &noise.hits {
        writeln!(out, "{} {} {:?}", hits.detector, hits.file, hits.forms)?;
    }
    let faults = noise.unexplained(&noise::explanations()?);
    for fault in &faults {
        writeln!(out, "not explained: {fault}")?;
    }
    Ok(faults.is_empty())
}

fn json(figures: &Figures) -> Result<String> {
    Ok(serde_json::to_string_pretty(figures)? + "\n")
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => options.json = Some(arguments.next().context(USAGE)?.into()),
            "--peer" => options.peer = Some(arguments.next().context(USAGE)?.into()),
            "--errors" => options.errors = Some(arguments.next().context(USAGE)?),
            "--noise" => options.noise = true,
            "--bless" => options.bless = true,
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}
