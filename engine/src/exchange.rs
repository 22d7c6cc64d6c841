//! [`Exchange`]: one request and its response as a sans-I/O state machine.
//!
//! Facts, bytes and the time go in; bytes, one [`Step`] and [`Event`]s come out. It knows no host. What it guarantees:
//!
//! - (a) concatenated output depends only on concatenated input, never on how it was cut;
//! - (b) a byte is in the output only if no rule can still change it;
//! - (c) what no rule touches comes out byte for byte;
//! - (d) what is held is bounded by `limits.state`;
//! - (e) after a refusal nothing more is ever put out;
//! - (f) nothing but the output and the edits ever holds content: events carry names and counts.

mod event;
mod held;
mod keys;
mod request;
mod response;
mod step;

pub use event::{CalloutId, CalloutReply, Event};
pub use request::{RequestHead, is_never_masked};
pub use response::{ResponseHead, Source};
pub use step::{BodyStep, LocalReply, Step};

use crate::approval::{ApprovalRequest, Verdict};
use crate::audit::{AuditEvent, Outcome};
use crate::decide::{BodyFacts, decide_held};
use crate::decision::{Denial, Direction, Permit, Reason};
use crate::host::HeadEdits;
use crate::mask::{Findings, MaskError, Masker, Notes, Pseudonyms, mask_trailers};
use crate::policy::Policy;
use crate::policy::id::{RouteId, RuleId};
use crate::time::Timestamp;
use crate::transport::TransportFacts;
use held::Held;
use keys::AwaitedKeys;
use std::collections::VecDeque;
use std::sync::Arc;
use step::Form;

/// Lower-case prefix of every header that Veilwire writes, and strips from everybody else.
pub const HEADER_PREFIX: &[u8] = b"x-veilwire-";

/// One request and its response.
#[derive(Debug)]
pub struct Exchange {
    policy: Arc<Policy>,
    state: State,
    request: Leg,
    response: Leg,
    /// `HEAD`: the response has headers of a body, but none.
    bodyless: bool,
    /// The client speaks gRPC.
    grpc: bool,
    /// The client speaks JSON-RPC, as the content of the route says.
    json_rpc: bool,
    /// Why a gRPC answer was refused after its head had left.
    status: Option<LocalReply>,
    audit: AuditEvent,
    events: VecDeque<Event>,
    next_callout: u32,
    /// When waiting for keys is over, since it began.
    keys_until: Option<Timestamp>,
    /// What stands for values while they are with the upstream.
    pseudonyms: Pseudonyms,
    /// What came of the body while the request waits.
    held: Held,
    /// What the body says, once it was read for the rules.
    body_facts: Option<BodyFacts>,
}

/// States are named by what they wait for.
#[derive(Debug)]
enum State {
    AwaitHead,
    AwaitKeys(Box<AwaitedKeys>),
    /// On this route.
    AwaitBody(RouteId),
    AwaitApproval(Box<Asked>),
    Relay(Permit),
    Done,
}

/// A request that waits for a verdict, with all that is needed to let it go.
#[derive(Debug)]
struct Asked {
    request: ApprovalRequest,
    callout: CalloutId,
    edits: HeadEdits,
    /// What becomes of the body; closed until the verdict.
    leg: Leg,
}

/// What happens to the body of one direction.
#[derive(Debug, Default)]
enum Leg {
    /// Nothing may pass: the head was not let through.
    #[default]
    Closed,
    /// No rule looks at it.
    Pass,
    /// Masked on its way.
    Mask(Box<Inspected>),
    /// Ended; the findings are in the audit.
    Ended,
}

/// A body on its way through a masker.
#[derive(Debug)]
struct Inspected {
    masker: Masker,
    /// How many bytes are still to come, if the head says it: then no trailers can hide the end.
    left: Option<u64>,
    /// Its end may be waited for, although what is decided then waits as well.
    patient: bool,
}

/// Most bytes that wait for an end that trailers may hide, in the host's buffer and in the masker, each. With one more frame they
/// fit into what Envoy buffers for a stream of HTTP/2: as much as its initial window, which the compiler sets to 256 KiB.
const MOST_WAITING: usize = 96 * 1024;

