//! How messages end: with their data, in a callback of their own, at their length, in trailers, or in a refusal.

use super::support::{Call, EMAIL, FakeHost, model, token};
use super::{agent, feed};
use std::sync::{Arc, OnceLock};
use veilwire_engine::decision::Direction::{self, Request, Response};
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::RouteId;
use veilwire_engine::policy::model::RoutePath;

const FORM: &str = "application/x-www-form-urlencoded";

/// The usual policy and a route of no known content: forms and texts may go there.
fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let make = || {
        let mut model = model();
        let mut route = model.routes[0].clone();
        route.name = "notes".into();
        route.path = RoutePath::Exact("/notes".into());
        route.content = None;
        model.routes.push(route);
        let routes = [0, 3].map(RouteId).to_vec();
        model.rules[0].routes.clone_from(&routes);
        model.rules[3].routes = routes;
        Arc::new(Policy::from_model(&model).unwrap())
    };
    Arc::clone(POLICY.get_or_init(make))
}

/// A host on a message with this head.
fn past_head(direction: Direction, head: &[(&str, &str)]) -> (Driver, FakeHost) {
    let mut host = FakeHost::new("/notes", Some(&token("agent-7", &["agents"], 600)));
    let mut driver = Driver::new(policy(), &host);
    for (name, value) in head {
        match direction {
            Request => host.set_request(name, value.as_bytes()),
            Response => host.set_response(name, value),
        }
    }
    assert_eq!(driver.request_head(&mut host, direction == Response), Action::Continue);
    if direction == Response {
        assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    }
    (driver, host)
}

/// Ends the message with trailers; gives what its reader got, or `None` if it was refused.
fn in_trailers(direction: Direction, head: &[(&str, &str)], pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let (mut driver, mut host) = past_head(direction, head);
    let mut got = Vec::new();
    for piece in pieces {
        got.extend(feed(&mut driver, &mut host, direction, piece, false));
    }
    let went = driver.trailers(&mut host, direction) == Action::Continue;
    assert_eq!(went, host.replies.len() + host.aborts == 0);
    if went {
        assert_eq!(FakeHost::header(&host.trailers, "x-checksum"), Some("1"));
    }
    // A paused body leaves before the trailers.
    got.extend(std::mem::take(&mut host.buffer));
    went.then_some(got)
}

#[test]
fn a_document_that_trailers_end_loses_nothing() {
    let long = format!("note={}&to=", "lorem+ipsum+".repeat(7_000));
    let rows: [(&str, Vec<&str>, String); 9] = [
        ("application/json", vec![" 12", "34"], " 1234".into()),
        ("application/json", vec!["4111111111111111 "], "4111111111111111 ".into()),
        ("text/plain", vec!["ok"], "ok".into()),
        ("text/plain", vec!["o", "", "k"], "ok".into()),
        ("text/plain", vec!["[", "E"], "[E".into()),
        (FORM, vec!["a"], "a".into()),
        (FORM, vec!["a=1&to=", EMAIL], "a=1&to=%5BEMAIL%5D".into()),
        (FORM, vec![&long, "ada.lovelace%40exam", "ple.com"], format!("{long}%5BEMAIL%5D")),
        ("text/plain", vec!["write to ada.lovelace@", "example.com"], "write to [EMAIL]".into()),
    ];
    for direction in [Request, Response] {
        for (kind, pieces, expected) in &rows {
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            let head = [("content-type", *kind), ("trailer", "x-checksum")];
            let got = in_trailers(direction, &head, &pieces);
            if expected.starts_with('[') {
                assert_eq!(got, None, "{direction:?}: text that begins like JSON must be JSON");
                continue;
            }
            assert_eq!(
                got.map(|got| String::from_utf8(got).unwrap()).as_ref(),
                Some(expected),
                "{direction:?} {kind}"
            );
        }
    }
}

#[test]
fn a_text_that_is_read_as_it_comes_does_not_wait_for_trailers_that_nobody_announced() {
    let head = [("content-type", "text/plain")];
    let (mut driver, mut host) = past_head(Response, &head);
    assert_eq!(feed(&mut driver, &mut host, Response, b"write to ada", false), b"write to ");
    assert_eq!(feed(&mut driver, &mut host, Response, b" or ", false), b"ada or ");
    // Where nothing is decided waiting costs nothing, so nothing is lost.
    assert_eq!(in_trailers(Response, &head, &[b"pong"]).unwrap(), b"pong");
    assert_eq!(in_trailers(Response, &head, &[b"a b, ", EMAIL.as_bytes()]).unwrap(), b"a b, [EMAIL]");
    // What was decided has left: the rest would be lost, so the message is cut.
    assert_eq!(in_trailers(Response, &head, &[b"write to ada"]), None);
    // A request is not read before its end.
    assert_eq!(in_trailers(Request, &head, &[b"write to ada"]).unwrap(), b"write to ada");
}

#[test]
fn waiting_is_bounded_and_what_is_lost_then_is_refused() {
    let text = "lorem ipsum ".repeat(30_000);
    let head = [("content-type", "text/plain"), ("trailer", "x-checksum")];
    for direction in [Request, Response] {
        let (mut driver, mut host) = past_head(direction, &head);
        let mut most = 0;
        for piece in text.as_bytes().chunks(10_000) {
            let _ = feed(&mut driver, &mut host, direction, piece, false);
            most = most.max(host.buffer.len());
        }
        assert!(most <= 96 * 1024, "{most} bytes waited");
        assert_eq!(in_trailers(direction, &head, &[text.as_bytes(), b"ada"]).unwrap().len(), text.len() + 3);
        let whole = format!("{text}ada");
        assert_eq!(in_trailers(direction, &head, &[whole.as_bytes()]), None);
    }
}

