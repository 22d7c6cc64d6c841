//! A new revision of the policy while requests wait for keys.

use super::stage::{FAILED, KEYS, METADATA, Scripted, WAITING, own_keys, publish, reloadable};
use veilwire_tests::deadline::{LIMIT, poll};
use veilwire_tests::token::Algorithm;
use veilwire_tests::upstream::Exchange;
use veilwire_tests::wire::ResponseHead;

#[test]
fn requests_that_wait_are_answered_when_the_policy_changes() {
    let (stage, next) = reloadable();
    let held = stage.asked_for_metadata();
    let mut before = stage.site.http2().unwrap();
    let mut waiting = before.start(&stage.request(Algorithm::Es256), true).unwrap();
    // On a machine that is too busy the attempt may be over before.
    let seen = poll(LIMIT, || {
        let envoy = &stage.site.envoy;
        Ok((envoy.stat(WAITING)? == 1 || envoy.stat(FAILED)? > 0).then_some(()))
    });
    assert_eq!(seen.unwrap(), Some(()));

    publish(&next, &stage.site.kit.folder().join("listeners.json"));
    stage.site.envoy.wait_log("policy `oidc` revision 2").unwrap();
    stage.site.envoy.wait_stat("listener_manager.lds.update_success", |updates| updates >= 2).unwrap();

    let later = stage.request(Algorithm::Rs256);
    let metadata = stage.metadata();
    let Scripted { site, idp, .. } = stage;
    // Envoy may have given up what is answered here; it asks again.
    let answer = move |exchange: &Exchange| {
        let body = if exchange.head.path == METADATA { metadata.clone() } else { own_keys() };
        assert!([METADATA, KEYS].contains(&exchange.head.path.as_str()));
        let length = body.len().to_string();
        let _ = exchange.reply(ResponseHead::new(200, &[("content-length", &length)]), &[body.as_bytes()]);
    };
    answer(&held);
    let _server = idp.serve(move |exchange| {
        answer(&exchange);
        Ok(())
    });
    let upstream = site.upstream.serve(|exchange| {
        exchange.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"])
    });
    let status = waiting.response().unwrap().head.status;
    assert!(status == 200 || status == 503, "{status}: it is answered, well or not");

    // The new revision has the keys that the old one asked for, or asks itself.
    site.envoy.wait_stat("wasmcustom.veilwire_keys_state_idp", |state| state == 1).unwrap();
    let config =
        site.kit.pki.client_config(&[veilwire_tests::client::ALPN_HTTP2], None, rustls::ALL_VERSIONS);
    let mut client = veilwire_tests::client::Http2Client::connect(
        site.envoy.address("veilwire").unwrap(),
        config.unwrap(),
    );
    assert_eq!(client.as_mut().unwrap().request(&later, b"").unwrap().head.status, 200);
    assert!(upstream.failures().is_empty());
}
