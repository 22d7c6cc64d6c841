//! Callers without a token: what the host says of their certificate, and where their key goes.

use super::support::{FakeHost, model, token};
use std::sync::Arc;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::identity::{AuthenticatorError, api_key_hash};
use veilwire_engine::policy::id::ProviderId;
use veilwire_engine::policy::model::{ApiKey, ApiKeys, CertificateName, Provider, ProviderKind, TokenSource};
use veilwire_engine::policy::{InvalidPolicy, Policy};

const KEY: &str = "vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgA";
const AGENT: &str = "spiffe://acme.test/agent/7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The policy of the tests with another provider, whose callers are agents too.
fn with(kind: ProviderKind, group: &str) -> Arc<Policy> {
    let mut model = model();
    model.tls.client_certificate = matches!(kind, ProviderKind::Certificate(_));
    model.providers.push(Provider { name: "other".into(), kind, ..Provider::default() });
    model.groups[0].from.push((ProviderId(1), group.into()));
    Arc::new(Policy::from_model(&model).unwrap())
}

fn spire() -> Arc<Policy> {
    with(ProviderKind::Certificate(CertificateName::Spiffe("acme.test".into())), "spiffe://acme.test/agent/*")
}

/// A request over a connection with a certificate of which the host says this.
fn host(names: &[(&str, &str)], token: Option<&str>) -> FakeHost {
    let mut host = FakeHost::new("/open", token);
    host.properties.insert("connection.mtls".into(), vec![1]);
    host.properties.insert("connection.sha256_peer_certificate_digest".into(), "00".repeat(32).into_bytes());
    for (name, value) in names {
        host.properties.insert((*name).to_owned(), value.as_bytes().to_vec());
    }
    host
}

const ONE: [(&str, &str); 2] =
    [("connection.uri_san_peer_certificate", AGENT), ("filter_state.veilwire.peer.uri-sans", AGENT)];

fn status(policy: &Arc<Policy>, mut host: FakeHost) -> (u32, FakeHost) {
    let mut driver = Driver::new(Arc::clone(policy), &host);
    match driver.request_head(&mut host, true) {
        Action::Continue => (200, host),
        Action::Pause => (host.replies.first().map_or(0, |reply| reply.status), host),
    }
}

#[test]
fn the_only_name_of_a_verified_certificate_is_the_caller() {
    let policy = spire();
    let (code, host) = status(&policy, host(&ONE, None));
    assert_eq!(code, 200);
    assert_eq!(FakeHost::header(&host.request, "x-veilwire-subject"), Some(AGENT));
}

#[test]
fn a_certificate_of_which_the_host_cannot_tell_all_names_is_nobody() {
    let policy = spire();
    let two = format!("{AGENT},spiffe://acme.test/admin");
    let first = ("connection.uri_san_peer_certificate", AGENT);
    for names in [
        &[first][..],
        &[first, ("filter_state.veilwire.peer.uri-sans", &two)],
        &[first, ("filter_state.veilwire.peer.uri-sans", "-")],
        &[("filter_state.veilwire.peer.uri-sans", AGENT)],
        &[],
    ] {
        let (code, told) = status(&policy, host(names, None));
        assert_eq!(code, 401, "{names:?}");
        // The audit event is told when the exchange ends.
        assert!(FakeHost::header(&told.request, "x-veilwire-decision").is_none());
    }
    let mut unverified = host(&ONE, None);
    unverified.properties.insert("connection.mtls".into(), vec![0]);
    assert_eq!(status(&policy, unverified).0, 403, "the policy demands a certificate");
}

#[test]
fn a_bad_token_with_a_good_certificate_is_refused_and_a_good_one_is_the_caller() {
    let policy = spire();
    let good = token("agent-9", &["agents"], 600);
    let (code, told) = status(&policy, host(&ONE, Some(&good)));
    assert_eq!((code, FakeHost::header(&told.request, "x-veilwire-subject")), (200, Some("agent-9")));
    assert_eq!(status(&policy, host(&ONE, Some(&token("agent-9", &["agents"], -600)))).0, 401);
    assert_eq!(status(&policy, host(&ONE, Some("x.y.z"))).0, 401);
}

#[test]
fn a_provider_of_certificates_needs_a_listener_that_demands_them() {
    let mut model = model();
    let kind = ProviderKind::Certificate(CertificateName::Subject);
    model.providers.push(Provider { name: "other".into(), kind, ..Provider::default() });
    let refused = InvalidPolicy::Provider(AuthenticatorError::NoCertificate(ProviderId(1)));
    assert_eq!(Policy::from_model(&model).unwrap_err(), refused);
    model.tls.client_certificate = true;
    assert!(Policy::from_model(&model).is_ok());
    model.providers.pop();
    model.providers[0].bound = true;
    model.tls.client_certificate = false;
    let refused = InvalidPolicy::Provider(AuthenticatorError::NoCertificate(ProviderId(0)));
    assert_eq!(Policy::from_model(&model).unwrap_err(), refused);
}

#[test]
fn a_key_is_the_caller_and_goes_no_further() {
    let salt = [3; 16];
    let key = ApiKey {
        id: "build-bot".into(),
        salt: hex(&salt),
        hash: hex(&api_key_hash(&salt, KEY.as_bytes())),
        groups: vec!["builders".into()],
        expires: None,
    };
    let keys = ApiKeys { header: "x-api-key".into(), keys: vec![key] };
    let policy = with(ProviderKind::ApiKeys(keys), "builders");
    let sent = |value: &str| {
        let mut host = FakeHost::new("/open", None);
        host.set_request("x-api-key", value.as_bytes());
        status(&policy, host)
    };
    let (code, told) = sent(KEY);
    assert_eq!((code, FakeHost::header(&told.request, "x-veilwire-subject")), (200, Some("build-bot")));
    assert_eq!(FakeHost::header(&told.request, "x-api-key"), None);
    let told_of_key = format!("{:?} {:?}", told.events.borrow(), policy);
    assert!(!told_of_key.contains(KEY));
    assert_eq!(sent("vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgB").0, 401);
    assert_eq!(sent("").0, 401);
    // In a header of its own name only.
    assert!(
        !policy
            .model()
            .providers
            .iter()
            .any(|p| p.sources.contains(&TokenSource::Header("x-api-key".into())))
    );
}
