//! Rules with predicates, end to end: what they let through, what they deny, what they only tell.

use super::support::{FakeHost, model, token};
use std::sync::Arc;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::id::RouteId;
use veilwire_engine::policy::model::{Effect, Fact, Literal, Model, Network, Predicate, Rule, Test};
use veilwire_engine::policy::{InvalidPolicy, Policy};

fn rule(name: &str, effect: Effect, predicates: Vec<Predicate>) -> Rule {
    Rule {
        name: name.into(),
        groups: vec![],
        effect,
        routes: vec![RouteId(0)],
        masks: vec![],
        approval: None,
        message: None,
        anyone: true,
        predicates,
        observe: false,
    }
}

fn header_is(name: &str, value: &str) -> Predicate {
    Predicate { fact: Fact::Header(name.into()), test: Test::OneOf(vec![Literal::Text(value.into())]) }
}

/// The answer's status, or `None` if the request went on; and the audit event.
fn run(model: &Model, headers: &[(&str, &[u8])]) -> (Option<u32>, serde_json::Value) {
    let mut host = FakeHost::new("/chat", Some(&token("agent-7", &["agents"], 600)));
    host.properties.insert("xds.route_name".into(), b"chat".to_vec());
    host.properties.insert("source.address".into(), b"10.1.2.3:4711".to_vec());
    for (name, value) in headers {
        host.set_request(name, value);
    }
    let mut driver = Driver::new(Arc::new(Policy::from_model(model).unwrap()), &host);
    let action = driver.request_head(&mut host, true);
    driver.finish(&mut host);
    let status = host.replies.first().map(|reply| reply.status);
    assert_eq!(action == Action::Continue, status.is_none());
    (status, host.audit())
}

#[test]
fn a_rule_that_is_not_sure_denies_and_does_not_allow() {
    let mut model = model();
    model.rules.push(rule("no-fraud-team", Effect::MayNot, vec![header_is("x-team", "fraud")]));
    assert_eq!(run(&model, &[("x-team", b"sales")]).0, None);
    let (status, audit) = run(&model, &[("x-team", b"fraud")]);
    assert_eq!((status, &audit["rules"][0]), (Some(403), &"no-fraud-team".into()));
    assert_eq!(run(&model, &[]).0, Some(403), "the header is not there, so nobody knows");

    // The only `may` rule asks for the header as well.
    model.rules.retain(|rule| rule.effect == Effect::MayNot && !rule.anyone);
    model.rules.push(rule("sales", Effect::May, vec![header_is("x-team", "sales")]));
    assert_eq!(run(&model, &[("x-team", b"sales")]).0, None);
    assert_eq!(run(&model, &[("x-team", b"fraud")]).0, Some(403));
    let (status, audit) = run(&model, &[]);
    assert_eq!((status, &audit["rules"][0]), (Some(403), &"default".into()));
}

#[test]
fn a_header_that_a_rule_reads_must_be_readable() {
    let mut model = model();
    assert_eq!(run(&model, &[("x-team", b"caf\xe9")]).0, None);
    model.rules.push(rule("no-fraud-team", Effect::MayNot, vec![header_is("x-team", "fraud")]));
    assert_eq!(run(&model, &[("x-team", b"caf\xe9")]).0, Some(400));
}

#[test]
fn a_rule_that_is_observed_is_told_and_changes_nothing() {
    let mut model = model();
    let mut observed = rule("try-out", Effect::MayNot, vec![header_is("x-team", "fraud")]);
    observed.observe = true;
    model.rules.push(observed);
    let (status, audit) = run(&model, &[("x-team", b"fraud")]);
    assert_eq!((status, &audit["decision"]), (None, &"allow".into()));
    assert_eq!(audit["wouldDeny"], serde_json::json!(["try-out"]));
    assert!(run(&model, &[("x-team", b"sales")]).1.get("wouldDeny").is_none());

    // Another rule denies all the same.
    model.rules.push(rule("never", Effect::MayNot, vec![header_is("x-team", "fraud")]));
    let (status, audit) = run(&model, &[("x-team", b"fraud")]);
    assert_eq!((status, &audit["rules"]), (Some(403), &serde_json::json!(["never"])));

    // And one that allows, but is only observed, allows nothing.
    model.rules.retain(|rule| rule.effect == Effect::MayNot);
    let mut observed = rule("open", Effect::May, vec![header_is("x-team", "sales")]);
    observed.observe = true;
    model.rules.push(observed);
    assert_eq!(run(&model, &[("x-team", b"sales")]).0, Some(403));
}

