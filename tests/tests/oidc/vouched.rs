//! Keys that Envoy itself fetches, for tokens that it verifies (`verifiedBy: envoy`).

use super::stage::{KEYS, POLICY, Scripted, own_keys};
use veilwire_tests::deadline::{LIMIT, poll};
use veilwire_tests::pki::Identity;
use veilwire_tests::token::Algorithm;
use veilwire_tests::wire::ResponseHead;

const FETCHED: &str = "http.veilwire.jwt_authn.jwks_fetch_success";
const FAILED: &str = "http.veilwire.jwt_authn.jwks_fetch_failed";

fn policy() -> String {
    let discovery = "discovery: {service: idp, refresh: 1d}";
    assert!(POLICY.contains(discovery));
    let jwks = format!("jwks: {{service: idp, path: {KEYS}, refresh: 1d}}\n        verifiedBy: envoy");
    POLICY.replace(discovery, &jwks)
}

#[test]
fn envoy_fetches_the_keys_over_verified_tls() {
    let stage = Scripted::with(Identity::Upstream, &policy());
    // An answer that comes too late on a busy machine is asked for again.
    let fetched = (0..8).any(|_| give_keys(&stage));
    assert!(fetched, "{}", stage.site.envoy.log_tail());
    for algorithm in Algorithm::ALL {
        let mut client = stage.site.http1().unwrap();
        client.send_head(&stage.request(algorithm)).unwrap();
        stage.upstream_answers();
        assert_eq!(client.response().unwrap().head.status, 200);
    }
    let mut client = stage.site.http1().unwrap();
    assert_eq!(client.request(&stage.unknown_key(1), b"").unwrap().head.status, 401);
}

/// Answers one request of Envoy's; whether it has the keys then.
fn give_keys(stage: &Scripted) -> bool {
    let failed = stage.site.envoy.stat(FAILED).unwrap();
    let asked = stage.idp.accept().unwrap();
    assert_eq!((asked.head.method.as_str(), asked.head.path.as_str()), ("GET", KEYS));
    assert_eq!(format!("https://{}", asked.head.authority), stage.issuer);
    let (keys, kind) = (own_keys(), ("content-type", "application/json"));
    let head = ResponseHead::new(200, &[kind, ("content-length", &keys.len().to_string())]);
    if asked.reply(head, &[keys.as_bytes()]).is_err() {
        return false;
    }
    let seen = poll(LIMIT, || {
        let has = stage.site.envoy.stat(FETCHED)? > 0;
        Ok((has || stage.site.envoy.stat(FAILED)? > failed).then_some(has))
    });
    seen.unwrap() == Some(true)
}

#[test]
fn without_keys_of_a_service_that_proves_its_name_nobody_is_let_in() {
    let stage = Scripted::with(Identity::Stranger, &policy());
    stage.site.envoy.wait_stat(FAILED, |count| count > 0).unwrap();
    let mut client = stage.site.http1().unwrap();
    let answer = client.request(&stage.request(Algorithm::Es256), b"").unwrap();
    assert_eq!(answer.head.status, 503, "{}", stage.site.envoy.log_tail());
    assert!(stage.site.upstream.arrived().is_none());
}
