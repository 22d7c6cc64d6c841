//! The root context: loads the artifact, keeps fetched keys current, wakes exchanges that wait.
//!
//! A configuration that is not a valid artifact is refused: Envoy then does not start, or keeps its old listener.

use crate::host::{self, EnvoyHost, Phase};
use crate::http::Http;
use crate::keyring::Keyring;
use crate::keys::Keys;
use crate::metrics::Metrics;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use veilwire_engine::driver::Driver;
use veilwire_engine::policy::{Policy, artifact};
use veilwire_engine::time::Timestamp;

/// Milliseconds between looks at exchanges that wait.
const TICK_MS: u64 = 1_000;
/// The same where keys are fetched: what other workers fetched is seen this late.
const KEYS_TICK_MS: u64 = 100;

/// The root context of a plugin.
#[derive(Default)]
pub(crate) struct Root {
    shared: Rc<Shared>,
    keys: Keys,
}

/// What all exchanges of a VM share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Where keys come with exchanges: without them.
    policy: RefCell<Option<Arc<Policy>>>,
    keyring: Keyring,
    pub(crate) metrics: Metrics,
    /// Exchanges that run, by context id.
    drivers: RefCell<BTreeMap<u32, Rc<RefCell<Driver>>>>,
    /// When they want to be woken.
    wakes: RefCell<BTreeMap<u32, Timestamp>>,
}

impl Shared {
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        self.policy.try_borrow().ok()?.clone()
    }

    /// The policy for an exchange that begins, with the keys that come with it; none if one is missing, damaged or too short.
    pub(crate) fn policy_of_exchange(&self) -> Option<Arc<Policy>> {
        if self.keyring.is_empty() { self.policy() } else { self.keyring.policy() }
    }

    pub(crate) fn enter(&self, context_id: u32, driver: &Rc<RefCell<Driver>>) {
        if let Ok(mut drivers) = self.drivers.try_borrow_mut() {
            drivers.insert(context_id, Rc::clone(driver));
        }
    }

    pub(crate) fn leave(&self, context_id: u32) {
        self.wake(context_id, None);
        if let Ok(mut drivers) = self.drivers.try_borrow_mut() {
            drivers.remove(&context_id);
        }
    }

    pub(crate) fn wake(&self, context_id: u32, at: Option<Timestamp>) {
        if let Ok(mut wakes) = self.wakes.try_borrow_mut() {
            match at {
                Some(at) => wakes.insert(context_id, at),
                None => wakes.remove(&context_id),
            };
        }
    }

    fn due(&self, now: Timestamp) -> Vec<(u32, Rc<RefCell<Driver>>)> {
        let (Ok(wakes), Ok(drivers)) = (self.wakes.try_borrow(), self.drivers.try_borrow()) else {
            return Vec::new();
        };
        let due = wakes.iter().filter(|(_, at)| **at <= now);
        due.filter_map(|(id, _)| Some((*id, Rc::clone(drivers.get(id)?)))).collect()
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        self.keys.answer(token, headers, body);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = host::plugin_configuration();
        let policy = artifact::from_configuration(&configuration)
            .map_err(Into::into)
            .and_then(|bytes| self.shared.keyring.load(&bytes));
        match policy {
            Ok(policy) => {
                host::log(
                    LogLevel::Info,
                    &format!(
                        "veilwire: policy `{}` revision {} digest {}",
                        policy.name(),
                        policy.revision(),
                        policy.digest()
                    ),
                );
                host::declare_audit();
                self.keys = Keys::of(&policy);
                host::tick_every(if self.keys.is_idle() { TICK_MS } else { KEYS_TICK_MS });
                let policy = Arc::new(policy);
                self.shared.keyring.share(&policy);
                self.shared.policy.replace(Some(policy));
                true
            }
            Err(error) => {
                host::log(LogLevel::Critical, &format!("veilwire: the policy is refused: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        // Before any exchange is woken: afterwards calls are those of its context.
        self.keys.tick();
        for (context_id, driver) in self.shared.due(host::now()) {
            self.shared.wake(context_id, None);
            if !host::enter_context(context_id) {
                continue;
            }
            if let Ok(mut driver) = driver.try_borrow_mut() {
                driver.deadline(&mut EnvoyHost::new(context_id, &self.shared, Phase::Woken));
            }
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(context_id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
