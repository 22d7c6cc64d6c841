//! The outcome of deciding, with its reasons, and the proof that it was made.

use crate::approval::ApprovalRequest;
use crate::identity::Unauthenticated;
use crate::mask::MaskError;
use crate::policy::id::{MaskId, RouteId, RuleId};
use crate::transport::TransportError;

/// What is to happen with an exchange.
#[derive(Debug)]
pub enum Decision {
    /// Let it through, with the permit's obligations.
    Allow(Permit),
    /// Ask a human first.
    Hold(ApprovalRequest),
    /// Refuse it.
    Deny(Denial),
}

/// Proof that `decide()` allowed this exchange, alone or by a human's verdict that it checked.
///
/// There is no public constructor: whoever holds a permit got it from `decide.rs`.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    pub(in crate::decision) route: RouteId,
    pub(in crate::decision) rules: Vec<RuleId>,
    pub(in crate::decision) masks: Vec<MaskId>,
}

impl Permit {
    /// Only `decide.rs` calls this; see `ARCHITECTURE.md`, invariants.
    pub(crate) fn issue(
        _: crate::decide::Issuer,
        route: RouteId,
        rules: Vec<RuleId>,
        masks: Vec<MaskId>,
    ) -> Self {
        Permit { route, rules, masks }
    }

    /// The decided route.
    #[must_use]
    pub fn route(&self) -> RouteId {
        self.route
    }

    /// Every `may` rule that matched, in id order.
    #[must_use]
    pub fn rules(&self) -> &[RuleId] {
        &self.rules
    }

    /// Union of the masks of these rules, in id order.
    #[must_use]
    pub fn masks(&self) -> &[MaskId] {
        &self.masks
    }
}

/// A refusal: why, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// The `mayNot` rules that matched.
    pub rules: Vec<RuleId>,
    /// Scopes with which a `may` rule would have matched (RFC 6750 section 3.1, `insufficient_scope`), in order.
    pub scopes: Vec<String>,
}

impl Denial {
    /// A denial that no rule is to blame for.
    #[must_use]
    pub fn because(reason: Reason) -> Self {
        Denial { reason, rules: Vec::new(), scopes: Vec::new() }
    }
}

/// Every reason for which an exchange is refused. Content is refused, access is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client's connection does not meet the policy.
    Downstream(TransportError),
    /// The upstream's connection does not meet the policy.
    Upstream(TransportError),
    /// The request line or a header that decides is malformed.
    Malformed,
    /// No valid identity.
    Unauthenticated(Unauthenticated),
    /// A `mayNot` rule matched.
    Rule,
    /// No `may` rule matched, or no route: the default.
    Default,
    /// A detector found something in the path, which cannot be changed.
    PathFinding,
    /// Envoy would route the request elsewhere than the policy decided.
    RouteMismatch,
    /// The human said no.
    ApprovalDenied,
    /// No verdict in time, or the approval service failed.
    ApprovalUnavailable,
    /// A type of content that cannot be inspected.
    ContentType,
    /// A content encoding that cannot be inspected.
    ContentEncoding,
    /// A partial response: its beginning was never seen.
    PartialContent,
    /// The content could not be inspected.
    Content(MaskError),
    /// The upstream did not answer, or Envoy answered in its place.
    UpstreamUnavailable,
    /// Rules ask for what is in the body, and it is longer than `limits.inspectBody`.
    BodyLimit,
    /// Rules ask for what is in the body, and too many bodies are held for them already.
    Busy,
    /// The host did not do what it was asked to.
    Host,
}

/// Which side an error belongs to decides the status: what the client sent is `4xx`, what the upstream sent is `502`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Request,
    /// From the upstream.
    Response,
}

impl Reason {
    /// The stable word of audit events, metrics and answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Reason::Downstream(_) => "tls-downstream",
            Reason::Upstream(_) => "tls-upstream",
            Reason::Malformed => "malformed",
            Reason::Unauthenticated(_) => "unauthenticated",
            Reason::Rule => "rule",
            Reason::Default => "default",
            Reason::PathFinding => "finding-in-path",
            Reason::RouteMismatch => "route-mismatch",
            Reason::ApprovalDenied => "approval-denied",
            Reason::ApprovalUnavailable => "approval-unavailable",
            Reason::ContentType => "content-type",
            Reason::ContentEncoding => "content-encoding",
            Reason::PartialContent => "partial-content",
            Reason::Content(error) => error.reason(),
            Reason::UpstreamUnavailable => "upstream-unavailable",
            Reason::BodyLimit => "body-limit",
            Reason::Busy => "busy",
            Reason::Host => "host-error",
        }
    }

    /// HTTP status of the answer (RFC 9110). `413` is for limits, `415` for what cannot be inspected.
    #[must_use]
    pub fn status(self, direction: Direction) -> u32 {
        match (self, direction) {
            // A verifier that could not run says nothing about the caller.
            (Reason::Unauthenticated(cause), _) if !cause.is_caller_fault() => 503,
            (Reason::Unauthenticated(_), _) => 401,
            (Reason::Downstream(_) | Reason::Rule | Reason::Default | Reason::RouteMismatch, _)
            | (Reason::PathFinding | Reason::ApprovalDenied, _) => 403,
            (Reason::Malformed, Direction::Request) => 400,
            (Reason::ApprovalUnavailable | Reason::Host | Reason::UpstreamUnavailable | Reason::Busy, _) => {
                503
            }
            (Reason::Upstream(_) | Reason::PartialContent, _) | (_, Direction::Response) => 502,
            (Reason::BodyLimit, Direction::Request) => 413,
            (Reason::ContentType | Reason::ContentEncoding, Direction::Request) => 415,
            // RFC 9110: content that breaks a limit, and content that is not what it says.
            (
                Reason::Content(
                    MaskError::TooDeep
                    | MaskError::Budget
                    | MaskError::Overflow
                    | MaskError::InflateRatio
                    | MaskError::MessageLimit,
                ),
                Direction::Request,
            ) => 413,
            (
                Reason::Content(
                    MaskError::InvalidJson
                    | MaskError::InvalidFrame
                    | MaskError::Truncated
                    | MaskError::Coding
                    | MaskError::Multipart,
                ),
                Direction::Request,
            ) => 400,
            (Reason::Content(_), Direction::Request) => 415,
        }
    }
}
