//! Any rules on any routes and any request of any caller: the outcome is what a plain reading of the rules says, one after the
//! other, and their order means nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::sync::LazyLock;
use veilwire_engine::decide::{BodyFacts, BodyWanted, Facts, Ruling, Stated, decide, normal_path};
use veilwire_engine::decision::{Decision, Reason};
use veilwire_engine::identity::{ClaimValue, Identity};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{GroupId, MaskId, ProviderId, RouteId};
use veilwire_engine::policy::model::{Effect, Literal, Mask, Model, Predicate, Route, RoutePath, Rule, Test};
use veilwire_engine::time::Timestamp;
use veilwire_engine::transport::{Peer, TransportFacts};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::policies::RULES_MODEL;
use veilwire_fuzz::rules::{Outcome, outcome};

/// Masks that look at nothing: only that they are owed is of interest.
const MASKS: u16 = 3;

/// What is around the rules.
static BASE: LazyLock<Model> = LazyLock::new(|| {
    let masks = (0..MASKS).map(|_| Mask { name: "m".into(), ..Mask::default() }).collect();
    Model { contents: Vec::new(), masks, ..RULES_MODEL.clone() }
});

/// What rules of the compiler ask.
static PREDICATES: LazyLock<Vec<Predicate>> =
    LazyLock::new(|| RULES_MODEL.rules.iter().flat_map(|rule| rule.predicates.clone()).collect());

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let model = model(&mut input);
    let policy = Policy::from_model(&model).expect("it is sound");

    let identity = identity(&mut input);
    let transport = transport(&mut input);
    let headers: Vec<(Vec<u8>, Vec<u8>)> = (0..input.byte() % 4)
        .map(|_| {
            (
                input.pick(&["x-a", "x-b", "x-c", "X-A"]).into(),
                input.pick(&["one", "two", "three, one", "", "ONE", " one "]).into(),
            )
        })
        .collect();
    let (host, method) = (
        input.pick(&["llm.test", "llm.test:443", "other.test", "LLM.test", "", "llm.test:", "llm.test:x1"]),
        input.pick(&["POST", "GET", "DELETE", "post", ""]),
    );
    let query = input.pick(&["", "q=abc", "q=%61", "q=abc&q=x", "q", "p=abc", "&&q=a&", "%71=b", "=q"]);
    let size = [None, Some(u64::from(input.word()))][usize::from(input.byte() % 2)];
    let now = Timestamp::from_unix_seconds(1_800_000_000 + u64::from(input.word()) * 60);
    let path = input.pick(&["/a", "/a/", "/a/b", "/a/b/c", "/a/xx", "/A", "/c", "/ab", "/%61/b"]).to_owned();
    let path = path + std::str::from_utf8(input.take(8)).unwrap_or_default();
    let Some(path) = normal_path(&path) else { return };
    let body = body(&mut input);
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
        body: body.as_ref(),
        model_in_path: None,
    };

    let expected = outcome(&model, &facts);
    assert_eq!(said(decide(&policy, &facts)), expected);
    let mut backwards = model;
    backwards.rules.reverse();
    let backwards = decide(&Policy::from_model(&backwards).expect("it is sound"), &facts);
    assert_eq!(
        is_allowed(backwards),
        matches!(expected, Outcome::Allowed { .. }),
        "the order of rules matters"
    );
});

fn said(ruling: Result<Ruling, BodyWanted>) -> Outcome {
    let Ruling { decision, route, would_deny } = match ruling {
        Ok(ruling) => ruling,
        Err(BodyWanted(route)) => return Outcome::Body(route),
    };
    let Some(route) = route else {
        assert!(
            matches!(&decision, Decision::Deny(denial) if denial.reason == Reason::Default && denial.rules.is_empty())
        );
        return Outcome::Nowhere;
    };
    match decision {
        Decision::Allow(permit) => {
            assert_eq!(permit.route(), route);
            Outcome::Allowed {
                route,
                rules: permit.rules().to_vec(),
                masks: permit.masks().to_vec(),
                would_deny,
            }
        }
        Decision::Deny(denial) => {
            let reason = if denial.rules.is_empty() { Reason::Default } else { Reason::Rule };
            assert_eq!(denial.reason, reason);
            Outcome::Denied { route, rules: denial.rules, scopes: denial.scopes, would_deny }
        }
        Decision::Hold(_) => panic!("no rule asks for an approval"),
    }
}

fn is_allowed(ruling: Result<Ruling, BodyWanted>) -> bool {
    matches!(ruling, Ok(Ruling { decision: Decision::Allow(_), .. }))
}

/// Few hosts, paths and groups, so that rules and requests meet.
fn model(input: &mut Input<'_>) -> Model {
    let routes: Vec<Route> = (0..1 + input.byte() % 4)
        .map(|_| {
            let path = input.pick(&["/a", "/a/b", "/c", "/ab", ""]);
            let below = input.byte() % 2 == 0;
            Route {
                name: "r".into(),
                host: input.pick(&["llm.test", "other.test"]).into(),
                path: if below { RoutePath::Below(path.into()) } else { RoutePath::Exact(path.into()) },
                methods: ["POST", "GET"]
                    .into_iter()
                    .take(usize::from(input.byte() % 3))
                    .map(str::to_owned)
                    .collect(),
                content: None,
                ..BASE.routes[0].clone()
            }
        })
        .collect();
    let count = u16::try_from(routes.len()).expect("there are few");
    let rules = (0..input.byte() % 7).map(|_| rule(input, count)).collect();
    Model { routes, rules, ..BASE.clone() }
}

