//! [`Host`]: the only thing an embedder of the engine implements.
//!
//! Everything the engine wants from the outside is one of these calls, in the engine's own types. A host reports every failure; what a
//! failure means is the [`Driver`](crate::driver::Driver)'s business, and it is always a refusal.

use crate::exchange::{Event, LocalReply};
use crate::identity::{SignatureVerifier, VerifierError, VerifyingKey};
use crate::policy::model::Algorithm;
use crate::time::Timestamp;
use std::ops::Range;

/// A header list, in bytes: values that are not UTF-8 are ordinary.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Request headers or body.
    Request,
    /// Response headers or body.
    Response,
    /// Trailers of the request.
    RequestTrailers,
    /// Trailers of the response.
    ResponseTrailers,
}

/// A host call failed. What exactly failed is in the host's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host refused a call")]
pub struct HostError;

/// A request to a service beside the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalloutRequest {
    /// Path on that service.
    pub path: String,
    /// JSON body of the `POST`.
    pub body: Vec<u8>,
    /// How long the host waits for an answer, in milliseconds; never zero.
    pub timeout_ms: u64,
}

/// Changes to a header list, applied in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadEdits(pub Vec<HeadEdit>);

/// One change. Names are lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadEdit {
    /// Removes every header of this name.
    Remove(Vec<u8>),
    /// Replaces every header of this name by one.
    Set(&'static str, Vec<u8>),
    /// As [`HeadEdit::Set`], for a header that the message named.
    Rewrite(Vec<u8>, Vec<u8>),
    /// Adds a header to those of its name.
    Add(Vec<u8>, Vec<u8>),
}

impl HeadEdits {
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.push(HeadEdit::Remove(name.to_vec()));
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.0.push(HeadEdit::Set(name, value.into()));
    }

    pub(crate) fn add(&mut self, name: &[u8], value: Vec<u8>) {
        self.0.push(HeadEdit::Add(name.to_vec(), value));
    }

    pub(crate) fn rewrite(&mut self, name: &[u8], value: Vec<u8>) {
        self.0.push(HeadEdit::Rewrite(name.to_vec(), value));
    }

    /// Leaves out removals of what neither `headers` nor another edit has: each is a call of the host for nothing.
    pub(crate) fn prune(&mut self, headers: &Headers) {
        let made: Vec<Vec<u8>> = self.0.iter().filter_map(|edit| edit.makes().map(<[u8]>::to_vec)).collect();
        self.0.retain(|edit| match edit {
            HeadEdit::Remove(name) => {
                headers.iter().any(|(present, _)| present.eq_ignore_ascii_case(name)) || made.contains(name)
            }
            HeadEdit::Set(..) | HeadEdit::Rewrite(..) | HeadEdit::Add(..) => true,
        });
    }
}

impl HeadEdit {
    /// The header that is there afterwards.
    fn makes(&self) -> Option<&[u8]> {
        match self {
            HeadEdit::Remove(_) => None,
            HeadEdit::Set(name, _) => Some(name.as_bytes()),
            HeadEdit::Rewrite(name, _) | HeadEdit::Add(name, _) => Some(name),
        }
    }
}

/// What embeds the engine: Envoy through the filter, a fake in tests.
pub trait Host {
    /// The time.
    fn now(&self) -> Timestamp;
    /// A property of the exchange or its connections; `None` if it has none.
    ///
    /// # Errors
    /// The host cannot tell.
    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError>;
    /// All headers or trailers of a side, repeated ones included, in order.
    ///
    /// # Errors
    /// They are not available now.
    fn headers(&self, side: Side) -> Result<Headers, HostError>;
    /// Edits the headers or trailers of a side.
    ///
    /// # Errors
    /// An edit was not made; earlier ones may have been.
    fn apply(&mut self, side: Side, edits: &HeadEdits) -> Result<(), HostError>;
    /// A range of the buffered body of a side; shorter if less is there.
    ///
    /// # Errors
    /// No body is available now.
    fn body(&self, side: Side, range: Range<usize>) -> Result<Vec<u8>, HostError>;
    /// Replaces the whole buffered body of a side.
    ///
    /// # Errors
    /// The body was not replaced.
    fn replace_body(&mut self, side: Side, bytes: &[u8]) -> Result<(), HostError>;
    /// Starts a call; the answer comes back to the driver under the returned token.
    ///
    /// # Errors
    /// No answer will come.
    fn call(&mut self, cluster: &str, request: &CalloutRequest) -> Result<u32, HostError>;
    /// Answers the client in place of the upstream.
    ///
    /// # Errors
    /// The reply was not sent.
    fn reply(&mut self, reply: &LocalReply) -> Result<(), HostError>;
    /// Lets a paused side go on.
    ///
    /// # Errors
    /// It stays paused.
    fn resume(&mut self, side: Side) -> Result<(), HostError>;
    /// Cuts the exchange: nothing more of this side reaches anybody.
    ///
    /// # Errors
    /// It could not be cut.
    fn abort(&mut self, side: Side) -> Result<(), HostError>;
    /// Exports an event.
    ///
    /// # Errors
    /// It was not exported.
    fn emit(&mut self, event: &Event) -> Result<(), HostError>;
    /// Asks for a call of [`Driver::deadline`](crate::driver::Driver::deadline) at or soon after `at`; `None` takes it back.
    fn wake(&mut self, at: Option<Timestamp>);
    /// Verifies a signature, where the host is faster at it.
    ///
    /// # Errors
    /// This host cannot; the engine's own verifier is used.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError>;
    /// A value shared by all workers, with its version.
    ///
    /// # Errors
    /// The store is not available.
    fn shared_get(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), HostError>;
    /// Sets a shared value if it still has the version; `false` if somebody was faster.
    ///
    /// # Errors
    /// The store is not available.
    fn shared_cas(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError>;
}

/// Where Envoy's `jwt_authn` leaves the payload of a token that it verified.
const VOUCHED: [&str; 3] = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn"];

/// A host's [`Host::verify`] as a verifier, and what it has verified itself.
pub(crate) struct HostVerifier<'a, H>(pub(crate) &'a H);

impl<H: Host> SignatureVerifier for HostVerifier<'_, H> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError> {
        self.0.verify(algorithm, key, signed_text, signature)
    }

    fn vouched(&self, path: &[&str]) -> Result<Option<Vec<u8>>, VerifierError> {
        let path: Vec<&str> = VOUCHED.into_iter().chain(path.iter().copied()).collect();
        self.0.property(&path).map_err(|HostError| VerifierError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_removals_of_nothing_are_left_out() {
        let headers = vec![(b"Accept-Encoding".to_vec(), b"gzip".to_vec())];
        let mut edits = HeadEdits::default();
        edits.remove(b"accept-encoding");
        edits.remove(b"range");
        edits.set("te", b"trailers");
        edits.remove(b"te");
        edits.add(b"x-a", b"1".to_vec());
        edits.rewrite(b"x-b", b"2".to_vec());
        edits.remove(b"x-b");
        let mut expected = edits.clone();
        expected.0.remove(1);
        edits.prune(&headers);
        assert_eq!(edits, expected, "`range` is not there; `te` and `x-b` are there by then");
    }
}
