//! What the host must do now.

use crate::decision::{Direction, Reason};
use crate::mask::MaskError;
use crate::policy::Policy;
use crate::policy::id::RuleId;
use serde::Serialize;

/// What the host must do with a paused or arriving head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let it go on.
    Continue,
    /// Keep it; an answer or the deadline decides.
    Pause,
    /// Answer the client instead.
    Reply(LocalReply),
    /// Cut the exchange: an answer is no longer possible.
    Abort,
}

/// What the host must do with a body chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyStep {
    /// Forward it as it is.
    Pass,
    /// Forward the output instead.
    Emit,
    /// Keep the output in the host's buffer: trailers may end the message here, and then only what is still in the buffer
    /// can be written to. What is undecided stays with the exchange.
    WriteBack,
    /// Answer the client instead.
    Reply(LocalReply),
    /// Forward the output (what was decided before the refusal, and an error event if one fits), swallow the rest, then cut.
    Cut {
        /// The output ends with an error event, so that the client knows even if the message ends here in good order.
        told: bool,
    },
}

/// An answer in place of the upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status.
    pub status: u32,
    /// Headers, lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Body; of a gRPC answer the message, not yet percent-encoded.
    pub body: Vec<u8>,
    /// The client speaks gRPC: the answer is trailers-only (gRPC over HTTP/2, "Responses") with this `grpc-status`, and
    /// `status` is what it would have been without gRPC.
    pub grpc_status: Option<u32>,
}

/// RFC 9457. It says which rule decided and which request it was, and nothing about the inside of the policy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u32,
    detail: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    request_id: &'a str,
}

/// A refusal as a client of JSON-RPC 2.0 reads it (section 5): an error with the problem as its data. Nobody has read the
/// request's id, and the specification says `null` then.
#[derive(Serialize)]
struct RpcRefusal<'a> {
    jsonrpc: &'static str,
    id: (),
    error: RpcError<'a>,
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'static str,
    data: Problem<'a>,
}

impl<'a> RpcRefusal<'a> {
    fn new(problem: Problem<'a>) -> Self {
        // The first of those that are left to servers (section 5.1).
        let error = RpcError { code: -32_000, message: problem.detail, data: problem };
        RpcRefusal { jsonrpc: "2.0", id: (), error }
    }
}

/// How the client reads a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// RFC 9457.
    Problem,
    /// A trailers-only answer.
    Grpc,
    /// An error of JSON-RPC 2.0, under the HTTP status that any other client would get.
    JsonRpc,
}

impl LocalReply {
    /// RFC 6750 section 3.1: with which scopes a token would do.
    pub(crate) fn ask_for_scopes(&mut self, scopes: &[String]) {
        let plain =
            |scope: &&str| scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).filter(plain).collect();
        if !scopes.is_empty() {
            let scopes = scopes.join(" ");
            let value = format!(r#"Bearer realm="veilwire", error="insufficient_scope", scope="{scopes}""#);
            self.headers.push(("www-authenticate", value));
        }
    }

    /// The answer to a refusal.
    pub(crate) fn problem(
        reason: Reason,
        direction: Direction,
        policy: &Policy,
        rules: &[RuleId],
        request_id: &str,
        form: Form,
    ) -> Self {
        Self::with_status(reason, reason.status(direction), policy, rules, request_id, form)
    }

