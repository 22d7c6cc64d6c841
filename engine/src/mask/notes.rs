//! What is noted while a message is rewritten: what was found in it, and which tokens stand for values of it.

use super::finding::{Findings, UnseenKind, What};
use super::pseudonym::{Form, Party};
use crate::policy::id::MaskId;

/// The notes of one message, or of a part of it.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) findings: Findings,
    /// Where the tokens of the exchange are.
    party: Option<Party>,
}

impl Notes {
    /// For a message of this side of an exchange.
    pub(crate) fn of(party: Party) -> Notes {
        Notes { findings: Findings::default(), party: Some(party) }
    }

    /// The same for another part of the same side.
    pub(crate) fn join(&mut self, party: Party) {
        self.party = Some(party);
    }

    /// Are values given tokens here?
    pub(crate) fn issues(&self) -> bool {
        self.party.as_ref().is_some_and(Party::issues)
    }

    /// The token of a value.
    pub(crate) fn token(&self, name: &str, value: &[u8], limit: usize) -> Option<String> {
        self.party.as_ref()?.token(name, value, limit)
    }

    /// The value of a token.
    pub(crate) fn value(&self, token: &[u8]) -> Option<(Vec<u8>, Form)> {
        self.party.as_ref()?.value(token)
    }

    /// See [`Findings::record`].
    pub(crate) fn record(&mut self, mask: MaskId, what: What, location: &str) {
        self.findings.record(mask, what, location);
    }

    /// See [`Findings::restore`].
    pub(crate) fn restore(&mut self) {
        self.findings.restore();
    }

    /// See [`Findings::pass`].
    pub(crate) fn pass(&mut self, kind: UnseenKind, location: String) {
        self.findings.pass(kind, location);
    }
}