impl Exchange {
    /// A new exchange on a client connection.
    #[must_use]
    pub fn new(policy: Arc<Policy>, downstream: TransportFacts, now: Timestamp) -> Self {
        let audit = AuditEvent::new(&policy, downstream, now);
        let held = Held::new(policy.room().clone());
        Exchange {
            policy,
            state: State::AwaitHead,
            request: Leg::Closed,
            response: Leg::Closed,
            bodyless: false,
            grpc: false,
            json_rpc: false,
            status: None,
            audit,
            events: VecDeque::new(),
            next_callout: 0,
            keys_until: None,
            pseudonyms: Pseudonyms::default(),
            held,
            body_facts: None,
        }
    }

    /// Notes for a part of one side.
    fn notes(&self, direction: Direction) -> Notes {
        Notes::of(self.pseudonyms.party(direction))
    }

    /// Whether bodies of this direction must be handed in. If not, the host need not even read them.
    #[must_use]
    pub fn inspects(&self, direction: Direction) -> bool {
        !matches!(self.leg(direction), Leg::Pass)
    }

    /// The next bytes of a body. What may leave now is appended to `out`.
    pub fn body(&mut self, direction: Direction, chunk: &[u8], out: &mut Vec<u8>) -> BodyStep {
        let Leg::Mask(body) = self.leg_mut(direction) else {
            return self.body_without_masker(direction, chunk);
        };
        let start = out.len();
        if let Some(left) = &mut body.left {
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            let Some(rest) = left.checked_sub(length) else {
                // SECURITY: longer than its head said: nobody knows where the next reader sees its end.
                *self.leg_mut(direction) = Leg::Closed;
                return self.body_without_masker(direction, chunk);
            };
            *left = rest;
        }
        if let Err(error) = body.masker.write(chunk, out) {
            if direction == Direction::Request {
                // A reply takes its place.
                out.truncate(start);
            }
            return self.refuse_body(direction, error, out);
        }
        if body.left == Some(0) {
            let step = self.end(direction, out);
            if !matches!(step, BodyStep::Pass | BodyStep::Emit) {
                return step;
            }
        } else if body.waits(out.len()) {
            return BodyStep::WriteBack;
        }
        if out.get(start..) == Some(chunk) { BodyStep::Pass } else { BodyStep::Emit }
    }

    /// The end of a body: end of stream or trailers. The last bytes are appended to `out`.
    pub fn end(&mut self, direction: Direction, out: &mut Vec<u8>) -> BodyStep {
        let leg = std::mem::replace(self.leg_mut(direction), Leg::Ended);
        match leg {
            Leg::Pass | Leg::Ended => BodyStep::Pass,
            Leg::Closed => {
                *self.leg_mut(direction) = Leg::Closed;
                self.body_without_masker(direction, &[])
            }
            Leg::Mask(body) => {
                let masker = body.masker;
                let start = out.len();
                // A refusal at the end still reports what was found before it, and tells the client.
                let findings = masker.findings().clone();
                let event = masker.error_event().map(<[u8]>::to_vec);
                match masker.end(out) {
                    Ok(summary) => {
                        self.audit.found(&self.policy, direction, &summary.findings);
                        if out.len() == start { BodyStep::Pass } else { BodyStep::Emit }
                    }
                    Err(error) => {
                        out.truncate(start);
                        self.audit.found(&self.policy, direction, &findings);
                        self.refuse(direction, error, event, out)
                    }
                }
            }
        }
    }

    /// The trailers of a body that was inspected and has ended. `edits` are to be made unless it is refused.
    pub fn trailers(
        &mut self,
        direction: Direction,
        trailers: &[(Vec<u8>, Vec<u8>)],
        edits: &mut HeadEdits,
    ) -> BodyStep {
        let plan = match (&self.state, self.leg(direction)) {
            (State::Relay(permit), Leg::Ended) => {
                self.policy.plan(permit.masks(), permit.route(), direction).ok().flatten()
            }
            _ => None,
        };
        // SECURITY: trailers before a head was let through, or before the body ended.
        let Some(plan) = plan else {
            *self.leg_mut(direction) = Leg::Closed;
            return self.body_without_masker(direction, &[]);
        };
        let mut notes = self.notes(direction);
        let masked = mask_trailers(trailers, &plan, &mut notes);
        self.audit.found(&self.policy, direction, &notes.findings);
        match masked {
            Ok(mut masked) => {
                request::strip_own(trailers, &mut masked);
                // What was computed over the body that came does not hold for the one that left.
                for name in request::DIGEST_HEADERS {
                    masked.remove(name);
                }
                *edits = masked;
                BodyStep::Pass
            }
            Err(error) => self.refuse(direction, error, None, &mut Vec::new()),
        }
    }