    pub(crate) fn with_status(
        reason: Reason,
        status: u32,
        policy: &Policy,
        rules: &[RuleId],
        request_id: &str,
        form: Form,
    ) -> Self {
        let rule = match (reason, rules.first()) {
            (Reason::Rule, Some(&rule)) => Some(policy.rule_name(rule)),
            (Reason::Default, _) => Some("default"),
            _ => None,
        };
        let message = rules
            .first()
            .and_then(|rule| policy.model().rules.get(rule.index()))
            .and_then(|rule| rule.message.as_deref());
        if form == Form::Grpc {
            return LocalReply::grpc(reason, status, rule, message, request_id);
        }
        let problem = Problem {
            kind: "about:blank",
            title: title(status),
            status,
            detail: detail(reason),
            rule,
            message,
            request_id,
        };
        let content_type = match form {
            Form::JsonRpc => "application/json",
            Form::Problem | Form::Grpc => "application/problem+json",
        };
        let mut headers =
            vec![("content-type", content_type.to_owned()), ("cache-control", "no-store".to_owned())];
        if let Reason::Unauthenticated(cause) = reason
            && cause.is_caller_fault()
        {
            headers.push(("www-authenticate", cause.www_authenticate().to_owned()));
        }
        // A struct of strings and a number always has a JSON form.
        let body = match form {
            Form::JsonRpc => serde_json::to_vec(&RpcRefusal::new(problem)),
            Form::Problem | Form::Grpc => serde_json::to_vec(&problem),
        };
        let body = body.unwrap_or_default();
        LocalReply { status, headers, body, grpc_status: None }
    }

    /// The same for a client that reads neither bodies nor HTTP statuses.
    fn grpc(
        reason: Reason,
        status: u32,
        rule: Option<&str>,
        message: Option<&str>,
        request_id: &str,
    ) -> Self {
        let mut text = detail(reason).to_owned();
        for more in [rule, message].into_iter().flatten() {
            text.push_str(": ");
            text.push_str(more);
        }
        let mut headers = vec![("x-veilwire-request-id", request_id.to_owned())];
        if reason == Reason::Content(MaskError::Compressed) {
            headers.push(("grpc-accept-encoding", "identity,deflate,gzip".to_owned()));
        }
        let grpc_status = Some(grpc_status(reason, status));
        LocalReply { status, headers, body: text.into_bytes(), grpc_status }
    }
}

/// The one table of gRPC statuses (gRPC core, "Status codes and their use"). `UNAVAILABLE` invites to try again, so it is
/// only said where that may help.
fn grpc_status(reason: Reason, status: u32) -> u32 {
    match (reason, status) {
        // UNIMPLEMENTED, as gRPC wants it for a compression that is not supported.
        (Reason::Content(MaskError::Compressed), _) | (_, 415) => 12,
        (_, 400) => 3,  // INVALID_ARGUMENT
        (_, 401) => 16, // UNAUTHENTICATED
        (_, 403) => 7,  // PERMISSION_DENIED
        (_, 413) => 8,  // RESOURCE_EXHAUSTED
        (_, 502) => 13, // INTERNAL
        (_, 503) => 14, // UNAVAILABLE
        (_, 504) => 4,  // DEADLINE_EXCEEDED
        _ => 2,         // UNKNOWN
    }
}

fn title(status: u32) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Refused",
    }
}

/// One sentence for the caller. What only the operator may know is in the audit event.
fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::Downstream(_) => "the connection does not meet the transport requirements",
        Reason::Upstream(_) => "the connection to the upstream does not meet the transport requirements",
        Reason::Malformed => "the request is malformed",
        Reason::Unauthenticated(cause) if !cause.is_caller_fault() => "tokens cannot be verified at present",
        Reason::Unauthenticated(_) => "a valid bearer token is required",
        Reason::Rule => "a rule forbids this request",
        Reason::Default => "no rule allows this request",
        Reason::PathFinding => "the path holds something that must not be sent",
        Reason::RouteMismatch => "the request would be routed elsewhere than decided",
        Reason::ApprovalDenied => "the approval was refused",
        Reason::ApprovalUnavailable => "no approval was given in time",
        Reason::ContentType => "content of this type cannot be inspected",
        Reason::ContentEncoding => "content with this encoding cannot be inspected",
        Reason::PartialContent => "a partial response cannot be inspected",
        Reason::Content(_) => "the content cannot be inspected",
        Reason::UpstreamUnavailable => "the upstream did not answer",
        Reason::BodyLimit => "the body is too long to decide about",
        Reason::Busy => "too many requests wait for a decision at present",
        Reason::Host => "the exchange could not be carried out safely",
    }
}

#[cfg(test)]
mod tests;
