//! Who fetches when, and what is believed.

use crate::world::{ISSUER, REFRESH, STALE, Worker, World, keys, other_keys, remote};
use serde_json::json;
use veilwire_engine::identity::{FetchError, KeyAnswer, KeyReport, KeyState};
use veilwire_engine::policy::model::Document;
use veilwire_engine::time::Timestamp;

fn workers(count: usize) -> Vec<Worker> {
    (0..count).map(|number| Worker::new(number, &remote(Document::KeySet))).collect()
}

fn tick(workers: &mut [Worker], world: &mut World) {
    workers.iter_mut().for_each(|worker| worker.tick(world));
}

#[test]
fn one_of_many_fetches_and_all_know() {
    let mut world = World::new();
    let mut all = workers(4);
    for _ in 0..5 {
        tick(&mut all, &mut world);
        world.pass(100);
    }
    let [(fetcher, _, request)] = world.asked.as_slice() else { panic!("{:?}", world.asked) };
    assert_eq!((request.cluster.as_str(), request.authority.as_str()), ("service.idp", "idp.test"));
    assert_eq!((request.path.as_str(), request.timeout_ms), ("/first", 5_000));
    let fetcher = *fetcher;
    all[fetcher].give(&mut world, &keys());
    assert!(world.reports.contains(&KeyReport::Fetched { changed: true }));
    for worker in &mut all {
        world.reports.clear();
        worker.tick(&mut world);
        assert_eq!(world.state(), Some(KeyState::Fresh(0)), "worker {}", worker.number);
    }
    // By age, again by one.
    world.pass(REFRESH * 1_000 - 1);
    tick(&mut all, &mut world);
    assert!(world.asked.is_empty());
    world.pass(1);
    tick(&mut all, &mut world);
    assert_eq!(world.asked.len(), 1);
    assert_eq!(world.state(), Some(KeyState::Stale(REFRESH)));
}

#[test]
fn a_provider_that_is_down_is_asked_less_and_less() {
    let mut world = World::new();
    let mut all = workers(3);
    while world.now < Timestamp::from_unix_seconds(1_800_000_000 + 400) {
        tick(&mut all, &mut world);
        if let Some((fetcher, ..)) = world.asked.first() {
            let fetcher = *fetcher;
            all[fetcher].answer(&mut world, KeyAnswer::Answer { status: 503, body: b"no" });
        }
        world.pass(100);
    }
    let gaps: Vec<u64> = world.times.windows(2).map(|pair| pair[1].millis_since(pair[0]) / 1_000).collect();
    assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
    assert!(world.failures().iter().all(|reason| reason == "status 503"));
    assert_eq!(world.state(), Some(KeyState::Absent));
}

#[test]
fn bad_answers_change_no_keys() {
    let long = vec![b' '; 256 * 1024 + 1];
    let answers: Vec<(KeyAnswer<'_>, FetchError)> = vec![
        (KeyAnswer::Failed, FetchError::Unanswered),
        (KeyAnswer::TooLong, FetchError::TooLong),
        (KeyAnswer::Answer { status: 200, body: &long }, FetchError::TooLong),
        (KeyAnswer::Answer { status: 302, body: b"" }, FetchError::Redirected(302)),
        (KeyAnswer::Answer { status: 204, body: b"" }, FetchError::Status(204)),
        (KeyAnswer::Answer { status: 500, body: b"" }, FetchError::Status(500)),
        (KeyAnswer::Answer { status: 200, body: b"\xff" }, FetchError::NotText),
    ];
    let sets = [
        "",
        "[]",
        "{}",
        "{\"keys\": []}",
        "{\"keys\": 1}",
        "<html>",
        "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AA\"}]}",
    ];
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    worker.settle(&mut world);
    worker.give(&mut world, &keys());
    let mut good = |world: &mut World, answer: KeyAnswer<'_>| {
        // Beyond every pause, and in the window.
        world.pass(REFRESH * 1_000);
        worker.tick(world);
        worker.answer(world, answer);
        world.reports.iter().rev().find_map(|report| match report {
            KeyReport::Failed(error) => Some(*error),
            _ => None,
        })
    };
    for (answer, expected) in answers {
        assert_eq!(good(&mut world, answer), Some(expected));
        assert!(!matches!(world.state(), Some(KeyState::Absent)), "{expected}");
    }
    world.reports.clear();
    let mut fresh = Worker::new(1, &remote(Document::KeySet));
    for set in sets {
        world.pass(60_000);
        worker.tick(&mut world);
        worker.give(&mut world, set);
        fresh.tick(&mut world);
        assert!(matches!(world.state(), Some(KeyState::Stale(_))), "{set}: {:?}", world.state());
    }
    assert_eq!(world.failures().len(), sets.len());
}

