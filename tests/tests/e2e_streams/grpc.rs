//! gRPC calls with messages in both directions at the same time: each leaves when it is complete, masked, whatever the other side does.

use veilwire_tests::client::{Http2Client, Http2Exchange};
use veilwire_tests::site::Site;
use veilwire_tests::upstream::{Ending, Exchange};
use veilwire_tests::wire::{Piece, RequestHead, ResponseHead, headers};

use crate::messages::{exported, framed, spans};

const POLICY: &str = include_str!("../../policies/grpc.yaml");
const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const EMAIL: &str = "ada.lovelace@example.com";

fn site() -> Site {
    Site::with_policy("grpc.yaml", POLICY).unwrap()
}

fn head(site: &Site) -> RequestHead {
    let mut head = site.post_to(PATH, "application/grpc").unwrap();
    head.headers.extend(headers(&[("te", "trailers")]));
    head
}

/// A call whose head has been answered; nothing was said yet.
fn call(site: &Site) -> (Http2Client, Http2Exchange, Exchange) {
    let mut client = site.http2().unwrap();
    let mut exchange = client.start(&head(site), false).unwrap();
    let arrived = site.upstream.accept().unwrap();
    assert_eq!(arrived.head.header("te"), Some(&b"trailers"[..]));
    arrived.respond(ResponseHead::new(200, &[("content-type", "application/grpc")])).unwrap();
    let answered = exchange.response_head().unwrap();
    assert_eq!(answered.header("content-type"), Some(&b"application/grpc"[..]));
    (client, exchange, arrived)
}

/// The next bytes, in however many frames they come.
fn bytes(mut next: impl FnMut() -> anyhow::Result<Piece>, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        match next().unwrap() {
            Piece::Data(data) => got.extend(data),
            Piece::End(_) => panic!("ended after {} of {count} bytes", got.len()),
        }
    }
    got
}

#[test]
fn messages_pass_one_by_one_in_both_directions() {
    let site = site();
    let (_client, mut exchange, mut arrived) = call(&site);
    for round in 0..20 {
        // Nothing of the other side is under way, so a message that arrives did not wait for another.
        let said = framed(&spans(&format!("round {round} of {EMAIL}")));
        let masked = framed(&spans(&format!("round {round} of [EMAIL]")));
        let (begin, rest) = said.split_at(round % said.len());
        exchange.send(begin, false).unwrap();
        exchange.send(rest, false).unwrap();
        assert_eq!(bytes(|| arrived.next_piece(), masked.len()), masked, "request {round}");

        let answered = [framed(&exported(&format!("no {round}, {EMAIL}"))), framed(&exported("ok"))].concat();
        let masked = [framed(&exported(&format!("no {round}, [EMAIL]"))), framed(&exported("ok"))].concat();
        // The first message is complete in the first frame, and of the second there is a part.
        let (begin, rest) = answered.split_at(answered.len() - 3);
        arrived.send(begin).unwrap();
        let first = masked.len() - framed(&exported("ok")).len();
        let got = bytes(|| exchange.next_piece(), first);
        assert_eq!(got, masked[..first], "answer {round}");
        arrived.send(rest).unwrap();
        assert_eq!(bytes(|| exchange.next_piece(), masked.len() - first), masked[first..]);
    }
    // The client is done; the server still talks, and says how it went in trailers.
    exchange.send(b"", true).unwrap();
    assert_eq!(arrived.next_piece().unwrap(), Piece::End(headers(&[])));
    arrived.send(&framed(&exported(EMAIL))).unwrap();
    let last = framed(&exported("[EMAIL]"));
    assert_eq!(bytes(|| exchange.next_piece(), last.len()), last);
    let status = headers(&[("grpc-status", "0"), ("grpc-message", &format!("kept%20{EMAIL}"))]);
    arrived.end(Ending::Trailers(status)).unwrap();
    let status = headers(&[("grpc-status", "0"), ("grpc-message", "kept%20[EMAIL]")]);
    assert_eq!(exchange.next_piece().unwrap(), Piece::End(status));
}

#[test]
fn a_call_that_is_refused_before_its_answer_has_a_status() {
    let site = site();
    let mut client = site.http2().unwrap();
    let mut exchange = client.start(&head(&site), false).unwrap();
    exchange.send(&framed(&spans("first")), false).unwrap();
    // Message type 7 does not exist on the wire (protobuf, "Message Structure").
    exchange.send(&framed(b"\x0f\x01"), false).unwrap();
    let response = exchange.response().unwrap();
    assert_eq!(response.head.status, 200);
    // Trailers-Only: the status is in the head.
    assert_eq!(response.head.header("grpc-status"), Some(&b"3"[..]), "{:?}", response.head);
    assert!(response.body.is_empty());
    // What had left before is all that the upstream ever gets, and it sees no end.
    if let Some(mut arrived) = site.upstream.arrived() {
        assert!(arrived.body().is_err(), "a refused call was completed");
    }
}

#[test]
fn an_answer_that_is_refused_in_its_middle_ends_with_a_status() {
    let site = site();
    let ok = framed(&exported("ok"));
    let bad = framed(b"\x0f\x01");
    for answer in [vec![&ok, &bad], vec![&bad, &ok], vec![&bad]] {
        let (_client, mut exchange, arrived) = call(&site);
        arrived.send(&answer.iter().flat_map(|part| part.to_vec()).collect::<Vec<_>>()).unwrap();
        arrived.end(Ending::Trailers(headers(&[("grpc-status", "0"), ("grpc-message", EMAIL)]))).unwrap();
        if answer[0] == &ok {
            assert_eq!(bytes(|| exchange.next_piece(), ok.len()), ok, "what came before it");
        }
        let status = headers(&[("grpc-status", "13"), ("grpc-message", "the content cannot be inspected")]);
        assert_eq!(exchange.next_piece().unwrap(), Piece::End(status));
    }
}

#[test]
fn a_call_that_is_refused_when_no_trailers_come_is_reset() {
    let site = site();
    let ok = framed(&exported("ok"));
    let bad = framed(b"\x0f\x01");
    for from_client in [true, false] {
        let (_client, mut exchange, mut arrived) = call(&site);
        arrived.send(&ok).unwrap();
        assert_eq!(bytes(|| exchange.next_piece(), ok.len()), ok);
        if from_client {
            exchange.send(&bad, false).unwrap();
        } else {
            arrived.end(Ending::WithData(bad.clone())).unwrap();
        }
        // A filter can change trailers, not make them: the client must not take it for a success.
        assert!(exchange.next_piece().is_err(), "{from_client}\n{}", site.envoy.log_tail());
        assert!(!from_client || arrived.body().is_err(), "a refused call was completed");
    }
}
