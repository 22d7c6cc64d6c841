//! Callers with tokens, certificates and API keys, in real Envoy: who they are for the upstream, and that a bad credential is never
//! ignored for a good one.
#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use veilwire_tests::client::{ALPN_HTTP1, Http1Client};
use veilwire_tests::deadline::{LIMIT, poll, unix_seconds};
use veilwire_tests::envoy::{Options, SECRETS, publish_secret, validate};
use veilwire_tests::pki::{AGENT_ID, Identity};
use veilwire_tests::site::{Kit, Site};
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::upstream::Upstream;
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

/// The request reaches the upstream as that of this caller, without its credential.
#[track_caller]
fn allowed(site: &Site, who: Identity, sent: &[(&str, &str)], subject: &str) {
    let mut client = site.asked(Some(who), sent).unwrap();
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
    let answer = site.asked(Some(who), sent).unwrap().response().unwrap();
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
fn a_token_that_was_remembered_is_refused_once_it_has_expired() {
    let policy = POLICY.replacen(
        "        groupsClaim: groups\n",
        "        groupsClaim: groups\n        leeway: 0s\n",
        1,
    );
    assert_ne!(policy, POLICY);
    let site = Site::with_policy("callers.yaml", &policy).unwrap();
    let end = unix_seconds().unwrap() + 6;
    let token = bearer(&claims().with("exp", json!(end)));
    for _ in 0..2 {
        allowed(&site, Identity::Agent, &[("authorization", &token)], "agent-9");
    }
    poll(LIMIT, || Ok((unix_seconds()? >= end).then_some(()))).unwrap();
    refused(&site, Identity::Agent, &[("authorization", &token)]);
    allowed(&site, Identity::Agent, &[("authorization", &bearer(&claims()))], "agent-9");
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

// === Secrets that an issuer shares ===

const VARIABLE: &str = "VEILWIRE_TEST_ISSUER";
/// As long as HS512 demands.
const SECRET: [u8; 64] = *b"A secret that an issuer shares has as many bytes as its MACs ...";

/// The policy with a second issuer, whose secret is here.
fn sharing(from: &str) -> String {
    let provider = format!(
        "    partner:
      jwt:
        issuer: https://partner.test
        audiences: [gateway]
        algorithms: [HS512]
        secret: {{kid: p1, from: {{{from}}}}}
        groupsClaim: groups
    spire:"
    );
    POLICY.replacen("    spire:", &provider, 1).replacen("{idp: agents,", "{idp: agents, partner: agents,", 1)
}

fn partner(secret: &[u8], key_id: &str) -> String {
    let claims = Claims::new("https://partner.test", "gateway", "agent-p", unix_seconds().unwrap());
    format!("Bearer {}", TokenIssuer::shared().unwrap().hs512(secret, key_id, &claims.groups(&["agents"])))
}

#[track_caller]
fn untold(site: &Site) {
    let text = STANDARD.encode(SECRET);
    let dump = site.envoy.admin("GET", "/config_dump").unwrap();
    let log = site.access_log.text().unwrap();
    for told in [site.envoy.log_tail(), dump, log, site.kit.compiled.envoy_yaml.clone()] {
        assert!(!told.contains(&text) && !told.contains("A secret that"), "the secret is told");
    }
}

#[test]
fn tokens_of_an_issuer_that_shares_a_secret() {
    let variable = (VARIABLE.to_owned(), STANDARD.encode(SECRET));
    let options = Options { environment: vec![variable], ..Options::default() };
    let policy = sharing(&format!("environment: {VARIABLE}"));
    let site = Site::with_options("callers.yaml", &policy, &options).unwrap();
    let good = partner(&SECRET, "p1");
    for _ in 0..2 {
        allowed(&site, Identity::Agent, &[("authorization", &good)], "agent-p");
    }
    allowed(&site, Identity::Agent, &[("authorization", &bearer(&claims()))], "agent-9");
    let issuer = TokenIssuer::shared().unwrap();
    let confused = format!("Bearer {}", issuer.hs256_with_public_key(&claims()));
    let unsigned = format!("Bearer {}", issuer.unsigned(&claims()));
    let (other, longer) = (partner(&[b'A'; 64], "p1"), partner(&[&SECRET[..], b"A"].concat(), "p1"));
    // All of its bytes but the last of the signature.
    let cut = good.strip_suffix(|_: char| true).unwrap();
    let (unnamed, stranger) = (partner(&SECRET, ""), partner(&SECRET, "p2"));
    for bad in [&confused, &unsigned, &other, &longer, &unnamed, &stranger, cut] {
        refused(&site, Identity::Agent, &[("authorization", bad)]);
    }
    untold(&site);
}

#[test]
fn a_shared_secret_in_a_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("issuer.secret");
    std::fs::write(&file, STANDARD.encode(SECRET)).unwrap();
    let from = format!("file: {}", file.display());
    let site = Site::with_policy("callers.yaml", &sharing(&from)).unwrap();
    allowed(&site, Identity::Agent, &[("authorization", &partner(&SECRET, "p1"))], "agent-p");
    refused(&site, Identity::Agent, &[("authorization", &partner(&[b'A'; 64], "p1"))]);
    untold(&site);
    // Long enough for a key, not for HS512: nobody passes, and nobody is told that his token is bad.
    std::fs::write(&file, STANDARD.encode(&SECRET[..63])).unwrap();
    let site = Site::with_policy("callers.yaml", &sharing(&from)).unwrap();
    for sent in [partner(&SECRET[..63], "p1"), partner(&SECRET, "p1"), bearer(&claims())] {
        let answer =
            site.asked(Some(Identity::Agent), &[("authorization", &sent)]).unwrap().response().unwrap();
        assert_eq!(answer.head.status, 503, "{}", answer.text());
    }
    assert!(site.upstream.arrived().is_none(), "the request reached the upstream");
}

#[test]
fn without_the_secret_of_an_issuer_envoy_does_not_start() {
    let mut upstream = None;
    let kit = Kit::with_policy("callers.yaml", &sharing(&format!("environment: {VARIABLE}")), |pki| {
        Ok(upstream.insert(Upstream::start(pki)?).port())
    });
    let kit = kit.unwrap();
    for environment in [Vec::new(), vec![(VARIABLE.to_owned(), STANDARD.encode(&SECRET[..63]))]] {
        let working_folder = Some(kit.folder().to_owned());
        let options = Options { environment, working_folder, ..Options::default() };
        let output = validate(&kit.config, &options).unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("key 0 is not there"), "{told}");
    }
}

