//! [`Driver`]: the one loop that carries out the steps of an [`Exchange`] on a [`Host`].
//!
//! Every failure of the host ends in a refusal; `Driver::fail_closed` is the only place that says how. What waits in
//! the host's buffer, and how the client of a refused response is told before it is cut, is known here and nowhere else.

mod held;

use crate::bytes::equal;
use crate::decision::Direction;
use crate::exchange::{
    BodyStep, CalloutId, CalloutReply, Event, Exchange, RequestHead, ResponseHead, Source, Step,
};
use crate::host::{HeadEdits, Host, HostError, HostVerifier, Side};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::transport::{DNS_SANS_STATE, Peer, TransportFacts, URI_SANS_STATE};
use held::Arrived;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the host tells its proxy about the message it has in hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Send it on.
    Continue,
    /// Keep it.
    Pause,
}

/// How long a refused response is swallowed before it is cut, in milliseconds.
const SWALLOW_MS: u64 = 5_000;

/// Bytes by which what leaves may be longer than what came, without the output being moved.
const ROOM: usize = 128;

/// Runs one exchange on a host.
#[derive(Debug)]
pub struct Driver {
    exchange: Exchange,
    request: Window,
    response: Window,
    /// What came of the request's body while it waited.
    arrived: Arrived,
    end: End,
    callouts: Vec<(u32, CalloutId)>,
}

/// What the host's buffer holds of a message that was written back.
#[derive(Debug, Default)]
struct Window {
    /// The buffer waits for its end, so it can still be written to when trailers come.
    waits: bool,
    /// Final bytes at its front.
    safe: usize,
}

/// Whether the exchange is over before its messages are.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// No.
    Open,
    /// A local reply was sent; what the host still brings of the response is that reply.
    Replied,
    /// The response was refused in its middle: swallow, then cut.
    Cutting(Timestamp),
    /// Cut.
    Cut,
}

impl Driver {
    /// A driver for a new exchange; reads the facts of the client's connection.
    #[must_use]
    pub fn new<H: Host>(policy: Arc<Policy>, host: &H) -> Self {
        let mut downstream = transport_facts(host, &DOWNSTREAM);
        // Every question is a call, so it is asked only where a rule wants to know.
        if policy.looks_at_source() {
            downstream.source = client_address(host);
        }
        if policy.looks_at_certificate_names() {
            all_names(host, &mut downstream);
        }
        Driver {
            exchange: Exchange::new(policy, downstream, host.now()),
            request: Window::default(),
            response: Window::default(),
            arrived: Arrived::Nothing,
            end: End::Open,
            callouts: Vec::new(),
        }
    }

    /// Request headers have arrived.
    pub fn request_head<H: Host>(&mut self, host: &mut H, end: bool) -> Action {
        let Ok(headers) = host.headers(Side::Request) else {
            return self.fail_closed(host, Direction::Request);
        };
        let mut edits = HeadEdits::default();
        let head = RequestHead { headers: &headers };
        let step = self.exchange.request_head(head, end, &mut edits, &HostVerifier(host), host.now());
        edits.prune(&headers);
        let action = self.carry_out(host, step, &edits);
        self.export(host);
        if action == Action::Pause && self.end == End::Open {
            host.wake(self.exchange.next_deadline());
        }
        action
    }

    /// Response headers have arrived.
    pub fn response_head<H: Host>(&mut self, host: &mut H, end: bool) -> Action {
        match self.end {
            End::Replied => return Action::Continue,
            End::Cutting(_) | End::Cut => return self.cut(host),
            End::Open => {}
        }
        let Ok(headers) = host.headers(Side::Response) else {
            return self.fail_closed(host, Direction::Response);
        };
        let source = match host.property(&["response", "code_details"]) {
            Ok(Some(details)) if details == b"via_upstream" => {
                Source::Upstream(transport_facts(host, &UPSTREAM))
            }
            _ => Source::Proxy,
        };
        let mut edits = HeadEdits::default();
        let head = ResponseHead { headers: &headers, source };
        match self.exchange.response_head(head, end, &mut edits) {
            Step::Continue => {
                edits.prune(&headers);
                match host.apply(Side::Response, &edits) {
                    Ok(()) => Action::Continue,
                    Err(HostError) => self.fail_closed(host, Direction::Response),
                }
            }
            Step::Reply(reply) => self.reply(host, &reply),
            Step::Pause | Step::Abort => self.cut(host),
        }
    }

