//! The corpus in real Envoy, over HTTP/1.1 and HTTP/2, with every way a message may end.
#![cfg(test)]

use veilwire_tests::corpus::{self, Case, Direction, Expect};
use veilwire_tests::site::Site;
use veilwire_tests::splits;
use veilwire_tests::upstream::{Ending, Exchange};
use veilwire_tests::wire::{Headers, RequestHead, ResponseHead, headers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1Length,
    Http1Chunked,
    Http2WithData,
    Http2Empty,
    Http2Trailers,
}

/// Tells requests apart.
const NUMBER: &str = "x-number";

const PROTOCOLS: [Protocol; 5] = [
    Protocol::Http1Length,
    Protocol::Http1Chunked,
    Protocol::Http2WithData,
    Protocol::Http2Empty,
    Protocol::Http2Trailers,
];

fn cases(direction: Direction) -> Vec<Case> {
    let cases = corpus::load().unwrap().into_iter();
    cases.filter(|case| case.direction == direction && !case.disabled.contains_key("envoy")).collect()
}

fn no_trailers() -> Headers {
    Headers::new()
}

/// Sends a request in pieces; gives the status of the answer. The upstream answers `{}` if the request reaches its end.
fn send(
    site: &Site,
    protocol: Protocol,
    head: &RequestHead,
    pieces: &[&[u8]],
    case: &Case,
) -> (u16, Option<Vec<u8>>) {
    let json = || ResponseHead::new(200, &[("content-type", "application/json")]);
    let answer = |seen: &mut Option<Vec<u8>>| {
        if matches!(case.expect, Expect::Output(_)) {
            let mut exchange = next(site, head);
            let body = exchange.body();
            *seen = Some(body.unwrap_or_else(|error| {
                panic!("{} over {protocol:?}: {error:#}\n{}", case.name, site.envoy.log_tail())
            }));
            exchange.reply(json(), &[b"{}"]).unwrap();
        }
    };
    let mut seen = None;
    match protocol {
        Protocol::Http1Length => {
            let mut client = site.http1().unwrap();
            let mut head = head.clone();
            head.headers.extend(headers(&[("content-length", &case.input.len().to_string())]));
            client.send_head(&head).unwrap();
            for piece in pieces {
                // A refusal may close the connection before all is sent.
                if client.send(piece).is_err() {
                    break;
                }
            }
            answer(&mut seen);
            (client.response().unwrap().head.status, seen)
        }
        Protocol::Http1Chunked => {
            let mut client = site.http1().unwrap();
            let mut head = head.clone();
            head.headers.extend(headers(&[("transfer-encoding", "chunked")]));
            client.send_head(&head).unwrap();
            let sent =
                pieces.iter().filter(|piece| !piece.is_empty()).all(|piece| client.send_chunk(piece).is_ok());
            if sent {
                let _ = client.finish_chunks(&no_trailers());
            }
            answer(&mut seen);
            (client.response().unwrap().head.status, seen)
        }
        Protocol::Http2WithData | Protocol::Http2Empty | Protocol::Http2Trailers => {
            let mut client = site.http2().unwrap();
            let mut exchange = client.start(head, false).unwrap();
            let last = pieces.len() - 1;
            for (place, piece) in pieces.iter().enumerate() {
                if exchange.send(piece, protocol == Protocol::Http2WithData && place == last).is_err() {
                    break;
                }
            }
            let _ = match protocol {
                Protocol::Http2Empty => exchange.send(b"", true),
                Protocol::Http2Trailers => exchange.finish(&headers(&[("x-checksum", "none")])),
                _ => Ok(()),
            };
            answer(&mut seen);
            (exchange.response().unwrap().head.status, seen)
        }
    }
}

/// The exchange of this request. A request that was refused while it was on its way may have got there, and only now.
fn next(site: &Site, head: &RequestHead) -> Exchange {
    loop {
        let mut exchange = site.upstream.accept().unwrap();
        if exchange.head.header(NUMBER) == head.header(NUMBER) {
            return exchange;
        }
        assert!(exchange.body().is_err(), "a refused body was completed");
    }
}

/// Upstreams that speak both: trailers get through HTTP/2 only.
fn sites() -> [Site; 2] {
    [Site::start().unwrap(), Site::over_http2().unwrap()]
}

impl Protocol {
    /// The one of [`sites`] for this protocol.
    fn of(self, [http1, http2]: &[Site; 2]) -> &Site {
        if matches!(self, Self::Http1Length | Self::Http1Chunked) { http1 } else { http2 }
    }
}

