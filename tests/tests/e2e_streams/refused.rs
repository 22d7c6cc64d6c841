//! Streams that are refused after their head has left: the client is told by an event of the content's own, where there is one.

use veilwire_tests::client::Http2Exchange;
use veilwire_tests::site::Site;
use veilwire_tests::upstream::{Ending, Exchange};
use veilwire_tests::wire::{Piece, ResponseHead, headers};

const GOOD: &[u8] =
    b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Well. \"}}]}\n\n";
const BAD: &[u8] =
    b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\": ada@example.com}}]}\n\n";

/// A stream of events of which the client has the first.
fn begun(site: &Site) -> (Http2Exchange, Exchange, veilwire_tests::client::Http2Client) {
    let mut client = site.http2().unwrap();
    let mut exchange = client.start(&site.post("chat", "application/json").unwrap(), false).unwrap();
    exchange.send(b"{}", true).unwrap();
    let mut arrived = site.upstream.accept().unwrap();
    arrived.body().unwrap();
    arrived.respond(ResponseHead::new(200, &[("content-type", "text/event-stream")])).unwrap();
    assert_eq!(exchange.response_head().unwrap().status, 200);
    arrived.send(GOOD).unwrap();
    assert_eq!(exchange.next_piece().unwrap(), Piece::Data(GOOD.to_vec()));
    (exchange, arrived, client)
}

/// What the client got, and whether it saw an end in good order.
fn rest(exchange: &mut Http2Exchange) -> (String, bool) {
    let mut text = Vec::new();
    loop {
        match exchange.next_piece() {
            Ok(Piece::Data(data)) => text.extend(data),
            Ok(Piece::End(_)) => return (String::from_utf8(text).unwrap(), true),
            Err(_) => return (String::from_utf8(text).unwrap(), false),
        }
    }
}

fn is_told(text: &str) -> bool {
    text.starts_with("data: {\"error\":") && text.ends_with("\n\n") && text.contains("veilwire")
}

#[test]
fn the_client_is_told_however_the_refused_stream_ends() {
    let site = Site::over_http2().unwrap();
    // In the callback that ends the stream: nothing can follow the event but the end.
    let (mut exchange, arrived, _client) = begun(&site);
    arrived.end(Ending::WithData(BAD.to_vec())).unwrap();
    let (text, ended) = rest(&mut exchange);
    assert!(is_told(&text), "{text:?}\n{}", site.envoy.log_tail());
    assert!(ended);
    // Before the end, which then is a cut.
    for ending in
        [Ending::Empty, Ending::Trailers(headers(&[("x-checksum", "none")])), Ending::WithData(GOOD.to_vec())]
    {
        let (mut exchange, arrived, _client) = begun(&site);
        arrived.send(BAD).unwrap();
        // The stream may be gone before its end can be sent.
        let _ = arrived.end(ending.clone());
        let (text, ended) = rest(&mut exchange);
        assert!(is_told(&text), "{ending:?}: {text:?}\n{}", site.envoy.log_tail());
        assert!(!ended, "{ending:?}");
    }
}
