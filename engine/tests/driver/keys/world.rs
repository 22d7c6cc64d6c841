//! Workers with a keeper each, the store they share, and their clock.

use crate::support::{NOW, model};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use veilwire_engine::identity::{
    KeyAnswer, KeyHost, KeyHostError, KeyKeeper, KeyReport, KeyRequest, KeyState,
};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{Document, Model, RemoteKeys};
use veilwire_engine::time::Timestamp;

pub(crate) const ISSUER: &str = "https://idp.test";
pub(crate) const REFRESH: u64 = 300;
pub(crate) const STALE: u64 = 3_600;

/// The model of the other tests, with fetched keys.
pub(crate) fn remote(document: Document) -> Model {
    let mut model = model();
    let provider = &mut model.providers[0];
    provider.jwks = String::new();
    provider.remote = Some(RemoteKeys {
        cluster: "service.idp".into(),
        authority: "idp.test".into(),
        document,
        path: "/first".into(),
        refresh_seconds: u32::try_from(REFRESH).unwrap(),
        stale_seconds: u32::try_from(STALE).unwrap(),
    });
    model
}

/// The keys that tokens of these tests are signed with.
pub(crate) fn keys() -> String {
    model().providers[0].jwks.clone()
}

/// A good key set without the key of these tests.
pub(crate) fn other_keys() -> String {
    keys().replace("\"k1\"", "\"k2\"")
}

/// Everything that workers share.
#[derive(Debug, Default)]
pub(crate) struct World {
    store: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    version: RefCell<u32>,
    pub(crate) now: Timestamp,
    /// Requests that were not answered yet: worker, token, request.
    pub(crate) asked: Vec<(usize, u32, KeyRequest)>,
    /// When requests went out.
    pub(crate) times: Vec<Timestamp>,
    pub(crate) reports: Vec<KeyReport>,
    tokens: u32,
    /// The host sends nothing.
    pub(crate) broken: bool,
    /// The store does not answer.
    pub(crate) storeless: bool,
}

pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) policy: Arc<Policy>,
    pub(crate) keeper: KeyKeeper,
}

struct View<'a> {
    world: &'a mut World,
    worker: usize,
}

impl World {
    pub(crate) fn new() -> World {
        World { now: NOW, ..World::default() }
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now.saturating_add_millis(millis);
    }

    /// What the latest `State` report of any worker says.
    pub(crate) fn state(&self) -> Option<KeyState> {
        self.reports.iter().rev().find_map(|report| match report {
            KeyReport::State(state) => Some(*state),
            _ => None,
        })
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = |report: &KeyReport| match report {
            KeyReport::Failed(error) => Some(error.to_string()),
            _ => None,
        };
        self.reports.iter().filter_map(failed).collect()
    }
}

impl Worker {
    pub(crate) fn new(number: usize, model: &Model) -> Worker {
        let policy = Arc::new(Policy::from_model(model).unwrap());
        Worker { number, keeper: policy.key_keeper(), policy }
    }

    pub(crate) fn tick(&mut self, world: &mut World) {
        self.keeper.tick(&mut View { world, worker: self.number });
    }

    /// Ticks twice: without a record the first only makes one.
    pub(crate) fn settle(&mut self, world: &mut World) {
        self.tick(world);
        self.tick(world);
    }

    /// Answers the one request of this worker; gives what was asked.
    pub(crate) fn answer(&mut self, world: &mut World, answer: KeyAnswer<'_>) -> KeyRequest {
        let place = world.asked.iter().position(|(worker, ..)| *worker == self.number).unwrap();
        let (_, token, request) = world.asked.remove(place);
        self.keeper.answer(&mut View { world, worker: self.number }, token, answer);
        request
    }

    pub(crate) fn give(&mut self, world: &mut World, set: &str) -> KeyRequest {
        self.answer(world, KeyAnswer::Answer { status: 200, body: set.as_bytes() })
    }
}

impl KeyHost for View<'_> {
    fn now(&self) -> Timestamp {
        self.world.now
    }

    fn shared_get(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), KeyHostError> {
        if self.world.storeless {
            return Err(KeyHostError);
        }
        let store = self.world.store.borrow();
        Ok(store.get(key).map_or((None, None), |(bytes, version)| (Some(bytes.clone()), Some(*version))))
    }

    fn shared_cas(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, KeyHostError> {
        let mut store = self.world.store.borrow_mut();
        // As Envoy does it: without a version, or without an entry, a value always wins.
        let wins = match (store.get(key), version) {
            (Some((_, there)), Some(expected)) => *there == expected,
            _ => true,
        };
        if wins {
            let mut version = self.world.version.borrow_mut();
            *version += 1;
            store.insert(key.to_owned(), (value.to_vec(), *version));
        }
        Ok(wins)
    }

    fn fetch(&mut self, request: &KeyRequest) -> Result<u32, KeyHostError> {
        if self.world.broken {
            return Err(KeyHostError);
        }
        self.world.tokens += 1;
        self.world.times.push(self.world.now);
        self.world.asked.push((self.worker, self.world.tokens, request.clone()));
        Ok(self.world.tokens)
    }

    fn report(&mut self, provider: &str, report: KeyReport) {
        assert_eq!(provider, "idp");
        self.world.reports.push(report);
    }
}
