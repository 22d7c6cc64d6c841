//! Bodies of requests that wait, on a host that brings them while it holds the head (`allow_on_headers_stop_iteration` of Envoy).
//!
//! What comes is taken out of the host's buffer, so that the limit of the policy counts and not that of the buffer. It goes back
//! in one piece once the request is let through and has ended: in the callback that brought the end, or when the wait is over.

use super::{Action, Driver, End, read};
use crate::decision::Direction;
use crate::exchange::{BodyStep, RequestHead};
use crate::host::{HeadEdits, Host, HostVerifier, Side};

/// How much of the body of a waiting request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// Nothing: the request does not wait, or the host keeps the body itself.
    Nothing,
    /// A part.
    Part,
    /// All of it.
    Whole,
    /// All of it, and trailers.
    Trailers,
}

impl Driver {
    /// Does what comes of the request belong to what is held?
    pub(super) fn holds_body(&self) -> bool {
        self.exchange.waits() || self.arrived == Arrived::Part
    }

    /// A part of the body of a request that waits, or that did when the first part came.
    pub(super) fn hold_body<H: Host>(&mut self, host: &mut H, size: usize, end: bool) -> Action {
        let Ok(chunk) = read(host, Side::Request, 0, size) else {
            return self.fail_closed(host, Direction::Request);
        };
        if let Err(reply) = self.exchange.hold(&chunk) {
            return self.reply(host, &reply);
        }
        if size == 0 && !end {
            return Action::Pause;
        }
        self.arrived = if end { Arrived::Whole } else { Arrived::Part };
        if size > 0 && host.replace_body(Side::Request, &[]).is_err() {
            return self.fail_closed(host, Direction::Request);
        }
        self.go_on_with_body(host)
    }

    /// The end of such a body by trailers.
    pub(super) fn hold_trailers<H: Host>(&mut self, host: &mut H) -> Action {
        self.arrived = Arrived::Trailers;
        self.go_on_with_body(host)
    }

    /// A wait is over, and the request is let through or waits for something else. With a body that waited it goes on when that is
    /// whole.
    pub(super) fn after_wait<H: Host>(&mut self, host: &mut H, action: Action) -> Action {
        if self.arrived == Arrived::Nothing { action } else { self.go_on_with_body(host) }
    }

    fn go_on_with_body<H: Host>(&mut self, host: &mut H) -> Action {
        if self.arrived == Arrived::Part || self.end != End::Open {
            return Action::Pause;
        }
        if self.exchange.awaits_body() {
            let Ok(headers) = host.headers(Side::Request) else {
                return self.fail_closed(host, Direction::Request);
            };
            let mut edits = HeadEdits::default();
            let head = RequestHead { headers: &headers };
            let step = self.exchange.request_with_body(head, &mut edits, &HostVerifier(host), host.now());
            edits.prune(&headers);
            let action = self.carry_out(host, step, &edits);
            self.export(host);
            if action == Action::Pause && self.end == End::Open {
                host.wake(self.exchange.next_deadline());
            }
        }
        if self.end == End::Open && !self.exchange.waits() { self.release(host) } else { Action::Pause }
    }

    /// Lets a held body go on, masked.
    fn release<H: Host>(&mut self, host: &mut H) -> Action {
        let trailers = std::mem::replace(&mut self.arrived, Arrived::Nothing) == Arrived::Trailers;
        let body = self.exchange.take_held();
        let inspects = self.exchange.inspects(Direction::Request);
        let mut out = Vec::new();
        if inspects {
            out.reserve(body.len());
            let step = self.exchange.body(Direction::Request, &body, &mut out);
            match self.body_end(Direction::Request, step, &mut out) {
                BodyStep::Pass | BodyStep::Emit | BodyStep::WriteBack => {}
                BodyStep::Reply(reply) => return self.reply(host, &reply),
                BodyStep::Cut { .. } => return self.cut(host),
            }
        } else {
            out = body;
            self.end_unseen(Direction::Request);
        }
        if !out.is_empty() && host.replace_body(Side::Request, &out).is_err() {
            return self.fail_closed(host, Direction::Request);
        }
        if trailers && inspects { self.keep_trailers(host, Direction::Request) } else { Action::Continue }
    }
}
