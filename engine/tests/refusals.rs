//! Every reason for which an exchange is refused, provoked once: the word of the audit event and the answer of the client.
//! `docs/reference/refusals.md` has the table; its words and the ones here must be the same.
#![cfg(test)]

#[expect(dead_code, reason = "every test binary uses its own part of this module")]
mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use support::{Call, EMAIL, FakeHost, model, token};
use veilwire_engine::decision::Direction::Request;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::exchange::CalloutReply;
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{ContentId, MaskId, RouteId, TagId};
use veilwire_engine::policy::model::{Attribute, Fact, Limits, Predicate, RoutePath, Test, UnknownContent};

/// No input is known that provokes them.
const UNREACHABLE: &[&str] = &["scan-overflow"];

/// What is done to a request or its response.
struct Case {
    reason: &'static str,
    status: u32,
    grpc: Option<u32>,
    path: &'static str,
    prepare: fn(&mut FakeHost),
    at: Stage,
}

/// Where it is refused.
enum Stage {
    RequestHead,
    RequestBody(Vec<u8>),
    Callout(&'static str),
    ResponseHead,
}

use Stage::{Callout, RequestBody, RequestHead, ResponseHead};

/// The usual policy, and a route for each kind of content.
fn policy() -> Arc<Policy> {
    let mut model = model();
    model.masks[0].head.path = true;
    model.masks[0].attributes = vec![Attribute { tag: TagId(0), key: "user.email".to_owned() }];
    model.limits = Limits { unknown_content: UnknownContent::Pass(vec!["image/*".into()]), ..model.limits };
    // Routes 0 to 2 are `/chat`, `/open` and `/export`.
    model.rules[1].masks = vec![MaskId(0)];
    model.routes[1].path = RoutePath::Below("/open".into());
    let contents: [(&str, Value); 4] = [
        (
            "notes",
            json!({"protobuf": {"request": "Note", "response": "Note", "messages": {"Note": [[1, "text", "text"]]}}}),
        ),
        ("signed", json!({"signed": [{"text": "$.thinking", "signature": "$.signature"}]})),
        ("spans", json!({"attributes": ["$..attributes[*]"]})),
        (
            "keyed",
            json!({"channels": [{"name": "text", "fragments": ["$.d"], "key": ["$.i"], "closedBy": [{"at": "$.stop"}],
                "tail": "data: {\"d\":\"%t\",\"i\":%0}\n\n"}]}),
        ),
    ];
    for (name, mut content) in contents {
        content["name"] = name.into();
        let mut route = model.routes[1].clone();
        route.name = name.to_owned();
        route.path = RoutePath::Exact(format!("/{name}"));
        route.content = Some(ContentId(u16::try_from(model.contents.len()).unwrap()));
        model.contents.push(serde_json::from_value(content).unwrap());
        model.rules[1].routes.push(RouteId(u16::try_from(model.routes.len()).unwrap()));
        model.routes.push(route);
    }
    Arc::new(Policy::from_model(&model).unwrap())
}

fn as_is(_: &mut FakeHost) {}

fn grpc(host: &mut FakeHost) {
    host.set_request("content-type", b"application/grpc");
}

fn events(host: &mut FakeHost) {
    host.set_request("content-type", b"text/event-stream");
}

fn multipart(host: &mut FakeHost) {
    host.set_request("content-type", b"multipart/form-data; boundary=XX");
}

fn case(
    reason: &'static str,
    status: u32,
    path: &'static str,
    prepare: fn(&mut FakeHost),
    at: Stage,
) -> Case {
    Case { reason, status, grpc: None, path, prepare, at }
}

/// A refusal by the head of a request.
fn head(reason: &'static str, status: u32, path: &'static str, prepare: fn(&mut FakeHost)) -> Case {
    case(reason, status, path, prepare, RequestHead)
}

/// A refusal by the body of a request.
fn body(
    reason: &'static str,
    status: u32,
    path: &'static str,
    prepare: fn(&mut FakeHost),
    body: &[u8],
) -> Case {
    case(reason, status, path, prepare, RequestBody(body.to_vec()))
}

fn answer(reason: &'static str, status: u32, prepare: fn(&mut FakeHost)) -> Case {
    case(reason, status, "/chat", prepare, ResponseHead)
}

fn access() -> Vec<Case> {
    vec![
        head("tls-downstream", 403, "/chat", |host| drop(host.properties.remove("connection.tls_version"))),
        answer("tls-upstream", 502, |host| drop(host.properties.remove("upstream.tls_version"))),
        head("malformed", 400, "/chat", |host| host.set_request(":path", b"/chat\xe9")),
        answer("malformed", 502, |host| host.set_response(":status", "abc")),
        head("unauthenticated", 401, "/chat", |host| host.set_request("authorization", b"Bearer e.y.J")),
        head("rule", 403, "/chat", |host| {
            let token = token("c", &["agents", "contractors"], 60);
            host.set_request("authorization", format!("Bearer {token}").as_bytes());
        }),
        head("default", 403, "/nowhere", as_is),
        head("finding-in-path", 403, "/open/ada.lovelace%40example.com", |host| {
            drop(host.properties.insert("xds.route_name".into(), b"open".to_vec()));
        }),
        head("route-mismatch", 403, "/chat", |host| {
            drop(host.properties.insert("xds.route_name".into(), b"open".to_vec()));
        }),
        case("approval-denied", 403, "/export", as_is, Callout(r#"{"approve": false, "digest": "x"}"#)),
        case("approval-unavailable", 503, "/export", as_is, Callout("yes")),
        head("content-type", 415, "/chat", |host| host.set_request("content-type", b"application/x-unknown")),
        answer("content-type", 502, |host| host.set_response("content-type", "image/png")),
        head("content-encoding", 415, "/chat", |host| host.set_request("content-encoding", b"br")),
        answer("content-encoding", 502, |host| host.set_response("content-encoding", "br")),
        answer("partial-content", 502, |host| host.set_response(":status", "206")),
        answer("upstream-unavailable", 503, |host| {
            drop(host.properties.insert("response.code_details".into(), b"upstream_reset".to_vec()));
            host.set_response(":status", "503");
        }),
        head("host-error", 503, "/chat", |host| host.broken = vec![Call::Headers]),
    ]
}

fn content() -> Vec<Case> {
    let deep = "[".repeat(65);
    let long = format!("{{\"a\":{}}}", "1".repeat(70_000));
    let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&[b' '; 2_000_000], 9);
    let part = format!(
        "--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Type: application/zip\r\n\r\n{EMAIL}\r\n--XX--"
    );
    let signed = format!("{{\"thinking\":\"{EMAIL}\",\"signature\":\"c2ln\"}}");
    let keyed = "data: {\"d\":\"ada@\",\"i\":\"x\"}\n\ndata: {\"stop\":1,\"i\":\"x\"}\n\n";
    let id = format!("id: {EMAIL}\n\n");
    let text: fn(&mut FakeHost) = |host| host.set_request("content-type", b"text/plain");
    let deflate: fn(&mut FakeHost) = |host| host.set_request("content-encoding", b"deflate");
    let form: fn(&mut FakeHost) =
        |host| host.set_request("content-type", b"application/x-www-form-urlencoded");
    let image: fn(&mut FakeHost) = |host| host.set_request("content-type", b"image/png");
    let frame = |bytes: &[u8], grpc: u32, case: Case| Case {
        at: RequestBody(bytes.to_vec()),
        grpc: Some(grpc),
        ..case
    };
    vec![
        body("invalid-json", 400, "/open", as_is, b"{\"a\": x"),
        body("truncated", 400, "/open", as_is, b"{\"a\": \"b\""),
        body("json-too-deep", 413, "/open", as_is, deep.as_bytes()),
        body("budget", 413, "/open", as_is, long.as_bytes()),
        body("signed-reasoning", 415, "/signed", as_is, signed.as_bytes()),
        body("finding-in-event-id", 415, "/keyed", events, id.as_bytes()),
        body(
            "late-member",
            415,
            "/spans",
            as_is,
            b"{\"attributes\":[{\"value\":{\"intValue\":1},\"key\":\"a\"}]}",
        ),
        body("no-carrier", 415, "/keyed", events, keyed.as_bytes()),
        body("charset", 415, "/open", text, b"a\0d\0a\0"),
        body("content-coding", 400, "/open", deflate, b"this is no deflate"),
        body("multipart", 400, "/open", multipart, b"no delimiter"),
        body("part", 415, "/open", multipart, part.as_bytes()),
        body("mislabelled", 415, "/open", image, b" {\"a\": 1}"),
        body("ambiguous-form", 415, "/open", form, b"{\"a\": \"%41\"}"),
        body("inflate-ratio", 413, "/open", deflate, &bomb),
        frame(&[0, 0, 0, 0, 1, 0xFF], 3, body("malformed-message", 400, "/notes", grpc, b"")),
        frame(&[0, 0x7F, 0, 0, 0], 8, body("message-limit", 413, "/notes", grpc, b"")),
        frame(&[1, 0, 0, 0, 2, b'x', b'x'], 12, body("compressed-message", 415, "/notes", grpc, b"")),
    ]
}

#[test]
fn every_reason_is_provoked_and_told_in_its_own_word() {
    let policy = policy();
    let mut provoked = BTreeSet::new();
    for case in access().into_iter().chain(content()) {
        let name = case.reason;
        let mut host = FakeHost::new(case.path, Some(&token("agent-7", &["agents"], 600)));
        let answers = matches!(case.at, ResponseHead);
        if !answers {
            (case.prepare)(&mut host);
        }
        let mut driver = Driver::new(Arc::clone(&policy), &host);
        let no_body = matches!(case.at, Callout(_)) || answers;
        let action = driver.request_head(&mut host, no_body);
        match case.at {
            RequestHead => assert_eq!(action, Action::Pause, "{name} went through"),
            Callout(verdict) => {
                assert_eq!(action, Action::Pause, "{name} went through");
                let reply = CalloutReply::Answer { status: 200, body: verdict.as_bytes() };
                driver.callout_reply(&mut host, 1, reply);
                assert_eq!(host.resumed, 0, "{name} was resumed");
            }
            RequestBody(body) => {
                assert_eq!(action, Action::Continue, "{name} is refused too early");
                host.buffer = body;
                let size = host.buffer.len();
                assert_eq!(driver.body(&mut host, Request, size, true), Action::Pause, "{name} went through");
            }
            ResponseHead => {
                assert_eq!(action, Action::Continue, "{name} is refused too early");
                (case.prepare)(&mut host);
                assert_eq!(driver.response_head(&mut host, false), Action::Pause, "{name} went through");
            }
        }
        let replies: Vec<_> = host.replies.iter().map(|reply| (reply.status, reply.grpc_status)).collect();
        assert_eq!(replies, [(case.status, case.grpc)], "{name}");
        driver.finish(&mut host);
        let audit = host.audit();
        assert_eq!(audit["refusal"]["reason"], name);
        assert_eq!(audit["refusal"]["direction"], if answers { "response" } else { "request" }, "{name}");
        assert_eq!(audit["outcome"], "refused", "{name}");
        assert!(!audit.to_string().contains("lovelace"), "{name}: a value is in the audit event");
        provoked.insert(name.to_owned());
    }
    provoked.extend(held());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/refusals.md");
    let table = std::fs::read_to_string(path).unwrap();
    let rows = table.lines().filter(|line| line.matches('|').count() == 5);
    let words: BTreeSet<String> = rows
        .filter_map(|row| row.strip_prefix("| `")?.split_once('`'))
        .map(|(word, _)| word.to_owned())
        .collect();
    provoked.extend(UNREACHABLE.iter().map(|word| (*word).to_owned()));
    assert_eq!(provoked, words, "every row of the table, and nothing else");
}

/// What only bodies provoke that are held because rules ask about them.
fn held() -> [String; 2] {
    const LONGEST: usize = 16 << 20;
    let mut model = model();
    model.contents[0].request = serde_json::from_value(serde_json::json!({"model": ["$.model"]})).unwrap();
    let asked = Predicate { fact: Fact::Model, test: Test::Exists(true) };
    model.rules[0].predicates.push(asked);
    model.limits.inspect_body = u32::try_from(LONGEST).unwrap();
    let policy = Arc::new(Policy::from_model(&model).unwrap());
    let start = || {
        let mut host = FakeHost::new("/chat", Some(&token("agent-7", &["agents"], 600)));
        let mut driver = Driver::new(Arc::clone(&policy), &host);
        assert_eq!(driver.request_head(&mut host, false), Action::Pause);
        (driver, host)
    };
    let hold = |(driver, host): &mut (Driver, FakeHost), size: usize| {
        host.buffer = vec![b' '; size];
        assert_eq!(driver.body(host, Request, size, false), Action::Pause);
        host.replies.first().map(|reply| reply.status)
    };
    let refused = |(mut driver, mut host): (Driver, FakeHost)| {
        driver.finish(&mut host);
        host.audit()["refusal"]["reason"].as_str().unwrap().to_owned()
    };
    let mut long = start();
    assert_eq!(hold(&mut long, LONGEST + 1), Some(413));
    // As many as a worker holds, and one byte.
    let mut crowd: Vec<_> = (0..16).map(|_| start()).collect();
    assert!(crowd.iter_mut().all(|exchange| hold(exchange, LONGEST).is_none()));
    let mut late = start();
    assert_eq!(hold(&mut late, 1), Some(503));
    drop(crowd);
    assert_eq!(hold(&mut start(), LONGEST), None, "what is over is held no longer");
    [refused(long), refused(late)]
}
