//! The head of a response: is it the upstream's, over a good connection, of a kind that can be inspected.

use super::request::{DIGEST_HEADERS, changes, coding, inspected, single, strip_own, values};
use super::{Exchange, Inspected, Leg, LocalReply, State, Step};
use crate::decision::{Denial, Direction, Reason};
use crate::format::Format;
use crate::host::HeadEdits;
use crate::mask::{MaskPlan, Place, mask_headers, mask_trailers};
use crate::transport::TransportFacts;

/// The head of a response, and where it came from.
#[derive(Clone, Debug)]
pub struct ResponseHead<'a> {
    /// Every header, pseudo headers and repeated ones included, in bytes.
    pub headers: &'a [(Vec<u8>, Vec<u8>)],
    /// Who wrote it.
    pub source: Source,
}

/// Who wrote a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream, over a connection with these facts.
    Upstream(TransportFacts),
    /// The proxy itself: no upstream was reached, or it failed.
    Proxy,
}

impl Exchange {
    /// Checks a response and chooses what happens to its body. `end`: no body will follow. `edits` are to be made only on `Continue`.
    pub fn response_head(&mut self, head: ResponseHead<'_>, end: bool, edits: &mut HeadEdits) -> Step {
        let status = single(head.headers, b":status").and_then(parse_status);
        self.audit.status(status);
        match (&self.state, head.source) {
            (State::Relay(_), Source::Upstream(facts)) => {
                self.audit.upstream(facts);
                match self.prepare_response(head.headers, status, end) {
                    Ok(prepared) => {
                        *edits = prepared;
                        Step::Continue
                    }
                    Err(reason) => self.replace_response(reason, None),
                }
            }
            (State::Relay(_) | State::AwaitApproval(_) | State::AwaitKeys(_), Source::Proxy) => {
                self.replace_response(Reason::UpstreamUnavailable, status.filter(|status| *status >= 400))
            }
            // The proxy refused the request before any filter saw it; there is nothing to protect and nothing to add.
            (State::AwaitHead, Source::Proxy) => {
                // SECURITY: the reply passes, so a request that came after it all the same must not be let through.
                self.state = State::Done;
                self.response = Leg::Pass;
                Step::Continue
            }
            // SECURITY: a response of an upstream that was never allowed to be asked.
            (_, _) => {
                self.close();
                Step::Abort
            }
        }
    }

    fn prepare_response(
        &mut self,
        headers: &[(Vec<u8>, Vec<u8>)],
        status: Option<u32>,
        end: bool,
    ) -> Result<HeadEdits, Reason> {
        let State::Relay(permit) = &self.state else {
            return Err(Reason::Host);
        };
        let status = status.ok_or(Reason::Malformed)?;
        self.audit.check_upstream(self.policy.tls()).map_err(Reason::Upstream)?;
        let plan = self
            .policy
            .plan(permit.masks(), permit.route(), Direction::Response)
            .map_err(|_| Reason::Host)?;
        let mut edits = HeadEdits::default();
        let heads =
            self.policy.plan(permit.masks(), permit.route(), Place::Headers).map_err(|_| Reason::Host)?;
        if let Some(plan) = heads {
            let mut notes = self.notes(Direction::Response);
            let masked = mask_headers(headers, &plan, &mut notes, &mut edits);
            self.audit.found(&self.policy, Direction::Response, &notes.findings);
            masked.map_err(Reason::Content)?;
        }
        strip_own(headers, &mut edits);
        if self.policy.audit().response_headers {
            edits.set("x-veilwire-decision", b"allow".to_vec());
            edits.set("x-veilwire-policy", self.policy_label());
            edits.set("x-veilwire-request-id", self.audit.request_id.clone());
        }
        if let Some(plan) = &plan {
            self.mask_grpc_head(headers, plan, &mut edits)?;
        }
        self.response = match plan {
            None => Leg::Pass,
            Some(_) if end || self.bodyless || matches!(status, 204 | 304) => Leg::Ended,
            Some(plan) => {
                if status == 206 {
                    return Err(Reason::PartialContent);
                }
                let coding = coding(headers)?;
                let format = single(headers, b"content-type")
                    .and_then(|value| plan.format(value))
                    .ok_or(Reason::ContentType)?;
                if changes(format, coding) {
                    for name in DIGEST_HEADERS.into_iter().chain([
                        b"content-length".as_slice(),
                        b"etag",
                        b"accept-ranges",
                    ]) {
                        edits.remove(name);
                    }
                }
                // Readers of a text see it as it comes. It waits for an end that trailers may hide only where the head announces
                // some (RFC 9110, section 6.6.2).
                let patient = !matches!(format, Format::Text) || values(headers, b"trailer").next().is_some();
                // HTTP/1 shows its end even behind trailers: Envoy drops them.
                let hidden = values(headers, b"transfer-encoding").next().is_none();
                let body = inspected(plan, format, coding, headers, &mut edits);
                self.mask(Direction::Response, Inspected { patient: patient && hidden, ..body })
            }
        };
        Ok(edits)
    }

    /// A gRPC answer without messages has its trailers in its head.
    fn mask_grpc_head(
        &mut self,
        headers: &[(Vec<u8>, Vec<u8>)],
        plan: &MaskPlan,
        edits: &mut HeadEdits,
    ) -> Result<(), Reason> {
        let is_trailer = |name: &[u8]| name == b"grpc-message" || name == b"grpc-status-details-bin";
        let trailers: Vec<_> = headers.iter().filter(|(name, _)| is_trailer(name)).cloned().collect();
        let mut notes = self.notes(Direction::Response);
        let masked = mask_trailers(&trailers, plan, &mut notes);
        self.audit.found(&self.policy, Direction::Response, &notes.findings);
        edits.0.extend(masked.map_err(Reason::Content)?.0);
        Ok(())
    }

    fn replace_response(&mut self, reason: Reason, status: Option<u32>) -> Step {
        self.close();
        self.audit.refused(&self.policy, Direction::Response, &Denial::because(reason));
        let status = status.unwrap_or_else(|| reason.status(Direction::Response));
        Step::Reply(LocalReply::with_status(
            reason,
            status,
            &self.policy,
            &[],
            &self.audit.request_id,
            self.form(),
        ))
    }
}

fn parse_status(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.parse().ok().filter(|status| (100..=999).contains(status))
}
