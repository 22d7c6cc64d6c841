//! Requests that come before the keys, and keys that nobody knows.

use super::stage::{FAILED, FETCHED, KEYS, METADATA, Scripted, WAITING, own_keys, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use veilwire_tests::deadline::{LIMIT, poll, unix_seconds};
use veilwire_tests::token::Algorithm;
use veilwire_tests::upstream::Exchange;
use veilwire_tests::wire::{ResponseHead, headers};

#[test]
fn a_request_before_the_first_keys_waits_for_them() {
    let stage = Scripted::start();
    // A machine that is too busy to bring three requests in the time of one answer gets another attempt.
    let passed = (0..8).any(|_| wait_for_keys(&stage));
    assert!(passed, "{}", stage.site.envoy.log_tail());
    stage.site.envoy.wait_stat(WAITING, |waiting| waiting == 0).unwrap();
    assert_eq!(stage.site.envoy.wait_stat(FETCHED, |fetched| fetched > 0).unwrap(), 1);
    assert_eq!(
        stage.site.envoy.wait_stat("wasmcustom.veilwire_keys_state_idp", |state| state == 1).unwrap(),
        1
    );
}

/// Whether three requests that came while the metadata were being asked for were let through once the keys were there; if not, the
/// attempt was over before.
fn wait_for_keys(stage: &Scripted) -> bool {
    let failed = stage.site.envoy.stat(FAILED).unwrap();
    let metadata = stage.asked_for_metadata();
    let mut clients = Algorithm::ALL.map(|algorithm| {
        let mut client = stage.site.http2().unwrap();
        let exchange = client.start(&stage.request(algorithm), true).unwrap();
        (client, exchange)
    });
    let seen = poll(LIMIT, || {
        let over = stage.site.envoy.stat(FAILED)? > failed;
        let all = stage.site.envoy.stat(WAITING)? == 3;
        Ok((over || all).then_some(all))
    });
    assert!(stage.site.upstream.arrived().is_none(), "nothing passes while keys are waited for");
    if seen.unwrap() != Some(true) || !give(stage, &metadata) {
        clients
            .iter_mut()
            .for_each(|(_, exchange)| assert_eq!(exchange.response().unwrap().head.status, 503));
        return false;
    }
    for _ in 0..3 {
        stage.upstream_answers();
    }
    clients.iter_mut().for_each(|(_, exchange)| assert_eq!(exchange.response().unwrap().head.status, 200));
    true
}

/// Answers both requests of an attempt; `false` if Envoy gave it up before.
fn give(stage: &Scripted, metadata: &Exchange) -> bool {
    let body = stage.metadata();
    let length = body.len().to_string();
    if metadata.reply(ResponseHead::new(200, &[("content-length", &length)]), &[body.as_bytes()]).is_err() {
        return false;
    }
    let keys = stage.idp.accept().unwrap();
    if keys.head.path != KEYS {
        return false;
    }
    reply(&keys, 200, own_keys().as_bytes());
    true
}

/// The body comes while its request waits: all of it, or a part.
#[test]
fn a_body_waits_with_its_request() {
    let stage = Scripted::start();
    let passed = (0..8).any(|_| wait_with_bodies(&stage));
    assert!(passed, "{}", stage.site.envoy.log_tail());
}

/// As [`wait_for_keys`].
fn wait_with_bodies(stage: &Scripted) -> bool {
    let failed = stage.site.envoy.stat(FAILED).unwrap();
    let metadata = stage.asked_for_metadata();
    let mut head = stage.request(Algorithm::Es256);
    (head.method, head.path) = ("POST".to_owned(), "/chat".to_owned());
    head.headers.extend(headers(&[("content-type", "application/json")]));
    let (part, rest) = (br#"{"model":"small","note":"#.as_slice(), br#""x"}"#.as_slice());
    let whole = [part, rest].concat();
    let refused = br#"{"model":"large"}"#.as_slice();
    let mut clients = [(whole.as_slice(), true), (refused, true), (part, false)].map(|(body, end)| {
        let mut client = stage.site.http2().unwrap();
        let mut exchange = client.start(&head, false).unwrap();
        exchange.send(body, end).unwrap();
        (client, exchange)
    });
    let seen = poll(LIMIT, || {
        let over = stage.site.envoy.stat(FAILED)? > failed;
        let all = stage.site.envoy.stat(WAITING)? == 3;
        Ok((over || all).then_some(all))
    });
    assert!(stage.site.upstream.arrived().is_none(), "nothing passes while keys are waited for");
    if seen.unwrap() != Some(true) || !give(stage, &metadata) {
        clients
            .iter_mut()
            .for_each(|(_, exchange)| assert_eq!(exchange.response().unwrap().head.status, 503));
        return false;
    }
    let [(_a, sent), (_b, denied), (_c, begun)] = &mut clients;
    let arrive = || {
        let mut exchange = stage.site.upstream.accept().unwrap();
        assert_eq!(exchange.body().unwrap(), whole);
        exchange.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"]).unwrap();
    };
    arrive();
    assert_eq!(sent.response().unwrap().head.status, 200);
    assert_eq!(denied.response().unwrap().head.status, 403);
    assert!(stage.site.upstream.arrived().is_none(), "one has not ended yet");
    begun.send(rest, true).unwrap();
    arrive();
    assert_eq!(begun.response().unwrap().head.status, 200);
    true
}

#[test]
fn an_unanswered_fetch_ends_in_503_and_not_in_401() {
    let stage = Scripted::start();
    let held = stage.asked_for_metadata();
    let mut client = stage.site.http1().unwrap();
    let response = client.request(&stage.request(Algorithm::Es256), b"").unwrap();
    assert_eq!(response.head.status, 503);
    assert_eq!(response.head.header("www-authenticate"), None, "the caller's token may be good");
    let text = response.text();
    assert!(text.contains("tokens cannot be verified at present"), "{text}");
    drop(held);
    assert!(stage.site.upstream.arrived().is_none());
}

/// How often keys are fetched for an unknown key id, in seconds: once in this time.
const WINDOW: u64 = 10;

#[test]
fn a_thousand_unknown_keys_are_one_fetch_in_a_window() {
    let stage = Scripted::start();
    stage.give_keys();
    stage.site.envoy.wait_stat(FETCHED, |fetched| fetched == 1).unwrap();
    let Scripted { site, idp, issuer } = stage;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let metadata = serde_json::json!({ "issuer": issuer, "jwks_uri": format!("{issuer}{KEYS}") }).to_string();
    // The service of the stage answers on its own from here on.
    let port = idp.port();
    let server = idp.serve(move |exchange| {
        if exchange.head.path == METADATA {
            counter.fetch_add(1, Ordering::SeqCst);
            reply(&exchange, 200, metadata.as_bytes());
        } else {
            reply(&exchange, 200, own_keys().as_bytes());
        }
        Ok(())
    });
    assert_eq!(server.address().port(), port);
    let begun = unix_seconds().unwrap();
    let unknown = |number| {
        let claims = serde_json::json!({
            "iss": issuer, "aud": "gateway", "sub": "agent-7", "groups": ["agents"],
            "exp": begun + 3600,
        });
        let header = serde_json::json!({ "alg": "ES256", "kid": format!("unknown-{number}"), "typ": "JWT" });
        let token = veilwire_tests::token::TokenIssuer::shared().unwrap();
        super::stage::request(&token.sign(Algorithm::Es256, &header, &claims).unwrap())
    };
    for round in 0..20 {
        let mut client = site.http2().unwrap();
        let mut exchanges: Vec<_> =
            (0..50).map(|number| client.start(&unknown(round * 50 + number), true).unwrap()).collect();
        for exchange in &mut exchanges {
            let head = exchange.response().unwrap().head;
            assert_eq!(head.status, 401);
            assert!(head.header("www-authenticate").is_some());
        }
    }
    let windows = (unix_seconds().unwrap() - begun) / WINDOW + 1;
    let fetches = asked.load(Ordering::SeqCst);
    assert!(fetches >= 1, "a key that nobody knows is asked for");
    assert!(fetches as u64 <= windows, "{fetches} fetches in {windows} windows\n{}", site.envoy.log_tail());
    assert!(site.upstream.arrived().is_none());
}

#[test]
fn a_key_that_is_new_is_fetched_for_the_request_that_shows_it() {
    let stage = Scripted::start();
    let first: serde_json::Value = serde_json::from_str(&own_keys()).unwrap();
    let only_rsa = serde_json::json!({ "keys": [first["keys"][0]] }).to_string();
    reply(&stage.asked_for_metadata(), 200, stage.metadata().as_bytes());
    reply(&stage.idp.accept().unwrap(), 200, only_rsa.as_bytes());
    stage.site.envoy.wait_stat(FETCHED, |fetched| fetched == 1).unwrap();

    // Rotated: the first key is gone, another is there.
    let mut cached = stage.site.http2().unwrap();
    let mut before = cached.start(&stage.request(Algorithm::Rs256), true).unwrap();
    stage.upstream_answers();
    assert_eq!(before.response().unwrap().head.status, 200);
    let rsa = stage.request(Algorithm::Rs256);
    let mut exchange = cached.start(&rsa, true).unwrap();
    stage.upstream_answers();
    assert_eq!(exchange.response().unwrap().head.status, 200);

    let only_es256 = serde_json::json!({ "keys": [first["keys"][1]] }).to_string();
    let mut exchange = cached.start(&stage.request(Algorithm::Es256), true).unwrap();
    reply(&stage.asked_for_metadata(), 200, stage.metadata().as_bytes());
    reply(&stage.idp.accept().unwrap(), 200, only_es256.as_bytes());
    stage.upstream_answers();
    assert_eq!(exchange.response().unwrap().head.status, 200);

    // On the same worker, which has the new keys: what was verified and kept is not good any more.
    let refused = cached.request(&rsa, b"").unwrap();
    assert_eq!(refused.head.status, 401, "a key that was withdrawn vouches for nobody");
}
