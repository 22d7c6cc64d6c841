//! Workers that keep fetched keys, in any order of ticks, answers, conflicts and hours: one asks at a time and not too often,
//! what is bad takes no key away, keys count while they are young, and a request is let in by the keys that count and no others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use veilwire_engine::exchange::{Exchange, RequestHead, Step};
use veilwire_engine::host::HeadEdits;
use veilwire_engine::identity::{
    KeyAnswer, KeyHost, KeyHostError, KeyKeeper, KeyReport, KeyRequest, KeyState,
};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{Document, Model, RemoteKeys};
use veilwire_engine::time::Timestamp;
use veilwire_engine::transport::TransportFacts;
use veilwire_fuzz::caller::{Credulous, NOW, token};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::policies::{JWKS, RULES_MODEL};

const REFRESH_MS: u64 = 300_000;
const STALE_MS: u64 = 3_600_000;
/// An attempt that nobody ended is over after this.
const LEASE_MS: u64 = 12_000;
/// Unknown keys are asked for once in this time.
const UNKNOWN_MS: u64 = 10_000;
const WORKERS: usize = 3;
const MAX_CALLS: usize = 96;

static REMOTE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut model: Model = RULES_MODEL.clone();
    // The one rule that lets in whoever is an agent.
    model.rules.truncate(1);
    model.contents.clear();
    model.routes.iter_mut().for_each(|route| route.content = None);
    let provider = &mut model.providers[0];
    provider.jwks.clear();
    provider.remote = Some(RemoteKeys {
        cluster: "idp".into(),
        authority: "idp.test".into(),
        document: Document::KeySet,
        path: "/keys".into(),
        refresh_seconds: u32::try_from(REFRESH_MS / 1_000).expect("it fits"),
        stale_seconds: u32::try_from(STALE_MS / 1_000).expect("it fits"),
    });
    veilwire_engine::policy::artifact::encode(&model).expect("it is a model")
});

/// Key sets and what they are called: one key under another name.
static SETS: LazyLock<[String; 2]> = LazyLock::new(|| [JWKS.to_owned(), JWKS.replace("\"k1\"", "\"k2\"")]);
static TOKENS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    // Good for longer than any input lasts.
    let payload =
        br#"{"iss":"https://idp.test","aud":"gateway","sub":"agent-7","exp":1900000000,"groups":["agents"]}"#;
    ["k1", "k2"].map(|id| {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{id}","typ":"JWT"}}"#);
        [b"Bearer ".as_slice(), &token(header.as_bytes(), payload)].concat()
    })
});

/// What workers share, and what is true of it.
struct World {
    now: Timestamp,
    store: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    version: Cell<u32>,
    /// Another worker is faster, so many times.
    conflicts: Cell<u8>,
    tokens: u32,
    /// Requests that were not answered yet: worker, token, when.
    asked: Vec<(usize, u32, Timestamp)>,
    /// When the last attempt was begun and whether it is still open; the clock has only gone forward since.
    last: Option<(Timestamp, bool)>,
    /// When keys were last asked for although they were young.
    unknown: Option<Timestamp>,
    failures: u32,
    /// The set that was fetched last, and when.
    good: Option<(usize, Timestamp)>,
    state: Option<KeyState>,
    reported: Vec<KeyReport>,
}

struct View<'a> {
    world: &'a mut World,
    worker: usize,
    sent: Option<u32>,
}

