//! What became of a body, for programs and for people. Names, places and counts; never a byte of the body.

use super::End;
use super::body::{Body, TypeFrom};
use super::target::Target;
use serde::Serialize;
use veilwire_engine::decision::Direction;
use veilwire_engine::mask::{Finding, What};
use veilwire_engine::policy::Policy;

/// The report of one run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    policy: PolicyRef,
    route: String,
    content: String,
    direction: &'static str,
    /// The rules that allow the route.
    rules: Vec<String>,
    /// Their masks.
    masks: Vec<String>,
    /// Does any of them look at this body?
    covered: bool,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalRecord>,
    content_type: TypeRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    bytes_in: u64,
    bytes_out: u64,
    /// Bytes and state, after any piece.
    most_held: usize,
    findings: Vec<FindingRecord>,
    /// Findings whose place was not kept because there were too many.
    more_findings: u64,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PolicyRef {
    name: String,
    revision: u64,
    digest: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusalRecord {
    /// The word of audit events and metrics.
    reason: &'static str,
    message: String,
    /// The HTTP status, where the head has not left yet.
    status: u32,
    /// The client was told by an event of its own.
    error_event: bool,
}

#[derive(Clone, Debug, Serialize)]
struct TypeRecord {
    value: String,
    from: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct FindingRecord {
    mask: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<String>,
    tag: String,
    location: String,
    count: u64,
}

impl Report {
    pub(super) fn new(
        policy: &Policy,
        target: &Target,
        direction: Direction,
        body: &Body,
        end: End,
    ) -> Report {
        let findings = body.findings();
        let refusal = match end {
            End::Refused(refusal) => Some(RefusalRecord {
                reason: refusal.reason.word(),
                message: refusal.because.to_string(),
                status: refusal.reason.status(direction),
                error_event: body.error_event,
            }),
            End::Complete | End::Unread => None,
        };
        let direction = match direction {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        let mut notes = Vec::new();
        if target.mixed {
            notes.push("the rules of this route have different masks, and these are all of them: --as shows what one caller meets".to_owned());
        }
        if !body.covered {
            let route = &target.route_name;
            notes.push(format!(
                "no mask looks at the {direction} body of route `{route}`: it passes as it is"
            ));
        }
        Report {
            policy: PolicyRef {
                name: policy.name().to_owned(),
                revision: policy.revision(),
                digest: policy.digest().to_owned(),
            },
            route: target.route_name.clone(),
            content: target.content.clone(),
            direction,
            rules: target.rules.clone(),
            masks: target.masks.iter().map(|mask| mask_name(policy, mask.index())).collect(),
            covered: body.covered,
            outcome: match end {
                End::Complete => "complete",
                End::Refused(_) => "refused",
                End::Unread => "cut",
            },
            refusal,
            content_type: TypeRecord {
                value: body.content_type.clone(),
                from: match body.from {
                    TypeFrom::Given => "given",
                    TypeFrom::Sniffed => "sniffed",
                    TypeFrom::Default => "default",
                },
            },
            content_encoding: body.content_encoding.clone(),
            format: body.format.map(veilwire_engine::format::Format::name),
            bytes_in: body.bytes_in,
            bytes_out: body.bytes_out,
            most_held: body.most_held,
            findings: findings.iter().map(|finding| record(policy, finding)).collect(),
            more_findings: findings.overflow(),
            notes,
        }
    }

    /// One JSON document.
    pub(super) fn json(&self) -> String {
        // Names and numbers can always be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Only what must not be overlooked; empty if all went well.
    pub(super) fn human(&self) -> String {
        let mut text: String = self.notes.iter().map(|note| format!("note: {note}\n")).collect();
        if let Some(refusal) = &self.refusal {
            text.push_str(&format!("refused: {} ({})\n", refusal.message, refusal.reason));
            if self.content_type.from != "given" {
                let value = &self.content_type.value;
                text.push_str(&format!("help: it was taken for {value}; --content-type says what it is\n"));
            }
        }
        text
    }
}

fn record(policy: &Policy, finding: &Finding) -> FindingRecord {
    let model = policy.model();
    let (detector, tag) = match finding.what {
        What::Detector(id) => {
            let detector = model.detectors.get(id.index());
            (detector.map(|detector| detector.name.clone()), detector.map(|detector| detector.tag))
        }
        What::Field(tag) => (None, Some(tag)),
    };
    let tag = tag.and_then(|tag| model.tags.get(tag.index())).map(|tag| tag.name.clone());
    FindingRecord {
        mask: mask_name(policy, finding.mask.index()),
        detector,
        tag: tag.unwrap_or_default(),
        location: finding.location.clone(),
        count: finding.count,
    }
}

fn mask_name(policy: &Policy, index: usize) -> String {
    policy.model().masks.get(index).map(|mask| mask.name.clone()).unwrap_or_default()
}
