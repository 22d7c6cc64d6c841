//! Keys that Envoy itself fetches, for tokens that it verifies (`verifiedBy: envoy`).

use super::stage::{KEYS, POLICY, Scripted, own_keys, reply};
use veilwire_tests::pki::Identity;
use veilwire_tests::token::Algorithm;

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
    // Each worker asks for itself.
    for _ in 0..2 {
        let asked = stage.idp.accept().unwrap();
        assert_eq!((asked.head.method.as_str(), asked.head.path.as_str()), ("GET", KEYS));
        assert_eq!(format!("https://{}", asked.head.authority), stage.issuer);
        reply(&asked, 200, own_keys().as_bytes());
        if stage.site.envoy.wait_stat(FETCHED, |count| count > 0).unwrap() > 0 {
            break;
        }
    }
    for algorithm in Algorithm::ALL {
        let mut client = stage.site.http1().unwrap();
        client.send_head(&stage.request(algorithm)).unwrap();
        stage.upstream_answers();
        assert_eq!(client.response().unwrap().head.status, 200);
    }
    let mut client = stage.site.http1().unwrap();
    assert_eq!(client.request(&stage.unknown_key(1), b"").unwrap().head.status, 401);
}

#[test]
fn without_keys_of_a_service_that_proves_its_name_nobody_is_let_in() {
    let stage = Scripted::with(Identity::Stranger, &policy());
    stage.site.envoy.wait_stat(FAILED, |count| count > 0).unwrap();
    let mut client = stage.site.http1().unwrap();
    assert_eq!(client.request(&stage.request(Algorithm::Es256), b"").unwrap().head.status, 401);
    assert!(stage.site.upstream.arrived().is_none());
}
