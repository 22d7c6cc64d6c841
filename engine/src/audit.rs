//! [`AuditEvent`]: the one record of an exchange. Who, what, the decision and why, what was masked, over which connections.
//!
//! It holds names and counts, never content: no path, no query, no header value but the request id, no body. The caller's subject is
//! in it, because an audit without the caller is none.

mod structpb;

use crate::decision::{Denial, Direction, Permit, Reason};
use crate::identity::Identity;
use crate::mask::Findings;
use crate::policy::Policy;
use crate::policy::id::{RouteId, RuleId};
use crate::policy::model::TlsRequirement;
use crate::time::Timestamp;
use crate::transport::{TransportError, TransportFacts};
use serde::Serialize;

/// Version of the event's form.
pub const SCHEMA: &str = "veilwire.audit/v1";

/// One exchange, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    schema: &'static str,
    time: String,
    pub(crate) request_id: String,
    policy: PolicyRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    decision: Verb,
    /// Rules that decided; `default` if none did.
    rules: Vec<String>,
    /// Rules that are only observed, and would have denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    would_deny: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u32>,
    request: Side,
    response: Side,
    tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PolicyRef {
    name: String,
    revision: u64,
    digest: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Caller {
    subject: String,
    provider: String,
    groups: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    /// No filter decision was reached: the proxy refused first, or the client left.
    None,
    Allow,
    Deny,
}

/// Why an exchange did not go through.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Refusal {
    reason: &'static str,
    /// The exact cause, for the operator only.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    direction: &'static str,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Both messages went through to their ends.
    Complete,
    /// Somebody left, or it was cut.
    Cut,
    /// Refused by Veilwire.
    Refused,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    findings: Vec<FindingRecord>,
    /// What passed without a look, because the policy says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_inspected: Vec<UnseenRecord>,
    /// Findings whose location was not kept because there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    more_findings: u64,
    /// Pseudonyms that became their values again.
    #[serde(skip_serializing_if = "is_zero")]
    restored: u64,
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `skip_serializing_if` hands a reference")
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What was masked: by which mask, because of what, where, how often. Never the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct FindingRecord {
    mask: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<String>,
    tag: String,
    location: String,
    count: u64,
}

/// What was not looked at: the name by which the policy lets it pass, never what the message calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct UnseenRecord {
    content: String,
    location: String,
    count: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Tls {
    downstream: TransportFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<TransportFacts>,
}

/// Any JSON object as a serialised `google.protobuf.Struct`, for a filter in benchmarks that writes an event and looks at nothing.
#[cfg(any(test, feature = "test-util"))]
#[must_use]
pub fn encode_struct(object: &serde_json::Value) -> Vec<u8> {
    structpb::encode(object)
}

impl AuditEvent {
    pub(crate) fn new(policy: &Policy, downstream: TransportFacts, now: Timestamp) -> Self {
        AuditEvent {
            schema: SCHEMA,
            time: now.to_rfc3339(),
            request_id: "-".to_owned(),
            policy: PolicyRef {
                name: policy.name().to_owned(),
                revision: policy.revision(),
                digest: policy.digest().to_owned(),
            },
            caller: None,
            route: None,
            decision: Verb::None,
            rules: Vec::new(),
            would_deny: Vec::new(),
            refusal: None,
            outcome: Outcome::Cut,
            status: None,
            request: Side::default(),
            response: Side::default(),
            tls: Tls { downstream, upstream: None },
        }
    }

    /// The event as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and lists always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The event as a serialised `google.protobuf.Struct`, which proxies log as nested JSON.
    #[must_use]
    pub fn to_struct(&self) -> Vec<u8> {
        structpb::encode(&serde_json::to_value(self).unwrap_or_default())
    }

    /// How the exchange ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How many values were masked, in both directions.
    #[must_use]
    pub fn finding_count(&self) -> u64 {
        [&self.request, &self.response]
            .iter()
            .map(|side| {
                side.findings
                    .iter()
                    .fold(side.more_findings, |sum, finding| sum.saturating_add(finding.count))
            })
            .fold(0, u64::saturating_add)
    }

    /// Why it was refused, in the word of [`Reason::word`]; none if it was not.
    #[must_use]
    pub fn refusal(&self) -> Option<&'static str> {
        self.refusal.as_ref().map(|refusal| refusal.reason)
    }

    /// How many bodies, parts and texts passed without a look, in both directions.
    #[must_use]
    pub fn not_inspected_count(&self) -> u64 {
        let all = self.request.not_inspected.iter().chain(&self.response.not_inspected);
        all.fold(0, |sum, unseen| sum.saturating_add(unseen.count))
    }

    pub(crate) fn downstream(&self) -> &TransportFacts {
        &self.tls.downstream
    }

    pub(crate) fn check_upstream(&self, requirement: &TlsRequirement) -> Result<(), TransportError> {
        match &self.tls.upstream {
            Some(facts) => facts.check_upstream(requirement),
            None => TransportFacts::default().check_upstream(requirement),
        }
    }

    pub(crate) fn upstream(&mut self, facts: TransportFacts) {
        self.tls.upstream = Some(facts);
    }

    pub(crate) fn caller(&mut self, policy: &Policy, identity: &Identity) {
        let model = policy.model();
        self.caller = Some(Caller {
            subject: identity.subject.clone(),
            provider: model
                .providers
                .get(identity.provider.index())
                .map(|p| p.name.clone())
                .unwrap_or_default(),
            groups: identity
                .groups
                .iter()
                .filter_map(|id| model.groups.get(id.index()))
                .map(|g| g.name.clone())
                .collect(),
        });
    }

    pub(crate) fn would_deny(&mut self, policy: &Policy, rules: &[RuleId]) {
        self.would_deny = rules.iter().map(|&id| policy.rule_name(id).to_owned()).collect();
    }

    pub(crate) fn routed(&mut self, policy: &Policy, route: RouteId) {
        self.route = policy.route(route).map(|route| route.name.clone());
    }

    pub(crate) fn allowed(&mut self, policy: &Policy, permit: &Permit) {
        self.decision = Verb::Allow;
        self.rules = permit.rules().iter().map(|&id| policy.rule_name(id).to_owned()).collect();
    }

    pub(crate) fn refused(&mut self, policy: &Policy, direction: Direction, denial: &Denial) {
        // Only the first refusal counts; what follows is its consequence.
        if self.refusal.is_some() {
            return;
        }
        // A refusal after `allow` refuses content and does not take the decision back, unless the request never went on.
        let withdrawn =
            direction == Direction::Request && matches!(denial.reason, Reason::RouteMismatch | Reason::Host);
        if self.decision == Verb::None || withdrawn {
            self.decision = Verb::Deny;
            self.rules = match denial.reason {
                Reason::Default => vec!["default".to_owned()],
                _ => denial.rules.iter().map(|&id| policy.rule_name(id).to_owned()).collect(),
            };
        }
        let cause = match denial.reason {
            Reason::Unauthenticated(cause) => Some(cause.to_string()),
            Reason::Downstream(cause) | Reason::Upstream(cause) => Some(cause.to_string()),
            Reason::Content(cause) => Some(cause.to_string()),
            _ => None,
        };
        let direction = match direction {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        self.refusal = Some(Refusal { reason: denial.reason.word(), cause, direction });
    }

    pub(crate) fn status(&mut self, status: Option<u32>) {
        self.status = status;
    }

    pub(crate) fn found(&mut self, policy: &Policy, direction: Direction, findings: &Findings) {
        let model = policy.model();
        let side = match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        };
        side.more_findings = side.more_findings.saturating_add(findings.overflow());
        side.restored = side.restored.saturating_add(findings.restored());
        side.not_inspected.extend(findings.unseen().map(|unseen| {
            let content = unseen.kind.name(&model.limits).to_owned();
            UnseenRecord { content, location: unseen.location.clone(), count: unseen.count }
        }));
        side.findings.extend(findings.iter().map(|finding| {
            let detector = finding.detector().and_then(|id| model.detectors.get(id.index()));
            let tag = detector
                .map(|detector| detector.tag)
                .or(finding.tag())
                .and_then(|id| model.tags.get(id.index()));
            FindingRecord {
                mask: model.masks.get(finding.mask.index()).map(|mask| mask.name.clone()).unwrap_or_default(),
                detector: detector.map(|detector| detector.name.clone()),
                tag: tag.map(|tag| tag.name.clone()).unwrap_or_default(),
                location: finding.location.clone(),
                count: finding.count,
            }
        }));
    }

    pub(crate) fn close(&mut self, outcome: Outcome) {
        self.outcome = if self.refusal.is_some() { Outcome::Refused } else { outcome };
    }
}
