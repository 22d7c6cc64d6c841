//! The head of a request: transport, identity, decision, and what its body will need.

use super::event::{CalloutId, Event};
use super::{Asked, Exchange, HEADER_PREFIX, Inspected, Leg, State, Step};
use crate::decide::{BodyFacts, BodyWanted, Facts, Ruling, decide, normal_path};
use crate::decision::{Decision, Denial, Direction, Permit, Reason};
use crate::format::{Coding, Format};
use crate::host::{CalloutRequest, HeadEdits, Headers};
use crate::identity::{Credential, Remainder, SignatureVerifier};
use crate::mask::{MaskPlan, Masker, Notes, Place, is_exempt, mask_headers, mask_query, scan_path};
use crate::policy::id::{MaskId, RouteId};
use crate::policy::model::TokenSource;
use crate::time::Timestamp;
use std::sync::Arc;

/// Header names are lower case, as HTTP/2 and Envoy have them.
type HeaderList = [(Vec<u8>, Vec<u8>)];

/// The head of a request: all headers, pseudo headers included, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Every header, repeated ones included.
    pub headers: &'a HeaderList,
}

/// SECURITY: what steers the proxy behind the filter: retries, time-outs, the fault filter, and what later releases add. Those that
/// Envoy writes itself it writes when it forwards the request.
const ENVOY_PREFIX: &[u8] = b"x-envoy-";

/// Headers that describe bytes that may change: they would lie about the masked body.
pub(super) const DIGEST_HEADERS: [&[u8]; 4] = [b"digest", b"content-digest", b"repr-digest", b"content-md5"];

impl Exchange {
    /// Verifies, decides, and prepares the request. `end`: no body will follow. `edits` are to be made only on `Continue`.
    pub fn request_head(
        &mut self,
        head: RequestHead<'_>,
        end: bool,
        edits: &mut HeadEdits,
        verifier: &dyn SignatureVerifier,
        now: Timestamp,
    ) -> Step {
        if !matches!(self.state, State::AwaitHead) {
            self.close();
            return Step::Abort;
        }
        self.audit.request_id = request_id(head.headers);
        self.grpc = is_grpc(head.headers);
        match self.admit(head.headers, end, verifier, now) {
            Ok((Decision::Allow(permit), prepared, leg)) => {
                *edits = prepared;
                self.request = leg;
                self.allow(permit);
                Step::Continue
            }
            Ok((Decision::Hold(request), prepared, leg)) => {
                let callout = CalloutId(self.next_callout);
                self.next_callout = self.next_callout.saturating_add(1);
                let service = request.service();
                self.events.push_back(Event::CalloutWanted {
                    id: callout,
                    cluster: service.cluster.clone(),
                    request: CalloutRequest {
                        path: service.path.clone(),
                        body: request.question(),
                        timeout_ms: service.timeout_ms.max(1),
                    },
                });
                self.state = State::AwaitApproval(Box::new(Asked { request, callout, edits: prepared, leg }));
                Step::Pause
            }
            Ok((Decision::Deny(denial), ..)) => self.deny(denial),
            Err(Undecided::Body(route)) => self.wait_for_body(route, length(head.headers)),
            Err(Undecided::Refused(denial)) => match self.wait_for_keys(head, end, &denial, now) {
                Some(step) => step,
                None => self.deny(denial),
            },
        }
    }

