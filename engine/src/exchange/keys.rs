//! Requests that came before the keys did: they wait, for a bounded time, and are then looked at anew.
//!
//! Guarantees: nothing is decided while a request waits; it is looked at again from its head on, as if it had come only then; a
//! second wait never begins after the time of the first is over, so an unavailable provider is told as such.

use super::{Exchange, RequestHead, State, Step};
use crate::decision::{Denial, Reason};
use crate::host::HeadEdits;
use crate::identity::{SignatureVerifier, Ticket};
use crate::time::Timestamp;

/// Longest time for which a request waits for keys, in milliseconds: two slow answers.
const MOST_WAIT_MS: u64 = 10_000;
/// Time after which to look again whether they came.
const LOOK_MS: u64 = 50;

/// A request that waits for keys.
#[derive(Debug)]
pub(super) struct AwaitedKeys {
    ticket: Ticket,
    /// No body will follow.
    end: bool,
    /// When to look again.
    look: Timestamp,
}

impl Exchange {
    /// Whether the request waits for keys; [`Exchange::deadline`] is then [`Exchange::request_again`].
    #[must_use]
    pub fn awaits_keys(&self) -> bool {
        matches!(self.state, State::AwaitKeys(_))
    }

    /// Whether it is time to look at the waiting request again. If not, the next time to ask is put off.
    pub fn is_settled(&mut self, now: Timestamp) -> bool {
        let over = self.keys_until.is_none_or(|until| now >= until);
        match &mut self.state {
            State::AwaitKeys(waiting) if !over && !waiting.ticket.is_settled(now) => {
                waiting.look = now.saturating_add_millis(LOOK_MS);
                false
            }
            _ => true,
        }
    }

    /// As [`Exchange::request_head`], of the request that waits.
    pub fn request_again(
        &mut self,
        head: RequestHead<'_>,
        edits: &mut HeadEdits,
        verifier: &dyn SignatureVerifier,
        now: Timestamp,
    ) -> Step {
        let State::AwaitKeys(waiting) = &self.state else {
            self.close();
            return Step::Abort;
        };
        let end = waiting.end;
        self.state = State::AwaitHead;
        self.request_head(head, end, edits, verifier, now)
    }

    /// Waits if this refusal may be none with other keys, and those are on their way.
    pub(super) fn wait_for_keys(
        &mut self,
        head: RequestHead<'_>,
        end: bool,
        denial: &Denial,
        now: Timestamp,
    ) -> Option<Step> {
        let Reason::Unauthenticated(refused) = denial.reason else { return None };
        let until = self.keys_until.unwrap_or_else(|| now.saturating_add_millis(MOST_WAIT_MS));
        if now >= until {
            return None;
        }
        let authenticator = self.policy.authenticator();
        let credential = authenticator.credential(head.headers).ok()?;
        let ticket = authenticator.wait_for_keys(&credential, refused, now)?;
        self.keys_until = Some(until);
        let look = now.saturating_add_millis(LOOK_MS);
        self.state = State::AwaitKeys(Box::new(AwaitedKeys { ticket, end, look }));
        Some(Step::Pause)
    }
}

impl AwaitedKeys {
    pub(super) fn look(&self) -> Timestamp {
        self.look
    }
}
