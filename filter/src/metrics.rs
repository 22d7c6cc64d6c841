//! Counters, as Envoy exports them (`wasmcustom.veilwire_…`). Names have no labels, so nothing of the traffic can be in them.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::cell::OnceCell;
use veilwire_engine::audit::{AuditEvent, Outcome};

/// Ids of the counters; defined on first use.
#[derive(Default)]
pub(crate) struct Metrics {
    complete: Counter,
    cut: Counter,
    refused: Counter,
    findings: Counter,
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
