//! One body on its way: opened as the filter opens it, masked by the engine, counted.

use super::target::Target;
use std::sync::Arc;
use veilwire_engine::decision::{Direction, Reason};
use veilwire_engine::format::{Coding, Format};
use veilwire_engine::mask::{Findings, InvalidPlan, MaskError, MaskPlan, Masker, Pseudonyms};
use veilwire_engine::policy::Policy;

/// What a head would say about the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) content_type: Option<&'a str>,
    pub(super) content_encoding: Option<&'a str>,
    /// The first bytes of the body; empty only if it is.
    pub(super) start: &'a [u8],
}

/// A body and what became of it.
#[derive(Debug)]
pub(super) struct Body {
    direction: Direction,
    state: State,
    /// What it is taken for.
    pub(super) content_type: String,
    pub(super) from: TypeFrom,
    pub(super) content_encoding: Option<String>,
    pub(super) format: Option<Format>,
    /// Does any mask look at it?
    pub(super) covered: bool,
    pub(super) findings: Findings,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) most_held: usize,
    /// The client was told in mid-stream.
    pub(super) error_event: bool,
}

/// Who said what type a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeFrom {
    /// The command line.
    Given,
    /// Its first bytes.
    Sniffed,
    /// Nobody.
    Default,
}

/// What happens to the next bytes.
enum State {
    Pass,
    Mask(Box<Masker>),
    Refused(Refusal),
    Ended,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    More,
    Complete,
    Refused(Refusal),
}

/// Why the filter refuses a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) because: Because,
}

/// The same in more words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Because {
    /// The type says nothing that a framer knows.
    #[error("{0}")]
    Type(veilwire_engine::format::FormatError),
    /// The type is known, but not to this content.
    #[error("a format that the route's content cannot be inspected in")]
    NotHere,
    /// A coding that is not opened.
    #[error("a content encoding that cannot be opened")]
    Coding,
    /// What the masker says.
    #[error("{0}")]
    Content(MaskError),
}

impl Body {
    /// A body on this route, as the filter would start with it.
    ///
    /// # Errors
    /// The masks of a checked policy cannot be carried out.
    pub(super) fn open(
        policy: &Policy,
        target: &Target,
        direction: Direction,
        head: &Head<'_>,
    ) -> Result<Body, InvalidPlan> {
        let plan = policy.plan(&target.masks, target.route, direction)?;
        let content_encoding = head.content_encoding.map(str::to_owned);
        let (content_type, from) = content_type(head);
        let covered = plan.is_some();
        let mut format = None;
        let state = match plan {
            None => State::Pass,
            // An empty body has nothing to inspect and is never refused.
            Some(_) if head.start.is_empty() => State::Ended,
            Some(plan) => match open(plan, content_type, head.content_encoding) {
                Ok((known, masker)) => {
                    format = Some(known);
                    // A table of its own: a request shows its tokens, and those of a response stand for nothing.
                    State::Mask(Box::new(masker.sharing(&Pseudonyms::default(), direction)))
                }
                Err(refusal) => State::Refused(refusal),
            },
        };
        Ok(Body {
            direction,
            state,
            content_type: content_type.to_owned(),
            from,
            content_encoding,
            format,
            covered,
            findings: Findings::default(),
            bytes_in: 0,
            bytes_out: 0,
            most_held: 0,
            error_event: false,
        })
    }

    /// Takes the next bytes; appends to `out` what may leave now.
    pub(super) fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Answer {
        match &mut self.state {
            State::Refused(refusal) => return Answer::Refused(*refusal),
            State::Pass => out.extend_from_slice(piece),
            State::Ended => {}
            State::Mask(masker) => {
                let done = masker.write(piece, out);
                self.most_held = self.most_held.max(masker.held());
                if let Err(error) = done {
                    self.bytes_in += piece.len() as u64;
                    return self.refuse(error, out);
                }
            }
        }
        self.bytes_in += piece.len() as u64;
        Answer::More
    }