#[test]
fn metadata_are_believed_of_their_issuer_and_host_only() {
    let metadata = |issuer: &str, place: &str| json!({ "issuer": issuer, "jwks_uri": place }).to_string();
    let cases = [
        (metadata(ISSUER, "https://idp.test/keys?v=1"), Ok("/keys?v=1")),
        (metadata(ISSUER, "https://IDP.test:443/keys"), Ok("/keys")),
        (metadata("https://idp.test/", "https://idp.test/keys"), Err(FetchError::Issuer)),
        (metadata("https://idp.test.evil", "https://idp.test/keys"), Err(FetchError::Issuer)),
        (metadata(ISSUER, "http://idp.test/keys"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://idp.test:8443/keys"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://idp.test@evil.test/keys"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://evil.test/idp.test/keys"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://idp.test"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://idp.test/ke ys"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://idp.test/keys\r\nx: y"), Err(FetchError::Elsewhere)),
        (metadata(ISSUER, "https://idp.test/keys#a"), Err(FetchError::Elsewhere)),
        (json!({ "issuer": ISSUER }).to_string(), Err(FetchError::Metadata)),
        (json!({ "issuer": [ISSUER], "jwks_uri": "https://idp.test/k" }).to_string(), Err(FetchError::Metadata)),
        (r#"{"issuer": "https://evil.test", "issuer": "https://idp.test", "jwks_uri": "https://idp.test/k"}"#.into(), Err(FetchError::Metadata)),
        ("null".into(), Err(FetchError::Metadata)),
        (format!("{}{}", " ".repeat(65_536), metadata(ISSUER, "https://idp.test/keys")), Err(FetchError::TooLong)),
    ];
    for (document, expected) in cases {
        let mut world = World::new();
        let mut worker = Worker::new(0, &remote(Document::Discovery));
        worker.settle(&mut world);
        worker.give(&mut world, &document);
        match expected {
            Ok(path) => {
                let request = worker.give(&mut world, &keys());
                assert_eq!((request.path.as_str(), request.authority.as_str()), (path, "idp.test"));
                worker.tick(&mut world);
                assert_eq!(world.state(), Some(KeyState::Fresh(0)));
            }
            Err(error) => {
                assert!(world.asked.is_empty());
                assert_eq!(world.failures(), [error.to_string()], "{document}");
            }
        }
    }
}

#[test]
fn a_worker_that_dies_in_a_fetch_is_replaced_and_too_late() {
    let mut world = World::new();
    let mut all = workers(2);
    tick(&mut all, &mut world);
    tick(&mut all, &mut world);
    let (dead, token, _) = world.asked.first().cloned().unwrap();
    let alive = 1 - dead;
    world.pass(11_999);
    all[alive].tick(&mut world);
    assert_eq!(world.asked.len(), 1, "it may still answer");
    world.pass(1);
    all[alive].tick(&mut world);
    assert_eq!(world.asked.len(), 2, "its attempt counts as failed, and the pause after it is over");
    all[alive].give(&mut world, &keys());
    // The answer of the first comes after all, and is older.
    assert_eq!(world.asked.first().map(|(_, known, _)| *known), Some(token));
    all[dead].give(&mut world, &other_keys());
    let mut fresh = Worker::new(2, &remote(Document::KeySet));
    world.reports.clear();
    fresh.tick(&mut world);
    assert_eq!(world.state(), Some(KeyState::Fresh(0)));
    assert_eq!(world.reports.len(), 1, "what came too late is not reported either");
}

#[test]
fn a_new_revision_begins_with_the_keys_of_the_old_one() {
    let mut world = World::new();
    let mut old = Worker::new(0, &remote(Document::KeySet));
    old.settle(&mut world);
    old.give(&mut world, &keys());
    let mut model = remote(Document::KeySet);
    model.meta.revision += 1;
    let mut new = Worker::new(1, &model);
    assert_ne!(old.policy.digest(), new.policy.digest());
    new.tick(&mut world);
    assert_eq!(world.state(), Some(KeyState::Fresh(0)));
    // Other keys, other record.
    model.providers[0].issuer = "https://other.test".into();
    let mut other = Worker::new(2, &model);
    other.tick(&mut world);
    assert_eq!(world.state(), Some(KeyState::Absent));
}

#[test]
fn hosts_that_fail_bring_no_keys_and_no_flood() {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    world.storeless = true;
    worker.settle(&mut world);
    assert_eq!((world.asked.len(), world.state()), (0, Some(KeyState::Absent)));
    world.storeless = false;
    world.broken = true;
    for _ in 0..600 {
        worker.tick(&mut world);
        world.pass(100);
    }
    assert_eq!(world.failures().len(), 6, "after 0, 1, 3, 7, 15 and 31 seconds");
    world.broken = false;
    world.pass(60_000);
    worker.tick(&mut world);
    worker.give(&mut world, &keys());
    worker.tick(&mut world);
    assert_eq!(world.state(), Some(KeyState::Fresh(0)));
}

#[test]
fn a_clock_at_either_end_of_time_fails_closed() {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    worker.settle(&mut world);
    worker.give(&mut world, &keys());
    world.now = Timestamp(u64::MAX);
    worker.tick(&mut world);
    assert_eq!(world.state(), Some(KeyState::Absent));
    // What was fetched at the end of time is good for none of it.
    if !world.asked.is_empty() {
        worker.give(&mut world, &keys());
        worker.tick(&mut world);
        assert_eq!(world.state(), Some(KeyState::Absent));
    }
}

/// Four workers, answers of every kind at seeded times: the keys never go while they count, and there is one fetch at a time.
#[test]
fn whatever_happens_keys_stay_for_their_time_and_one_worker_fetches() {
    for seed in 1..=12_u64 {
        let mut random = seed;
        let mut draw = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % most
        };
        let mut world = World::new();
        let mut all = workers(4);
        let mut fetched: Option<Timestamp> = None;
        for _ in 0..1_500 {
            world.pass(draw(4_000));
            let worker = usize::try_from(draw(4)).unwrap();
            let before = world.asked.len();
            world.reports.clear();
            all[worker].tick(&mut world);
            let begun = world.asked.len() > before;
            let counts =
                fetched.is_some_and(|at| world.now < at.saturating_add_millis((REFRESH + STALE) * 1_000));
            assert_eq!(world.state() != Some(KeyState::Absent), counts, "seed {seed}");
            if begun {
                let open: Vec<Timestamp> = world.times.iter().rev().take(2).copied().collect();
                if let [last, earlier] = open.as_slice() {
                    assert!(
                        last.millis_since(*earlier) >= 1_000,
                        "seed {seed}: no two fetches within a second"
                    );
                }
            }
            if draw(3) > 0
                && let Some((owner, ..)) = world.asked.first().cloned()
            {
                match draw(6) {
                    0 => drop(all[owner].answer(&mut world, KeyAnswer::Failed)),
                    1 => drop(all[owner].give(&mut world, "{\"keys\": []}")),
                    2 => drop(all[owner].answer(&mut world, KeyAnswer::Answer { status: 500, body: b"" })),
                    // The answer is lost with its worker's call.
                    3 => drop(world.asked.remove(0)),
                    _ => {
                        drop(all[owner].give(&mut world, &keys()));
                        let told =
                            world.reports.iter().any(|report| matches!(report, KeyReport::Fetched { .. }));
                        if told {
                            fetched = Some(world.now);
                        }
                    }
                }
            }
        }
    }
}
