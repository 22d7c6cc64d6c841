//! Keys that are fetched: when, by which worker, what of an answer is believed, and how all workers come to know it.
//!
//! Sans-I/O. A [`KeyKeeper`] belongs to a worker; its host calls [`KeyKeeper::tick`] often and hands in what comes back. Guarantees:
//! one worker at a time fetches the keys of a provider; what is not a usable key set for the policy changes nothing but
//! the time of the next attempt, so keys never become fewer by accident; failures pause up to a minute; unknown key ids make
//! at most one fetch in ten seconds over all workers; keys that were not seen for too long are gone. Redirections are not followed, and
//! no answer is believed from elsewhere than the named service. It does no transport: that the service proved its name is
//! the host's part.

mod answer;
mod live;
mod record;

pub use answer::FetchError;
pub(crate) use live::Ticket;
pub use live::{LiveKeys, MAX_WAITING};

use crate::approval::hex;
use crate::policy::id::ProviderId;
use crate::policy::model::{Algorithm, Document, Provider, RemoteKeys};
use crate::time::Timestamp;
use answer::{key_set, key_set_path};
use record::Record;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// How long a service may take for one answer, in milliseconds.
pub(crate) const ANSWER_MS: u64 = 5_000;
/// Longest answer that is looked at, in bytes; hosts need not hand in longer ones.
pub const MAX_ANSWER_LENGTH: usize = 256 * 1024;
/// How often somebody else may be faster at the record before this tick gives up.
const MOST_TRIES: usize = 4;

/// The host did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host refused a call")]
pub struct KeyHostError;

/// What fetches keys for a [`KeyKeeper`].
pub trait KeyHost {
    /// The time.
    fn now(&self) -> Timestamp;
    /// A value shared by all workers, with its version.
    ///
    /// # Errors
    /// The store is not available.
    fn shared_get(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), KeyHostError>;
    /// Replaces a shared value; `false` if another version is there. Without a version it always wins.
    ///
    /// # Errors
    /// The store is not available.
    fn shared_cas(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, KeyHostError>;
    /// Starts a `GET`; the answer comes back to the keeper under the returned token.
    ///
    /// # Errors
    /// No answer will come.
    fn fetch(&mut self, request: &KeyRequest) -> Result<u32, KeyHostError>;
    /// Tells the operator.
    fn report(&mut self, provider: &str, report: KeyReport);
}

/// A `GET` for metadata or keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The host's name for the service.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// How long the host waits for an answer, in milliseconds; never zero.
    pub timeout_ms: u64,
}

/// What came of a [`KeyRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAnswer<'a> {
    /// An answer of at most [`MAX_ANSWER_LENGTH`] bytes.
    Answer {
        /// HTTP status.
        status: u32,
        /// The whole body.
        body: &'a [u8],
    },
    /// An answer that is longer.
    TooLong,
    /// None.
    Failed,
}

/// What an operator should know of the keys of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReport {
    /// This worker fetched keys. `changed`: they are others than before.
    Fetched {
        /// Whether they differ from those before.
        changed: bool,
    },
    /// This worker could not.
    Failed(FetchError),
    /// At every tick: the state of the keys.
    State(KeyState),
}

/// Whether a provider's tokens can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// No keys: tokens are answered 503.
    Absent,
    /// Keys of this age in seconds.
    Fresh(u64),
    /// Keys of this age in seconds, which should have been fetched again by now.
    Stale(u64),
}

/// Keeps the fetched keys of a policy current, for one worker.
#[derive(Debug, Default)]
pub struct KeyKeeper {
    keepers: Vec<Keeper>,
    live: Arc<LiveKeys>,
}

/// The keys of one provider.
#[derive(Debug)]
struct Keeper {
    id: ProviderId,
    name: String,
    issuer: String,
    algorithms: Vec<Algorithm>,
    remote: RemoteKeys,
    /// Name of the record.
    key: String,
    fetch: Option<Fetch>,
}

