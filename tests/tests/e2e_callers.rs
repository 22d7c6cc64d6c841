//! Callers with tokens, certificates and API keys, in real Envoy: who they are for the upstream, and that a bad credential is never
//! ignored for a good one.
#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use veilwire_tests::client::{ALPN_HTTP1, Http1Client};
use veilwire_tests::deadline::unix_seconds;
use veilwire_tests::pki::{AGENT_ID, Identity};
use veilwire_tests::site::Site;
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::wire::{RequestHead, ResponseHead, headers};

const POLICY: &str = include_str!("../policies/callers.yaml");
/// The policy has its hash.
const KEY: &str = "vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgA";

fn claims() -> Claims {
    Claims::new("https://idp.test", "gateway", "agent-9", unix_seconds().unwrap()).groups(&["agents"])
}

fn bearer(claims: &Claims) -> String {
    format!("Bearer {}", TokenIssuer::shared().unwrap().mint(Algorithm::Es256, claims).unwrap())
}

fn connect(site: &Site, who: Identity, sent: &[(&str, &str)]) -> Http1Client {
    let config = site.kit.pki.client_config(&[ALPN_HTTP1], Some(who), rustls::ALL_VERSIONS).unwrap();
    let mut client = Http1Client::connect(site.envoy.address("veilwire").unwrap(), config).unwrap();
    let mut head = RequestHead::new("GET", "/items", &[]);
    head.authority = "llm.test".to_owned();
    head.headers.extend(headers(sent));
    client.send_head(&head).unwrap();
    client
}

/// The request reaches the upstream as that of this caller, without its credential.
#[track_caller]
fn allowed(site: &Site, who: Identity, sent: &[(&str, &str)], subject: &str) {
    let mut client = connect(site, who, sent);
    let exchange = site.upstream.accept().unwrap();
    for gone in ["authorization", "x-api-key"] {
        assert_eq!(exchange.head.header(gone), None, "{gone} reached the upstream");
    }
    assert_eq!(exchange.head.header("x-veilwire-subject"), Some(subject.as_bytes()));
    exchange.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"]).unwrap();
    assert_eq!(client.response().unwrap().head.status, 200);
}

/// It is refused as that of nobody.
#[track_caller]
fn refused(site: &Site, who: Identity, sent: &[(&str, &str)]) {
    let answer = connect(site, who, sent).response().unwrap();
    assert_eq!(answer.head.status, 401, "{}", answer.text());
    assert!(site.upstream.arrived().is_none(), "the request reached the upstream");
}

#[test]
fn callers_are_known_by_tokens_keys_and_certificates_in_this_order() {
    let site = Site::with_policy("callers.yaml", POLICY).unwrap();
    // A certificate alone.
    allowed(&site, Identity::Agent, &[], AGENT_ID);
    refused(&site, Identity::TwoNames, &[]);
    refused(&site, Identity::Caller, &[]);
    // A key.
    allowed(&site, Identity::Caller, &[("x-api-key", KEY)], "build-bot");
    allowed(&site, Identity::Agent, &[("x-api-key", KEY)], "build-bot");
    refused(&site, Identity::Agent, &[("x-api-key", "vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgB")]);
    // A token.
    let good = bearer(&claims());
    let expired = bearer(&claims().expired(unix_seconds().unwrap(), 3600));
    allowed(&site, Identity::Agent, &[("authorization", &good)], "agent-9");
    allowed(&site, Identity::TwoNames, &[("authorization", &good)], "agent-9");
    refused(&site, Identity::Agent, &[("authorization", &expired)]);
    refused(&site, Identity::Agent, &[("authorization", "Bearer x")]);
    refused(&site, Identity::Agent, &[("authorization", "DPoP a.b.c")]);
    refused(&site, Identity::Agent, &[("authorization", &good), ("x-api-key", KEY)]);
}

#[test]
fn a_bound_token_is_good_on_connections_with_its_certificate_only() {
    let site = Site::with_policy("callers.yaml", POLICY).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.encode(site.kit.pki.sha256(Identity::Agent).unwrap());
    let bound = bearer(&claims().with("cnf", json!({ "x5t#S256": thumbprint })));
    let dpop = bearer(&claims().with("cnf", json!({ "jkt": thumbprint })));
    for _ in 0..2 {
        refused(&site, Identity::Caller, &[("authorization", &bound)]);
        allowed(&site, Identity::Agent, &[("authorization", &bound)], "agent-9");
    }
    refused(&site, Identity::Agent, &[("authorization", &dpop)]);
}

#[test]
fn nobody_connects_without_a_verified_certificate() {
    let site = Site::with_policy("callers.yaml", POLICY).unwrap();
    let good = bearer(&claims());
    for who in [None, Some(Identity::Stranger)] {
        let config = site.kit.pki.client_config(&[ALPN_HTTP1], who, &[&rustls::version::TLS12]).unwrap();
        // In TLS 1.2 the handshake itself fails.
        assert!(Http1Client::connect(site.envoy.address("veilwire").unwrap(), config).is_err());
    }
    allowed(&site, Identity::Agent, &[("authorization", &good)], "agent-9");
}