#[test]
fn the_clients_address_is_asked_for_where_a_rule_wants_it() {
    let mut model = model();
    let network = |address: &str, prefix| Network {
        address: address.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped().into(),
        prefix,
    };
    let from = |network| Predicate { fact: Fact::Source, test: Test::Within(vec![network]) };
    model.rules.push(rule("not-from-here", Effect::MayNot, vec![from(network("10.0.0.0", 96 + 8))]));
    let (status, audit) = run(&model, &[]);
    assert_eq!(status, Some(403));
    assert!(!audit.to_string().contains("10.1.2.3"), "the address is in no audit event");
    model.rules.pop();
    model.rules.push(rule("not-from-there", Effect::MayNot, vec![from(network("192.168.0.0", 96 + 16))]));
    assert_eq!(run(&model, &[]).0, None);
}

#[test]
fn rules_that_mean_nobody_do_not_load() {
    let refused = |change: fn(&mut Rule)| {
        let mut model = model();
        let mut odd = rule("odd", Effect::May, vec![header_is("x-team", "sales")]);
        change(&mut odd);
        let place = u16::try_from(model.rules.len()).unwrap();
        model.rules.push(odd);
        assert_eq!(Policy::from_model(&model).unwrap_err(), InvalidPolicy::Rule(place));
    };
    refused(|rule| rule.anyone = false);
    refused(|rule| rule.groups = vec![veilwire_engine::policy::id::GroupId(0)]);
    refused(|rule| rule.predicates.clear());
    refused(|rule| rule.predicates[0].fact = Fact::Claim(veilwire_engine::policy::id::ClaimId(9)));
    refused(|rule| rule.predicates[0].test = Test::Within(vec![Network { address: 0, prefix: 129 }]));
}

fn answer(model: &Model) -> veilwire_engine::exchange::LocalReply {
    let mut host = FakeHost::new("/chat", Some(&token("agent-7", &["agents"], 600)));
    let mut driver = Driver::new(Arc::new(Policy::from_model(model).unwrap()), &host);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    host.replies.remove(0)
}

#[test]
fn a_token_that_lacks_only_scopes_is_told_which() {
    let mut model = model();
    model.rules.retain(|rule| rule.effect == Effect::MayNot);
    let scope =
        |name: &str| Predicate { fact: Fact::Scopes, test: Test::Contains(vec![Literal::Text(name.into())]) };
    model.rules.push(rule("scoped", Effect::May, vec![scope("chat.write"), scope("chat.read")]));
    let told = |model: &Model| {
        let reply = answer(model);
        assert_eq!(reply.status, 403);
        reply.headers.iter().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.clone())
    };
    let expected = r#"Bearer realm="veilwire", error="insufficient_scope", scope="chat.read chat.write""#;
    assert_eq!(told(&model).as_deref(), Some(expected));
    // Whoever lacks something else as well hears nothing of scopes.
    model.rules.last_mut().unwrap().predicates.push(header_is("x-team", "sales"));
    assert_eq!(told(&model), None);
    // What would break the header is left out.
    model.rules.last_mut().unwrap().predicates = vec![scope("a\" b")];
    assert_eq!(told(&model), None);
}

#[test]
fn clients_of_json_rpc_get_an_error_of_it() {
    let mut model = model();
    model.contents[0].json_rpc = true;
    model.rules.retain(|rule| rule.effect == Effect::MayNot);
    let reply = answer(&model);
    assert_eq!((reply.status, reply.headers[0].1.as_str()), (403, "application/json"));
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    assert!(body.as_object().unwrap().contains_key("id") && body["id"].is_null());
    assert_eq!(body["error"]["code"], -32_000);
    assert_eq!(body["error"]["data"]["status"], 403);
    assert_eq!(body["error"]["data"]["rule"], "default");
}