    /// Ends the body; appends what is left.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Answer {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Refused(refusal) => Answer::Refused(refusal),
            State::Pass | State::Ended => Answer::Complete,
            State::Mask(masker) => {
                let (start, findings) = (out.len(), masker.findings().clone());
                let event = self.error_event_of(&masker);
                match masker.end(out) {
                    Ok(summary) => {
                        self.findings = summary.findings;
                        Answer::Complete
                    }
                    Err(error) => {
                        out.truncate(start);
                        self.tell(event, out);
                        self.findings = findings;
                        Answer::Refused(Refusal::content(error))
                    }
                }
            }
        }
    }

    /// Bytes were written to whoever reads.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// What was found, wherever the body ended.
    pub(super) fn findings(&self) -> &Findings {
        match &self.state {
            State::Mask(masker) => masker.findings(),
            _ => &self.findings,
        }
    }

    /// What was decided before a refusal stays in `out`; the client of a response is told.
    fn refuse(&mut self, error: MaskError, out: &mut Vec<u8>) -> Answer {
        let refusal = Refusal::content(error);
        if let State::Mask(masker) = std::mem::replace(&mut self.state, State::Refused(refusal)) {
            self.findings = masker.findings().clone();
            self.tell(self.error_event_of(&masker), out);
        }
        Answer::Refused(refusal)
    }

    fn error_event_of(&self, masker: &Masker) -> Option<Vec<u8>> {
        let told = self.direction == Direction::Response;
        masker.error_event().filter(|_| told).map(<[u8]>::to_vec)
    }

    fn tell(&mut self, event: Option<Vec<u8>>, out: &mut Vec<u8>) {
        self.error_event = event.is_some();
        out.extend(event.into_iter().flatten());
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Pass => "Pass",
            State::Mask(_) => "Mask",
            State::Refused(_) => "Refused",
            State::Ended => "Ended",
        })
    }
}

impl Refusal {
    fn content(error: MaskError) -> Refusal {
        Refusal { reason: Reason::Content(error), because: Because::Content(error) }
    }
}

/// The type that was given, or what the body begins like, or JSON, which every content speaks.
fn content_type<'a>(head: &Head<'a>) -> (&'a str, TypeFrom) {
    if let Some(given) = head.content_type {
        return (given, TypeFrom::Given);
    }
    let start = head.start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head.start);
    let line = start.trim_ascii_start();
    let fields = [b"data:".as_slice(), b"event:", b"id:", b"retry:", b":"];
    if head.content_encoding.is_none() && fields.iter().any(|field| line.starts_with(field)) {
        ("text/event-stream", TypeFrom::Sniffed)
    } else {
        ("application/json", TypeFrom::Default)
    }
}

/// What the filter does with the head of a body that a mask looks at.
fn open(
    plan: Arc<MaskPlan>,
    content_type: &str,
    content_encoding: Option<&str>,
) -> Result<(Format, Masker), Refusal> {
    let coding = coding(content_encoding.unwrap_or_default())?;
    let refused = |because| Refusal { reason: Reason::ContentType, because };
    let format = match (plan.format(content_type.as_bytes()), Format::of(content_type.as_bytes())) {
        (Some(format), _) => format,
        (None, Err(error)) => return Err(refused(Because::Type(error))),
        (None, Ok(_)) => return Err(refused(Because::NotHere)),
    };
    let masker = Masker::new(plan, format);
    let masker = match coding {
        Some(coding) => masker.opening(coding),
        None => masker,
    };
    Ok((format, masker))
}

fn coding(header: &str) -> Result<Option<Coding>, Refusal> {
    let mut names = header
        .split(',')
        .map(|name| name.trim_matches([' ', '\t']))
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    let Some(name) = names.next() else { return Ok(None) };
    match (Coding::of(name.as_bytes()), names.next()) {
        (Some(coding), None) => Ok(Some(coding)),
        _ => Err(Refusal { reason: Reason::ContentEncoding, because: Because::Coding }),
    }
}
