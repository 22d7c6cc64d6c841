//! gRPC calls on a fake host: messages both ways, statuses in trailers, and refusals that a gRPC client can read.
#![cfg(test)]

#[expect(dead_code, reason = "every test binary uses its own part of this module")]
mod support;

use serde_json::json;
use std::sync::{Arc, OnceLock};
use support::{EMAIL, FakeHost, model, token};
use veilwire_engine::decision::Direction::{self, Request, Response};
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{ContentId, RouteId};
use veilwire_engine::policy::model::RoutePath;

const PATH: &str = "/notes.v1.Notes/Exchange";

/// The usual policy and one more route, on which agents exchange notes: `message Note { string text = 1; }`.
fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let make = || {
        let mut model = model();
        let notes = json!({
            "name": "notes",
            "protobuf": {"request": "Note", "response": "Note", "messages": {"Note": [[1, "text", "text"]]}},
        });
        model.contents.push(serde_json::from_value(notes).unwrap());
        let mut route = model.routes[0].clone();
        route.name = "notes".into();
        route.path = RoutePath::Below("/notes.v1.Notes".into());
        route.content = Some(ContentId(1));
        model.routes.push(route);
        let routes = [0, 3].map(RouteId).to_vec();
        model.rules[0].routes.clone_from(&routes);
        model.rules[3].routes = routes;
        Arc::new(Policy::from_model(&model).unwrap())
    };
    Arc::clone(POLICY.get_or_init(make))
}

fn call() -> (Driver, FakeHost) {
    let mut host = FakeHost::new(PATH, Some(&token("agent-7", &["agents"], 600)));
    host.set_request("content-type", b"application/grpc");
    host.set_request("te", b"trailers");
    host.set_request("grpc-accept-encoding", b"gzip, deflate");
    host.set_response("content-type", "application/grpc");
    host.properties.insert("xds.route_name".into(), b"notes".to_vec());
    (Driver::new(policy(), &host), host)
}

/// One message with one text.
fn note(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0, 0, 0, 0, length + 2, 0x0A, length], text.as_bytes()].concat()
}

/// One body callback; gives what Envoy forwards.
fn feed(driver: &mut Driver, host: &mut FakeHost, direction: Direction, chunk: &[u8]) -> Vec<u8> {
    host.buffer.extend_from_slice(chunk);
    let size = host.buffer.len();
    match driver.body(host, direction, size, false) {
        Action::Continue => std::mem::take(&mut host.buffer),
        Action::Pause => Vec::new(),
    }
}

#[test]
fn messages_stream_both_ways_and_the_status_arrives() {
    let (mut driver, mut host) = call();
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    assert_eq!(FakeHost::header(&host.request, "te"), Some("trailers"));
    assert_eq!(FakeHost::header(&host.request, "grpc-accept-encoding"), None);
    let notes = [note("hello"), note(EMAIL), note("")].concat();
    let masked = [note("hello"), note("[EMAIL]"), note("")].concat();
    let mut sent = Vec::new();
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    for chunk in notes.chunks(4) {
        sent.extend(feed(&mut driver, &mut host, Request, chunk));
    }
    assert_eq!(sent, masked);
    let mut answered = Vec::new();
    for chunk in notes.chunks(7) {
        answered.extend(feed(&mut driver, &mut host, Response, chunk));
    }
    assert_eq!(answered, masked);
    let trailer = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    host.trailers = vec![trailer("grpc-status", "0"), trailer("grpc-message", &format!("kept%20{EMAIL}"))];
    assert_eq!(driver.trailers(&mut host, Response), Action::Continue);
    assert_eq!(FakeHost::header(&host.trailers, "grpc-status"), Some("0"));
    assert_eq!(FakeHost::header(&host.trailers, "grpc-message"), Some("kept%20[EMAIL]"));
    driver.finish(&mut host);
    let audit = host.audit();
    assert_eq!(audit["request"]["findings"][0]["location"], "$.text");
    assert_eq!(audit["response"]["findings"][1]["location"], "trailer");
}

