//! A policy, callers and a fake host for tests of the driver. The fake obeys the rules of Envoy's buffers and remembers effects,
//! not the order of calls.

use jwt_simple::prelude::*;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use veilwire_engine::compile::{Pattern, build};
use veilwire_engine::exchange::{Event, LocalReply};
use veilwire_engine::host::{CalloutRequest, HeadEdit, HeadEdits, Headers, Host, HostError, Side};
use veilwire_engine::identity::{JwtSimpleVerifier, SignatureVerifier, VerifierError, VerifyingKey};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{ContentId, DetectorId, GroupId, MaskId, ProviderId, RouteId, TagId};
use veilwire_engine::policy::model::*;
use veilwire_engine::time::Timestamp;

/// The fixed time of all tests.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub(crate) const EMAIL: &str = "ada.lovelace@example.com";

fn key() -> &'static Ed25519KeyPair {
    static KEY: OnceLock<Ed25519KeyPair> = OnceLock::new();
    KEY.get_or_init(|| Ed25519KeyPair::generate().with_key_id("k1"))
}

/// A token of the test provider.
pub(crate) fn token(subject: &str, groups: &[&str], expires_in: i64) -> String {
    let mut claims = Claims::with_custom_claims(json!({ "groups": groups }), Duration::from_hours(1));
    let now = i64::try_from(NOW.seconds()).unwrap();
    let at = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap());
    claims.issued_at = Some(at(now - 60));
    claims.invalid_before = None;
    claims.expires_at = Some(at(now + expires_in));
    claims = claims.with_issuer("https://idp.test").with_audience("gateway").with_subject(subject);
    key().sign(claims).unwrap()
}

/// A model with two groups, three routes and one e-mail mask.
pub(crate) fn model() -> Model {
    let jwks = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "kid": "k1", "alg": "EdDSA",
        "x": base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, key().public_key().to_bytes()),
    }]});
    let regex = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\b".to_owned();
    let built = build(&[Pattern { regex, ..Pattern::default() }], 512).unwrap();
    let route = |name: &str, path: &str, content| Route {
        name: name.into(),
        host: "llm.test".into(),
        path: RoutePath::Exact(path.into()),
        methods: vec!["POST".into(), "GET".into(), "HEAD".into()],
        upstream: "upstream".into(),
        content,
        thinking: Thinking::Refuse,
    };
    let rule = |name: &str, group: u16, effect, routes: &[u16], masks: &[u16]| Rule {
        name: name.into(),
        groups: vec![GroupId(group)],
        effect,
        routes: routes.iter().copied().map(RouteId).collect(),
        masks: masks.iter().copied().map(MaskId).collect(),
        approval: None,
        message: (effect == Effect::MayNot).then(|| "ask in #access".to_owned()),
        anyone: false,
        predicates: vec![],
        observe: false,
    };
    let mut approved = rule("agents-export", 0, Effect::May, &[2], &[0]);
    approved.approval =
        Some(Approval { cluster: "approvals".into(), path: "/v1/requests".into(), timeout_ms: 60_000 });
    let content: Content = serde_json::from_value(json!({
        "name": "chat", "done": ["[DONE]"], "errorEvent": "data: {\"error\":{\"type\":\"veilwire\"}}\n\n",
        "channels": [{"name": "content", "fragments": ["$.delta"], "closedBy": [{"at": "$.stop"}]}],
    }))
    .unwrap();
    Model {
        meta: Meta { name: "test".into(), revision: 7, compiler: "test".into(), packs: vec![] },
        keys: vec![],
        tags: vec![Tag {
            name: "pii.email".into(),
            severity: Severity::High,
            replacement: Replacement::Placeholder("[EMAIL]".into()),
            numbers: Numbers::String,
        }],
        detectors: vec![Detector { name: "pii.email".into(), tag: TagId(0), validator: None }],
        automata: built.automata,
        providers: vec![Provider {
            name: "idp".into(),
            issuer: "https://idp.test".into(),
            audiences: vec!["gateway".into()],
            algorithms: vec![Algorithm::EdDSA],
            jwks: jwks.to_string(),
            groups_claim: "groups".into(),
            leeway_seconds: 30,
            ..Provider::default()
        }],
        groups: vec![
            Group { name: "agents".into(), from: vec![(ProviderId(0), "agents".into())] },
            Group { name: "contractors".into(), from: vec![(ProviderId(0), "contractors".into())] },
        ],
        claims: vec!["department".into()],
        contents: vec![content],
        routes: vec![
            route("chat", "/chat", Some(ContentId(0))),
            route("open", "/open", None),
            route("export", "/export", None),
        ],
        masks: vec![Mask {
            name: "baseline".into(),
            detectors: vec![DetectorId(0)],
            request_body: true,
            response_body: true,
            fields: vec![],
            ..Mask::default()
        }],
        rules: vec![
            rule("agents-chat", 0, Effect::May, &[0], &[0]),
            rule("agents-open", 0, Effect::May, &[1], &[]),
            approved,
            rule("contractors-no-chat", 1, Effect::MayNot, &[0], &[]),
        ],
        tls: TlsRequirement { require: true, min_version: TlsVersion::V1_2, client_certificate: false },
        audit: Audit { response_headers: true },
        limits: Limits::default(),
    }
}

