//! Bodies that are held: until rules that ask for them have decided, or while the request waits for keys or a human.
//!
//! Guarantees: nothing of a held body goes on before the request is let through; one exchange holds no more than
//! `limits.inspectBody`, and all of a worker together no more than [`Room::MOST`]; a request that was held is looked at again from its
//! head on, as if it had come only then.

use super::request::{coding, single};
use super::{Exchange, LocalReply, RequestHead, State, Step};
use crate::decide::BodyFacts;
use crate::decision::{Denial, Reason};
use crate::format::inflate::{Inflate, Stop};
use crate::format::{Coding, Format};
use crate::host::HeadEdits;
use crate::identity::SignatureVerifier;
use crate::policy::id::RouteId;
use crate::policy::room::Room;
use crate::time::Timestamp;

/// The body so far.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// Where these bytes are counted.
    room: Room,
}

impl Held {
    pub(super) fn new(room: Room) -> Held {
        Held { bytes: Vec::new(), room }
    }

    /// Takes more, if all of it fits.
    fn add(&mut self, chunk: &[u8], limit: usize) -> Result<(), Reason> {
        if self.bytes.len().saturating_add(chunk.len()) > limit {
            return Err(Reason::BodyLimit);
        }
        if !self.room.take(chunk.len()) {
            return Err(Reason::Busy);
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.room.give_back(self.bytes.len());
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.take();
    }
}

impl Exchange {
    /// Whether the request waits, so that its body must too: see [`Exchange::hold`].
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self.state, State::AwaitKeys(_) | State::AwaitApproval(_) | State::AwaitBody(_))
    }

    /// Whether the request waits for the end of its body; then [`Exchange::request_with_body`] is due.
    #[must_use]
    pub fn awaits_body(&self) -> bool {
        matches!(self.state, State::AwaitBody(_))
    }

    /// Keeps a part of the body of a request that waits.
    ///
    /// # Errors
    /// The answer, if it is too much.
    pub fn hold(&mut self, chunk: &[u8]) -> Result<(), LocalReply> {
        let limit = usize::try_from(self.policy.limits().inspect_body).unwrap_or(usize::MAX);
        self.held.add(chunk, limit).map_err(|reason| self.refusal(&Denial::because(reason)))
    }

    /// What was held, once the request is let through.
    pub fn take_held(&mut self) -> Vec<u8> {
        self.held.take()
    }

    /// As [`Exchange::request_head`], of a request whose whole body is held.
    pub fn request_with_body(
        &mut self,
        head: RequestHead<'_>,
        edits: &mut HeadEdits,
        verifier: &dyn SignatureVerifier,
        now: Timestamp,
    ) -> Step {
        let State::AwaitBody(route) = self.state else {
            self.close();
            return Step::Abort;
        };
        self.body_facts = Some(self.read_body(route, head));
        self.state = State::AwaitHead;
        self.request_head(head, false, edits, verifier, now)
    }

    /// SECURITY: what cannot be read is no absence: nothing can be said of it.
    fn read_body(&self, route: RouteId, head: RequestHead<'_>) -> BodyFacts {
        let body = self.held.bytes.as_slice();
        if body.is_empty() {
            return BodyFacts::none();
        }
        let format = single(head.headers, b"content-type").map(Format::of);
        let (Some(reader), Some(Ok(Format::Json))) = (self.policy.body_reader(route), format) else {
            return BodyFacts::opaque();
        };
        match coding(head.headers) {
            Ok(None) => reader.read(body),
            Ok(Some(coding)) => {
                self.open(coding, body).map_or_else(BodyFacts::opaque, |body| reader.read(&body))
            }
            Err(_) => BodyFacts::opaque(),
        }
    }

    /// A body without its content coding, if it is whole and within the limits.
    fn open(&self, coding: Coding, body: &[u8]) -> Option<Vec<u8>> {
        let limits = self.policy.limits();
        let limit = usize::try_from(limits.inspect_body).unwrap_or(usize::MAX);
        let mut inflate = Inflate::new(coding, limits.inflate_ratio);
        let mut opened = Vec::new();
        let result: Result<(), Stop<()>> = inflate.write(body, &mut |piece| {
            if opened.len().saturating_add(piece.len()) > limit {
                return Err(());
            }
            opened.extend_from_slice(piece);
            Ok(())
        });
        (result.is_ok() && inflate.is_complete()).then_some(opened)
    }

    /// Waits for the body, unless its head says that it is too long.
    pub(super) fn wait_for_body(&mut self, route: RouteId, length: Option<u64>) -> Step {
        if length.is_some_and(|length| length > u64::from(self.policy.limits().inspect_body)) {
            return self.deny(Denial::because(Reason::BodyLimit));
        }
        self.state = State::AwaitBody(route);
        Step::Pause
    }
}
