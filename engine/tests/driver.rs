//! The driver on a fake host: what goes through, what pauses, what is cut, and in which callback.
#![cfg(test)]

#[path = "driver/bodies.rs"]
mod bodies;
#[path = "driver/callers.rs"]
mod callers;
#[path = "driver/credentials.rs"]
mod credentials;
#[path = "driver/ends.rs"]
mod ends;
#[path = "driver/heads.rs"]
mod heads;
#[path = "driver/keys/requests.rs"]
mod key_requests;
#[path = "driver/keys/workers.rs"]
mod key_workers;
#[path = "driver/pseudonyms.rs"]
mod pseudonyms;
#[path = "driver/rules.rs"]
mod rules;
mod support;
#[path = "driver/keys/world.rs"]
mod world;

use support::{Call, EMAIL, FakeHost, NOW, policy, token};
use veilwire_engine::decision::Direction::{Request, Response};
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::exchange::CalloutReply;
use veilwire_engine::time::Timestamp;

fn agent(path: &str) -> (Driver, FakeHost) {
    let host = FakeHost::new(path, Some(&token("agent-7", &["agents"], 600)));
    (Driver::new(policy(), &host), host)
}

/// One body callback; gives what Envoy forwards.
fn feed(
    driver: &mut Driver,
    host: &mut FakeHost,
    direction: veilwire_engine::decision::Direction,
    chunk: &[u8],
    end: bool,
) -> Vec<u8> {
    host.buffer.extend_from_slice(chunk);
    let size = host.buffer.len();
    match driver.body(host, direction, size, end) {
        Action::Continue => std::mem::take(&mut host.buffer),
        Action::Pause => Vec::new(),
    }
}