    /// What the trailers of a refused response are to say in place of their own. `None`: its reader knows no status there, so the
    /// response must be cut.
    #[must_use]
    pub fn refused_trailers(&self, trailers: &[(Vec<u8>, Vec<u8>)]) -> Option<HeadEdits> {
        let reply = self.status.as_ref()?;
        let mut edits = HeadEdits::default();
        for (name, _) in trailers {
            edits.remove(name);
        }
        edits.set("grpc-status", reply.grpc_status?.to_string());
        edits.set("grpc-message", reply.body.clone());
        Some(edits)
    }

    /// Was a response refused whose trailers can say so?
    #[must_use]
    pub fn tells_in_trailers(&self) -> bool {
        self.status.is_some()
    }

    /// The answer to a callout. `edits` are for the request's head, to be made before it is resumed.
    pub fn callout_reply(
        &mut self,
        id: CalloutId,
        reply: CalloutReply<'_>,
        edits: &mut HeadEdits,
        now: Timestamp,
    ) -> Step {
        let held = match std::mem::replace(&mut self.state, State::Done) {
            State::AwaitApproval(held) if held.callout == id => held,
            other => {
                // A late or foreign answer changes nothing.
                self.state = other;
                return Step::Continue;
            }
        };
        if now >= held.request.expires() {
            return self.deny(Denial::because(Reason::ApprovalUnavailable));
        }
        let verdict = match reply {
            CalloutReply::Answer { status: 200, body } => Verdict::parse(body),
            CalloutReply::Answer { .. } | CalloutReply::Failed => None,
        };
        let Some(verdict) = verdict else {
            return self.deny(Denial::because(Reason::ApprovalUnavailable));
        };
        match decide_held(held.request, &verdict) {
            Ok(permit) => {
                *edits = held.edits;
                self.request = held.leg;
                self.allow(permit);
                Step::Continue
            }
            Err(denial) => self.deny(denial),
        }
    }

