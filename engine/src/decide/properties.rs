//! The index against the plain reading of the rules: the same routes, the same rules, the same outcome.

use super::index::naive;
use super::*;
use crate::identity::ClaimValue;
use crate::policy::id::{ClaimId, ProviderId};
use crate::policy::model::{
    Audit, Group, Limits, Meta, Route, RoutePath, Thinking, TlsRequirement, TlsVersion,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A policy of rules alone.
fn model(groups: Vec<Group>, routes: Vec<Route>, rules: Vec<Rule>) -> Model {
    Model {
        meta: Meta { name: "p".into(), revision: 1, compiler: String::new(), packs: vec![] },
        keys: vec![],
        tags: vec![],
        detectors: vec![],
        automata: vec![],
        providers: vec![],
        groups,
        claims: vec!["a".into(), "b".into()],
        contents: vec![],
        routes,
        masks: vec![],
        rules,
        tls: TlsRequirement { require: true, min_version: TlsVersion::V1_2, client_certificate: false },
        audit: Audit { response_headers: false },
        limits: Limits::default(),
    }
}

/// Hosts, paths and texts are few, so that they meet.
const HOSTS: [&str; 2] = ["a.test", "B.test"];
const PATHS: [&str; 8] = ["/", "/x", "/x/", "/x/y", "/x/y/z", "/xy", "", "/z"];
const METHODS: [&str; 2] = ["GET", "POST"];
const TEXTS: [&str; 3] = ["one", "two", "three"];

fn route() -> impl Strategy<Value = Route> {
    (0..2_usize, 0..8_usize, any::<bool>(), 0..3_usize).prop_map(|(host, path, exact, methods)| Route {
        name: "r".into(),
        host: HOSTS[host].into(),
        path: if exact {
            RoutePath::Exact(PATHS[path].into())
        } else {
            RoutePath::Below(PATHS[path].trim_end_matches('/').into())
        },
        methods: METHODS.iter().take(methods).map(|method| (*method).to_owned()).collect(),
        upstream: "u".into(),
        content: None,
        thinking: Thinking::Refuse,
    })
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        3 => (0..3_usize).prop_map(|text| Literal::Text(TEXTS[text].into())),
        1 => (0..2_i64).prop_map(Literal::Integer),
        1 => any::<bool>().prop_map(Literal::Flag),
    ]
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let fact = prop_oneof![
        Just(Fact::Claim(ClaimId(0))),
        Just(Fact::Claim(ClaimId(1))),
        Just(Fact::Header("x-a".into())),
        Just(Fact::Query("q".into())),
        Just(Fact::Scopes),
        Just(Fact::Method),
        Just(Fact::Size),
        Just(Fact::Model),
        Just(Fact::Tool),
    ];
    let literals = || prop::collection::vec(literal(), 1..3);
    let test = prop_oneof![
        any::<bool>().prop_map(Test::Exists),
        literals().prop_map(Test::OneOf),
        literals().prop_map(Test::OneOf),
        literals().prop_map(Test::Contains),
        literals().prop_map(Test::Only),
        (0..4_u64).prop_map(|most| Test::Range { least: None, most: Some(most) }),
    ];
    (fact, test).prop_map(|(fact, test)| Predicate { fact, test })
}

fn rule(routes: u16) -> impl Strategy<Value = Rule> {
    let some = |of: u16| prop::collection::btree_set(0..of, 1..3);
    (some(3), some(routes), prop::collection::vec(predicate(), 0..3), any::<[bool; 3]>()).prop_map(
        |(groups, routes, predicates, [denies, anyone, observe])| Rule {
            name: "r".into(),
            groups: if anyone { vec![] } else { groups.into_iter().map(GroupId).collect() },
            effect: if denies { Effect::MayNot } else { Effect::May },
            routes: routes.into_iter().map(RouteId).collect(),
            masks: vec![],
            approval: None,
            message: None,
            anyone,
            predicates,
            observe,
        },
    )
}

fn claim() -> impl Strategy<Value = ClaimValue> {
    prop_oneof![
        Just(ClaimValue::Absent),
        Just(ClaimValue::Opaque),
        literal().prop_map(ClaimValue::One),
        literal().prop_map(ClaimValue::One),
        prop::collection::vec(literal(), 0..3).prop_map(ClaimValue::Many),
    ]
}

