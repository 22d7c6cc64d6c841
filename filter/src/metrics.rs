//! Counters, as Envoy exports them (`wasmcustom.veilwire_…`). Names have no labels but the closed set of reasons, so nothing of the
//! traffic can be in them.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use veilwire_engine::audit::{AuditEvent, Outcome};

/// Ids of the counters; defined on first use.
#[derive(Default)]
pub(crate) struct Metrics {
    complete: Counter,
    cut: Counter,
    refused: Counter,
    findings: Counter,
    not_inspected: Counter,
    /// Refusals by the word of their reason.
    reasons: RefCell<BTreeMap<&'static str, Counter>>,
}

#[derive(Default)]
struct Counter(OnceCell<Option<u32>>);

impl Metrics {
    pub(crate) fn count(&self, event: &AuditEvent) {
        match event.outcome() {
            Outcome::Complete => self.complete.add("veilwire_exchanges_complete", 1),
            Outcome::Cut => self.cut.add("veilwire_exchanges_cut", 1),
            Outcome::Refused => self.refused.add("veilwire_exchanges_refused", 1),
        }
        self.findings.add("veilwire_findings", event.finding_count());
        self.not_inspected.add("veilwire_not_inspected", event.not_inspected_count());
        if let (Some(reason), Ok(mut reasons)) = (event.refusal(), self.reasons.try_borrow_mut()) {
            let name = format!("veilwire_refused_{}", reason.replace('-', "_"));
            reasons.entry(reason).or_default().add(&name, 1);
        }
    }
}

impl Counter {
    fn add(&self, name: &str, count: u64) {
        let id = self.0.get_or_init(|| hostcalls::define_metric(MetricType::Counter, name).ok());
        if let (Some(id), Ok(count)) = (id, i64::try_from(count)) {
            // A metric that cannot be counted must not disturb the exchange; the audit event has the same facts.
            let _ = hostcalls::increment_metric(*id, count);
        }
    }
}
