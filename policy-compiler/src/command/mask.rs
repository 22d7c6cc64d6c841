//! `veilwire mask`: what the filter makes of a body, without Envoy.
//!
//! What it guarantees: the bytes are those of the engine's own [`Masker`](veilwire_engine::mask::Masker), from the policy as the filter
//! loads it; they leave as they are decided, so memory does not grow with the body; nothing but stdout ever holds content. What it does not
//! do: headers, queries and trailers, identity. The caller is in every group that may use the route, or in the ones that `--as` names.

mod body;
mod pieces;
mod report;
mod target;
#[cfg(test)]
mod tests;

use super::{load, read_key};
use crate::cli::Outcome;
use crate::output;
use body::{Answer, Body};
use pieces::{Chunks, Pieces};
use report::Report;
use std::io::ErrorKind;
use std::path::PathBuf;
use target::Target;
use veilwire_engine::decision;

/// Arguments of `mask`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The policy, or an artifact that was compiled from it
    #[arg(short, long, value_name = "FILE")]
    policy: PathBuf,
    /// The route that the body is on
    #[arg(long, value_name = "NAME")]
    route: String,
    /// Which body it is
    #[arg(long, value_enum)]
    direction: Direction,
    /// Its content type [default: text/event-stream if it begins like one, else application/json]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Its content encoding; it is opened, and what is written is not encoded again
    #[arg(long, value_name = "CODING")]
    content_encoding: Option<String>,
    /// How the body is cut: whole, a number of bytes, random:SEED [default: as it arrives]
    #[arg(long, value_name = "HOW")]
    chunks: Option<Chunks>,
    /// Mask for a caller in these groups only [default: the masks of every rule that allows the route]
    #[arg(long = "as", value_name = "GROUP", num_args = 1..)]
    groups: Vec<String>,
    /// A key of the policy, and the file that holds it as base64; once for each key [default: placeholders stand for
    /// what keys would make]
    #[arg(long = "key", value_name = "NAME=FILE")]
    keys: Vec<String>,
    /// Say as JSON on stderr what was masked and why it was refused
    #[arg(long)]
    report: bool,
}

/// Which of the two bodies of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Direction {
    /// What the caller sends
    Request,
    /// What the upstream answers
    Response,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All of it went through.
    Complete,
    /// The filter refuses it.
    Refused(body::Refusal),
    /// Whoever reads stdout has gone.
    Unread,
}

/// Runs `mask`.
pub fn run(arguments: &Arguments) -> Outcome {
    match attempt(arguments) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

fn attempt(arguments: &Arguments) -> Result<Outcome, Outcome> {
    let keys = arguments.keys.iter().map(|key| read_key(key)).collect::<Result<Vec<_>, _>>()?;
    let policy = load(&arguments.policy, &keys)?;
    if let Some(odd) = keys.iter().find(|key| !policy.model().keys.iter().any(|known| known.name == key.name))
    {
        output::report(&format!("error: --key: the policy has no key `{}`\n", odd.name));
        return Err(Outcome::Usage);
    }
    let direction = arguments.direction.into();
    let target = Target::find(&policy, &arguments.route, &arguments.groups).map_err(|error| {
        output::report(&format!("error: {error}\n"));
        error.outcome()
    })?;
    let mut pieces = Pieces::new(std::io::stdin().lock(), arguments.chunks);
    let start = pieces.start().map_err(|error| unreadable(&error))?;
    let head = body::Head {
        content_type: arguments.content_type.as_deref(),
        content_encoding: arguments.content_encoding.as_deref(),
        start,
    };
    let mut body = Body::open(&policy, &target, direction, &head).map_err(|error| {
        output::report(&format!("error: {error}\n"));
        Outcome::Bug
    })?;
    let end = relay(&mut pieces, &mut body)?;
    tell(arguments, &Report::new(&policy, &target, direction, &body, end));
    Ok(if matches!(end, End::Refused(_)) { Outcome::Findings } else { Outcome::Clean })
}

/// Puts the body through; what is decided is written before more is read.
fn relay(pieces: &mut Pieces<impl std::io::Read>, body: &mut Body) -> Result<End, Outcome> {
    let mut out = Vec::new();
    loop {
        let piece = pieces.next().map_err(|error| unreadable(&error))?;
        let answer = match piece {
            Some(piece) => body.write(piece, &mut out),
            None => body.end(&mut out),
        };
        match output::write(&out) {
            Ok(()) => body.wrote(out.len()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(End::Unread),
            Err(error) => {
                output::report(&format!("error: stdout: {error}\n"));
                return Err(Outcome::Io);
            }
        }
        out.clear();
        match answer {
            Answer::More => {}
            Answer::Complete => return Ok(End::Complete),
            Answer::Refused(refusal) => return Ok(End::Refused(refusal)),
        }
    }
}

fn unreadable(error: &std::io::Error) -> Outcome {
    output::report(&format!("error: stdin: {error}\n"));
    Outcome::Io
}

/// With `--report` stderr is one JSON document; without it, only what nobody may overlook is said.
fn tell(arguments: &Arguments, report: &Report) {
    if arguments.report {
        output::report(&format!("{}\n", report.json()));
    } else {
        output::report(&report.human());
    }
}

impl From<Direction> for decision::Direction {
    fn from(direction: Direction) -> decision::Direction {
        match direction {
            Direction::Request => decision::Direction::Request,
            Direction::Response => decision::Direction::Response,
        }
    }
}