fn stated() -> impl Strategy<Value = Stated> {
    prop_oneof![
        1 => Just(Stated::Opaque),
        3 => prop::collection::vec((0..3_usize).prop_map(|text| TEXTS[text].to_owned()), 0..3).prop_map(Stated::Texts),
    ]
}

fn body() -> impl Strategy<Value = BodyFacts> {
    (stated(), stated()).prop_map(|(model, tools)| BodyFacts { model, tools, methods: Stated::Opaque })
}

fn identity() -> impl Strategy<Value = Identity> {
    let groups = prop::collection::btree_set(0..3_u16, 0..3);
    let scopes =
        prop::option::of(prop::collection::vec((0..3_usize).prop_map(|text| TEXTS[text].to_owned()), 0..3));
    (0..2_u16, groups, any::<bool>(), prop::collection::vec(claim(), 2), scopes).prop_map(
        |(provider, groups, unknown, claims, scopes)| Identity {
            provider: ProviderId(provider),
            subject: "s".into(),
            groups: if unknown { vec![] } else { groups.into_iter().map(GroupId).collect() },
            groups_unknown: unknown,
            claims,
            scopes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_says_what_the_rules_say(
        (routes, rules) in (1..6_u16).prop_flat_map(|count| {
            (prop::collection::vec(route(), usize::from(count)), prop::collection::vec(rule(count), 0..8))
        }),
        identity in identity(),
        (host, path, method) in (0..2_usize, 0..8_usize, 0..2_usize),
        (headers, query) in (prop::collection::vec(0..3_usize, 0..3), prop::sample::select(&["", "q=one", "q=two&q=one", "%zz", "q"][..])),
        size in prop::option::of(0..5_u64),
        body in prop::option::of(body()),
    ) {
        let group = |provider| Group { name: "g".into(), from: vec![(ProviderId(provider), "g".into())] };
        let model = model(vec![group(0), group(1), group(0)], routes, rules);
        let headers: Vec<_> =
            headers.into_iter().map(|text| (b"x-a".to_vec(), TEXTS[text].as_bytes().to_vec())).collect();
        let transport = TransportFacts::default();
        let facts = Facts {
            identity: &identity,
            host: HOSTS[host],
            path: PATHS[path],
            method: METHODS[method],
            query,
            headers: &headers,
            transport: &transport,
            size,
            now: Timestamp(0),
            body: body.as_ref(),
            model_in_path: None,
        };
        let index = RuleIndex::new(&model).unwrap();
        let route = naive::route(&model, &facts);
        prop_assert_eq!(index.route(&model, &facts), route);
        let Some(route) = route else { return Ok(()) };
        let matching: Vec<RuleId> = model
            .rules
            .iter()
            .zip(0..)
            .filter(|(rule, _)| rule.routes.contains(&route) && rule_matches(&model, rule, &facts))
            .map(|(_, id)| RuleId(id))
            .collect();
        let mut found = index.candidates(route, &facts);
        prop_assert!(found.is_sorted());
        found.retain(|id| rule_matches(&model, &model.rules[id.index()], &facts));
        prop_assert_eq!(found, matching);
    }
}

#[test]
fn an_index_is_bounded() {
    let many = |count: u16| (0..count).map(GroupId).collect();
    let rule = Rule {
        name: "r".into(),
        groups: many(1024),
        effect: Effect::May,
        routes: (0..512).map(RouteId).collect(),
        masks: vec![],
        approval: None,
        message: None,
        anyone: false,
        predicates: vec![],
        observe: false,
    };
    let route = Route {
        name: "r".into(),
        host: "a".into(),
        path: RoutePath::Below(String::new()),
        methods: vec![],
        upstream: "u".into(),
        content: None,
        thinking: Thinking::Refuse,
    };
    let group = Group { name: "g".into(), from: vec![] };
    let with =
        |rules: usize| model(vec![group.clone(); 1024], vec![route.clone(); 512], vec![rule.clone(); rules]);
    assert!(RuleIndex::new(&with(1)).is_some());
    assert!(RuleIndex::new(&with(2)).is_none());
}
