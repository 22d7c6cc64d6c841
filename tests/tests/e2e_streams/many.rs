//! Many slow streams at once: each gets its own events, each as soon as it is sent, and its own values masked.

use veilwire_tests::site::Site;
use veilwire_tests::upstream::Ending;
use veilwire_tests::wire::{Piece, ResponseHead};

/// Streams of one connection, and connections.
const STREAMS: usize = 50;
const CONNECTIONS: usize = 4;

fn event(text: &str) -> Vec<u8> {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n").into_bytes()
}

#[test]
fn two_hundred_streams_wait_and_go_on() {
    let site = Site::over_http2().unwrap();
    let head = site.post("chat", "application/json").unwrap();
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| site.http2().unwrap()).collect();
    let mut streams = Vec::new();
    for client in &mut clients {
        for _ in 0..STREAMS {
            let mut exchange = client.start(&head, false).unwrap();
            exchange.send(b"{}", true).unwrap();
            let mut arrived = site.upstream.accept().unwrap();
            arrived.body().unwrap();
            arrived.respond(ResponseHead::new(200, &[("content-type", "text/event-stream")])).unwrap();
            assert_eq!(exchange.response_head().unwrap().status, 200);
            streams.push((exchange, arrived));
        }
    }
    // All are open. Each gets an event, and half a value that is held back.
    for (number, (exchange, arrived)) in streams.iter_mut().enumerate() {
        let first = event(&format!("Stream {number}. "));
        arrived.send(&first).unwrap();
        assert_eq!(exchange.next_piece().unwrap(), Piece::Data(first));
        arrived.send(&event("ada.lovelace@exam")).unwrap();
    }
    for (number, (exchange, arrived)) in streams.iter_mut().enumerate().rev() {
        arrived.send(&event(&format!("ple.com, and {number}. "))).unwrap();
        arrived.send(b"data: [DONE]\n\n").unwrap();
        arrived.end(Ending::Empty).unwrap();
        let mut text = Vec::new();
        while let Piece::Data(data) = exchange.next_piece().unwrap() {
            text.extend(data);
        }
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("lovelace"), "{number}");
        let said: String =
            text.split("\"content\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(said, format!("[EMAIL], and {number}. "), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
}
