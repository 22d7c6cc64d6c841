//! Headers that only the proxy may write.

use veilwire_tests::site::Site;
use veilwire_tests::wire::{ResponseHead, headers};

#[test]
fn no_caller_steers_the_proxy_or_its_upstreams() {
    let site = Site::start().unwrap();
    let mut client = site.http1().unwrap();
    let mut head = site.post("json", "application/json").unwrap();
    let sent = [
        // Would be asked for again, and given up after a millisecond.
        ("x-envoy-retry-on", "5xx,reset"),
        ("x-envoy-max-retries", "7"),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
        ("x-envoy-force-trace", "caller"),
        ("x-envoy-internal", "true"),
        ("x-envoy-original-path", "/caller"),
        ("x-envoy-not-known-today", "caller"),
    ];
    head.headers.extend(headers(&sent));
    head.headers.extend(headers(&[("content-length", "2")]));
    client.send_head(&head).unwrap();
    client.send(b"{}").unwrap();
    let mut exchange = site.upstream.accept().unwrap();
    exchange.body().unwrap();
    let arrived = exchange.head.headers.iter().filter(|(name, _)| name.starts_with(b"x-envoy"));
    let arrived: Vec<_> = arrived.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    // What Envoy says of its own when it forwards a request.
    assert!(arrived.iter().all(|name| name == "x-envoy-expected-rq-timeout-ms"), "{arrived:?}");
    exchange.reply(ResponseHead::new(503, &[("content-type", "application/json")]), &[b"{}"]).unwrap();
    assert_eq!(client.response().unwrap().head.status, 503);
    assert!(site.upstream.arrived().is_none(), "the request was sent again");
}