#[test]
fn http1_shows_the_end_so_nothing_waits() {
    let (mut driver, mut host) = past_head(Request, &[("content-type", "text/plain")]);
    host.properties.insert("request.protocol".into(), b"HTTP/1.1".to_vec());
    assert_eq!(feed(&mut driver, &mut host, Request, b"write to ada", false), b"write to ");
    let chunked =
        [("content-type", "text/plain"), ("transfer-encoding", "chunked"), ("trailer", "x-checksum")];
    let (mut driver, mut host) = past_head(Response, &chunked);
    assert_eq!(feed(&mut driver, &mut host, Response, b"write to ada", false), b"write to ");
    assert_eq!(feed(&mut driver, &mut host, Response, b"", true), b"ada");
}

#[test]
fn a_message_ends_at_the_length_that_its_head_says() {
    for direction in [Request, Response] {
        let body = format!("write to {EMAIL}");
        let length = body.len().to_string();
        let head = [("content-type", "text/plain"), ("content-length", length.as_str())];
        for size in [1, 7, body.len()] {
            let (mut driver, mut host) = past_head(direction, &head);
            let mut sent = Vec::new();
            for piece in body.as_bytes().chunks(size) {
                sent.extend(feed(&mut driver, &mut host, direction, piece, false));
            }
            assert_eq!(sent, b"write to [EMAIL]", "before the host says that it is over");
            assert_eq!(driver.trailers(&mut host, direction), Action::Continue);
            assert_eq!(host.replies.len() + host.aborts, 0);
        }
        // One byte more than the head says: nobody knows where the next reader sees the end.
        let (mut driver, mut host) = past_head(direction, &head);
        let longer = format!("{body}!");
        assert_eq!(feed(&mut driver, &mut host, direction, longer.as_bytes(), true), b"");
        assert_eq!(host.replies.len() + host.aborts, 1);
        let (mut driver, mut host) = past_head(direction, &head);
        assert_eq!(feed(&mut driver, &mut host, direction, body.as_bytes(), false), b"write to [EMAIL]");
        assert_eq!(feed(&mut driver, &mut host, direction, b"!", true), b"");
        assert_eq!(host.replies.len() + host.aborts, 1);
        // Lengths that do not say one thing say nothing.
        for unclear in ["+34", "34, 34", "", "99999999999999999999"] {
            let head = [("content-type", "text/plain"), ("content-length", unclear)];
            let (mut driver, mut host) = past_head(direction, &head);
            assert_eq!(feed(&mut driver, &mut host, direction, body.as_bytes(), true), b"write to [EMAIL]");
        }
    }
}

#[test]
fn a_buffer_that_cannot_be_written_refuses_the_message() {
    for direction in [Request, Response] {
        for broken in [Call::Body, Call::ReplaceBody] {
            let (mut driver, mut host) = past_head(direction, &[("content-type", FORM)]);
            assert_eq!(feed(&mut driver, &mut host, direction, b"a=1&b=ada", false), b"");
            host.broken = vec![broken];
            assert_eq!(driver.trailers(&mut host, direction), Action::Pause, "{broken:?}");
            assert_eq!(host.replies.len() + host.aborts, 1);
        }
    }
}

#[test]
fn a_refusal_in_the_callback_that_ends_the_stream_still_tells_the_client() {
    // Refused by its content, and by its end.
    let rows = [
        (
            "text/event-stream",
            "data: {\"delta\": \"one \"}\n\ndata: {\"delta\": bad}\n\n",
            "data: {\"delta\": \"one \"}\n\ndata: {\"error\":{\"type\":\"veilwire\"}}\n\n",
        ),
        (
            "application/x-ndjson",
            "{\"delta\": \"one \"}\n{\"delta\": \"tw",
            "{\"delta\": \"one \"}\n{\"error\":{\"type\":\"veilwire\"}}\n",
        ),
    ];
    for (kind, body, expected) in rows {
        let (mut driver, mut host) = agent("/chat");
        assert_eq!(driver.request_head(&mut host, true), Action::Continue);
        host.set_response("content-type", kind);
        assert_eq!(driver.response_head(&mut host, false), Action::Continue);
        let sent = feed(&mut driver, &mut host, Response, body.as_bytes(), true);
        assert_eq!(String::from_utf8(sent).unwrap(), expected, "of {body}");
        assert_eq!((host.aborts, host.wake), (0, None));
        // Nothing follows, whatever the host still brings.
        assert_eq!(feed(&mut driver, &mut host, Response, b"data: {}\n\n", true), b"");
        assert_eq!(driver.trailers(&mut host, Response), Action::Pause);
        driver.finish(&mut host);
        assert_eq!(host.audit()["outcome"], "refused");
    }
    // A part of a document must not look whole, so nothing of that callback leaves, and the stream is cut.
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    assert_eq!(feed(&mut driver, &mut host, Response, b"{\"a\": 1, bad}", true), b"");
    assert_eq!(host.aborts, 1);
}