fn rule(input: &mut Input<'_>, routes: u16) -> Rule {
    let (groups, on) = (input.byte(), input.byte());
    let groups: Vec<GroupId> = (0..3).filter(|bit| groups >> bit & 1 == 1).map(GroupId).collect();
    let effect = input.pick(&[Effect::May, Effect::MayNot]);
    let mut predicates: Vec<Predicate> = (0..input.byte() % 4).map(|_| predicate(input)).collect();
    let anyone = groups.is_empty();
    if anyone && predicates.is_empty() {
        predicates.push(predicate(input));
    }
    let owed = input.byte();
    Rule {
        name: "r".into(),
        effect,
        routes: (0..routes).filter(|bit| on >> bit & 1 == 1).map(RouteId).collect(),
        masks: (0..MASKS).filter(|bit| effect == Effect::May && owed >> bit & 1 == 1).map(MaskId).collect(),
        approval: None,
        message: None,
        anyone,
        predicates,
        observe: input.byte() % 4 == 0 && effect == Effect::MayNot,
        groups,
    }
}

/// One that the compiler writes, perhaps with other values.
fn predicate(input: &mut Input<'_>) -> Predicate {
    let mut predicate = PREDICATES[usize::from(input.word()) % PREDICATES.len()].clone();
    if input.byte() % 2 == 0
        && let Test::OneOf(wanted) | Test::Contains(wanted) | Test::Only(wanted) = &mut predicate.test
    {
        *wanted = (0..1 + input.byte() % 3).map(|_| literal(input)).collect();
    }
    predicate
}

fn literal(input: &mut Input<'_>) -> Literal {
    match input.byte() % 8 {
        0 => Literal::Text("red".into()),
        1 => Literal::Text("one".into()),
        2 => Literal::Integer(7),
        3 => Literal::Flag(true),
        4 => Literal::Text("small".into()),
        5 => Literal::Text("shell".into()),
        6 => Literal::Text("models.use".into()),
        _ => Literal::Text(String::new()),
    }
}

fn identity(input: &mut Input<'_>) -> Identity {
    let bits = input.byte();
    let groups = (0..3).filter(|bit| bits >> bit & 1 == 1).map(GroupId);
    let unknown = bits & 8 != 0;
    let scopes = [
        None,
        Some(Vec::new()),
        Some(vec!["models.use".to_owned()]),
        Some(vec!["red".into(), "models.use".into()]),
    ];
    let claim = |input: &mut Input<'_>| match input.byte() % 4 {
        0 => ClaimValue::Absent,
        1 => ClaimValue::Opaque,
        2 => ClaimValue::One(literal(input)),
        _ => ClaimValue::Many((0..input.byte() % 3).map(|_| literal(input)).collect()),
    };
    Identity {
        provider: ProviderId(u16::from(bits >> 4 & 1)),
        subject: "agent".into(),
        groups: if unknown { Vec::new() } else { groups.collect() },
        groups_unknown: unknown,
        claims: RULES_MODEL.claims.iter().map(|_| claim(input)).collect(),
        scopes: scopes[usize::from(input.byte() % 4)].clone(),
    }
}

fn body(input: &mut Input<'_>) -> Option<BodyFacts> {
    let stated = |input: &mut Input<'_>| match input.byte() % 4 {
        0 => Stated::Opaque,
        count => Stated::Texts(
            (1..count).map(|_| input.pick(&["small", "large", "shell", ""]).to_owned()).collect(),
        ),
    };
    (input.byte() % 3 != 0).then(|| BodyFacts {
        model: stated(input),
        tools: stated(input),
        methods: stated(input),
    })
}

fn transport(input: &mut Input<'_>) -> TransportFacts {
    let version = [None, Some("TLSv1.2".to_owned()), Some("TLSv1.3".to_owned()), Some("SSLv3".to_owned())];
    let uri = [None, Some("spiffe://a.test/x".to_owned()), Some("spiffe://a.test/y".to_owned())];
    let source: [Option<IpAddr>; 5] = [
        None,
        Some([10, 0, 0, 1].into()),
        Some([11, 0, 0, 1].into()),
        "2001:db8::1".parse().ok(),
        "::ffff:10.9.9.9".parse().ok(),
    ];
    let peer = Peer { uri_san: uri[usize::from(input.byte() % 3)].clone(), ..Peer::default() };
    TransportFacts {
        version: version[usize::from(input.byte() % 4)].clone(),
        mtls: [None, Some(false), Some(true)][usize::from(input.byte() % 3)],
        peer: [None, Some(peer)][usize::from(input.byte() % 2)].clone(),
        source: source[usize::from(input.byte() % 5)],
    }
}