impl KeyHost for View<'_> {
    fn now(&self) -> Timestamp {
        self.world.now
    }

    fn shared_get(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), KeyHostError> {
        let store = self.world.store.borrow();
        Ok(store.get(key).map_or((None, None), |(bytes, version)| (Some(bytes.clone()), Some(*version))))
    }

    fn shared_cas(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, KeyHostError> {
        if self.world.conflicts.get() > 0 {
            self.world.conflicts.set(self.world.conflicts.get() - 1);
            return Ok(false);
        }
        let mut store = self.world.store.borrow_mut();
        let wins = match (store.get(key), version) {
            (Some((_, there)), Some(expected)) => *there == expected,
            _ => true,
        };
        if wins {
            self.world.version.set(self.world.version.get() + 1);
            store.insert(key.to_owned(), (value.to_vec(), self.world.version.get()));
        }
        Ok(wins)
    }

    fn fetch(&mut self, request: &KeyRequest) -> Result<u32, KeyHostError> {
        let world = &mut *self.world;
        assert_eq!((request.cluster.as_str(), request.path.as_str()), ("idp", "/keys"));
        if let Some((begun, open)) = world.last {
            let since = world.now.millis_since(begun);
            assert!(!open || since >= LEASE_MS, "two ask at once");
            let pause = 1_000_u64 << world.failures.saturating_sub(1).min(6);
            assert!(
                world.failures == 0 || since >= pause.min(60_000),
                "a service that is down is asked again at once"
            );
        }
        // Only an unknown key is a reason to ask for what is young.
        if world.good.is_some_and(|(_, at)| world.now.millis_since(at) < REFRESH_MS) {
            let often = world.unknown.is_some_and(|last| world.now.millis_since(last) < UNKNOWN_MS);
            assert!(!often, "asked too often");
            world.unknown = Some(world.now);
        }
        world.last = Some((world.now, true));
        world.tokens += 1;
        world.asked.push((self.worker, world.tokens, world.now));
        self.sent = Some(world.tokens);
        Ok(world.tokens)
    }

    fn report(&mut self, provider: &str, report: KeyReport) {
        assert_eq!(provider, RULES_MODEL.providers[0].name);
        if let KeyReport::State(state) = report {
            self.world.state = Some(state);
        } else {
            self.world.reported.push(report);
        }
    }
}

struct Worker {
    policy: Arc<Policy>,
    keeper: KeyKeeper,
    /// Requests that wait.
    waiting: Vec<(Exchange, usize)>,
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut world = World {
        now: NOW,
        store: RefCell::default(),
        version: Cell::new(0),
        conflicts: Cell::new(0),
        tokens: 0,
        asked: Vec::new(),
        last: None,
        unknown: None,
        failures: 0,
        good: None,
        state: None,
        reported: Vec::new(),
    };
    let mut workers: Vec<Worker> = (0..WORKERS)
        .map(|_| {
            let policy = Arc::new(Policy::load(&REMOTE).expect("it is sound"));
            Worker { keeper: policy.key_keeper(), policy, waiting: Vec::new() }
        })
        .collect();
    for _ in 0..MAX_CALLS {
        if input.is_empty() {
            break;
        }
        let number = usize::from(input.byte()) % WORKERS;
        let worker = &mut workers[number];
        match input.byte() % 6 {
            0 | 1 => tick(&mut world, worker, number),
            2 => answer(&mut world, worker, number, &mut input),
            3 => {
                let passed = input
                    .pick(&[1_u64, 100, 1_000, 2_000, 10_000, 12_000, 60_000, 300_000, 3_600_000, 3_900_000]);
                world.now = world.now.saturating_add_millis(passed);
            }
            4 => world.conflicts.set(input.byte() % 6),
            _ => request(&world, worker, usize::from(input.byte() % 2)),
        }
    }
    for worker in &mut workers {
        assert_eq!(usize::try_from(worker.keeper.waiting()), Ok(worker.waiting.len()));
        worker.waiting.clear();
        assert_eq!(worker.keeper.waiting(), 0, "a place that nobody has is taken");
    }
});

/// The set that counts now, if the workers know what was fetched.
fn current(world: &World) -> Option<usize> {
    let young = |at: Timestamp| world.now.millis_since(at) < REFRESH_MS + STALE_MS;
    world.good.filter(|(_, at)| young(*at)).map(|(set, _)| set)
}