    fn admit(
        &mut self,
        headers: &HeaderList,
        end: bool,
        verifier: &dyn SignatureVerifier,
        now: Timestamp,
    ) -> Result<(Decision, HeadEdits, Leg), Undecided> {
        let deny = Denial::because;
        let transport = self.audit.downstream();
        transport.check_downstream(self.policy.tls()).map_err(|error| deny(Reason::Downstream(error)))?;
        let method = text(headers, b":method")?;
        let host = text(headers, b":authority")?;
        let target = text(headers, b":path")?;
        let path = target.split(['?', '#']).next().unwrap_or(target);
        let query = target.strip_prefix(path).and_then(|rest| rest.strip_prefix('?')).unwrap_or_default();
        let path = normal_path(path).ok_or(deny(Reason::Malformed))?;
        self.bodyless = method == "HEAD";
        let authenticator = self.policy.authenticator();
        let refused = |cause| deny(Reason::Unauthenticated(cause));
        let (identity, credential) =
            authenticator.caller(headers, transport, now, verifier).map_err(refused)?;
        let keeps_token = authenticator.keeps_token(identity.provider);
        self.audit.caller(&self.policy, &identity);

        // A byte like 0xE9 passes, unless a rule would have to make something of it.
        for name in self.policy.index().headers() {
            let readable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
            if !values(headers, name.as_bytes()).flatten().all(readable) {
                return Err(deny(Reason::Malformed).into());
            }
        }
        let no_body = end.then(BodyFacts::none);
        let facts = Facts {
            identity: &identity,
            host,
            path: &path,
            method,
            query: query.split('#').next().unwrap_or_default(),
            headers,
            transport: self.audit.downstream(),
            size: if end { Some(0) } else { length(headers) },
            now,
            body: self.body_facts.as_ref().or(no_body.as_ref()),
            model_in_path: None,
        };
        let ruled = decide(&self.policy, &facts);
        let route = ruled.as_ref().map_or_else(|BodyWanted(route)| Some(*route), |ruling| ruling.route);
        let content = route.and_then(|route| self.policy.content(route));
        self.json_rpc = content.is_some_and(|content| content.json_rpc);
        let Ruling { decision, would_deny, .. } =
            ruled.map_err(|BodyWanted(route)| Undecided::Body(route))?;
        self.audit.would_deny(&self.policy, &would_deny);
        let (route, masks) = match &decision {
            Decision::Allow(permit) => obligations(permit),
            Decision::Hold(request) => request.obligations(),
            Decision::Deny(_) => return Ok((decision, HeadEdits::default(), Leg::Closed)),
        };
        self.audit.routed(&self.policy, route);
        let mut edits = HeadEdits::default();
        let mut notes = self.notes(Direction::Request);
        // SECURITY: taken out first, so that masks see what goes on, and what they write cannot bring it back.
        let taken = credential.as_ref().filter(|_| !keeps_token);
        let rest = taken.and_then(|credential| without(credential, headers, target, &mut edits));
        let (left, target) = rest.as_ref().map_or((headers, target), |(left, target)| (left, target));
        let masked = self.mask_head(left, target, (route, &masks), &mut edits, &mut notes);
        self.audit.found(&self.policy, Direction::Request, &notes.findings);
        masked.map_err(deny)?;
        let leg = self.prepare_request(headers, end, route, &masks, &mut edits)?;
        let source = credential.as_ref().map(Credential::source);
        if !(keeps_token && source == Some(&TokenSource::Authorization)) {
            edits.remove(b"authorization");
        }
        edits.set("x-veilwire-decision", b"allow".to_vec());
        edits.set("x-veilwire-subject", identity.header_subject());
        edits.set("x-veilwire-policy", self.policy_label());
        edits.set("x-veilwire-request-id", self.audit.request_id.clone());
        Ok((decision, edits, leg))
    }

    /// Masks query and headers. A path cannot be masked, only denied.
    fn mask_head(
        &self,
        headers: &HeaderList,
        target: &str,
        (route, masks): (RouteId, &[MaskId]),
        edits: &mut HeadEdits,
        notes: &mut Notes,
    ) -> Result<(), Reason> {
        let plan = |place| self.policy.plan(masks, route, place).map_err(|_| Reason::Host);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if let Some(plan) = plan(Place::Path)?
            && scan_path(path.as_bytes(), &plan, notes).map_err(Reason::Content)?
        {
            return Err(Reason::PathFinding);
        }
        if let Some(plan) = plan(Place::Query)?
            && let Some(masked) = mask_query(query.as_bytes(), &plan, notes).map_err(Reason::Content)?
        {
            let mut target = path.as_bytes().to_vec();
            if !masked.is_empty() {
                target.push(b'?');
                target.extend_from_slice(&masked);
            }
            edits.set(":path", target);
        }
        if let Some(plan) = plan(Place::Headers)? {
            mask_headers(headers, &plan, notes, edits).map_err(Reason::Content)?;
        }
        Ok(())
    }

    /// Says what is to happen to the body once there is a permit, and removes what a changed body would contradict.
    fn prepare_request(
        &self,
        headers: &HeaderList,
        end: bool,
        route: RouteId,
        masks: &[MaskId],
        edits: &mut HeadEdits,
    ) -> Result<Leg, Denial> {
        let deny = Denial::because;
        strip_own(headers, edits);
        strip(headers, ENVOY_PREFIX, edits);
        let plan = |direction| self.policy.plan(masks, route, direction).map_err(|_| deny(Reason::Host));
        let response_masked = plan(Direction::Response)?.is_some();
        if response_masked {
            // An answer that is whole and readable is one that can be inspected.
            for name in [b"accept-encoding".as_slice(), b"grpc-accept-encoding", b"range", b"if-range"] {
                edits.remove(name);
            }
        }
        if values(headers, b"te").next().is_some() {
            if self.grpc {
                // gRPC servers refuse a call without it.
                edits.set("te", b"trailers");
            } else {
                edits.remove(b"te");
            }
        }
        let Some(plan) = plan(Direction::Request)? else {
            return Ok(Leg::Pass);
        };
        if end {
            return Ok(Leg::Ended);
        }
        let coding = coding(headers).map_err(deny)?;
        let format = single(headers, b"content-type")
            .and_then(|value| plan.format(value))
            .ok_or_else(|| deny(Reason::ContentType))?;
        if changes(format, coding) {
            for name in DIGEST_HEADERS {
                edits.remove(name);
            }
            edits.remove(b"content-length");
        }
        let body = inspected(plan, format, coding, headers, edits);
        Ok(self.mask(Direction::Request, Inspected { patient: true, ..body }))
    }

    /// A leg that masks, with the pseudonyms of the exchange.
    pub(super) fn mask(&self, direction: Direction, body: Inspected) -> Leg {
        let masker = body.masker.sharing(&self.pseudonyms, direction);
        Leg::Mask(Box::new(Inspected { masker, ..body }))
    }

