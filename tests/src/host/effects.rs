//! What left the filter: the only thing that tests compare.

use std::fmt;

use crate::wire::{Headers, Shown};

/// What one side of an exchange has received so far.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// The head, once it was let go.
    pub head: Option<Headers>,
    /// Body parts, one for each release, never empty.
    pub pieces: Vec<Vec<u8>>,
    /// The message is complete.
    pub ended: bool,
    /// Trailers that ended it.
    pub trailers: Option<Headers>,
    /// The stream was cut: the receiver sees a reset, not an end.
    pub cut: bool,
}

impl Sent {
    /// The whole body so far.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// First value of a header of the head.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        crate::wire::value(self.head.as_ref()?, name)
    }

    /// The status of a response head.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.header(":status")?).ok()?.parse().ok()
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.head {
            Some(head) => write!(f, "head{}", Shown(head))?,
            None => write!(f, "no head")?,
        }
        write!(f, "\nbody in {} pieces: {}", self.pieces.len(), self.body().escape_ascii())?;
        if let Some(trailers) = &self.trailers {
            write!(f, "\ntrailers{}", Shown(trailers))?;
        }
        write!(f, "\nended: {}, cut: {}", self.ended, self.cut)
    }
}

/// A response that the filter made itself, before its own response callbacks saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// Status code.
    pub status: u32,
    /// Headers that the filter gave.
    pub headers: Headers,
    /// Body.
    pub body: Vec<u8>,
    /// Response code details.
    pub details: Vec<u8>,
    /// gRPC status, -1 for none.
    pub grpc_status: i32,
}
