//! Tokens whose signatures Envoy verifies (`jwt_authn`), in real Envoy: the filter still checks every claim, and takes nobody's word
//! but Envoy's.
#![cfg(test)]

use serde_json::{Value, json};
use veilwire_tests::client::Response;
use veilwire_tests::deadline::unix_seconds;
use veilwire_tests::envoy::Options;
use veilwire_tests::site::{Kit, Site};
use veilwire_tests::token::{Algorithm, TokenIssuer};
use veilwire_tests::upstream::Upstream;
use veilwire_tests::wire::ResponseHead;

const POLICY: &str = include_str!("../policies/vouched.yaml");

fn claims(issuer: &str) -> Value {
    let now = unix_seconds().unwrap();
    json!({"iss": issuer, "aud": "gateway", "sub": "agent-9", "exp": now + 600, "iat": now, "groups": ["agents"]})
}

fn ours() -> Value {
    claims("https://idp.test")
}

fn sign(algorithm: Algorithm, claims: &Value) -> String {
    let name = match algorithm {
        Algorithm::Rs256 => "RS256",
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA",
    };
    let issuer = TokenIssuer::shared().unwrap();
    issuer.sign(algorithm, &json!({"alg": name, "typ": "JWT"}), claims).unwrap()
}

fn good() -> String {
    sign(Algorithm::Es256, &ours())
}

/// The same token with a signature of nobody, as long as the good one.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", "A".repeat(signature.len()))
}

#[track_caller]
fn allowed(site: &Site, sent: &[(&str, &str)]) {
    let mut client = site.asked(None, sent).unwrap();
    let exchange = site.upstream.accept().unwrap_or_else(|error| {
        panic!("{error}; the client has {}", client.response().map_or(0, |response| response.head.status))
    });
    assert_eq!(exchange.head.header("x-veilwire-subject"), Some(b"agent-9".as_slice()));
    for gone in ["authorization", "x-token", "cookie"] {
        assert_eq!(exchange.head.header(gone), None, "{gone} reached the upstream");
    }
    exchange.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"]).unwrap();
    assert_eq!(client.response().unwrap().head.status, 200);
}

#[track_caller]
fn refused(site: &Site, sent: &[(&str, &str)]) -> Response {
    let response = site.asked(None, sent).unwrap().response().unwrap();
    assert_eq!(response.head.status, 401, "{}", response.text());
    assert_eq!(response.head.header("content-type"), Some(b"application/problem+json".as_slice()));
    assert!(site.upstream.arrived().is_none(), "the request reached the upstream");
    response
}

/// With `authorization`.
fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_token_that_envoy_verified_counts_and_no_other_does() {
    let site = Site::with_policy("vouched.yaml", POLICY).unwrap();
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let token = sign(algorithm, &ours());
        // Again, for Envoy has a cache.
        for _ in 0..2 {
            allowed(&site, &[("authorization", &bearer(&token))]);
        }
        allowed(&site, &[("x-token", &token)]);
        allowed(&site, &[("cookie", &format!("session={token}"))]);
        refused(&site, &[("authorization", &bearer(&forged(&token)))]);
        let mut more = ours();
        more["sub"] = "root".into();
        let other = sign(algorithm, &more);
        let (signature, payload) = (token.rsplit('.').next().unwrap(), other.rsplit_once('.').unwrap().0);
        refused(&site, &[("authorization", &bearer(&format!("{payload}.{signature}")))]);
    }
    // Envoy takes this algorithm, and the policy does not.
    refused(&site, &[("authorization", &bearer(&sign(Algorithm::EdDsa, &ours())))]);
    refused(&site, &[]);
    refused(&site, &[("authorization", &bearer(&good())), ("x-token", &good())]);
    refused(&site, &[("authorization", &bearer(&format!("{},{}", good(), good())))]);
    let mut log = site.access_log;
    let reason = log.next(&site.envoy).unwrap();
    assert_eq!(reason["audit"]["decision"], "allow");
}