    /// Body bytes of a side have arrived; `size` is all that its buffer holds now.
    pub fn body<H: Host>(&mut self, host: &mut H, direction: Direction, size: usize, end: bool) -> Action {
        match (&self.end, direction) {
            // The body of our own reply.
            (End::Replied, Direction::Response) => return Action::Continue,
            (End::Replied | End::Cut, _) => return Action::Pause,
            (End::Cutting(_), _) => return self.swallow(host, direction, end),
            (End::Open, Direction::Request) if self.holds_body() => return self.hold_body(host, size, end),
            (End::Open, _) => {}
        }
        if !self.exchange.inspects(direction) {
            if end {
                self.end_unseen(direction);
            }
            return Action::Continue;
        }
        let safe = self.window(direction).safe;
        let (Ok(kept), Ok(chunk)) =
            (read(host, side(direction), 0, safe), read(host, side(direction), safe, size))
        else {
            return self.fail_closed(host, direction);
        };
        let mut out = kept;
        // What leaves is about what came.
        out.reserve(chunk.len() + ROOM);
        let step = self.exchange.body(direction, &chunk, &mut out);
        let step = if end { self.body_end(direction, step, &mut out) } else { step };
        self.carry_out_body(host, direction, step, &chunk, &out, end)
    }

    /// Trailers of a side have arrived: its body is over.
    pub fn trailers<H: Host>(&mut self, host: &mut H, direction: Direction) -> Action {
        match (&self.end, direction) {
            (End::Replied, Direction::Response) => return Action::Continue,
            (End::Replied | End::Cut, _) => return Action::Pause,
            (End::Cutting(_), _) => return self.refuse_trailers(host, direction),
            (End::Open, Direction::Request) if self.holds_body() => return self.hold_trailers(host),
            (End::Open, _) => {}
        }
        if !self.exchange.inspects(direction) {
            self.end_unseen(direction);
            return Action::Continue;
        }
        let Window { waits, safe } = *self.window(direction);
        let Ok(mut out) = read(host, side(direction), 0, safe) else {
            return self.fail_closed(host, direction);
        };
        match self.exchange.end(direction, &mut out) {
            BodyStep::Pass => {}
            BodyStep::Emit if waits => {
                if host.replace_body(side(direction), &out).is_err() {
                    return self.fail_closed(host, direction);
                }
            }
            // Bytes that can no longer be written would be lost: cut rather than truncate in silence.
            BodyStep::Emit => return self.fail_closed(host, direction),
            BodyStep::Reply(reply) => return self.reply(host, &reply),
            BodyStep::WriteBack | BodyStep::Cut { .. } => return self.refuse_trailers(host, direction),
        }
        self.keep_trailers(host, direction)
    }

    /// A callout was answered. Resumes or answers the request.
    pub fn callout_reply<H: Host>(&mut self, host: &mut H, token: u32, reply: CalloutReply<'_>) {
        let Some(position) = self.callouts.iter().position(|(known, _)| *known == token) else {
            return;
        };
        let (_, id) = self.callouts.swap_remove(position);
        if self.end != End::Open {
            return;
        }
        let mut edits = HeadEdits::default();
        let step = self.exchange.callout_reply(id, reply, &mut edits, host.now());
        self.wake_up(host, step, &edits);
    }

    /// The time has come that was asked for by [`Host::wake`].
    pub fn deadline<H: Host>(&mut self, host: &mut H) {
        match self.end {
            End::Open if self.exchange.awaits_keys() => self.look_again(host),
            End::Open => {
                let step = self.exchange.deadline(host.now());
                if self.exchange.next_deadline().is_none() && step == Step::Continue {
                    return;
                }
                self.wake_up(host, step, &HeadEdits::default());
            }
            End::Cutting(until) if host.now() >= until => {
                let _ = self.cut(host);
            }
            End::Cutting(until) => host.wake(Some(until)),
            End::Replied | End::Cut => {}
        }
    }