#[test]
fn an_answer_without_messages_has_its_message_masked_in_its_head() {
    let (mut driver, mut host) = call();
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    host.set_response("grpc-status", "5");
    host.set_response("grpc-message", "no%20ada.lovelace%40example.com");
    host.set_response("grpc-status-details-bin", "CAUSD2FkYUBleGFtcGxlLmNvbQ");
    assert_eq!(driver.response_head(&mut host, true), Action::Continue);
    assert_eq!(FakeHost::header(&host.response, "grpc-status"), Some("5"));
    assert_eq!(FakeHost::header(&host.response, "grpc-message"), Some("no%20[EMAIL]"));
    assert_eq!(FakeHost::header(&host.response, "grpc-status-details-bin"), None);
}

#[test]
fn messages_that_are_cut_or_compressed_are_refused_in_the_words_of_grpc() {
    let rows: [(&str, &[u8], u32, u32); 5] = [
        ("compressed otherwise", b"\x01\0\0\0\x02\xFF\x06", 415, 12),
        ("unknown flag", b"\x02\0\0\0\x02\0\0", 400, 3),
        ("malformed", b"\0\0\0\0\x01\x0A", 400, 3),
        ("too large", b"\0\xFF\0\0\0", 413, 8),
        ("cut", b"\0\0\0\0\x05\x0A\x03a", 400, 3),
    ];
    for (name, body, status, code) in rows {
        let (mut driver, mut host) = call();
        assert_eq!(driver.request_head(&mut host, false), Action::Continue);
        host.buffer = body.to_vec();
        assert_eq!(driver.body(&mut host, Request, body.len(), true), Action::Pause, "{name}");
        let reply = &host.replies[0];
        assert_eq!((reply.status, reply.grpc_status), (status, Some(code)), "{name}");
        assert_eq!(String::from_utf8_lossy(&reply.body), "the content cannot be inspected");
        let accepted = reply.headers.iter().find(|(header, _)| *header == "grpc-accept-encoding");
        assert_eq!(
            accepted.map(|(_, value)| value.as_str()),
            (code == 12).then_some("identity,deflate,gzip"),
            "{name}"
        );
        // From the upstream the head has left by then: the call is cut, and the client sees a reset.
        let (mut driver, mut host) = call();
        assert_eq!(driver.request_head(&mut host, true), Action::Continue);
        assert_eq!(driver.response_head(&mut host, false), Action::Continue);
        host.buffer = body.to_vec();
        assert_eq!(driver.body(&mut host, Response, body.len(), true), Action::Pause, "{name}");
        assert_eq!(host.aborts, 1, "{name}");
    }
}

#[test]
fn an_answer_that_is_refused_in_its_middle_says_so_in_its_trailers() {
    let trailer = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let rows: [(&str, Vec<u8>, &str); 4] = [
        ("malformed", [note("first"), b"\0\0\0\0\x01\x0A".to_vec(), note("third")].concat(), "13"),
        ("malformed at once", b"\0\0\0\0\x01\x0A".to_vec(), "13"),
        ("compressed otherwise", [note("first"), b"\x01\0\0\0\x02\xFF\x06".to_vec()].concat(), "12"),
        ("cut", [note("first"), b"\0\0\0\0\x05\x0A\x03a".to_vec()].concat(), "13"),
    ];
    for (name, body, status) in rows {
        let expected = if body.starts_with(&note("first")) { note("first") } else { Vec::new() };
        for size in [1, 4, body.len()] {
            let (mut driver, mut host) = call();
            assert_eq!(driver.request_head(&mut host, true), Action::Continue);
            assert_eq!(driver.response_head(&mut host, false), Action::Continue);
            let mut got = Vec::new();
            for chunk in body.chunks(size) {
                got.extend(feed(&mut driver, &mut host, Response, chunk));
            }
            assert_eq!(got, expected, "{name}");
            host.trailers = vec![
                trailer("grpc-status", "0"),
                trailer("grpc-message", "fine"),
                trailer("x-note", EMAIL),
                trailer("x-note", "2"),
            ];
            assert_eq!(driver.trailers(&mut host, Response), Action::Continue, "{name}");
            let told = vec![
                trailer("grpc-status", status),
                trailer("grpc-message", "the content cannot be inspected"),
            ];
            assert_eq!((&host.trailers, host.aborts), (&told, 0), "{name}");
            assert_eq!(host.wake, None);
            assert_eq!(feed(&mut driver, &mut host, Response, &note("late")), b"");
            driver.finish(&mut host);
            assert_eq!(host.audit()["outcome"], "refused");
        }
    }
    // Trailers that cannot be changed would say that all is well.
    let (mut driver, mut host) = call();
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    feed(&mut driver, &mut host, Response, b"\x02\0\0\0\0");
    host.broken = vec![support::Call::Apply];
    assert_eq!(driver.trailers(&mut host, Response), Action::Pause);
    assert_eq!(host.aborts, 1);
}