#[test]
fn claims_are_checked_by_the_filter_as_ever() {
    let site = Site::with_policy("vouched.yaml", POLICY).unwrap();
    let now = unix_seconds().unwrap();
    for (name, value) in [
        ("exp", json!(now - 3600)),
        ("exp", Value::Null),
        ("nbf", json!(now + 3600)),
        ("iat", json!(now + 3600)),
        ("aud", json!("elsewhere")),
        ("iss", json!("https://nobody.test")),
        ("sub", json!("")),
        ("groups", json!(7)),
        ("cnf", json!({"jkt": "x"})),
    ] {
        let mut claims = ours();
        claims[name] = value;
        refused(&site, &[("authorization", &bearer(&sign(Algorithm::Es256, &claims)))]);
    }
    let mut claims = ours();
    claims["groups"] = json!([]);
    let token = bearer(&sign(Algorithm::Es256, &claims));
    assert_eq!(
        site.asked(None, &[("authorization", &token)]).unwrap().response().unwrap().head.status,
        403,
        "no group"
    );
}

/// Whatever a payload may hold, Envoy hands over in a form of its own.
#[test]
fn payloads_of_every_shape_are_recognised() {
    let site = Site::with_policy("vouched.yaml", POLICY).unwrap();
    let mut claims = ours();
    claims["aud"] = json!(["elsewhere", "gateway"]);
    claims["realm_access"] =
        json!({"roles": ["a", {"b": [1, -2.5, 1e30]}, []], "deep": {"er": {"still": true}}});
    claims["flags"] = json!([true, false]);
    claims["null"] = Value::Null;
    claims["empty"] = json!("");
    claims["nothing"] = json!({});
    claims["text"] = json!("ümlaut \u{1F600} \"quoted\" \n");
    claims["a.b"] = json!("dotted");
    claims["https://example.test/claim"] = json!("url");
    claims["9007199254740993"] = json!(9_007_199_254_740_993_i64);
    claims["many"] = json!((0..300).map(|number| format!("group-{number}")).collect::<Vec<_>>());
    allowed(&site, &[("authorization", &bearer(&sign(Algorithm::Es256, &claims)))]);
}

#[test]
fn providers_of_both_kinds_stand_side_by_side() {
    let site = Site::with_policy("vouched.yaml", POLICY).unwrap();
    let theirs = claims("https://other.test");
    for algorithm in Algorithm::ALL {
        allowed(&site, &[("authorization", &bearer(&sign(algorithm, &theirs)))]);
    }
    let token = sign(Algorithm::Es256, &theirs);
    refused(&site, &[("authorization", &bearer(&forged(&token)))]);
    // In a place where only the other provider has tokens.
    refused(&site, &[("x-token", &token)]);
    allowed(&site, &[("authorization", &bearer(&good()))]);
}

/// Somebody edits the configuration: what stands in front of the filter is gone, and nobody vouches for anything.
#[test]
fn without_envoys_word_nobody_is_let_in() {
    let mut upstream = None;
    let kit =
        Kit::with_policy("vouched.yaml", POLICY, |pki| Ok(upstream.insert(Upstream::start(pki)?).port()));
    let kit = kit.unwrap();
    let text = std::fs::read_to_string(&kit.config).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    let filters = config
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters")
        .and_then(Value::as_array_mut)
        .unwrap();
    filters.retain(|filter| filter["name"] != "envoy.filters.http.jwt_authn");
    assert_eq!(filters.len(), 2);
    std::fs::write(&kit.config, config.to_string()).unwrap();
    let site = Site::of(kit, upstream.unwrap(), &Options::default()).unwrap();
    refused(&site, &[("authorization", &bearer(&good()))]);
    allowed(&site, &[("authorization", &bearer(&sign(Algorithm::Es256, &claims("https://other.test"))))]);
}
