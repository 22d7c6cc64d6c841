//! Rules that ask for what is in a body: it is held whole, decided about once, and goes on masked or not at all.

use super::feed;
use super::support::{Call, EMAIL, FakeHost, model, token};
use std::sync::Arc;
use veilwire_engine::decision::Direction::Request;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::exchange::CalloutReply;
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{GroupId, MaskId, RouteId};
use veilwire_engine::policy::model::*;

fn asks(fact: Fact, test: Test) -> Predicate {
    Predicate { fact, test }
}

fn texts(texts: &[&str]) -> Vec<Literal> {
    texts.iter().map(|text| Literal::Text((*text).to_owned())).collect()
}

/// Agents may chat with one model and two tools, and never with the tool `shell`.
fn asking() -> Model {
    let mut model = model();
    model.contents[0].request = serde_json::from_value(serde_json::json!({
        "model": ["$.model"], "tools": ["$.tools[*].name"],
    }))
    .unwrap();
    let rule = |name: &str, effect, predicates| Rule {
        name: name.into(),
        groups: vec![GroupId(0)],
        effect,
        routes: vec![RouteId(0)],
        masks: vec![MaskId(0)],
        approval: None,
        message: None,
        anyone: false,
        predicates,
        observe: false,
    };
    model.rules[0] = rule(
        "agents-chat",
        Effect::May,
        vec![
            asks(Fact::Model, Test::OneOf(texts(&["small"]))),
            asks(Fact::Tool, Test::Only(texts(&["a", "b", "shell"]))),
        ],
    );
    model.rules.push(rule(
        "no-shell",
        Effect::MayNot,
        vec![asks(Fact::Tool, Test::Contains(texts(&["shell"])))],
    ));
    model.rules.last_mut().unwrap().masks.clear();
    model
}

fn start(model: &Model, prepare: impl FnOnce(&mut FakeHost)) -> (Driver, FakeHost) {
    let mut host = FakeHost::new("/chat", Some(&token("agent-7", &["agents"], 600)));
    prepare(&mut host);
    let policy = Arc::new(Policy::from_model(model).unwrap());
    (Driver::new(policy, &host), host)
}

/// What goes on of a body that comes in such pieces, and the status of the answer, with the one audit event.
fn send(chunks: &[&[u8]], prepare: impl FnOnce(&mut FakeHost)) -> (Vec<u8>, Option<u32>, serde_json::Value) {
    let (mut driver, mut host) = start(&asking(), prepare);
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    let mut sent = Vec::new();
    for (place, chunk) in chunks.iter().enumerate() {
        assert!(sent.is_empty(), "a part went on before the end");
        let end = place + 1 == chunks.len();
        sent.extend(feed(&mut driver, &mut host, Request, chunk, end));
    }
    assert_eq!(host.resumed, 0, "the callback's own answer lets it go on");
    let status = host.replies.first().map(|reply| reply.status);
    let told = FakeHost::header(&host.request, "x-veilwire-decision").is_some();
    assert_eq!(told, status.is_none(), "the head is edited when it is let through");
    driver.finish(&mut host);
    (sent, status, host.audit())
}

fn whole(body: &[u8]) -> (Vec<u8>, Option<u32>, serde_json::Value) {
    send(&[body], |_| {})
}

