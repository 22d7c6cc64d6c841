//! Deciding among few and many rules: the policies and the measurement.

use std::hint::black_box;
use std::time::{Duration, Instant};
use veilwire_engine::decide::{Facts, decide};
use veilwire_engine::decision::Decision;
use veilwire_engine::identity::{ClaimValue, Identity};
use veilwire_engine::policy::id::{ClaimId, GroupId, ProviderId, RouteId};
use veilwire_engine::policy::model::{
    Audit, Effect, Fact, Group, Limits, Literal, Meta, Model, Predicate, Route, RoutePath, Rule, Test,
    Thinking, TlsRequirement, TlsVersion,
};
use veilwire_engine::policy::{Policy, artifact};
use veilwire_engine::time::Timestamp;
use veilwire_engine::transport::TransportFacts;

/// Groups and routes of the first shape.
const SPREAD: u16 = 100;
pub const SIZES: [u16; 3] = [10, 1_000, 10_000];
const ROUNDS: u32 = 20_000;

pub type Failure = Box<dyn std::error::Error>;

/// What a policy of one size costs.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Nanoseconds per decision.
    pub nanos: u128,
    /// Time of a load.
    pub load: Duration,
    /// Size of the artifact.
    pub bytes: usize,
}

/// A policy of so many rules, spread over groups and routes or all of one.
///
/// # Errors
/// When it is none, or decides for another rule than the one that was asked for.
pub fn figures(size: u16, spread: bool) -> Result<Figures, Failure> {
    let bytes = artifact::encode(&model(size, spread))?;
    let begin = Instant::now();
    let policy = Policy::load(&bytes)?;
    let load = begin.elapsed();
    Ok(Figures { nanos: measure(&policy, size, spread)?, load, bytes: bytes.len() })
}

/// Nanoseconds per decision: the best of several runs, for everything else is the machine's business.
fn measure(policy: &Policy, size: u16, spread: bool) -> Result<u128, Failure> {
    let last = size - 1;
    let identity = Identity {
        provider: ProviderId(0),
        subject: "ada".into(),
        groups: vec![GroupId(if spread { last % SPREAD } else { 0 })],
        groups_unknown: false,
        claims: vec![ClaimValue::One(Literal::Text(format!("value-{last}")))],
        scopes: None,
    };
    let path = format!("/route/{}/item", if spread { last % SPREAD } else { 0 });
    let transport = TransportFacts::default();
    let facts = Facts {
        identity: &identity,
        host: "api.test:443",
        path: &path,
        method: "GET",
        query: "",
        headers: &[],
        transport: &transport,
        size: Some(0),
        now: Timestamp(0),
        body: None,
        model_in_path: None,
    };
    match decide(policy, &facts).map(|ruling| ruling.decision) {
        Ok(Decision::Allow(permit)) if permit.rules().len() == 1 => {}
        other => return Err(format!("not the one rule: {other:?}").into()),
    }
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            let _ = black_box(decide(policy, black_box(&facts)));
        }
        best = best.min(begin.elapsed());
    }
    Ok(best.as_nanos() / u128::from(ROUNDS))
}

fn model(size: u16, spread: bool) -> Model {
    let rule = |number: u16| Rule {
        name: format!("rule-{number}"),
        groups: vec![GroupId(if spread { number % SPREAD } else { 0 })],
        effect: Effect::May,
        routes: vec![RouteId(if spread { number % SPREAD } else { 0 })],
        masks: vec![],
        approval: None,
        message: None,
        anyone: false,
        predicates: vec![Predicate {
            fact: Fact::Claim(ClaimId(0)),
            test: Test::OneOf(vec![Literal::Text(format!("value-{number}"))]),
        }],
        observe: false,
    };
    let route = |number: u16| Route {
        name: format!("route-{number}"),
        host: "api.test".into(),
        path: RoutePath::Below(format!("/route/{number}")),
        methods: vec!["GET".into()],
        upstream: "api".into(),
        content: None,
        thinking: Thinking::Refuse,
    };
    Model {
        meta: Meta { name: "bench".into(), revision: 1, compiler: String::new(), packs: vec![] },
        keys: vec![],
        tags: vec![],
        detectors: vec![],
        automata: vec![],
        providers: vec![],
        groups: (0..SPREAD).map(|number| Group { name: format!("group-{number}"), from: vec![] }).collect(),
        claims: vec!["department".into()],
        contents: vec![],
        routes: (0..SPREAD).map(route).collect(),
        masks: vec![],
        rules: (0..size).map(rule).collect(),
        tls: TlsRequirement { require: true, min_version: TlsVersion::V1_2, client_certificate: false },
        audit: Audit { response_headers: false },
        limits: Limits::default(),
    }
}