fn tick(world: &mut World, worker: &mut Worker, number: usize) {
    world.conflicts.set(world.conflicts.get().min(3));
    let mut view = View { world, worker: number, sent: None };
    worker.keeper.tick(&mut view);
    judge(world);
    let has_keys = !matches!(world.state, Some(KeyState::Absent) | None);
    assert_eq!(has_keys, current(world).is_some(), "the state of the keys");
    for (id, expected) in [(0, current(world) == Some(0)), (1, current(world) == Some(1))] {
        assert_eq!(asked(world, worker, id).1 == Step::Continue, expected, "let in by other keys");
    }
    for (mut exchange, id) in std::mem::take(&mut worker.waiting) {
        if !exchange.is_settled(world.now) {
            worker.waiting.push((exchange, id));
            continue;
        }
        let headers = head(id);
        let mut edits = HeadEdits::default();
        let step =
            exchange.request_again(RequestHead { headers: &headers }, &mut edits, &Credulous, world.now);
        assert_eq!(step == Step::Continue, current(world) == Some(id), "let in by other keys");
        if step == Step::Pause {
            worker.waiting.push((exchange, id));
        }
    }
}

fn answer(world: &mut World, worker: &mut Worker, number: usize, input: &mut Input<'_>) {
    let place = world.asked.iter().position(|(asker, ..)| *asker == number);
    let Some((_, token, _)) = place.map(|place| world.asked.remove(place)) else { return };
    let choice = usize::from(input.byte()) % 10;
    let set = SETS.get(choice);
    let answer = match choice {
        0 | 1 => KeyAnswer::Answer { status: 200, body: SETS[choice].as_bytes() },
        2 => KeyAnswer::Failed,
        3 => KeyAnswer::TooLong,
        4 => KeyAnswer::Answer { status: 302, body: b"" },
        5 => KeyAnswer::Answer { status: 503, body: SETS[0].as_bytes() },
        6 => KeyAnswer::Answer { status: 200, body: b"{\"keys\":[]}" },
        7 => KeyAnswer::Answer { status: 200, body: br#"{"keys":[{"kty":"oct","k":"AA"}]}"# },
        8 => KeyAnswer::Answer { status: 200, body: b"\xFF" },
        _ => KeyAnswer::Answer { status: 200, body: input.take(16) },
    };
    let mut view = View { world, worker: number, sent: None };
    worker.keeper.answer(&mut view, token, answer);
    let fetched = world.reported.iter().any(|report| matches!(report, KeyReport::Fetched { .. }));
    if fetched {
        let set = (choice < SETS.len()).then_some(choice).expect("a bad answer became keys");
        world.good = Some((set, world.now));
    }
    assert!(set.is_some() || !fetched, "a bad answer became keys");
    judge(world);
}

/// Takes what was reported into account.
fn judge(world: &mut World) {
    for report in std::mem::take(&mut world.reported) {
        let begun = world.last.expect("an end without a beginning").0;
        world.last = Some((begun, false));
        match report {
            KeyReport::Fetched { .. } => world.failures = 0,
            KeyReport::Failed(_) => world.failures = world.failures.saturating_add(1),
            KeyReport::State(_) => {}
        }
    }
}

fn head(id: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let headers: [(&[u8], &[u8]); 5] = [
        (b":method", b"POST"),
        (b":authority", b"llm.test"),
        (b":path", b"/a"),
        (b"content-type", b"application/json"),
        (b"authorization", &TOKENS[id]),
    ];
    headers.map(|(name, value)| (name.to_vec(), value.to_vec())).to_vec()
}

fn asked(world: &World, worker: &Worker, id: usize) -> (Exchange, Step) {
    let facts =
        TransportFacts { version: Some("TLSv1.3".into()), mtls: Some(true), ..TransportFacts::default() };
    let mut exchange = Exchange::new(Arc::clone(&worker.policy), facts, world.now);
    let headers = head(id);
    let mut edits = HeadEdits::default();
    let step =
        exchange.request_head(RequestHead { headers: &headers }, true, &mut edits, &Credulous, world.now);
    (exchange, step)
}

/// A request now; this worker may not know yet what others fetched.
fn request(world: &World, worker: &mut Worker, id: usize) {
    let (exchange, step) = asked(world, worker, id);
    if step == Step::Pause && exchange.awaits_keys() {
        worker.waiting.push((exchange, id));
    }
}