    /// `name@revision`, for headers.
    pub(super) fn policy_label(&self) -> Vec<u8> {
        format!("{}@{}", self.policy.name(), self.policy.revision()).into_bytes()
    }
}

/// Headers and target of a request without its credential, where that is not the `authorization` header.
fn without(
    credential: &Credential<'_>,
    headers: &HeaderList,
    target: &str,
    edits: &mut HeadEdits,
) -> Option<(Headers, String)> {
    let mut target = target.to_owned();
    let mut left = headers.to_vec();
    match credential.remainder(headers) {
        Remainder::Header(name) if name == b"authorization" => return None,
        Remainder::Header(name) => {
            edits.remove(&name);
            left.retain(|(key, _)| !key.eq_ignore_ascii_case(&name));
        }
        Remainder::Cookies(cookies) => {
            left.retain(|(key, _)| !key.eq_ignore_ascii_case(b"cookie"));
            match cookies {
                Some(cookies) => {
                    edits.rewrite(b"cookie", cookies.clone());
                    left.push((b"cookie".to_vec(), cookies));
                }
                None => edits.remove(b"cookie"),
            }
        }
        Remainder::Target(rest) => {
            edits.set(":path", rest.clone());
            target = rest;
        }
    }
    Some((left, target))
}

/// Why a request is not let through for now.
enum Undecided {
    /// It never will be, unless other keys come.
    Refused(Denial),
    /// Rules of this route ask for what is in its body.
    Body(RouteId),
}

impl From<Denial> for Undecided {
    fn from(denial: Denial) -> Undecided {
        Undecided::Refused(denial)
    }
}

fn obligations(permit: &Permit) -> (RouteId, Vec<MaskId>) {
    (permit.route(), permit.masks().to_vec())
}

/// Is the header of this lower-case name never masked, whatever a policy says?
#[must_use]
pub fn is_never_masked(name: &str) -> bool {
    is_exempt(name.as_bytes())
}

/// SECURITY: only Veilwire says what `x-veilwire-*` says.
pub(super) fn strip_own(headers: &HeaderList, edits: &mut HeadEdits) {
    strip(headers, HEADER_PREFIX, edits);
}

fn strip(headers: &HeaderList, prefix: &[u8], edits: &mut HeadEdits) {
    for (name, _) in headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with(prefix)) {
        edits.remove(name);
    }
}

/// SECURITY: exactly what Envoy takes for gRPC. To any other client a gRPC answer would say that all is well.
fn is_grpc(headers: &HeaderList) -> bool {
    let rest = single(headers, b"content-type").and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// Every value of a header.
pub(super) fn values<'a>(headers: &'a HeaderList, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

/// The value of a header that is there exactly once.
pub(super) fn single<'a>(headers: &'a HeaderList, name: &'a [u8]) -> Option<&'a [u8]> {
    let mut all = values(headers, name);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// A header that decides: there once, printable ASCII.
fn text<'a>(headers: &'a HeaderList, name: &'a [u8]) -> Result<&'a str, Denial> {
    single(headers, name)
        .filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_graphic))
        .and_then(|value| std::str::from_utf8(value).ok())
        .ok_or(Denial::because(Reason::Malformed))
}

/// The one content coding of a body, if it has one and it can be opened.
pub(super) fn coding(headers: &HeaderList) -> Result<Option<Coding>, Reason> {
    let names = values(headers, b"content-encoding").flat_map(|value| value.split(|&byte| byte == b','));
    let mut names = names
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    let Some(name) = names.next() else { return Ok(None) };
    // SECURITY: one coding in another is never needed, and multiplies what a small body can cost.
    match (Coding::of(name), names.next()) {
        (Some(coding), None) => Ok(Some(coding)),
        _ => Err(Reason::ContentEncoding),
    }
}

/// May the body that leaves be another than the one that came?
pub(super) fn changes(format: Format, coding: Option<Coding>) -> bool {
    coding.is_some() || !matches!(format, Format::Opaque(_))
}

/// A body that is masked; it goes on without its content coding.
pub(super) fn inspected(
    plan: Arc<MaskPlan>,
    format: Format,
    coding: Option<Coding>,
    headers: &HeaderList,
    edits: &mut HeadEdits,
) -> Inspected {
    let mut masker = Masker::new(plan, format);
    if let Some(coding) = coding {
        edits.remove(b"content-encoding");
        masker = masker.opening(coding);
    }
    Inspected { masker, left: length(headers), patient: false }
}

/// How long the body is, if its head says it in a way that cannot be misread (RFC 9110, section 8.6).
fn length(headers: &HeaderList) -> Option<u64> {
    let value = single(headers, b"content-length").filter(|value| value.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Envoy's id of the request, if it is one that may be repeated in headers and logs.
fn request_id(headers: &HeaderList) -> String {
    single(headers, b"x-request-id")
        .filter(|id| {
            (1..=128).contains(&id.len())
                && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        })
        .and_then(|id| std::str::from_utf8(id).ok())
        .unwrap_or("-")
        .to_owned()
}
