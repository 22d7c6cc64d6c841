//! Any request of any caller: the outcome is that of each rule by itself, put together, whatever stands beside it and in
//! whichever order; a rule that is only observed changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::sync::LazyLock;
use veilwire_engine::decide::{Facts, Ruling, decide, normal_path};
use veilwire_engine::decision::{Decision, Reason};
use veilwire_engine::identity::{ClaimValue, Identity};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{GroupId, ProviderId, RuleId};
use veilwire_engine::policy::model::{Effect, Literal, Model};
use veilwire_engine::time::Timestamp;
use veilwire_engine::transport::{Peer, TransportFacts};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::policies::RULES_MODEL;

static TOGETHER: LazyLock<Policy> = LazyLock::new(|| policy(RULES_MODEL.clone()));
static BACKWARDS: LazyLock<Policy> = LazyLock::new(|| {
    let mut model = RULES_MODEL.clone();
    model.rules.reverse();
    policy(model)
});
/// Each rule by itself.
static ALONE: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let alone =
        RULES_MODEL.rules.iter().map(|rule| Model { rules: vec![rule.clone()], ..RULES_MODEL.clone() });
    alone.map(policy).collect()
});

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let identity = identity(&mut input);
    let transport = transport(&mut input);
    let headers: Vec<(Vec<u8>, Vec<u8>)> = (0..input.byte() % 4)
        .map(|_| {
            (
                input.pick(&["x-a", "x-b", "x-c"]).into(),
                input.pick(&["one", "two", "three, one", "", "ONE"]).into(),
            )
        })
        .collect();
    let (host, method) = (
        input.pick(&["llm.test", "llm.test:443", "other.test", "LLM.test", ""]),
        input.pick(&["POST", "GET", "DELETE", "post", ""]),
    );
    let query = input.pick(&["", "q=abc", "q=%61", "q=abc&q=x", "q", "p=abc"]);
    let size = [None, Some(u64::from(input.word()))][usize::from(input.byte() % 2)];
    let now = Timestamp::from_unix_seconds(1_800_000_000 + u64::from(input.word()) * 60);
    let path = input.pick(&["/a", "/a/", "/a/b", "/a/b/c", "/a/xx", "/A", "/c", "/ab", "/%61/b"]).to_owned();
    let path = path + std::str::from_utf8(input.take(8)).unwrap_or_default();
    let Some(path) = normal_path(&path) else { return };
    let facts = Facts {
        identity: &identity,
        host,
        path: &path,
        method,
        query,
        headers: &headers,
        transport: &transport,
        size,
        now,
        body: None,
        model_in_path: None,
    };
    let decide = |policy, facts| decide(policy, facts).expect("no rule asks for the body");

    let whole = decide(&TOGETHER, &facts);
    let (mut denying, mut observed, mut allowing) = (Vec::new(), Vec::new(), Vec::new());
    for ((rule, alone), id) in RULES_MODEL.rules.iter().zip(ALONE.iter()).zip(0..) {
        let alone = decide(alone, &facts);
        assert_eq!(alone.route, whole.route, "the route depends on rules");
        match (&alone.decision, rule.effect) {
            _ if !alone.would_deny.is_empty() => observed.push(RuleId(id)),
            (Decision::Allow(_), Effect::May) => allowing.push(RuleId(id)),
            (Decision::Deny(denial), Effect::MayNot) if denial.reason == Reason::Rule => {
                denying.push(RuleId(id))
            }
            (Decision::Deny(denial), _) => assert_eq!(denial.reason, Reason::Default),
            _ => panic!("a rule does what it does not say"),
        }
    }
    assert_eq!(whole.would_deny, observed);
    match &whole.decision {
        Decision::Deny(denial) if denial.reason == Reason::Rule => assert_eq!(denial.rules, denying),
        Decision::Deny(_) => {
            assert!(denying.is_empty() && allowing.is_empty(), "a matching rule was left out")
        }
        Decision::Allow(permit) => {
            assert!(denying.is_empty(), "a denial was left out");
            assert_eq!(permit.rules(), allowing);
        }
        Decision::Hold(_) => panic!("no rule asks for an approval"),
    }
    assert_eq!(is_allowed(&decide(&BACKWARDS, &facts)), is_allowed(&whole), "the order of rules matters");
});

fn policy(model: Model) -> Policy {
    Policy::from_model(&model).expect("the compiler accepted it")
}

fn is_allowed(ruling: &Ruling) -> bool {
    matches!(ruling.decision, Decision::Allow(_))
}

fn identity(input: &mut Input<'_>) -> Identity {
    let bits = input.byte();
    let groups = (0..3).filter(|bit| bits >> bit & 1 == 1).map(GroupId);
    let unknown = bits & 8 != 0;
    let scopes = [None, Some(Vec::new()), Some(vec!["models.use".to_owned()])];
    let one = |input: &mut Input<'_>| match input.byte() % 5 {
        0 => Literal::Text("red".into()),
        1 => Literal::Text("blue".into()),
        2 => Literal::Integer(7),
        3 => Literal::Flag(true),
        _ => Literal::Text(String::new()),
    };
    let claim = |input: &mut Input<'_>| match input.byte() % 4 {
        0 => ClaimValue::Absent,
        1 => ClaimValue::Opaque,
        2 => ClaimValue::One(one(input)),
        _ => ClaimValue::Many((0..input.byte() % 3).map(|_| one(input)).collect()),
    };
    Identity {
        provider: ProviderId(0),
        subject: "agent".into(),
        groups: if unknown { Vec::new() } else { groups.collect() },
        groups_unknown: unknown,
        claims: RULES_MODEL.claims.iter().map(|_| claim(input)).collect(),
        scopes: scopes[usize::from(input.byte() % 3)].clone(),
    }
}

fn transport(input: &mut Input<'_>) -> TransportFacts {
    let version = [None, Some("TLSv1.2".to_owned()), Some("TLSv1.3".to_owned())];
    let uri = [None, Some("spiffe://a.test/x".to_owned()), Some("spiffe://a.test/y".to_owned())];
    let source: [Option<IpAddr>; 4] =
        [None, Some([10, 0, 0, 1].into()), Some([11, 0, 0, 1].into()), "2001:db8::1".parse().ok()];
    let peer = Peer { uri_san: uri[usize::from(input.byte() % 3)].clone(), ..Peer::default() };
    TransportFacts {
        version: version[usize::from(input.byte() % 3)].clone(),
        mtls: [None, Some(false), Some(true)][usize::from(input.byte() % 3)],
        peer: [None, Some(peer)][usize::from(input.byte() % 2)].clone(),
        source: source[usize::from(input.byte() % 4)],
    }
}
