//! Providers that do not do what they should. Whatever happens, nobody gets in, it is told, and it ends by itself.

use super::stage::{FAILED, FETCHED, KEYS, POLICY, Scripted, own_keys, reply};
use veilwire_tests::deadline::{LIMIT, poll};
use veilwire_tests::pki::Identity;
use veilwire_tests::token::Algorithm;
use veilwire_tests::upstream::{Ending, Exchange};
use veilwire_tests::wire::ResponseHead;

/// The first fetch goes wrong: `break_it` answers it, `reason` is what the log says. Then the provider is good again.
fn recovers(reason: &str, break_it: impl FnOnce(&Scripted, Exchange)) {
    let stage = Scripted::start();
    let exchange = stage.asked_for_metadata();
    break_it(&stage, exchange);
    stage.site.envoy.wait_log(reason).unwrap();
    assert!(stage.site.envoy.wait_stat(FAILED, |failed| failed > 0).unwrap() >= 1);
    assert_eq!(stage.site.envoy.stat(FETCHED).unwrap(), 0);
    stage.give_keys();
    admits(&stage);
}

/// Sends good requests until one is let through: an answer that came between two ticks may be seen by one worker first.
fn admits(stage: &Scripted) {
    stage.site.envoy.wait_stat("wasmcustom.veilwire_keys_state_idp", |state| state == 1).unwrap();
    let mut client = stage.site.http2().unwrap();
    let mut exchange = client.start(&stage.request(Algorithm::Es256), true).unwrap();
    stage.upstream_answers();
    assert_eq!(exchange.response().unwrap().head.status, 200);
}

#[test]
fn an_error_of_the_provider() {
    recovers("keys of `idp` were not fetched: status 500", |_, exchange| reply(&exchange, 500, b"{}"));
}

#[test]
fn garbage_for_metadata() {
    recovers("the metadata of the issuer cannot be read", |_, exchange| {
        reply(&exchange, 200, b"<html>\xff\x00</html>");
    });
}

#[test]
fn metadata_of_another_issuer() {
    recovers("the metadata are of another issuer", |stage, exchange| {
        let metadata = stage.metadata().replace("https://localhost", "https://LOCALHOST");
        reply(&exchange, 200, metadata.as_bytes());
    });
}

#[test]
fn keys_on_another_host() {
    recovers("`jwks_uri` is not on the same service", |stage, exchange| {
        let metadata =
            serde_json::json!({ "issuer": stage.issuer, "jwks_uri": "https://keys.example.com/keys" });
        reply(&exchange, 200, metadata.to_string().as_bytes());
    });
}

#[test]
fn a_redirection() {
    recovers("status 302: redirections are not followed", |stage, exchange| {
        let elsewhere = format!("{}{KEYS}", stage.issuer);
        let head = ResponseHead::new(302, &[("location", &elsewhere), ("content-length", "0")]);
        exchange.reply(head, &[]).unwrap();
    });
}

#[test]
fn keys_that_cannot_be_read_and_a_set_without_keys() {
    for (set, reason) in [
        ("{\"keys\": [", "key set is not JSON with one reading"),
        ("{\"keys\": []}", "key set has no usable key"),
        (r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#, "symmetric keys are refused"),
    ] {
        recovers(reason, |stage, exchange| {
            reply(&exchange, 200, stage.metadata().as_bytes());
            reply(&stage.idp.accept().unwrap(), 200, set.as_bytes());
        });
    }
}

#[test]
fn forty_megabytes() {
    recovers("keys of `idp` were not fetched: ", |_, exchange| {
        let megabyte = vec![b' '; 1 << 20];
        let _ = exchange.respond(ResponseHead::new(200, &[("content-type", "application/json")]));
        for _ in 0..40 {
            // Envoy hangs up when it has enough.
            if exchange.send(&megabyte).is_err() {
                return;
            }
        }
        let _ = exchange.end(Ending::Empty);
    });
}

#[test]
fn an_answer_that_is_cut() {
    recovers("keys of `idp` were not fetched: ", |_, exchange| {
        exchange.respond(ResponseHead::new(200, &[("content-length", "1000")])).unwrap();
        exchange.send(b"{\"issuer\": ").unwrap();
        exchange.end(Ending::Reset).unwrap();
    });
}

#[test]
fn a_provider_that_never_answers() {
    recovers("keys of `idp` were not fetched: status 504", |_, exchange| {
        // Held until Envoy gives up.
        std::thread::spawn(move || {
            let mut exchange = exchange;
            let _ = exchange.body();
            let _ = poll(LIMIT, || Ok(None::<()>));
        });
    });
}

#[test]
fn a_certificate_of_somebody_else() {
    let stage = Scripted::with(Identity::Stranger, POLICY);
    stage.site.envoy.wait_log("keys of `idp` were not fetched: status 503").unwrap();
    let mut client = stage.site.http1().unwrap();
    let response = client.request(&stage.request(Algorithm::Es256), b"").unwrap();
    assert_eq!(response.head.status, 503);
    assert!(stage.idp.arrived().is_none(), "nothing was asked of whoever this is");
    assert!(stage.site.upstream.arrived().is_none());
}

#[test]
fn a_provider_that_is_gone_and_comes_back_with_less() {
    let stage = Scripted::start();
    stage.give_keys();
    stage.site.envoy.wait_stat(FETCHED, |fetched| fetched == 1).unwrap();
    // A fetch for an unknown key brings an empty set: what is there stays.
    let mut client = stage.site.http2().unwrap();
    let mut unknown = client.start(&stage.unknown_key(1), true).unwrap();
    reply(&stage.asked_for_metadata(), 200, stage.metadata().as_bytes());
    reply(&stage.idp.accept().unwrap(), 200, b"{\"keys\": []}");
    assert_eq!(unknown.response().unwrap().head.status, 401);
    stage.site.envoy.wait_stat(FAILED, |failed| failed == 1).unwrap();
    let _ = own_keys();
    admits(&stage);
}