#[test]
fn a_body_is_decided_about_and_masked_however_it_is_cut() {
    let body = format!(r#"{{"to":"{EMAIL}","model":"small","tools":[{{"name":"a"}}]}}"#);
    let masked = r#"{"to":"[EMAIL]","model":"small","tools":[{"name":"a"}]}"#;
    for size in [1, 7, body.len()] {
        let mut chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
        // The end comes with the last byte, and by itself.
        for _ in 0..2 {
            let (sent, status, audit) = send(&chunks, |_| {});
            assert_eq!((String::from_utf8(sent).unwrap().as_str(), status), (masked, None));
            assert_eq!(audit["request"]["findings"][0]["count"], 1);
            assert_eq!(audit["rules"][0], "agents-chat");
            chunks.push(b"");
        }
    }
}

#[test]
fn what_a_body_says_decides() {
    for (body, rule) in [
        (r#"{"model":"small","tools":[{"name":"a"},{"name":"shell"}]}"#, "no-shell"),
        (r#"{"model":"large"}"#, "default"),
        (r#"{"model":"small","tools":[{"name":"c"}]}"#, "default"),
        (r#"{}"#, "default"),
        // What cannot be read denies, whatever it would have said.
        (r#"{"model":"small","model":"small"}"#, "default"),
        (r#"{"model":"small","tools":[{"name":"a"}],"tools":[]}"#, "no-shell"),
        (r#"{"model":"small","Tools":[{"name":"shell"}]}"#, "no-shell"),
        (r#"{"model":"small""#, "no-shell"),
    ] {
        let (sent, status, audit) = whole(body.as_bytes());
        assert_eq!((sent.len(), status, &audit["rules"][0]), (0, Some(403), &rule.into()), "{body}");
    }
    let (sent, status, _) = whole(br#"{"model":"small"}"#);
    assert_eq!((sent.as_slice(), status), (br#"{"model":"small"}"#.as_slice(), None));
}

#[test]
fn only_what_says_that_it_is_json_is_read() {
    let body = br#"{"model":"small"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/x-ndjson",
        "application/json; charset=utf-16",
        "",
    ] {
        let (_, status, _) = send(&[body], |host| host.set_request("content-type", content_type.as_bytes()));
        assert_eq!(status, Some(403), "{content_type}");
    }
    let twice = |host: &mut FakeHost| host.request.push((b"content-type".to_vec(), b"text/plain".to_vec()));
    assert_eq!(send(&[body], twice).1, Some(403));
}

#[test]
fn codings_are_opened_within_limits() {
    // zlib, which is what `deflate` means.
    let deflate = |body: &[u8]| miniz_oxide::deflate::compress_to_vec_zlib(body, 9);
    let coded = |coding: &'static str| {
        move |host: &mut FakeHost| host.set_request("content-encoding", coding.as_bytes())
    };
    let body = deflate(br#"{"model":"small"}"#);
    let (sent, status, _) = send(&[&body[..9], &body[9..]], coded("deflate"));
    assert_eq!((sent.as_slice(), status), (br#"{"model":"small"}"#.as_slice(), None));
    assert_eq!(send(&[&body[..20]], coded("deflate")).1, Some(403), "damaged");
    assert_eq!(send(&[&body], coded("br")).1, Some(403), "unknown");
    assert_eq!(send(&[&body], coded("deflate, deflate")).1, Some(403), "twice");
    let bomb = deflate(format!(r#"{{"model":"small","x":"{}"}}"#, "x".repeat(5 << 20)).as_bytes());
    assert_eq!(
        send(&[&bomb], coded("deflate")).1,
        Some(403),
        "beyond limits.inflateRatio and limits.inspectBody"
    );
}

#[test]
fn a_request_without_a_body_says_nothing() {
    let (mut driver, mut host) = start(&asking(), |_| {});
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    assert_eq!(host.replies[0].status, 403, "no model");
    let mut model = asking();
    model.rules[0].predicates.remove(0);
    let (mut driver, mut host) = start(&model, |_| {});
    assert_eq!(driver.request_head(&mut host, true), Action::Continue, "no tools but those that are allowed");
    // An empty body is none.
    let (mut driver, mut host) = start(&model, |_| {});
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(driver.body(&mut host, Request, 0, true), Action::Continue);
}

#[test]
fn who_is_denied_anyway_is_denied_at_once() {
    let contractor = token("c", &["contractors", "agents"], 60);
    let (mut driver, mut host) =
        start(&asking(), |host| host.set_request("authorization", format!("Bearer {contractor}").as_bytes()));
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(host.replies[0].status, 403);
    let stranger = token("c", &[], 60);
    let (mut driver, mut host) =
        start(&asking(), |host| host.set_request("authorization", format!("Bearer {stranger}").as_bytes()));
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(host.replies[0].status, 403, "no rule is about this caller, so nothing is read");
    let (mut driver, mut host) = start(&asking(), |host| host.set_request("authorization", b"Bearer x"));
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(host.replies[0].status, 401);
}

#[test]
fn a_body_is_not_read_for_a_rule_of_which_something_else_is_unknown() {
    let mut model = asking();
    model.rules.truncate(1);
    model.rules[0].predicates.push(asks(Fact::Header("x-tenant".into()), Test::Contains(texts(&["a"]))));
    let (mut driver, mut host) = start(&model, |_| {});
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(
        host.replies[0].status, 403,
        "without the header the rule does not match, whatever the body says"
    );
    let (mut driver, mut host) = start(&model, |host| host.set_request("x-tenant", b"a"));
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert!(host.replies.is_empty(), "it depends on the body");
    // A `mayNot` rule matches what is unknown, and then the body says whether it does.
    model.rules[0].effect = Effect::MayNot;
    model.rules[0].masks.clear();
    let (mut driver, mut host) = start(&model, |_| {});
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert!(host.replies.is_empty(), "it depends on the body");
}

#[test]
fn a_body_that_is_too_long_is_refused_as_soon_as_it_is_known() {
    let mut model = asking();
    model.limits.inspect_body = 4096;
    let body = format!(r#"{{"model":"small","x":"{}"}}"#, "x".repeat(4096 - 24));
    assert_eq!(body.len(), 4096);
    for (said, body, status) in [
        (Some("4096"), body.clone(), None),
        (Some("4097"), String::new(), Some(413)),
        (None, body.clone(), None),
        (None, body + " ", Some(413)),
    ] {
        let (mut driver, mut host) = start(&model, |host| {
            if let Some(said) = said {
                host.set_request("content-length", said.as_bytes());
            }
        });
        assert_eq!(driver.request_head(&mut host, false), Action::Pause);
        let mut sent = Vec::new();
        if host.replies.is_empty() {
            for chunk in body.as_bytes().chunks(1000) {
                sent.extend(feed(&mut driver, &mut host, Request, chunk, false));
            }
            if host.replies.is_empty() {
                sent.extend(feed(&mut driver, &mut host, Request, b"", true));
            }
        }
        let told = host.replies.first().map(|reply| reply.status);
        assert_eq!((told, sent.is_empty()), (status, status.is_some()), "{said:?}");
    }
}

#[test]
fn trailers_end_a_body_too() {
    let (mut driver, mut host) = start(&asking(), |_| {});
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    let body = format!(r#"{{"to":"{EMAIL}","model":"small"}}"#);
    assert_eq!(feed(&mut driver, &mut host, Request, body.as_bytes(), false), b"");
    host.trailers = vec![(b"x-note".to_vec(), EMAIL.as_bytes().to_vec())];
    assert_eq!(driver.trailers(&mut host, Request), Action::Continue);
    assert_eq!(host.buffer, br#"{"to":"[EMAIL]","model":"small"}"#);
    assert_eq!(FakeHost::header(&host.trailers, "x-note"), Some("[EMAIL]"));
    let (mut driver, mut host) = start(&asking(), |_| {});
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    feed(&mut driver, &mut host, Request, br#"{"model":"large"}"#, false);
    assert_eq!(driver.trailers(&mut host, Request), Action::Pause);
    assert_eq!(host.replies[0].status, 403);
}

/// The same, with a human who is asked when the body has said enough.
#[test]
fn a_verdict_after_the_body_lets_it_go_on() {
    let mut model = asking();
    model.rules[0].approval =
        Some(Approval { cluster: "approvals".into(), path: "/v1/requests".into(), timeout_ms: 60_000 });
    for trailers in [false, true] {
        let (mut driver, mut host) = start(&model, |_| {});
        assert_eq!(driver.request_head(&mut host, false), Action::Pause);
        let body = format!(r#"{{"to":"{EMAIL}","model":"small"}}"#);
        assert_eq!(host.calls.len(), 0);
        assert_eq!(feed(&mut driver, &mut host, Request, body.as_bytes(), !trailers), b"");
        if trailers {
            assert_eq!(driver.trailers(&mut host, Request), Action::Pause);
        }
        assert_eq!((host.calls.len(), host.resumed, host.replies.len()), (1, 0, 0));
        assert!(host.wake.is_some());
        let question: serde_json::Value = serde_json::from_slice(&host.calls[0].1.body).unwrap();
        let verdict = format!(r#"{{"approve": true, "digest": {}}}"#, question["digest"]);
        driver.callout_reply(&mut host, 1, CalloutReply::Answer { status: 200, body: verdict.as_bytes() });
        assert_eq!((host.resumed, host.replies.len()), (1, 0));
        assert_eq!(host.buffer, br#"{"to":"[EMAIL]","model":"small"}"#);
        driver.finish(&mut host);
        assert_eq!(host.audit()["decision"], "allow");
    }
}

#[test]
fn a_host_that_fails_lets_nothing_through() {
    for broken in [Call::Headers, Call::Apply, Call::Property, Call::Body, Call::ReplaceBody] {
        let (mut driver, mut host) = start(&asking(), |_| {});
        assert_eq!(driver.request_head(&mut host, false), Action::Pause);
        host.broken = vec![broken];
        assert_eq!(feed(&mut driver, &mut host, Request, br#"{"model":"small"}"#, true), b"", "{broken:?}");
        assert_eq!((host.replies.len(), host.replies[0].status), (1, 503), "{broken:?}");
        // Whatever still comes goes nowhere.
        host.broken.clear();
        assert_eq!(driver.body(&mut host, Request, 0, true), Action::Pause);
    }
}

#[test]
fn a_model_in_the_path_needs_no_body() {
    let mut model = asking();
    model.contents[0].request =
        serde_json::from_value(serde_json::json!({"modelInPath": {"behind": "m", "toColon": true}})).unwrap();
    model.routes[0].path = RoutePath::Below("/m".into());
    model.rules.retain(|rule| rule.name != "no-shell");
    model.rules[0].predicates.remove(1);
    for (path, action) in [
        ("/m/small:go", Action::Continue),
        ("/m/large:go", Action::Pause),
        ("/m/sm%61ll", Action::Continue),
        ("/m/m/small", Action::Pause),
    ] {
        let (mut driver, mut host) = start(&model, |host| {
            host.set_request(":path", path.as_bytes());
            host.properties.insert("xds.route_name".into(), b"chat".to_vec());
        });
        assert_eq!(driver.request_head(&mut host, false), action, "{path}");
        assert_eq!(host.replies.len(), usize::from(action == Action::Pause), "{path}");
    }
}