    /// When [`Exchange::deadline`] must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::AwaitApproval(held) => Some(held.request.expires()),
            State::AwaitKeys(waiting) => Some(waiting.look()),
            _ => None,
        }
    }

    /// Tells the time; a wait that is over ends in a refusal.
    pub fn deadline(&mut self, now: Timestamp) -> Step {
        if self.awaits_keys() {
            return Step::Pause;
        }
        match self.next_deadline() {
            Some(at) if now >= at => {
                self.state = State::Done;
                self.deny(Denial::because(Reason::ApprovalUnavailable))
            }
            Some(_) => Step::Pause,
            None => Step::Continue,
        }
    }

    /// Compares the route that Envoy chose with the decided one; the host calls it after the head's edits were made.
    pub fn confirm_route(&mut self, chosen: Option<&[u8]>) -> Step {
        let State::Relay(permit) = &self.state else {
            return Step::Continue;
        };
        let decided = self.policy.route(permit.route()).map(|route| route.name.as_bytes());
        if decided.is_some() && decided == chosen {
            Step::Continue
        } else {
            self.state = State::Done;
            self.deny(Denial::because(Reason::RouteMismatch))
        }
    }

    /// Something the host was asked to do was not done: nothing more may pass.
    pub fn host_failed(&mut self, direction: Direction) -> LocalReply {
        self.close();
        self.audit.refused(&self.policy, direction, &Denial::because(Reason::Host));
        self.problem(Reason::Host, direction, &[])
    }

    /// What happened, to be exported. Drain after every call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The end of the exchange, whatever the reason. Queues the audit event.
    pub fn finish(&mut self) {
        let complete =
            matches!((&self.request, &self.response), (Leg::Pass | Leg::Ended, Leg::Pass | Leg::Ended));
        for direction in [Direction::Request, Direction::Response] {
            if let Leg::Mask(body) = std::mem::take(self.leg_mut(direction)) {
                self.audit.found(&self.policy, direction, body.masker.findings());
            }
        }
        self.audit.close(if complete { Outcome::Complete } else { Outcome::Cut });
        self.events.push_back(Event::Audit(Box::new(self.audit.clone())));
    }

    fn leg(&self, direction: Direction) -> &Leg {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    fn leg_mut(&mut self, direction: Direction) -> &mut Leg {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// Bytes for a leg that masks nothing: they pass, or they should never have come.
    fn body_without_masker(&mut self, direction: Direction, chunk: &[u8]) -> BodyStep {
        match self.leg(direction) {
            Leg::Pass => BodyStep::Pass,
            Leg::Ended if chunk.is_empty() => BodyStep::Pass,
            // SECURITY: bytes before a head was let through, or after the end: a host that does this is not understood.
            _ => match direction {
                Direction::Request => BodyStep::Reply(self.host_failed(direction)),
                Direction::Response => {
                    self.host_failed(direction);
                    BodyStep::Cut { told: false }
                }
            },
        }
    }

    fn refuse_body(&mut self, direction: Direction, error: MaskError, out: &mut Vec<u8>) -> BodyStep {
        let mut event = None;
        if let Leg::Mask(body) = std::mem::take(self.leg_mut(direction)) {
            self.audit.found(&self.policy, direction, body.masker.findings());
            event = body.masker.error_event().map(<[u8]>::to_vec);
        }
        self.refuse(direction, error, event, out)
    }

    fn refuse(
        &mut self,
        direction: Direction,
        error: MaskError,
        event: Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> BodyStep {
        let reason = Reason::Content(error);
        self.close();
        self.audit.refused(&self.policy, direction, &Denial::because(reason));
        match direction {
            Direction::Request => BodyStep::Reply(self.problem(reason, direction, &[])),
            Direction::Response => {
                if self.grpc {
                    self.status = Some(self.problem(reason, direction, &[]));
                }
                let told = event.is_some();
                out.extend(event.into_iter().flatten());
                BodyStep::Cut { told }
            }
        }
    }

    fn allow(&mut self, permit: Permit) {
        self.audit.allowed(&self.policy, &permit);
        self.state = State::Relay(permit);
    }

    /// Refuses before anything was sent to the upstream.
    fn deny(&mut self, denial: Denial) -> Step {
        Step::Reply(self.refusal(&denial))
    }

    fn refusal(&mut self, denial: &Denial) -> LocalReply {
        self.close();
        self.audit.refused(&self.policy, Direction::Request, denial);
        let mut reply = self.problem(denial.reason, Direction::Request, &denial.rules);
        reply.ask_for_scopes(&denial.scopes);
        reply
    }

    fn form(&self) -> Form {
        match (self.grpc, self.json_rpc) {
            (true, _) => Form::Grpc,
            (false, true) => Form::JsonRpc,
            (false, false) => Form::Problem,
        }
    }

    fn problem(&self, reason: Reason, direction: Direction, rules: &[RuleId]) -> LocalReply {
        LocalReply::problem(reason, direction, &self.policy, rules, &self.audit.request_id, self.form())
    }

    /// INVARIANT: afterwards both legs are closed, so nothing can be put out any more.
    fn close(&mut self) {
        self.state = State::Done;
        self.request = Leg::Closed;
        self.response = Leg::Closed;
        self.held.take();
    }

    /// What was found so far, for tests and metrics.
    #[must_use]
    pub fn findings(&self, direction: Direction) -> Option<&Findings> {
        match self.leg(direction) {
            Leg::Mask(body) => Some(body.masker.findings()),
            _ => None,
        }
    }
}

impl Inspected {
    /// Must the host keep `ready` bytes that are decided, because trailers may end the message here? Where nothing is
    /// decided, waiting costs nothing.
    fn waits(&self, ready: usize) -> bool {
        (self.patient || ready == 0)
            && ready <= MOST_WAITING
            && self.masker.waits()
            && self.masker.held() <= MOST_WAITING
    }
}
