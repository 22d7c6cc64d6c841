//! Counters, as Envoy exports them (`wasmcustom.veilwire_…`). Names have no labels but the closed set of reasons, so nothing of the
//! traffic can be in them.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use veilwire_engine::audit::{AuditEvent, Outcome};
use veilwire_engine::identity::{KeyReport, KeyState};

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

/// What is counted of fetched keys. Names of providers are those of the policy.
#[derive(Default)]
pub(crate) struct KeyMetrics {
    fetched: Counter,
    failed: Counter,
    waiting: Gauge,
    /// By provider: state (0 absent, 1 fresh, 2 stale) and age in seconds.
    providers: BTreeMap<String, (Gauge, Gauge)>,
}

/// A gauge; what it was told last.
#[derive(Default)]
struct Gauge {
    id: OnceCell<Option<u32>>,
    last: i64,
}

impl KeyMetrics {
    pub(crate) fn count(&mut self, provider: &str, report: KeyReport) {
        let (state, age) = match report {
            KeyReport::Fetched { .. } => return self.fetched.add("veilwire_keys_fetched", 1),
            KeyReport::Failed(_) => return self.failed.add("veilwire_keys_failed", 1),
            KeyReport::State(KeyState::Absent) => (0, 0),
            KeyReport::State(KeyState::Fresh(age)) => (1, age),
            KeyReport::State(KeyState::Stale(age)) => (2, age),
        };
        let label = || provider.replace('-', "_");
        if !self.providers.contains_key(provider) {
            self.providers.insert(provider.to_owned(), Default::default());
        }
        if let Some((states, ages)) = self.providers.get_mut(provider) {
            // All workers say the same, so the last one is right.
            states.set(&|| format!("veilwire_keys_state_{}", label()), state);
            ages.set(
                &|| format!("veilwire_keys_age_seconds_{}", label()),
                i64::try_from(age).unwrap_or(i64::MAX),
            );
        }
    }

    /// Requests of this worker that wait; the gauge is the sum over all workers.
    pub(crate) fn waiting(&mut self, count: u32) {
        self.waiting.move_to(&|| "veilwire_keys_waiting".to_owned(), i64::from(count));
    }
}

impl Gauge {
    fn id(&self, name: &dyn Fn() -> String) -> Option<u32> {
        *self.id.get_or_init(|| hostcalls::define_metric(MetricType::Gauge, &name()).ok())
    }

    fn set(&mut self, name: &dyn Fn() -> String, value: i64) {
        if let Some(id) = self.id(name)
            && let Ok(value) = u64::try_from(value)
        {
            let _ = hostcalls::record_metric(id, value);
        }
    }

    /// Adds what changed since, so that workers count together.
    fn move_to(&mut self, name: &dyn Fn() -> String, value: i64) {
        if let Some(id) = self.id(name)
            && value != self.last
        {
            let _ = hostcalls::increment_metric(id, value.saturating_sub(self.last));
            self.last = value;
        }
    }
}
