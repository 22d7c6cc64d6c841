//! What an exchange wants to be known or done elsewhere.

use crate::audit::AuditEvent;
use crate::host::CalloutRequest;

/// Something for the outside. Never holds content.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The exchange is over: the one audit event of it.
    Audit(Box<AuditEvent>),
    /// A service must be asked; the answer goes to [`Exchange::callout_reply`](super::Exchange::callout_reply).
    CalloutWanted {
        /// Names the answer.
        id: CalloutId,
        /// Cluster of the service.
        cluster: String,
        /// The question.
        request: CalloutRequest,
    },
}

/// Names a callout of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalloutId(pub u32);

/// The answer to a callout.
#[derive(Clone, Copy, Debug)]
pub enum CalloutReply<'a> {
    /// The service answered.
    Answer {
        /// HTTP status.
        status: u32,
        /// Body.
        body: &'a [u8],
    },
    /// It did not.
    Failed,
}