    /// The request waits for keys, and they may be there.
    fn look_again<H: Host>(&mut self, host: &mut H) {
        if !self.exchange.is_settled(host.now()) {
            return host.wake(self.exchange.next_deadline());
        }
        let Ok(headers) = host.headers(Side::Request) else {
            let _ = self.fail_closed(host, Direction::Request);
            return;
        };
        let mut edits = HeadEdits::default();
        let head = RequestHead { headers: &headers };
        let step = self.exchange.request_again(head, &mut edits, &HostVerifier(host), host.now());
        edits.prune(&headers);
        self.wake_up(host, step, &edits);
    }

    /// The exchange is over. Exports its audit event.
    pub fn finish<H: Host>(&mut self, host: &mut H) {
        host.wake(None);
        self.exchange.finish();
        self.export(host);
    }

    /// The body is written; its trailers follow, scanned.
    fn keep_trailers<H: Host>(&mut self, host: &mut H, direction: Direction) -> Action {
        let side = trailer_side(direction);
        let Ok(trailers) = host.headers(side) else {
            return self.fail_closed(host, direction);
        };
        let mut edits = HeadEdits::default();
        match self.exchange.trailers(direction, &trailers, &mut edits) {
            BodyStep::Reply(reply) => self.reply(host, &reply),
            BodyStep::Cut { .. } | BodyStep::WriteBack => self.refuse_trailers(host, direction),
            BodyStep::Pass | BodyStep::Emit => match host.apply(side, &edits) {
                Ok(()) => Action::Continue,
                Err(HostError) => self.fail_closed(host, direction),
            },
        }
    }

    /// The message is refused, and its trailers are the last place that can say so.
    fn refuse_trailers<H: Host>(&mut self, host: &mut H, direction: Direction) -> Action {
        let side = trailer_side(direction);
        let told =
            host.headers(side).ok().filter(|_| direction == Direction::Response).and_then(|trailers| {
                let edits = self.exchange.refused_trailers(&trailers)?;
                host.apply(side, &edits).ok()
            });
        if told.is_none() {
            return self.cut(host);
        }
        self.end = End::Cut;
        host.wake(None);
        Action::Continue
    }

    fn body_end(&mut self, direction: Direction, step: BodyStep, out: &mut Vec<u8>) -> BodyStep {
        match step {
            BodyStep::Pass => match self.exchange.end(direction, out) {
                // Everything of the chunk went out as it came, and nothing more.
                BodyStep::Pass => BodyStep::Pass,
                other => other,
            },
            // The end tells how the tail ends; the bytes before it are in `out` already.
            BodyStep::Emit | BodyStep::WriteBack => match self.exchange.end(direction, out) {
                BodyStep::Pass => BodyStep::Emit,
                other => other,
            },
            other => other,
        }
    }

    fn carry_out_body<H: Host>(
        &mut self,
        host: &mut H,
        direction: Direction,
        step: BodyStep,
        chunk: &[u8],
        out: &[u8],
        end: bool,
    ) -> Action {
        let waits = step == BodyStep::WriteBack && self.may_end_in_trailers(host, direction);
        let window = std::mem::take(self.window(direction));
        match step {
            BodyStep::Pass if window.safe == 0 && equal(out, chunk) => Action::Continue,
            BodyStep::Pass | BodyStep::Emit | BodyStep::WriteBack => {
                if host.replace_body(side(direction), out).is_err() {
                    return self.fail_closed(host, direction);
                }
                if !waits {
                    return Action::Continue;
                }
                *self.window(direction) = Window { waits, safe: out.len() };
                Action::Pause
            }
            BodyStep::Reply(reply) => self.reply(host, &reply),
            // In the callback in which the exchange is cut nothing more is sent, so the event needs a callback of its own.
            BodyStep::Cut { .. } if out.is_empty() && !self.exchange.tells_in_trailers() => self.cut(host),
            // There is no other callback: told, the client may get an end in good order; else a part must not look whole.
            BodyStep::Cut { told: false } if end => self.cut(host),
            BodyStep::Cut { .. } if end => match host.replace_body(side(direction), out) {
                Ok(()) => {
                    self.end = End::Cut;
                    host.wake(None);
                    Action::Continue
                }
                Err(HostError) => self.cut(host),
            },
            BodyStep::Cut { .. } => {
                let until = host.now().saturating_add_millis(SWALLOW_MS);
                self.end = End::Cutting(until);
                host.wake(Some(until));
                match host.replace_body(side(direction), out) {
                    Ok(()) => Action::Continue,
                    Err(HostError) => self.cut(host),
                }
            }
        }
    }

