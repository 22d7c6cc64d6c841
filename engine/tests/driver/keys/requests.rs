//! Requests meet keys that come, change and go.

use crate::support::{Call, FakeHost, token};
use crate::world::{REFRESH, STALE, Worker, World, keys, other_keys, remote};
use veilwire_engine::decision::Direction;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::identity::{KeyAnswer, MAX_WAITING};
use veilwire_engine::policy::model::Document;

fn request(world: &World, worker: &Worker) -> (Driver, FakeHost) {
    let mut host = FakeHost::new("/open", Some(&token("agent-7", &["agents"], 2 * 86_400)));
    host.now = world.now;
    (Driver::new(worker.policy.clone(), &host), host)
}

/// The status of a request that must not wait: 200 if it is let through.
fn status(world: &World, worker: &Worker) -> u32 {
    let (mut driver, mut host) = request(world, worker);
    match driver.request_head(&mut host, true) {
        Action::Continue => 200,
        Action::Pause => host.replies.first().expect("it must not wait").status,
    }
}

fn ready() -> (World, Worker) {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    worker.settle(&mut world);
    worker.give(&mut world, &keys());
    assert_eq!(status(&world, &worker), 200);
    (world, worker)
}

#[test]
fn a_request_waits_for_the_first_keys_and_goes_on() {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    let (mut driver, mut host) = request(&world, &worker);
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert!(host.replies.is_empty());
    assert_eq!(worker.keeper.waiting(), 1);
    let asked = host.wake.expect("it asks to be woken");
    assert!(asked > host.now);
    // A host that holds the head only brings the body meanwhile.
    assert_eq!(driver.body(&mut host, Direction::Request, 0, false), Action::Pause);

    worker.settle(&mut world);
    world.pass(100);
    host.now = world.now;
    driver.deadline(&mut host);
    assert_eq!((host.resumed, host.replies.len()), (0, 0), "the keys are still on their way");
    assert!(host.wake.unwrap() > host.now);

    worker.give(&mut world, &keys());
    driver.deadline(&mut host);
    assert_eq!((host.resumed, host.replies.len()), (1, 0));
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-subject"), Some("agent-7"));
    assert_eq!(FakeHost::header(&host.request, "authorization"), None);
    assert_eq!(worker.keeper.waiting(), 0);
}

#[test]
fn waiting_is_bounded_in_time() {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    worker.settle(&mut world);
    let (mut driver, mut host) = request(&world, &worker);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    world.pass(9_999);
    host.now = world.now;
    driver.deadline(&mut host);
    assert!(host.replies.is_empty());
    world.pass(1);
    host.now = world.now;
    driver.deadline(&mut host);
    assert_eq!(host.replies[0].status, 503);
    assert_eq!((host.resumed, worker.keeper.waiting()), (0, 0));
    assert!(host.replies[0].headers.iter().all(|(name, _)| *name != "www-authenticate"));
    driver.finish(&mut host);
    assert_eq!(host.audit()["refusal"]["cause"], "the keys of the provider are not available");
}

#[test]
fn an_answer_of_the_proxy_ends_the_waiting() {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    worker.settle(&mut world);
    let (mut driver, mut host) = request(&world, &worker);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    host.properties.insert("response.code_details".into(), b"stream_idle_timeout".to_vec());
    host.set_response(":status", "504");
    let _ = driver.response_head(&mut host, true);
    assert_eq!((host.replies.len(), host.aborts), (1, 0));
    assert_eq!(host.replies[0].status, 504);
    assert_eq!(worker.keeper.waiting(), 0);
    worker.give(&mut world, &keys());
    driver.deadline(&mut host);
    assert_eq!((host.resumed, host.replies.len()), (0, 1), "it is over");
}

#[test]
fn waiting_is_bounded_in_number() {
    let world = World::new();
    let worker = Worker::new(0, &remote(Document::KeySet));
    let mut waiting = Vec::new();
    for _ in 0..MAX_WAITING {
        let (mut driver, mut host) = request(&world, &worker);
        assert_eq!(driver.request_head(&mut host, true), Action::Pause);
        assert!(host.replies.is_empty());
        waiting.push(driver);
    }
    assert_eq!(status(&world, &worker), 503, "one more is answered at once");
    drop(waiting);
    assert_eq!(worker.keeper.waiting(), 0, "who goes away leaves its place");
}

#[test]
fn after_a_failure_nobody_waits_until_the_next_attempt() {
    let mut world = World::new();
    let mut worker = Worker::new(0, &remote(Document::KeySet));
    worker.settle(&mut world);
    let (mut driver, mut host) = request(&world, &worker);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    worker.answer(&mut world, KeyAnswer::Failed);
    driver.deadline(&mut host);
    assert_eq!(host.replies[0].status, 503, "the attempt it waited for is over");
    assert_eq!(status(&world, &worker), 503, "in the pause there is nothing to wait for");
}

#[test]
fn a_host_that_fails_while_a_request_waits_lets_nothing_through() {
    for call in [Call::Headers, Call::Apply, Call::Resume, Call::Property] {
        let mut world = World::new();
        let mut worker = Worker::new(0, &remote(Document::KeySet));
        let (mut driver, mut host) = request(&world, &worker);
        assert_eq!(driver.request_head(&mut host, true), Action::Pause);
        worker.settle(&mut world);
        worker.give(&mut world, &keys());
        host.broken.push(call);
        driver.deadline(&mut host);
        assert_eq!(host.resumed, 0, "{call:?}");
        assert_eq!(host.replies.len(), 1, "{call:?}");
    }
}

#[test]
fn a_key_that_was_withdrawn_vouches_for_nobody() {
    let (mut world, mut worker) = ready();
    world.pass(REFRESH * 1_000);
    worker.tick(&mut world);
    assert_eq!(status(&world, &worker), 200, "until the others are there");
    worker.give(&mut world, &other_keys());
    let (mut driver, mut host) = request(&world, &worker);
    // The key is unknown now, so it is asked for once more.
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    worker.tick(&mut world);
    worker.give(&mut world, &other_keys());
    driver.deadline(&mut host);
    assert_eq!(host.replies[0].status, 401);
    assert_eq!(status(&world, &worker), 401, "in the same window nobody asks again");
}

#[test]
fn keys_count_to_the_last_moment_of_their_window_and_not_longer() {
    let (mut world, mut worker) = ready();
    world.pass((REFRESH + STALE) * 1_000 - 1);
    assert_eq!(status(&world, &worker), 200, "verified and kept");
    let mut other = Worker::new(1, &remote(Document::KeySet));
    other.tick(&mut world);
    assert_eq!(status(&world, &other), 200, "verified anew");
    other.answer(&mut world, KeyAnswer::Failed);
    world.pass(1);
    assert_eq!(status(&world, &other), 503);
    let (mut driver, mut host) = request(&world, &worker);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause, "though it was kept, and nobody ticked");
    worker.tick(&mut world);
    driver.deadline(&mut host);
    assert_eq!((host.resumed, host.replies[0].status), (0, 503));
}

#[test]
fn a_token_of_good_form_from_elsewhere_asks_for_nothing() {
    let (mut world, mut worker) = ready();
    let asked = world.times.len();
    let mut host = FakeHost::new("/open", Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    host.now = world.now;
    let mut driver = Driver::new(worker.policy.clone(), &host);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    assert_eq!(host.replies[0].status, 401, "an opaque token is refused");
    driver.finish(&mut host);
    assert_eq!(host.audit()["refusal"]["cause"], "token is malformed");
    worker.tick(&mut world);
    assert_eq!(world.times.len(), asked);
}