/// What Envoy discovers in this folder, moved to where it looks.
fn publish(folder: &std::path::Path, secret: &[u8]) {
    publish_secret(folder, "issuer", &STANDARD.encode(secret)).unwrap();
}

#[test]
fn a_token_of_a_withdrawn_secret_is_good_no_more() {
    let folder = tempfile::TempDir::new().unwrap();
    publish(folder.path(), &SECRET);
    let from = format!("sds: {{name: issuer, file: {}}}", folder.path().join(SECRETS).display());
    let site = Site::with_policy("callers.yaml", &sharing(&from)).unwrap();
    let (old, new) = (partner(&SECRET, "p1"), partner(&[b'B'; 64], "p1"));
    allowed(&site, Identity::Agent, &[("authorization", &old)], "agent-p");
    refused(&site, Identity::Agent, &[("authorization", &new)]);
    publish(folder.path(), &[b'B'; 64]);
    // On a path without a route a good token is answered 403, a bad one 401, and neither reaches the upstream.
    let changed = poll(LIMIT, || {
        let config =
            site.kit.pki.client_config(&[ALPN_HTTP1], Some(Identity::Agent), rustls::ALL_VERSIONS)?;
        let mut client = Http1Client::connect(site.envoy.address("veilwire")?, config)?;
        let mut head = RequestHead::new("GET", "/nowhere", &[]);
        head.authority = "llm.test".to_owned();
        head.headers.extend(headers(&[("authorization", &new)]));
        client.send_head(&head)?;
        Ok((client.response()?.head.status == 403).then_some(()))
    });
    assert!(changed.unwrap().is_some(), "{}", site.envoy.log_tail());
    refused(&site, Identity::Agent, &[("authorization", &old)]);
    allowed(&site, Identity::Agent, &[("authorization", &new)], "agent-p");
}