    /// Nothing of a refused exchange goes on; its end, or five seconds, cut it.
    fn swallow<H: Host>(&mut self, host: &mut H, direction: Direction, end: bool) -> Action {
        if end && direction == Direction::Response || host.replace_body(side(direction), &[]).is_err() {
            return self.cut(host);
        }
        match direction {
            Direction::Request => Action::Pause,
            Direction::Response => Action::Continue,
        }
    }

    /// Resumes a paused request, or answers it.
    fn wake_up<H: Host>(&mut self, host: &mut H, step: Step, edits: &HeadEdits) {
        let paused = matches!(step, Step::Pause);
        let mut action = self.carry_out(host, step, edits);
        if paused {
            host.wake(self.exchange.next_deadline());
        }
        if self.end == End::Open {
            action = self.after_wait(host, action);
        }
        if action == Action::Continue && host.resume(Side::Request).is_err() {
            let _ = self.fail_closed(host, Direction::Request);
        }
        self.export(host);
    }

    fn carry_out<H: Host>(&mut self, host: &mut H, step: Step, edits: &HeadEdits) -> Action {
        match step {
            Step::Continue => {
                if host.apply(Side::Request, edits).is_err() {
                    return self.fail_closed(host, Direction::Request);
                }
                // Edits clear the host's route: only now is the one known that it will use.
                let Ok(chosen) = host.property(&["xds", "route_name"]) else {
                    return self.fail_closed(host, Direction::Request);
                };
                match self.exchange.confirm_route(chosen.as_deref()) {
                    Step::Continue => Action::Continue,
                    Step::Reply(reply) => self.reply(host, &reply),
                    Step::Pause | Step::Abort => self.cut(host),
                }
            }
            Step::Pause => Action::Pause,
            Step::Reply(reply) => self.reply(host, &reply),
            Step::Abort => self.cut(host),
        }
    }

    fn reply<H: Host>(&mut self, host: &mut H, reply: &crate::exchange::LocalReply) -> Action {
        self.end = End::Replied;
        host.wake(None);
        match host.reply(reply) {
            Ok(()) => Action::Pause,
            Err(HostError) => self.cut(host),
        }
    }

    /// The one answer to a host that did not do what it was asked: nothing more passes.
    fn fail_closed<H: Host>(&mut self, host: &mut H, direction: Direction) -> Action {
        let reply = self.exchange.host_failed(direction);
        match direction {
            Direction::Request => self.reply(host, &reply),
            Direction::Response => self.cut(host),
        }
    }

    fn cut<H: Host>(&mut self, host: &mut H) -> Action {
        if self.end != End::Cut {
            self.end = End::Cut;
            host.wake(None);
            // If even this fails the message stays paused for ever, which leaks nothing.
            let _ = host.abort(Side::Response);
        }
        Action::Pause
    }

    /// Carries out what the exchange wants from others.
    fn export<H: Host>(&mut self, host: &mut H) {
        while let Some(event) = self.exchange.poll_event() {
            match event {
                Event::CalloutWanted { id, cluster, request } => match host.call(&cluster, &request) {
                    Ok(token) => self.callouts.push((token, id)),
                    Err(HostError) => {
                        let step = self.exchange.callout_reply(
                            id,
                            CalloutReply::Failed,
                            &mut HeadEdits::default(),
                            host.now(),
                        );
                        let _ = self.carry_out(host, step, &HeadEdits::default());
                    }
                },
                // An event that cannot be exported is the host's to report; there is nobody else to tell.
                other => {
                    let _ = host.emit(&other);
                }
            }
        }
    }