/// An attempt of this worker.
#[derive(Clone, Copy, Debug)]
struct Fetch {
    attempt: u64,
    token: u32,
    document: Document,
}

impl KeyKeeper {
    /// A keeper for those of these providers whose keys are fetched, into `live`.
    pub(crate) fn new(providers: &[Provider], live: Arc<LiveKeys>) -> KeyKeeper {
        let providers = (0..=u16::MAX).map(ProviderId).zip(providers);
        let keepers = providers.filter_map(|(id, provider)| Keeper::new(id, provider)).collect();
        KeyKeeper { keepers, live }
    }

    /// Whether all keys are in the policy: nothing is to be done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.keepers.is_empty()
    }

    /// How many requests of this worker wait for keys.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.live.waiting()
    }

    /// Takes over what other workers fetched, and begins a fetch where one is due. To be called several times a second.
    pub fn tick<H: KeyHost>(&mut self, host: &mut H) {
        for keeper in &mut self.keepers {
            keeper.tick(&self.live, host);
        }
    }

    /// What came of a request. Answers to requests of others are ignored.
    pub fn answer<H: KeyHost>(&mut self, host: &mut H, token: u32, answer: KeyAnswer<'_>) {
        for keeper in &mut self.keepers {
            if let Some(fetch) = keeper.fetch.take_if(|fetch| fetch.token == token) {
                keeper.answer(&self.live, host, fetch, answer);
            }
        }
    }
}

impl Keeper {
    fn new(id: ProviderId, provider: &Provider) -> Option<Keeper> {
        let remote = provider.remote.clone()?;
        Some(Keeper {
            id,
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            algorithms: provider.algorithms.clone(),
            key: record_name(provider, &remote),
            remote,
            fetch: None,
        })
    }

    fn tick<H: KeyHost>(&mut self, live: &LiveKeys, host: &mut H) {
        let now = host.now();
        // A store that fails brings nothing new; the age of what is here is still looked at.
        if let Ok((bytes, version)) = host.shared_get(&self.key) {
            match bytes.as_deref().and_then(Record::read) {
                Some((record, set)) => {
                    self.learn(live, record, set);
                    let unknown = live.wish(self.id).unwrap_or(false);
                    if record.may_begin(&self.remote, now, unknown) {
                        self.begin(live, host, (record, set), version, unknown);
                    }
                }
                // Without a record there is no version to compare, so this one is empty: whoever writes last takes nothing away.
                None => {
                    let _ = host.shared_cas(&self.key, &Record::default().write(&[]), version);
                }
            }
        }
        host.report(&self.name, KeyReport::State(self.state(live, now)));
    }

    /// Takes over a record, and its keys if they are others.
    fn learn(&self, live: &LiveKeys, record: Record, set: &[u8]) {
        if record.set == 0 || live.set(self.id) == Some(record.set) {
            live.learn(self.id, record, None);
            return;
        }
        // The worker that wrote it could read it for this issuer and these algorithms: they are in the name of the record.
        if let Ok(keys) = key_set(set, &self.algorithms) {
            live.learn(self.id, record, Some(Arc::new(keys)));
        }
    }

    fn begin<H: KeyHost>(
        &mut self,
        live: &LiveKeys,
        host: &mut H,
        (record, set): (Record, &[u8]),
        version: Option<u32>,
        unknown: bool,
    ) {
        let record = record.begin(host.now(), unknown);
        if host.shared_cas(&self.key, &record.write(set), version) != Ok(true) {
            return;
        }
        self.learn(live, record, set);
        self.request(live, host, record.begun, self.remote.document, self.remote.path.clone());
    }

