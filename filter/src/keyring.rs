//! Keys of replacements, and the policy with them.
//!
//! A key in the environment is read once, when the policy is loaded: without it the policy is refused. A key that Envoy holds as
//! a secret is known in exchanges only. The first one that brings it loads the policy again, with it, and so does the first one that
//! brings another; exchanges that run keep theirs. Guarantees: an exchange without a usable key is refused, and none ever gets
//! an older one. Keys are wiped when they are dropped and printed nowhere.

use crate::host;
use proxy_wasm::types::LogLevel;
use std::cell::RefCell;
use std::sync::Arc;
use veilwire_engine::policy::model::{Key, KeySource};
use veilwire_engine::policy::secret::Secret;
use veilwire_engine::policy::{InvalidPolicy, Policy};

/// Keys that come with exchanges. Empty where all are in the environment.
#[derive(Default)]
pub(crate) struct Keyring(RefCell<Option<Ring>>);

struct Ring {
    artifact: Vec<u8>,
    /// The policy without keys, whose providers' keys all others verify with.
    plain: Option<Arc<Policy>>,
    keys: Vec<Key>,
    /// What came last: the keys and the policy with them, if they were usable.
    last: Option<(Vec<Secret>, Arc<Policy>)>,
    /// The last exchange had no usable key.
    missing: bool,
}

impl Keyring {
    /// Loads a policy, with the keys that are known now.
    pub(crate) fn load(&self, artifact: &[u8]) -> Result<Policy, InvalidPolicy> {
        let policy = Policy::load(artifact)?;
        let in_state = |key: &Key| matches!(key.from, KeySource::FilterState(_));
        if !policy.keys().iter().any(in_state) {
            self.0.replace(None);
            return Policy::load_with_keys(artifact, &value);
        }
        for (key, place) in policy.keys().iter().zip(0..) {
            if !in_state(key) && secret(key).is_none() {
                return Err(InvalidPolicy::Key(place));
            }
        }
        let keys = policy.keys().to_vec();
        self.0.replace(Some(Ring {
            artifact: artifact.to_vec(),
            plain: None,
            keys,
            last: None,
            missing: false,
        }));
        Ok(policy)
    }

    /// Is the policy complete without what exchanges bring?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.try_borrow().is_ok_and(|ring| ring.is_none())
    }

    /// Every policy that comes of this ring verifies tokens with the fetched keys of `plain`.
    pub(crate) fn share(&self, plain: &Arc<Policy>) {
        if let Ok(mut ring) = self.0.try_borrow_mut()
            && let Some(ring) = ring.as_mut()
        {
            ring.plain = Some(Arc::clone(plain));
        }
    }

    /// The policy with the keys of the exchange at hand.
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        self.0.try_borrow_mut().ok()?.as_mut()?.policy()
    }
}

impl Ring {
    fn policy(&mut self) -> Option<Arc<Policy>> {
        let policy = self.current();
        if policy.is_none() && !self.missing {
            host::log(
                LogLevel::Error,
                "veilwire: a key of the policy is missing, damaged or too short: exchanges are refused",
            );
        }
        self.missing = policy.is_none();
        policy
    }

    fn current(&mut self) -> Option<Arc<Policy>> {
        let secrets = self.keys.iter().map(secret).collect::<Option<Vec<_>>>()?;
        if let Some((known, policy)) = &self.last
            && *known == secrets
        {
            return Some(Arc::clone(policy));
        }
        let policy = Policy::load_with_keys(&self.artifact, &value).ok()?;
        let policy = Arc::new(policy.sharing_keys_of(self.plain.as_ref()?));
        self.last = Some((secrets, Arc::clone(&policy)));
        Some(policy)
    }
}

fn secret(key: &Key) -> Option<Secret> {
    Secret::read(&value(key)?)
}

/// A key as it is handed over.
fn value(key: &Key) -> Option<Vec<u8>> {
    match &key.from {
        KeySource::Environment(name) => host::environment(name),
        KeySource::FilterState(name) => host::filter_state(name),
    }
}
