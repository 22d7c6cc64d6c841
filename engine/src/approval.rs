//! Human approval: what is asked, and how an answer is bound to it.
//!
//! A held exchange carries its permit sealed inside the [`ApprovalRequest`]; only `decide::decide_held` opens it, for a verdict
//! that names the digest of exactly this request and was given before it expired.

use crate::decide::Facts;
use crate::decision::Permit;
use crate::policy::id::{MaskId, RouteId, RuleId};
use crate::policy::model::Approval;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// An exchange that waits for a human.
#[derive(Debug)]
pub struct ApprovalRequest {
    permit: Permit,
    digest: String,
    subject: String,
    approval: Approval,
    expires: Timestamp,
}

impl ApprovalRequest {
    pub(crate) fn new(permit: Permit, approval: &Approval, facts: &Facts<'_>, now: Timestamp) -> Self {
        let mut hash = Sha256::new();
        // Length-prefixed, so that no two requests share a digest by moving bytes between fields.
        for part in [facts.identity.subject.as_str(), facts.host, facts.path, facts.method] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(now.0.to_le_bytes());
        ApprovalRequest {
            permit,
            digest: hex(&hash.finalize()),
            subject: facts.identity.subject.clone(),
            approval: approval.clone(),
            expires: now.saturating_add_millis(approval.timeout_ms),
        }
    }

    /// Digest of what is approved: caller, host, path, method and time of the request.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// When the answer becomes no.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Where the answer comes from.
    #[must_use]
    pub fn service(&self) -> &Approval {
        &self.approval
    }

    /// The question, as JSON for the approval service.
    #[must_use]
    pub fn question(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Question<'a> {
            digest: &'a str,
            subject: &'a str,
            expires: String,
        }
        let question =
            Question { digest: &self.digest, subject: &self.subject, expires: self.expires.to_rfc3339() };
        serde_json::to_vec(&question).unwrap_or_default()
    }

    /// What a permit would oblige to.
    pub(crate) fn obligations(&self) -> (RouteId, Vec<MaskId>) {
        (self.permit.route(), self.permit.masks().to_vec())
    }

    pub(crate) fn into_obligations(self) -> (RouteId, Vec<RuleId>, Vec<MaskId>) {
        (self.permit.route(), self.permit.rules().to_vec(), self.permit.masks().to_vec())
    }
}

/// A human's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `true` lets the exchange through.
    approve: bool,
    /// Must repeat the digest of the question.
    digest: String,
}

impl Verdict {
    /// Reads the answer of the approval service; anything but the exact form is no verdict.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    pub(crate) fn approves(&self, request: &ApprovalRequest) -> bool {
        self.approve && self.digest == request.digest
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