    fn end_unseen(&mut self, direction: Direction) {
        let _ = self.exchange.end(direction, &mut Vec::new());
    }

    /// HTTP/1 shows the end of a body even behind trailers, and brings chunks that are too large to wait for.
    fn may_end_in_trailers<H: Host>(&self, host: &H, direction: Direction) -> bool {
        let protocol = || host.property(&["request", "protocol"]).ok().flatten().unwrap_or_default();
        direction == Direction::Response || !protocol().starts_with(b"HTTP/1")
    }

    fn window(&mut self, direction: Direction) -> &mut Window {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

fn side(direction: Direction) -> Side {
    match direction {
        Direction::Request => Side::Request,
        Direction::Response => Side::Response,
    }
}

fn trailer_side(direction: Direction) -> Side {
    match direction {
        Direction::Request => Side::RequestTrailers,
        Direction::Response => Side::ResponseTrailers,
    }
}

/// Exactly the bytes `from..to`; less is an error, for then somebody else changed the buffer.
fn read<H: Host>(host: &H, side: Side, from: usize, to: usize) -> Result<Vec<u8>, HostError> {
    if from >= to {
        return if from == to || from == 0 { Ok(Vec::new()) } else { Err(HostError) };
    }
    let bytes = host.body(side, from..to)?;
    if bytes.len() == to - from { Ok(bytes) } else { Err(HostError) }
}

/// Where a host keeps the facts of a connection.
struct FactNames {
    root: &'static str,
    /// Whether the host says if the client's certificate was verified.
    mtls: bool,
    uri_san: &'static str,
    dns_san: &'static str,
    subject: &'static str,
    sha256: &'static str,
}

const DOWNSTREAM: FactNames = FactNames {
    root: "connection",
    mtls: true,
    uri_san: "uri_san_peer_certificate",
    dns_san: "dns_san_peer_certificate",
    subject: "subject_peer_certificate",
    sha256: "sha256_peer_certificate_digest",
};

const UPSTREAM: FactNames = FactNames { root: "upstream", mtls: false, ..DOWNSTREAM };

/// Facts that the host does not tell are unknown, and unknown counts as plaintext.
fn transport_facts<H: Host>(host: &H, names: &FactNames) -> TransportFacts {
    let fact = |name: &str| {
        let bytes = host.property(&[names.root, name]).ok().flatten()?;
        // SAN and subject are the peer's choice: bounded, and readable or not at all.
        let text = String::from_utf8(bytes).ok()?;
        (!text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control)).then_some(text)
    };
    let mtls = names
        .mtls
        .then(|| matches!(host.property(&[names.root, "mtls"]), Ok(Some(flag)) if flag.first() == Some(&1)));
    // Whoever showed no certificate has nothing to be asked about; every question is a call.
    let peer = if mtls == Some(false) {
        Peer::default()
    } else {
        Peer {
            uri_san: fact(names.uri_san),
            dns_san: fact(names.dns_san),
            subject: fact(names.subject),
            sha256: fact(names.sha256),
            ..Peer::default()
        }
    };
    TransportFacts {
        version: fact("tls_version"),
        mtls,
        peer: (peer != Peer::default()).then_some(peer),
        source: None,
    }
}

/// All SANs of the client's certificate: a filter in front of ours leaves them in filter state.
fn all_names<H: Host>(host: &H, downstream: &mut TransportFacts) {
    let Some(peer) = &mut downstream.peer else { return };
    let names = |state: &str| String::from_utf8(host.property(&["filter_state", state]).ok()??).ok();
    peer.uri_sans = names(URI_SANS_STATE);
    peer.dns_sans = names(DNS_SANS_STATE);
}

/// The client's address: `source.address` with its port.
fn client_address<H: Host>(host: &H) -> Option<IpAddr> {
    let text = String::from_utf8(host.property(&["source", "address"]).ok()??).ok()?;
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}