#[test]
fn an_allowed_exchange_is_masked_both_ways_and_told_once() {
    let (mut driver, mut host) = agent("/chat?q=1");
    host.properties.insert("xds.route_name".into(), b"chat".to_vec());
    let body = format!(r#"{{"to": "{EMAIL}"}}"#);
    host.set_request("content-length", body.len().to_string().as_bytes());
    host.set_response("content-length", &body.len().to_string());
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    assert_eq!(FakeHost::header(&host.request, "authorization"), None);
    assert_eq!(FakeHost::header(&host.request, "content-length"), None);
    assert_eq!(FakeHost::header(&host.request, "accept-encoding"), None);
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-subject"), Some("agent-7"));
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-decision"), Some("allow"));
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-policy"), Some("test@7"));
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-request-id"), Some("req-1"));

    let mut sent = Vec::new();
    for chunk in body.as_bytes().chunks(3) {
        sent.extend(feed(&mut driver, &mut host, Request, chunk, false));
    }
    sent.extend(feed(&mut driver, &mut host, Request, b"", true));
    assert_eq!(String::from_utf8(sent).unwrap(), r#"{"to": "[EMAIL]"}"#);

    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    assert_eq!(FakeHost::header(&host.response, "content-length"), None);
    assert_eq!(FakeHost::header(&host.response, "x-veilwire-decision"), Some("allow"));
    let sent = feed(&mut driver, &mut host, Response, body.as_bytes(), true);
    assert_eq!(String::from_utf8(sent).unwrap(), r#"{"to": "[EMAIL]"}"#);
    driver.finish(&mut host);

    let audit = host.audit();
    assert_eq!(audit["decision"], "allow");
    assert_eq!(audit["outcome"], "complete");
    assert_eq!(audit["rules"][0], "agents-chat");
    assert_eq!(audit["caller"]["subject"], "agent-7");
    assert_eq!(audit["caller"]["groups"][0], "agents");
    assert_eq!(audit["tls"]["upstream"]["version"], "TLSv1.3");
    assert!(audit["tls"]["downstream"]["mtls"].is_boolean());
    assert_eq!(audit["tls"]["upstream"].get("mtls"), None, "nothing is said of what the host does not tell");
    for side in ["request", "response"] {
        assert_eq!(audit[side]["findings"][0]["mask"], "baseline", "{side}");
        assert_eq!(audit[side]["findings"][0]["detector"], "pii.email");
        assert_eq!(audit[side]["findings"][0]["count"], 1);
    }
    assert!(!audit.to_string().contains("lovelace"));
}

#[test]
fn a_route_without_masks_never_reads_a_body() {
    let (mut driver, mut host) = agent("/open");
    host.broken = vec![Call::Body, Call::ReplaceBody];
    host.set_request("content-type", b"application/octet-stream");
    host.set_request("content-length", b"10");
    host.set_response("content-length", "10");
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    assert_eq!(FakeHost::header(&host.request, "content-length"), Some("10"));
    assert_eq!(feed(&mut driver, &mut host, Request, &[0xff; 9], true), [0xff; 9]);
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    assert_eq!(FakeHost::header(&host.response, "content-length"), Some("10"));
    assert_eq!(feed(&mut driver, &mut host, Response, b"abc", true), b"abc");
    driver.finish(&mut host);
    assert_eq!(host.audit()["outcome"], "complete");
}

#[test]
fn untouched_chunks_are_not_written() {
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    assert_eq!(
        feed(&mut driver, &mut host, Request, br#"{"a": [1, true, "x y"]}"#, true),
        br#"{"a": [1, true, "x y"]}"#
    );
    assert_eq!(host.replaced, 0);
}

#[test]
fn trailers_are_scanned_and_kept() {
    let rows: [(&str, &str, Option<&str>); 15] = [
        ("grpc-status", "5", Some("5")),
        ("grpc-message", "no user ada.lovelace@example.com here", Some("no user [EMAIL] here")),
        ("grpc-message", "no%20user%3A%20ada.lovelace%40example.com%21", Some("no%20user%3A%20[EMAIL]%21")),
        ("grpc-message", "%6da%64%61@exa%6Dple%2Ecom", Some("[EMAIL]")),
        ("grpc-message", "100%, 5%4, %zz ada@example.com%", Some("100%, 5%4, %zz [EMAIL]%")),
        ("grpc-message", "not found: caf%C3%A9", Some("not found: caf%C3%A9")),
        ("x-note", "ada@example.com; b=2", Some("[EMAIL]; b=2")),
        ("x-note", "\u{e9}t\u{e9}", Some("\u{e9}t\u{e9}")),
        // google.rpc.Status: code 5, message.
        ("grpc-status-details-bin", "CAUSA25vdA", Some("CAUSA25vdA")),
        ("grpc-status-details-bin", "CAUSA25vdA==, CAUSA25vdA", Some("CAUSA25vdA==, CAUSA25vdA")),
        ("grpc-status-details-bin", "CAUSD2FkYUBleGFtcGxlLmNvbQ", None),
        ("x-data-bin", "CAUSA25vdA,CAUSD2FkYUBleGFtcGxlLmNvbQ==", None),
        ("x-data-bin", "no base64!", None),
        ("x-veilwire-subject", "forged", None),
        ("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ==", None),
    ];
    for direction in [Request, Response] {
        for (name, value, expected) in rows {
            let (mut driver, mut host) = agent("/chat");
            assert_eq!(driver.request_head(&mut host, direction == Response), Action::Continue);
            if direction == Response {
                assert_eq!(driver.response_head(&mut host, false), Action::Continue);
            }
            assert_eq!(feed(&mut driver, &mut host, direction, b"{}", false), b"{}");
            host.trailers = vec![
                (name.as_bytes().to_vec(), value.as_bytes().to_vec()),
                (b"x-end".to_vec(), b"1".to_vec()),
            ];
            assert_eq!(driver.trailers(&mut host, direction), Action::Continue, "{name}: {value}");
            assert_eq!(FakeHost::header(&host.trailers, name), expected, "{name}: {value}");
            assert_eq!(FakeHost::header(&host.trailers, "x-end"), Some("1"));
            driver.finish(&mut host);
            let side = if direction == Request { "request" } else { "response" };
            let found = &host.audit()[side]["findings"];
            if value.contains("ada") || value.contains("%6da") || value.contains("YUBleG") {
                assert_eq!((&found[0]["location"], &found[0]["count"]), (&"trailer".into(), &1.into()));
            } else {
                assert_eq!(found.as_array().map_or(0, Vec::len), 0, "{name}: {value}");
            }
        }
    }
}

#[test]
fn repeated_trailers_are_scanned_each_and_joined_if_one_is_changed() {
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    assert_eq!(feed(&mut driver, &mut host, Response, b"{}", false), b"{}");
    let line = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    host.trailers = vec![
        line("a", "1"),
        line("b", "1"),
        line("a", EMAIL),
        line("b", "2"),
        line("t_ada@example.com", "1"),
    ];
    assert_eq!(driver.trailers(&mut host, Response), Action::Continue);
    host.trailers.sort();
    assert_eq!(host.trailers, [line("a", "1, [EMAIL]"), line("b", "1"), line("b", "2")]);
}

#[test]
fn trailers_that_cannot_be_read_or_written_are_no_way_around() {
    for broken in [Call::Headers, Call::Apply] {
        for direction in [Request, Response] {
            let (mut driver, mut host) = agent("/chat");
            assert_eq!(driver.request_head(&mut host, direction == Response), Action::Continue);
            if direction == Response {
                assert_eq!(driver.response_head(&mut host, false), Action::Continue);
            }
            assert_eq!(feed(&mut driver, &mut host, direction, b"{}", false), b"{}");
            host.trailers = vec![(b"x-note".to_vec(), EMAIL.as_bytes().to_vec())];
            host.broken = vec![broken];
            assert_eq!(driver.trailers(&mut host, direction), Action::Pause, "{broken:?} {direction:?}");
            assert_eq!(host.replies.len() + host.aborts, 1);
        }
    }
}

#[test]
fn an_approval_holds_and_then_lets_go() {
    let (mut driver, mut host) = agent("/export");
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    assert_eq!(host.wake, Some(NOW.saturating_add_millis(60_000)));
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-decision"), None);
    let (cluster, question) = host.calls[0].clone();
    assert_eq!(cluster, "approvals");
    let question: serde_json::Value = serde_json::from_slice(&question.body).unwrap();
    let verdict = format!(r#"{{"approve": true, "digest": {}}}"#, question["digest"]);
    let reply = CalloutReply::Answer { status: 200, body: verdict.as_bytes() };
    driver.callout_reply(&mut host, 99, reply);
    assert_eq!(host.resumed, 0, "a foreign token answers nothing");
    driver.callout_reply(&mut host, 1, reply);
    assert_eq!((host.resumed, host.replies.len()), (1, 0));
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-decision"), Some("allow"));
    assert_eq!(FakeHost::header(&host.request, "authorization"), None);
}

#[test]
fn nothing_of_a_held_request_passes_before_the_verdict() {
    let (mut driver, mut host) = agent("/export");
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    // A host that holds the head only brings the body meanwhile.
    assert_eq!(feed(&mut driver, &mut host, Request, b"{", false), b"");
    let question: serde_json::Value = serde_json::from_slice(&host.calls[0].1.body).unwrap();
    let verdict = format!(r#"{{"approve": true, "digest": {}}}"#, question["digest"]);
    driver.callout_reply(&mut host, 1, CalloutReply::Answer { status: 200, body: verdict.as_bytes() });
    assert_eq!((host.resumed, host.replies.len()), (0, 0), "its body has begun, and goes on as one");
    assert_eq!(feed(&mut driver, &mut host, Request, b"}", false), b"");
    assert_eq!(feed(&mut driver, &mut host, Request, b"", true), b"{}");
    assert_eq!((host.resumed, host.replies.len()), (0, 0));
}

/// What the approval service does, when, and what becomes of the request.
type Answer<'a> = (&'static str, Option<(u32, &'a str)>, Timestamp, u32);

#[test]
fn an_approval_that_is_not_given_denies() {
    let wrong = format!(r#"{{"approve": true, "digest": "{}"}}"#, "0".repeat(64));
    let rows: [Answer<'_>; 6] = [
        ("no", Some((200, r#"{"approve": false, "digest": "x"}"#)), NOW, 403),
        ("for another request", Some((200, &wrong)), NOW, 403),
        ("garbage", Some((200, "yes")), NOW, 503),
        ("error status", Some((500, &wrong)), NOW, 503),
        ("failed call", None, NOW, 503),
        ("too late", Some((200, &wrong)), NOW.saturating_add_millis(60_000), 503),
    ];
    for (name, answer, at, status) in rows {
        let (mut driver, mut host) = agent("/export");
        assert_eq!(driver.request_head(&mut host, true), Action::Pause, "{name}");
        host.now = at;
        let reply = match answer {
            Some((status, body)) => CalloutReply::Answer { status, body: body.as_bytes() },
            None => CalloutReply::Failed,
        };
        driver.callout_reply(&mut host, 1, reply);
        assert_eq!(host.resumed, 0, "{name}");
        assert_eq!(host.replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [status], "{name}");
    }
}

#[test]
fn an_approval_ends_at_its_deadline() {
    let (mut driver, mut host) = agent("/export");
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    host.now = NOW.saturating_add_millis(59_999);
    driver.deadline(&mut host);
    assert_eq!((host.replies.len(), host.resumed), (0, 0));
    host.now = NOW.saturating_add_millis(60_000);
    driver.deadline(&mut host);
    assert_eq!(host.replies[0].status, 503);
    // The answer that comes after that changes nothing.
    driver.callout_reply(&mut host, 1, CalloutReply::Failed);
    assert_eq!((host.replies.len(), host.resumed), (1, 0));
}

#[test]
fn a_refused_stream_gets_its_error_event_and_is_cut_later() {
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    host.set_response("content-type", "text/event-stream");
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    let good = b"data: {\"delta\": \"hello \"}\n\n";
    assert_eq!(feed(&mut driver, &mut host, Response, good, false), good);
    let sent =
        feed(&mut driver, &mut host, Response, b"data: {\"delta\": nonsense ada@example.com}\n\n", false);
    assert_eq!(sent, b"data: {\"error\":{\"type\":\"veilwire\"}}\n\n");
    assert_eq!(host.aborts, 0, "in the callback that aborts, the event would be lost");
    assert_eq!(feed(&mut driver, &mut host, Response, b"data: {\"delta\": \"more\"}\n\n", false), b"");
    assert_eq!(feed(&mut driver, &mut host, Response, b"", true), b"");
    assert_eq!(host.aborts, 1);
    driver.finish(&mut host);
    assert_eq!(host.audit()["outcome"], "refused");
    assert_eq!(host.audit()["refusal"]["reason"], "invalid-json");
    assert_eq!(host.audit()["decision"], "allow");
}

#[test]
fn a_refused_stream_that_never_ends_is_cut_after_five_seconds() {
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    host.set_response("content-type", "text/event-stream");
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    feed(&mut driver, &mut host, Response, b"data: {nonsense}\n\n", false);
    assert_eq!(host.wake, Some(NOW.saturating_add_millis(5_000)));
    host.now = NOW.saturating_add_millis(5_000);
    driver.deadline(&mut host);
    assert_eq!(host.aborts, 1);
    assert_eq!(feed(&mut driver, &mut host, Response, b"data: {}\n\n", false), b"");
    assert_eq!(host.aborts, 1);
}

#[test]
fn what_was_decided_before_a_refusal_leaves_however_the_response_was_cut() {
    let streams = [
        (
            "text/event-stream",
            "data: {\"delta\": \"one \"}\n\n: mail ada.lovelace@example.com\n\ndata: {\"delta\": bad}\n\ndata: {}\n\n",
            "data: {\"delta\": \"one \"}\n\n: mail [EMAIL]\n\ndata: {\"error\":{\"type\":\"veilwire\"}}\n\n",
        ),
        (
            "application/json",
            "{\"a\": \"to ada.lovelace@example.com\", \"b\": 4111 1111, \"c\": 1}",
            "{\"a\": \"to [EMAIL]\", \"b\": ",
        ),
        ("application/json", "{\"a\":[\"ok\", 7, nul, \"more\"]}", "{\"a\":[\"ok\", 7, "),
    ];
    for (kind, body, expected) in streams {
        let cuts =
            (0..=body.len()).map(|at| vec![body.as_bytes().split_at(at).0, body.as_bytes().split_at(at).1]);
        for chunks in cuts.chain([body.as_bytes().chunks(1).collect()]) {
            let (mut driver, mut host) = agent("/chat");
            assert_eq!(driver.request_head(&mut host, true), Action::Continue);
            host.set_response("content-type", kind);
            assert_eq!(driver.response_head(&mut host, false), Action::Continue);
            let mut sent = Vec::new();
            for chunk in &chunks {
                sent.extend(feed(&mut driver, &mut host, Response, chunk, false));
            }
            assert_eq!(String::from_utf8(sent).unwrap(), expected, "of {body} in {}", chunks.len());
            feed(&mut driver, &mut host, Response, b"", true);
            assert_eq!(host.aborts, 1);
            driver.finish(&mut host);
            assert_eq!(host.audit()["outcome"], "refused");
        }
    }
}

#[test]
fn responses_without_a_body_are_never_refused() {
    for (status, method, end) in
        [("204", "POST", false), ("304", "GET", false), ("200", "HEAD", false), ("200", "POST", true)]
    {
        let (mut driver, mut host) = agent("/chat");
        host.set_request(":method", method.as_bytes());
        assert_eq!(driver.request_head(&mut host, true), Action::Continue);
        host.set_response(":status", status);
        host.set_response("content-type", "image/png");
        assert_eq!(driver.response_head(&mut host, end), Action::Continue, "{status} {method} {end}");
        assert_eq!(host.replies.len(), 0);
    }
}

#[test]
fn a_client_that_leaves_is_told_as_cut_with_what_was_found() {
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    feed(&mut driver, &mut host, Response, format!(r#"{{"a": "{EMAIL}", "b": "ada@"#).as_bytes(), false);
    driver.finish(&mut host);
    assert_eq!(host.audit()["outcome"], "cut");
    assert_eq!(host.audit()["response"]["findings"][0]["count"], 1);
}

#[test]
fn the_proxys_own_errors_become_problems() {
    let (mut driver, mut host) = agent("/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    host.properties
        .insert("response.code_details".into(), b"upstream_reset_before_response_started".to_vec());
    host.set_response(":status", "503");
    host.set_response("content-type", "text/plain");
    assert_eq!(driver.response_head(&mut host, false), Action::Pause);
    assert_eq!(host.replies[0].status, 503);
    // Our reply comes back through the response callbacks and is left alone.
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    assert_eq!(feed(&mut driver, &mut host, Response, b"{}", true), b"{}");
}

/// `{"to": "ada.lovelace@example.com", "ok": 1}` as zlib packs it.
const GZIP: &[u8] = b"\
    \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\xc9\x57\xb2\x52\x50\x4a\x4c\x49\xd4\xcb\xc9\
    \x2f\x4b\xcd\x49\x4c\x4e\x75\x48\xad\x48\xcc\x2d\xc8\x49\xd5\x4b\xce\xcf\x55\xd2\x51\x50\xca\xcf\
    \x06\xaa\x30\xac\x05\x00\x7d\xb1\x7a\x09\x2b\x00\x00\x00";

#[test]
fn compressed_bodies_are_masked_and_go_on_as_they_are() {
    for (coding, body) in [("x-GZIP", GZIP), ("identity, gzip", GZIP), ("deflate", &GZIP[10..GZIP.len() - 8])]
    {
        let (mut driver, mut host) = agent("/chat");
        host.set_request("content-encoding", coding.as_bytes());
        assert_eq!(driver.request_head(&mut host, false), Action::Continue);
        assert_eq!(FakeHost::header(&host.request, "content-encoding"), None);
        assert_eq!(FakeHost::header(&host.request, "content-length"), None);
        let mut sent: Vec<u8> = Vec::new();
        for chunk in body.chunks(5) {
            sent.extend(feed(&mut driver, &mut host, Request, chunk, false));
        }
        sent.extend(feed(&mut driver, &mut host, Request, b"", true));
        assert_eq!(String::from_utf8(sent).unwrap(), r#"{"to": "[EMAIL]", "ok": 1}"#);
        host.set_response("content-encoding", coding);
        assert_eq!(driver.response_head(&mut host, false), Action::Continue);
        assert_eq!(FakeHost::header(&host.response, "content-encoding"), None);
        let sent = feed(&mut driver, &mut host, Response, body, true);
        assert_eq!(String::from_utf8(sent).unwrap(), r#"{"to": "[EMAIL]", "ok": 1}"#);
        driver.finish(&mut host);
        assert_eq!(host.audit()["outcome"], "complete");
        assert_eq!(host.audit()["request"]["findings"][0]["count"], 1);
    }
}

#[test]
fn compressed_bodies_that_are_damaged_are_refused() {
    let mut wrong = GZIP.to_vec();
    wrong[GZIP.len() - 8] ^= 1;
    for body in [&GZIP[..GZIP.len() - 1], b"{}", &wrong] {
        let (mut driver, mut host) = agent("/chat");
        host.set_request("content-encoding", b"gzip");
        assert_eq!(driver.request_head(&mut host, false), Action::Continue);
        assert_eq!(feed(&mut driver, &mut host, Request, body, true), b"");
        assert_eq!(host.replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [400]);

        let (mut driver, mut host) = agent("/chat");
        assert_eq!(driver.request_head(&mut host, true), Action::Continue);
        host.set_response("content-encoding", "gzip");
        assert_eq!(driver.response_head(&mut host, false), Action::Continue);
        feed(&mut driver, &mut host, Response, body, true);
        assert_eq!(host.aborts, 1);
    }
}
