//! One way to run a masker, which checks on every body what holds for all of them.

use crate::policies::{FORMATS, FULL};
use serde::de::IgnoredAny;
use std::sync::Arc;
use veilwire_engine::decision::Direction;
use veilwire_engine::format::{Coding, Format};
use veilwire_engine::mask::{Findings, MaskError, MaskPlan, Masker};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{MaskId, RouteId};

/// Routes of the full policy, with the direction in which bodies are tried. The first two are plain JSON.
const CASES: [(&str, Direction); 8] = [
    ("json", Direction::Request),
    ("json", Direction::Response),
    ("chat", Direction::Request),
    ("chat", Direction::Response),
    ("messages", Direction::Request),
    ("messages", Direction::Response),
    ("strict", Direction::Request),
    ("strict", Direction::Response),
];

/// What a body is masked with.
#[derive(Clone, Debug)]
pub struct Case {
    pub plan: Arc<MaskPlan>,
    /// No channels, nothing skipped, nothing set to null: a body without findings is left as it is.
    pub plain: bool,
}

impl Case {
    /// One of the routes of the full policy.
    pub fn choose(choice: u8) -> Case {
        let index = usize::from(choice) % CASES.len();
        let (route, direction) = CASES[index];
        Case { plan: plan(&FULL, route, "baseline", direction), plain: index < 2 }
    }

    /// The answers of a route.
    pub fn response(route: &str) -> Case {
        Case::of(route, Direction::Response)
    }

    /// One body of a route.
    pub fn of(route: &str, direction: Direction) -> Case {
        let full = FULL.model().routes.iter().any(|known| known.name == route);
        let policy = if full { &**FULL } else { &*FORMATS };
        Case { plan: plan(policy, route, "baseline", direction), plain: route == "json" }
    }
}

/// What these masks do on this route.
pub fn plan(policy: &Policy, route: &str, mask: &str, direction: Direction) -> Arc<MaskPlan> {
    let model = policy.model();
    let number =
        |found: Option<usize>| u16::try_from(found.expect("it is in the policy")).expect("few entries");
    let route = RouteId(number(model.routes.iter().position(|r| r.name == route)));
    let mask = MaskId(number(model.masks.iter().position(|m| m.name == mask)));
    policy.plan(&[mask], route, direction).expect("checked when it was loaded").expect("it scans")
}

/// What a body came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// All that was put out.
    pub out: Vec<u8>,
    /// Findings, or why the body was refused.
    pub result: Result<Findings, MaskError>,
    /// The end had something to write, where it could come.
    pub waits: bool,
}

impl Outcome {
    pub fn accepted(&self) -> bool {
        self.result.is_ok()
    }
}

/// A way to read bodies.
#[derive(Clone, Debug)]
pub struct Reader<'p> {
    pub plan: &'p Arc<MaskPlan>,
    pub format: Format,
    /// What is opened first.
    pub coding: Option<Coding>,
}

/// Masks one body in these writes.
pub fn run<'a>(plan: &Arc<MaskPlan>, format: Format, writes: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    Reader { plan, format, coding: None }.run(writes)
}

/// The same body in one write, in the given cuts and byte by byte: the same output, the same error.
pub fn run_every_way(plan: &Arc<MaskPlan>, format: Format, body: &[u8], cuts: [usize; 2]) -> Outcome {
    Reader { plan, format, coding: None }.run_every_way(body, cuts)
}

impl Reader<'_> {
    /// Masks one body in these writes.
    ///
    /// Checks that an error is final and that what is held stays below the limit.
    pub fn run<'a>(&self, writes: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let limit = self.limit();
        let mut masker = Masker::new(Arc::clone(self.plan), self.format);
        if let Some(coding) = self.coding {
            masker = masker.opening(coding);
        }
        let mut out = Vec::new();
        for chunk in writes {
            if let Err(error) = masker.write(chunk, &mut out) {
                let written = out.len();
                assert_eq!(masker.write(b" ", &mut out), Err(error), "an error is final");
                assert!(!masker.waits(), "a refused body waits for its end");
                assert_eq!(masker.end(&mut out).err(), Some(error), "an error is final");
                assert_eq!(out.len(), written, "nothing is put out after an error");
                return Outcome { out, result: Err(error), waits: false };
            }
            assert!(masker.held() <= limit, "{} bytes held", masker.held());
        }
        let (waits, written) = (masker.waits(), out.len());
        let result = masker.end(&mut out).map(|summary| summary.findings);
        // Frames are complete when they are written; the end of the other formats may come with trailers.
        let frames = matches!(self.format, Format::Sse | Format::Lines | Format::Grpc | Format::EventStream);
        assert!(
            waits || frames || out.len() == written,
            "the end had something to write, and nobody was told"
        );
        Outcome { out, result, waits }
    }

    /// The same body in one write, in the given cuts and byte by byte: the same output, the same error.
    pub fn run_every_way(&self, body: &[u8], cuts: [usize; 2]) -> Outcome {
        let whole = self.run([body]);
        let mut cuts = cuts.map(|cut| cut % (body.len() + 1));
        cuts.sort_unstable();
        let [first, second] = cuts;
        let parts = [&body[..first], &body[first..second], &body[second..]];
        same(&whole, &self.run(parts), "in three writes");
        if body.len() <= 4096 && whole.out.len() <= 16 * 4096 {
            same(&whole, &self.run(body.chunks(1)), "byte by byte");
        }
        whole
    }

    /// One message is held as a whole where its length stands in front of it, and has a limit of its own.
    fn limit(&self) -> usize {
        let limits = &FULL.model().limits;
        let held = match self.format {
            Format::Protobuf | Format::Grpc | Format::EventStream => {
                limits.state.saturating_add(limits.message)
            }
            _ => limits.state,
        };
        usize::try_from(held).expect("32 bits fit")
    }
}

/// A refused body may have been refused in an earlier write, so only what was accepted is compared byte for byte; what
/// had left before the refusal must still be the beginning of what leaves otherwise.
fn same(whole: &Outcome, other: &Outcome, how: &str) {
    assert_eq!(whole.result, other.result, "{how}: another verdict");
    if whole.accepted() {
        assert!(whole.out == other.out, "{how}: another output");
        assert_eq!(whole.waits, other.waits, "{how}: another wait for the end");
    } else {
        let length = whole.out.len().min(other.out.len());
        assert!(whole.out[..length] == other.out[..length], "{how}: another beginning before the refusal");
    }
}

/// Masked JSON is JSON: it may not be refused as malformed.
pub fn check_still_json(case: &Case, outcome: &Outcome) {
    if !outcome.accepted() {
        return;
    }
    let again = run(&case.plan, Format::Json, [outcome.out.as_slice()]);
    let malformed = [MaskError::InvalidJson, MaskError::Truncated, MaskError::TooDeep];
    assert!(!again.result.is_err_and(|error| malformed.contains(&error)), "the output is malformed");
}

/// As serde_json reads it: any number of documents. It checks neither UTF-8 nor surrogates here, and nor does the masker.
pub fn documents_are_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>().all(|document| document.is_ok())
}
