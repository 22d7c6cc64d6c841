//! Fetched keys: Envoy's part of the engine's `KeyKeeper`.
//!
//! Every worker and the main thread have a keeper; the shared store of Envoy says which of them fetches. Requests go out from the root
//! context only, so that their answers come whether or not the exchange that wanted them is still there.

use crate::host;
use crate::metrics::KeyMetrics;
use proxy_wasm::types::LogLevel;
use veilwire_engine::identity::{KeyAnswer, KeyHost, KeyHostError, KeyKeeper, KeyReport, KeyRequest};
use veilwire_engine::policy::Policy;
use veilwire_engine::time::Timestamp;

/// Keeps the keys of a policy current on this worker.
#[derive(Default)]
pub(crate) struct Keys {
    keeper: KeyKeeper,
    metrics: KeyMetrics,
}

impl Keys {
    /// For the providers of this policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        Keys { keeper: policy.key_keeper(), metrics: KeyMetrics::default() }
    }

    /// Whether there is nothing to keep.
    pub(crate) fn is_idle(&self) -> bool {
        self.keeper.is_idle()
    }

    pub(crate) fn tick(&mut self) {
        if !self.keeper.is_idle() {
            self.keeper.tick(&mut Envoy(&mut self.metrics));
            self.metrics.waiting(self.keeper.waiting());
        }
    }

    /// The answer to a call of the root context, by the sizes that Envoy gives.
    pub(crate) fn answer(&mut self, token: u32, headers: usize, body: usize) {
        let fetched = host::key_answer(headers, body);
        let answer = match &fetched {
            host::Fetched::Answer(status, body) => KeyAnswer::Answer { status: *status, body },
            host::Fetched::TooLong => KeyAnswer::TooLong,
            host::Fetched::Nothing => KeyAnswer::Failed,
        };
        self.keeper.answer(&mut Envoy(&mut self.metrics), token, answer);
    }
}

/// Envoy, during a callback of the root context.
struct Envoy<'a>(&'a mut KeyMetrics);

impl KeyHost for Envoy<'_> {
    fn now(&self) -> Timestamp {
        host::now()
    }

    fn shared_get(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), KeyHostError> {
        host::shared_get(key).map_err(|_| KeyHostError)
    }

    fn shared_cas(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, KeyHostError> {
        host::shared_cas(key, value, version).map_err(|_| KeyHostError)
    }

    fn fetch(&mut self, request: &KeyRequest) -> Result<u32, KeyHostError> {
        host::get(request).map_err(|_| KeyHostError)
    }

    fn report(&mut self, provider: &str, report: KeyReport) {
        self.0.count(provider, report);
        match report {
            KeyReport::Fetched { changed: true } => {
                host::log(LogLevel::Info, &format!("veilwire: keys of `{provider}` were fetched"));
            }
            KeyReport::Failed(error) => {
                host::log(
                    LogLevel::Warn,
                    &format!("veilwire: keys of `{provider}` were not fetched: {error}"),
                );
            }
            KeyReport::Fetched { changed: false } | KeyReport::State(_) => {}
        }
    }
}