type Break = fn(&mut FakeHost);

#[test]
fn refusals_are_grpc_statuses_from_one_table() {
    let rows: [(&str, u32, u32, Break); 8] = [
        ("no token", 401, 16, |host| host.request.retain(|(name, _)| name != b"authorization")),
        ("a group that may not", 403, 7, |host| {
            let both = token("c", &["agents", "contractors"], 60);
            host.set_request("authorization", format!("Bearer {both}").as_bytes());
        }),
        ("no route", 403, 7, |host| host.set_request(":path", b"/other.Service/Call")),
        ("malformed", 400, 3, |host| host.set_request(":path", b"/\xE9")),
        ("no messages known", 415, 12, |host| {
            host.set_request(":path", b"/chat");
            host.properties.insert("xds.route_name".into(), b"chat".to_vec());
        }),
        ("another codec", 415, 12, |host| host.set_request("content-type", b"application/grpc+json")),
        ("encoded", 415, 12, |host| host.set_request("content-encoding", b"br")),
        ("host", 503, 14, |host| host.broken = vec![support::Call::Apply]),
    ];
    for (name, status, code, break_it) in rows {
        let (mut driver, mut host) = call();
        break_it(&mut host);
        assert_eq!(driver.request_head(&mut host, false), Action::Pause, "{name}");
        let reply = &host.replies[0];
        assert_eq!((reply.status, reply.grpc_status), (status, Some(code)), "{name}");
        assert!(reply.headers.iter().all(|(name, _)| *name != "content-type"), "{name}");
        assert!(!reply.body.starts_with(b"{"), "{name}");
    }
    let (mut driver, mut host) = call();
    host.set_request("authorization", format!("Bearer {}", token("c", &["contractors"], 60)).as_bytes());
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    let text = String::from_utf8(host.replies[0].body.clone()).unwrap();
    assert_eq!(text, "a rule forbids this request: contractors-no-chat: ask in #access");
    let (mut driver, mut host) = call();
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    host.set_response("content-type", "image/png");
    assert_eq!(driver.response_head(&mut host, false), Action::Pause);
    assert_eq!((host.replies[0].status, host.replies[0].grpc_status), (502, Some(13)));
}

#[test]
fn only_what_the_proxy_takes_for_grpc_is_answered_as_grpc() {
    for other in [
        "application/grpc-web",
        "application/grpcx",
        "Application/GRPC",
        "application/grpc; a=b",
        "application/json",
    ] {
        let (mut driver, mut host) = call();
        host.set_request("content-type", other.as_bytes());
        host.request.retain(|(name, _)| name != b"authorization");
        assert_eq!(driver.request_head(&mut host, false), Action::Pause);
        assert_eq!((host.replies[0].status, host.replies[0].grpc_status), (401, None), "{other}");
    }
    let (mut driver, mut host) = call();
    host.set_request("content-type", b"application/json");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(FakeHost::header(&host.request, "te"), None);
}