pub(crate) fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    Arc::clone(POLICY.get_or_init(|| Arc::new(Policy::from_model(&model()).unwrap())))
}

/// What a host call does when the test wants it to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Property,
    Headers,
    Apply,
    Body,
    ReplaceBody,
    Callout,
    Reply,
    Resume,
    Abort,
}

/// A host that remembers effects.
#[derive(Debug)]
pub(crate) struct FakeHost {
    pub(crate) now: Timestamp,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) request: Headers,
    pub(crate) response: Headers,
    pub(crate) trailers: Headers,
    /// The buffer of the current body callback.
    pub(crate) buffer: Vec<u8>,
    pub(crate) broken: Vec<Call>,
    pub(crate) replies: Vec<LocalReply>,
    pub(crate) aborts: usize,
    pub(crate) resumed: usize,
    pub(crate) calls: Vec<(String, CalloutRequest)>,
    pub(crate) events: RefCell<Vec<Event>>,
    pub(crate) wake: Option<Timestamp>,
    pub(crate) replaced: usize,
}

impl FakeHost {
    /// A caller over TLS 1.3 who posts JSON.
    pub(crate) fn new(path: &str, token: Option<&str>) -> Self {
        let property = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let route = path.trim_start_matches('/').split('?').next().unwrap_or_default();
        let mut request: Headers = [
            (":method", "POST"),
            (":authority", "llm.test:8443"),
            (":path", path),
            ("content-type", "application/json"),
            ("accept-encoding", "gzip"),
            ("x-request-id", "req-1"),
            ("x-veilwire-subject", "forged"),
        ]
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .to_vec();
        if let Some(token) = token {
            request.push((b"authorization".to_vec(), format!("Bearer {token}").into_bytes()));
        }
        FakeHost {
            now: NOW,
            properties: [
                property("connection.tls_version", b"TLSv1.3"),
                property("upstream.tls_version", b"TLSv1.3"),
                property("response.code_details", b"via_upstream"),
                property("xds.route_name", route.as_bytes()),
            ]
            .into(),
            request,
            response: vec![
                (b":status".to_vec(), b"200".to_vec()),
                (b"content-type".to_vec(), b"application/json".to_vec()),
            ],
            trailers: vec![(b"x-checksum".to_vec(), b"1".to_vec())],
            buffer: Vec::new(),
            broken: Vec::new(),
            replies: Vec::new(),
            aborts: 0,
            resumed: 0,
            calls: Vec::new(),
            events: RefCell::new(Vec::new()),
            wake: None,
            replaced: 0,
        }
    }

