//! [`LiveKeys`]: the fetched keys that a worker verifies with, and the requests that wait for them.
//!
//! Guarantees: keys count only while they are young enough, whoever forgets to say so; a key set is exchanged as a whole;
//! a request waits only where a fetch is under way or may begin, at most [`MAX_WAITING`] do, and each is told when waiting is in
//! vain. A worker without a record has no keys.

use super::super::keys::KeySet;
use super::record::Record;
use crate::policy::id::ProviderId;
use crate::policy::model::{Provider, RemoteKeys};
use crate::time::Timestamp;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most requests of a worker that wait for keys.
pub const MAX_WAITING: u32 = 1_024;

/// The fetched keys of all providers of a policy. Shared by all policies of a worker that differ in secrets only.
#[derive(Debug, Default)]
pub struct LiveKeys {
    /// By `ProviderId`; `None` where keys are in the policy.
    slots: Vec<Option<Mutex<Slot>>>,
    waiting: AtomicU32,
}

#[derive(Debug)]
struct Slot {
    remote: RemoteKeys,
    keys: Option<Arc<KeySet>>,
    /// Grows whenever the keys are others.
    generation: u64,
    record: Record,
    /// A request showed a key id that is not in the set.
    unknown: bool,
}

/// Keys to verify with.
#[derive(Clone, Debug)]
pub(crate) struct CurrentKeys {
    pub(crate) keys: Arc<KeySet>,
    /// Tells these keys from earlier ones of the provider.
    pub(crate) generation: u64,
}

/// The place of a request that waits for keys; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    keys: Arc<LiveKeys>,
    provider: ProviderId,
    /// Number of the attempt whose end is waited for.
    attempt: u64,
}

impl LiveKeys {
    /// Places for the keys of these providers, all empty.
    pub(crate) fn new(providers: &[Provider]) -> LiveKeys {
        let slot = |remote: &RemoteKeys| {
            Mutex::new(Slot {
                remote: remote.clone(),
                keys: None,
                generation: 0,
                record: Record::default(),
                unknown: false,
            })
        };
        let slots = providers.iter().map(|provider| provider.remote.as_ref().map(slot)).collect();
        LiveKeys { slots, waiting: AtomicU32::new(0) }
    }

    /// How many requests wait now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The keys of a provider that count at `now`.
    pub(crate) fn current(&self, provider: ProviderId, now: Timestamp) -> Option<CurrentKeys> {
        let slot = self.slot(provider)?;
        // SECURITY: at the very end of time as well, which is what a host says that cannot read its clock.
        if now >= slot.record.good_until(&slot.remote) {
            return None;
        }
        slot.keys.as_ref().map(|keys| CurrentKeys { keys: Arc::clone(keys), generation: slot.generation })
    }

    /// A place to wait for other keys than the current ones; `None` if there will be none soon, or too many wait.
    pub(crate) fn wait(self: &Arc<Self>, provider: ProviderId, now: Timestamp) -> Option<Ticket> {
        let mut slot = self.slot(provider)?;
        let attempt = if slot.record.in_flight(now) {
            slot.record.begun
        } else if slot.record.may_begin(&slot.remote, now, true) {
            slot.unknown = true;
            slot.record.begun.saturating_add(1)
        } else {
            return None;
        };
        drop(slot);
        // The order does not matter: a bound, not a lock.
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Ticket { keys: Arc::clone(self), provider, attempt })
    }

    /// What was last read of a provider's record, and whether keys are wanted for an unknown key id.
    pub(super) fn wish(&self, provider: ProviderId) -> Option<bool> {
        self.slot(provider).map(|slot| slot.unknown)
    }

    /// When the keys of a provider were last seen to be the current ones.
    pub(super) fn fetched(&self, provider: ProviderId) -> Option<Timestamp> {
        self.slot(provider).map(|slot| slot.record.fetched)
    }

    /// Number of the key set that is in use.
    pub(super) fn set(&self, provider: ProviderId) -> Option<u64> {
        self.slot(provider).filter(|slot| slot.keys.is_some()).map(|slot| slot.record.set)
    }

    /// Takes over what the workers share: the record, and its keys if they are others than those in use.
    pub(super) fn learn(&self, provider: ProviderId, record: Record, keys: Option<Arc<KeySet>>) {
        let Some(mut slot) = self.slot(provider) else { return };
        // An attempt that was begun later than the wish is its answer.
        slot.unknown = slot.unknown && record.begun <= slot.record.begun;
        slot.record = record;
        if let Some(keys) = keys {
            slot.keys = Some(keys);
            slot.generation = slot.generation.saturating_add(1);
        }
    }

    fn slot(&self, provider: ProviderId) -> Option<MutexGuard<'_, Slot>> {
        let slot = self.slots.get(provider.index())?.as_ref()?;
        Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ticket {
    /// Whether waiting longer is in vain: the attempt has ended, or there will be none.
    pub(crate) fn is_settled(&self, now: Timestamp) -> bool {
        self.keys.slot(self.provider).is_none_or(|slot| {
            let record = &slot.record;
            record.ended >= self.attempt
                || !(record.in_flight(now) || record.may_begin(&slot.remote, now, true))
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.keys.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
