//! Pseudonyms through the driver: one table for query, headers and body of an exchange, and for no other exchange.

use super::feed;
use super::support::{EMAIL, FakeHost, model, token};
use std::sync::{Arc, OnceLock};
use veilwire_engine::compile::{Pattern, build, token_pattern};
use veilwire_engine::decision::Direction::{Request, Response};
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{DetectorId, TagId};
use veilwire_engine::policy::model::{Detector, HeadMask, Pseudonym, Replacement};

fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let make = || {
        let mut model = model();
        let regex = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\b".to_owned();
        let tokens = Pattern { detector: DetectorId(1), regex: token_pattern("EMAIL"), ..Pattern::default() };
        model.automata = build(&[Pattern { regex, ..Pattern::default() }, tokens], 512).unwrap().automata;
        let found = |name: &str| Detector { name: name.into(), tag: TagId(0), validator: None };
        model.detectors = vec![found("pii.email"), found("pseudonym:EMAIL")];
        model.tags[0].replacement =
            Replacement::Pseudonym(Pseudonym { name: "EMAIL".into(), otherwise: "[EMAIL]".into() });
        model.masks[0].tokens = vec![DetectorId(1)];
        model.masks[0].head = HeadMask { query: true, headers: true, ..HeadMask::default() };
        Arc::new(Policy::from_model(&model).unwrap())
    };
    Arc::clone(POLICY.get_or_init(make))
}

/// An exchange that asked with these; the host, and what the upstream got of query, header and body.
fn ask(query: &str, header: &str, body: &str) -> (Driver, FakeHost, [String; 3]) {
    let mut host = FakeHost::new(&format!("/chat?{query}"), Some(&token("agent-7", &["agents"], 600)));
    host.properties.insert("xds.route_name".into(), b"chat".to_vec());
    host.set_request("x-user", header.as_bytes());
    let mut driver = Driver::new(policy(), &host);
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    let body = feed(&mut driver, &mut host, Request, body.as_bytes(), true);
    let path = FakeHost::header(&host.request, ":path").unwrap().to_owned();
    let header = FakeHost::header(&host.request, "x-user").unwrap().to_owned();
    (driver, host, [path, header, String::from_utf8(body).unwrap()])
}

fn answer(driver: &mut Driver, host: &mut FakeHost, body: &str) -> String {
    assert_eq!(driver.response_head(host, false), Action::Continue);
    let (head, tail) = body.as_bytes().split_at(body.len() / 2);
    let mut out = feed(driver, host, Response, head, false);
    out.extend(feed(driver, host, Response, tail, true));
    String::from_utf8(out).unwrap()
}

#[test]
fn query_headers_and_body_of_an_exchange_share_their_tokens() {
    let body = format!("{{\"a\":\"bob@example.com\",\"b\":\"{EMAIL}\"}}");
    let (mut driver, mut host, [path, header, body]) =
        ask(&format!("to={EMAIL}"), "cara%40example.com and <EMAIL_7>", &body);
    assert_eq!(path, "/chat?to=%3CEMAIL_1%3E");
    // What the client wrote as a token has one of its own.
    assert_eq!(header, "<EMAIL_2> and <EMAIL_3>");
    assert_eq!(body, "{\"a\":\"<EMAIL_4>\",\"b\":\"<EMAIL_1>\"}");
    host.set_response("x-echo", "<EMAIL_1> eve@example.com");
    let body = "{\"x\":\"<EMAIL_1> <EMAIL_2> <EMAIL_3> <EMAIL_4> <EMAIL_5> eve@example.com\"}";
    assert_eq!(
        answer(&mut driver, &mut host, body),
        format!("{{\"x\":\"{EMAIL} cara@example.com <EMAIL_7> bob@example.com <EMAIL_5> [EMAIL]\"}}")
    );
    assert_eq!(FakeHost::header(&host.response, "x-echo"), Some("<EMAIL_1> [EMAIL]"));
    driver.finish(&mut host);
    assert_eq!(host.audit()["response"]["restored"], 4);
    assert!(host.audit()["request"].get("restored").is_none());
    let audit = host.audit().to_string();
    for piece in ["lovelace", "bob@", "cara@", "eve@", "example.com"] {
        assert!(!audit.contains(piece), "{piece} in the audit");
    }
    let printed = format!("{driver:?}");
    assert!(!printed.contains("lovelace") && !printed.contains("bob@"), "a value is printed");
}

#[test]
fn another_exchange_knows_nothing_of_them() {
    let (mut first, mut first_host, _) = ask("a=1", "x", &format!("{{\"a\":\"{EMAIL}\"}}"));
    let (mut second, mut second_host, _) = ask("a=1", "x", "{\"a\":\"bob@example.com\"}");
    let (mut third, mut third_host, _) = ask("a=1", "x", "{}");
    let echo = "{\"x\":\"<EMAIL_1>\"}";
    assert_eq!(answer(&mut third, &mut third_host, echo), echo);
    assert_eq!(answer(&mut second, &mut second_host, echo), "{\"x\":\"bob@example.com\"}");
    assert_eq!(answer(&mut first, &mut first_host, echo), format!("{{\"x\":\"{EMAIL}\"}}"));
}