#[test]
fn requests() {
    let sites = sites();
    for (number, case) in cases(Direction::Request).into_iter().enumerate() {
        for protocol in PROTOCOLS {
            let site = protocol.of(&sites);
            let mut head = site.post(&case.route, &case.content_type).unwrap();
            head.headers.extend(headers(&[(NUMBER, &format!("{number}-{protocol:?}"))]));
            let pieces = splits::pieces(&case.input, &splits::seeded(case.input.len(), 1));
            let (status, seen) = send(site, protocol, &head, &pieces, &case);
            let name = format!("{} over {protocol:?}", case.name);
            match &case.expect {
                Expect::Output(expected) => {
                    assert_eq!(status, 200, "{name}\n{}", site.envoy.log_tail());
                    let seen = seen.unwrap_or_else(|| panic!("{name}: the upstream saw no whole body"));
                    assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(expected), "{name}");
                    assert_eq!(&seen, expected, "{name}");
                }
                Expect::Refused(_) => {
                    assert!((400..500).contains(&status), "{name}: {status}");
                    while let Some(mut exchange) = site.upstream.arrived() {
                        assert!(exchange.body().is_err(), "{name}: a refused body was completed");
                    }
                }
            }
        }
    }
}

#[test]
fn responses() {
    let sites = sites();
    for case in cases(Direction::Response) {
        for protocol in PROTOCOLS {
            let site = protocol.of(&sites);
            let head = site.post(&case.route, "application/json").unwrap();
            let name = format!("{} over {protocol:?}", case.name);
            let reply = |mut exchange: Exchange| {
                let seen = exchange.body().unwrap();
                assert_eq!(
                    String::from_utf8_lossy(&seen),
                    String::from_utf8_lossy(&case.asked.expect),
                    "{name}"
                );
                let mut answer = ResponseHead::new(200, &[("content-type", &case.content_type)]);
                if protocol == Protocol::Http1Length {
                    answer.headers.extend(headers(&[("content-length", &case.input.len().to_string())]));
                }
                let script = || {
                    exchange.respond(answer)?;
                    for piece in splits::pieces(&case.input, &splits::seeded(case.input.len(), 2)) {
                        exchange.send(piece)?;
                    }
                    match protocol {
                        Protocol::Http2Trailers => {
                            exchange.end(Ending::Trailers(headers(&[("x-checksum", "none")])))
                        }
                        _ => exchange.end(Ending::Empty),
                    }
                };
                // A refused response is cut, so its end may have nowhere to go.
                let sent: anyhow::Result<()> = script();
                if matches!(case.expect, Expect::Output(_)) {
                    sent.unwrap_or_else(|error| panic!("{name}: {error:#}\n{}", site.envoy.log_tail()));
                }
            };
            let body = if matches!(protocol, Protocol::Http1Length | Protocol::Http1Chunked) {
                let mut client = site.http1().unwrap();
                let mut head = head.clone();
                let length = case.asked.input.len().to_string();
                head.headers.extend(headers(&[("content-length", &length)]));
                client.send_head(&head).unwrap();
                client.send(&case.asked.input).unwrap();
                reply(site.upstream.accept().unwrap());
                client.response().map(|response| (response.head, response.body))
            } else {
                let mut client = site.http2().unwrap();
                let mut exchange = client.start(&head, false).unwrap();
                exchange.send(&case.asked.input, true).unwrap();
                reply(site.upstream.accept().unwrap());
                exchange.response().map(|response| (response.head, response.body))
            };
            match (&case.expect, body) {
                (Expect::Output(expected), Ok((head, body))) => {
                    assert_eq!(head.status, 200, "{name}");
                    assert_eq!(head.header("x-veilwire-decision"), Some(&b"allow"[..]), "{name}");
                    assert_eq!(String::from_utf8_lossy(&body), String::from_utf8_lossy(expected), "{name}");
                    assert_eq!(&body, expected, "{name}");
                }
                (Expect::Output(_), Err(error)) => panic!("{name}: {error:#}\n{}", site.envoy.log_tail()),
                // Cut, or the refusal in place of the response, or an event that says so and is the last; a whole message never.
                (Expect::Refused(_), Ok((head, body))) => {
                    let text = String::from_utf8_lossy(&body);
                    let told = corpus::tells_of_refusal(&body);
                    assert!(
                        head.status == 502 || head.status == 503 || told,
                        "{name}: {} {text}",
                        head.status
                    );
                }
                (Expect::Refused(_), Err(_)) => {}
            }
        }
    }
}