    pub(crate) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
        headers
            .iter()
            .find(|(key, _)| key == name.as_bytes())
            .map(|(_, value)| std::str::from_utf8(value).unwrap())
    }

    pub(crate) fn set_response(&mut self, name: &str, value: &str) {
        self.response.retain(|(key, _)| key != name.as_bytes());
        self.response.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    }

    pub(crate) fn set_request(&mut self, name: &str, value: &[u8]) {
        self.request.retain(|(key, _)| key != name.as_bytes());
        self.request.push((name.as_bytes().to_vec(), value.to_vec()));
    }

    /// The one audit event, as JSON.
    pub(crate) fn audit(&self) -> serde_json::Value {
        let events = self.events.borrow();
        let [Event::Audit(event)] = events.as_slice() else { panic!("{} events", events.len()) };
        serde_json::from_slice(&event.to_json()).unwrap()
    }

    fn check(&self, call: Call) -> Result<(), HostError> {
        if self.broken.contains(&call) { Err(HostError) } else { Ok(()) }
    }

    fn map(&mut self, side: Side) -> &mut Headers {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
            Side::RequestTrailers | Side::ResponseTrailers => &mut self.trailers,
        }
    }
}

impl Host for FakeHost {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
        self.check(Call::Property)?;
        Ok(self.properties.get(&path.join(".")).cloned())
    }

    fn headers(&self, side: Side) -> Result<Headers, HostError> {
        self.check(Call::Headers)?;
        Ok(match side {
            Side::Request => self.request.clone(),
            Side::Response => self.response.clone(),
            Side::RequestTrailers | Side::ResponseTrailers => self.trailers.clone(),
        })
    }

    fn apply(&mut self, side: Side, edits: &HeadEdits) -> Result<(), HostError> {
        self.check(Call::Apply)?;
        let map = self.map(side);
        for edit in &edits.0 {
            match edit {
                HeadEdit::Add(name, value) => map.push((name.clone(), value.clone())),
                HeadEdit::Remove(name) => map.retain(|(key, _)| key != name),
                HeadEdit::Set(name, value) => {
                    map.retain(|(key, _)| key != name.as_bytes());
                    map.push((name.as_bytes().to_vec(), value.clone()));
                }
                HeadEdit::Rewrite(name, value) => {
                    map.retain(|(key, _)| key != name);
                    map.push((name.clone(), value.clone()));
                }
            }
        }
        Ok(())
    }

    fn body(&self, _: Side, range: Range<usize>) -> Result<Vec<u8>, HostError> {
        self.check(Call::Body)?;
        Ok(self.buffer.get(range.start..range.end.min(self.buffer.len())).unwrap_or_default().to_vec())
    }

    fn replace_body(&mut self, _: Side, bytes: &[u8]) -> Result<(), HostError> {
        self.check(Call::ReplaceBody)?;
        self.replaced += 1;
        self.buffer = bytes.to_vec();
        Ok(())
    }

    fn call(&mut self, cluster: &str, request: &CalloutRequest) -> Result<u32, HostError> {
        self.check(Call::Callout)?;
        self.calls.push((cluster.to_owned(), request.clone()));
        Ok(u32::try_from(self.calls.len()).unwrap())
    }

    fn reply(&mut self, reply: &LocalReply) -> Result<(), HostError> {
        self.check(Call::Reply)?;
        self.replies.push(reply.clone());
        Ok(())
    }

    fn resume(&mut self, _: Side) -> Result<(), HostError> {
        self.check(Call::Resume)?;
        self.resumed += 1;
        Ok(())
    }

    fn abort(&mut self, _: Side) -> Result<(), HostError> {
        self.check(Call::Abort)?;
        self.aborts += 1;
        Ok(())
    }

    fn emit(&mut self, event: &Event) -> Result<(), HostError> {
        self.events.borrow_mut().push(event.clone());
        Ok(())
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.wake = at;
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError> {
        JwtSimpleVerifier.verify(algorithm, key, text, signature)
    }

    fn shared_get(&self, _: &str) -> Result<(Option<Vec<u8>>, Option<u32>), HostError> {
        Err(HostError)
    }

    fn shared_cas(&self, _: &str, _: &[u8], _: Option<u32>) -> Result<bool, HostError> {
        Err(HostError)
    }
}