    fn request<H: KeyHost>(
        &mut self,
        live: &LiveKeys,
        host: &mut H,
        attempt: u64,
        document: Document,
        path: String,
    ) {
        let RemoteKeys { cluster, authority, .. } = self.remote.clone();
        match host.fetch(&KeyRequest { cluster, authority, path, timeout_ms: ANSWER_MS }) {
            Ok(token) => self.fetch = Some(Fetch { attempt, token, document }),
            Err(KeyHostError) => self.end(live, host, attempt, Err(FetchError::Unanswered)),
        }
    }

    fn answer<H: KeyHost>(&mut self, live: &LiveKeys, host: &mut H, fetch: Fetch, answer: KeyAnswer<'_>) {
        let body = match answer {
            KeyAnswer::Answer { status: 200, body } if body.len() <= MAX_ANSWER_LENGTH => Ok(body),
            KeyAnswer::Answer { status: 200, .. } | KeyAnswer::TooLong => Err(FetchError::TooLong),
            KeyAnswer::Answer { status: status @ 300..400, .. } => Err(FetchError::Redirected(status)),
            KeyAnswer::Answer { status, .. } => Err(FetchError::Status(status)),
            KeyAnswer::Failed => Err(FetchError::Unanswered),
        };
        match (fetch.document, body) {
            (Document::Discovery, Ok(body)) => {
                match key_set_path(body, &self.issuer, &self.remote.authority) {
                    Ok(path) => self.request(live, host, fetch.attempt, Document::KeySet, path),
                    Err(error) => self.end(live, host, fetch.attempt, Err(error)),
                }
            }
            (Document::KeySet, Ok(body)) => {
                let set = key_set(body, &self.algorithms).map(|_| body);
                self.end(live, host, fetch.attempt, set);
            }
            (_, Err(error)) => self.end(live, host, fetch.attempt, Err(error)),
        }
    }

    /// Ends an attempt of this worker; the record tells all.
    fn end<H: KeyHost>(
        &mut self,
        live: &LiveKeys,
        host: &mut H,
        attempt: u64,
        fetched: Result<&[u8], FetchError>,
    ) {
        for _ in 0..MOST_TRIES {
            let Ok((bytes, version)) = host.shared_get(&self.key) else { return };
            // SECURITY: whoever was given up may bring keys that are older than those that are there.
            let Some((record, old)) =
                bytes.as_deref().and_then(Record::read).filter(|(record, _)| record.begun == attempt)
            else {
                return;
            };
            let (record, set, report) = match fetched {
                Ok(set) => {
                    let changed = record.set == 0 || set != old;
                    let number = if changed { attempt } else { record.set };
                    let record =
                        Record { set: number, fetched: host.now(), ended: attempt, failures: 0, ..record };
                    (record, set, KeyReport::Fetched { changed })
                }
                Err(error) => {
                    let failures = record.failures.saturating_add(1);
                    (Record { ended: attempt, failures, ..record }, old, KeyReport::Failed(error))
                }
            };
            match host.shared_cas(&self.key, &record.write(set), version) {
                Ok(true) => {
                    self.learn(live, record, set);
                    return host.report(&self.name, report);
                }
                Ok(false) => {}
                Err(KeyHostError) => return,
            }
        }
    }

    fn state(&self, live: &LiveKeys, now: Timestamp) -> KeyState {
        let Some(fetched) = live.current(self.id, now).and_then(|_| live.fetched(self.id)) else {
            return KeyState::Absent;
        };
        let age = now.millis_since(fetched) / 1_000;
        if age < u64::from(self.remote.refresh_seconds) { KeyState::Fresh(age) } else { KeyState::Stale(age) }
    }
}

/// The same for all policies that fetch the same keys for the same purpose, so that a new revision begins with the keys of the old one.
fn record_name(provider: &Provider, remote: &RemoteKeys) -> String {
    let mut hash = Sha256::new();
    let kind = format!("{:?} {:?}", remote.document, provider.algorithms);
    for part in [&provider.issuer, &remote.cluster, &remote.authority, &remote.path, &kind] {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("veilwire.keys.{}", hex(&hash.finalize()))
}
