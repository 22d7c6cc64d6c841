//! Real providers over TLS: `oidc-provider` and `oauth2-mock-server`.

use super::stage::{FETCHED, POLICY, request, site};
use serde_json::{Value, json};
use veilwire_tests::deadline::{LIMIT, poll, unix_seconds};
use veilwire_tests::provider::Provider;
use veilwire_tests::site::Site;

const AUDIENCE: &str = "https://gateway.example.com";

struct Stage {
    provider: Provider,
    site: Site,
}

impl Stage {
    fn start(program: &str, edit: impl Fn(String) -> String) -> Self {
        Self::prepared(program, edit, |_| ())
    }

    /// `prepare` is done before anybody asks for keys.
    fn prepared(program: &str, edit: impl Fn(String) -> String, prepare: impl FnOnce(&mut Provider)) -> Self {
        let mut provider = None;
        let site = site(|pki| {
            let provider = provider.insert(Provider::start(program, pki).unwrap());
            prepare(provider);
            edit(POLICY.replace("9444", &provider.port().unwrap().to_string()))
        });
        Self { provider: provider.unwrap(), site }
    }

    /// The status of a request with this token; the upstream answers those that reach it.
    fn status(&self, token: &str) -> u16 {
        let mut client = self.site.http2().unwrap();
        let mut exchange = client.start(&request(token), true).unwrap();
        std::thread::scope(|scope| {
            let response = scope.spawn(move || exchange.response().unwrap().head.status);
            loop {
                if let Some(arrived) = self.site.upstream.arrived() {
                    let head =
                        veilwire_tests::wire::ResponseHead::new(200, &[("content-type", "application/json")]);
                    arrived.reply(head, &[b"{}"]).unwrap();
                }
                if response.is_finished() {
                    return response.join().unwrap();
                }
                std::thread::yield_now();
            }
        })
    }

    /// Why the request that was just refused was.
    fn reason(&mut self) -> String {
        let line = self.site.access_log.next(&self.site.envoy).unwrap();
        let refusal = |member| line.pointer(member).and_then(Value::as_str);
        let cause = refusal("/audit/refusal/cause").or_else(|| refusal("/audit/refusal/reason"));
        cause.unwrap_or_default().to_owned()
    }
}

fn access_tokens(policy: String) -> String {
    let audience = policy.replace("audiences: [gateway]", &format!("audiences: [\"{AUDIENCE}\"]"));
    audience.replace("groupsClaim: groups", "groupsClaim: groups\n        typ: at+jwt")
}

#[test]
fn access_tokens_of_oidc_provider() {
    let mut stage = Stage::start("provider.mjs", access_tokens);
    let token = |stage: &mut Stage, algorithm: &str| {
        let command = json!({ "command": "token", "algorithm": algorithm, "resource": AUDIENCE });
        stage.provider.ask(&command, "token").unwrap()
    };
    let first = token(&mut stage, "RS256");
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = token(&mut stage, algorithm);
        assert_eq!(stage.status(&token), 200, "{algorithm}\n{}", stage.site.envoy.log_tail());
        let line = stage.site.access_log.next(&stage.site.envoy).unwrap();
        assert_eq!(line.pointer("/audit/caller/subject"), Some(&json!(format!("agent-{algorithm}"))));
        assert_eq!(line.pointer("/audit/caller/groups"), Some(&json!(["agents"])));
    }
    // Meant for somebody else.
    let command =
        json!({ "command": "token", "algorithm": "ES256", "resource": "https://other.example.com" });
    let other = stage.provider.ask(&command, "token").unwrap();
    assert_eq!(stage.status(&other), 401);
    assert_eq!(stage.reason(), "audience is not accepted");
    // Without a resource the provider gives tokens that say nothing to anybody but itself.
    let opaque = stage.provider.ask(&json!({ "command": "token", "algorithm": "ES256" }), "token").unwrap();
    assert!(!opaque.contains('.'));
    assert_eq!(stage.status(&opaque), 401);
    assert_eq!(stage.reason(), "token is malformed");
    assert_eq!(stage.site.envoy.stat(FETCHED).unwrap(), 1);

    // Restarted with new keys: the first token that shows one brings them, and the old ones are gone.
    stage.provider.tell(&json!({ "command": "restart" })).unwrap();
    let rotated = token(&mut stage, "EdDSA");
    assert_eq!(stage.status(&rotated), 200, "{}", stage.site.envoy.log_tail());
    let line = stage.site.access_log.next(&stage.site.envoy).unwrap();
    assert_eq!(line.pointer("/audit/decision"), Some(&json!("allow")));
    stage.site.envoy.wait_stat(FETCHED, |fetched| fetched >= 2).unwrap();
    // The other worker sees the new keys at its next tick.
    let refused = poll(LIMIT, || Ok((stage.status(&first) == 401).then_some(()))).unwrap();
    refused.unwrap_or_else(|| panic!("the old key still vouches\n{}", stage.site.envoy.log_tail()));
    while !stage.site.access_log.text().unwrap().contains("no key for this token") {
        stage.site.access_log.next(&stage.site.envoy).unwrap();
    }
}

#[test]
fn keys_and_claims_of_oauth2_mock_server() {
    let key = |provider: &mut Provider, algorithm: &str| {
        provider.ask(&json!({ "command": "key", "algorithm": algorithm }), "kid").unwrap()
    };
    let mut first = String::new();
    let mut stage = Stage::prepared("mock.mjs", |policy| policy, |provider| first = key(provider, "RS256"));
    let token = |stage: &mut Stage, kid: &str, claims: Value| {
        let mut all = json!({ "aud": "gateway", "sub": "agent-7", "groups": ["agents"] });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        stage.provider.ask(&json!({ "command": "token", "kid": kid, "claims": all }), "token").unwrap()
    };
    let good = token(&mut stage, &first, json!({}));
    assert_eq!(stage.status(&good), 200, "{}", stage.site.envoy.log_tail());
    stage.site.access_log.next(&stage.site.envoy).unwrap();
    let now = unix_seconds().unwrap();
    for (claims, reason) in [
        (json!({ "exp": now - 3600, "iat": now - 7200, "nbf": now - 7200 }), "token has expired"),
        (json!({ "exp": null }), "claim is missing or has the wrong type"),
        (json!({ "exp": "never" }), "claim is missing or has the wrong type"),
        (json!({ "nbf": now + 3600 }), "token is not valid yet"),
        (json!({ "aud": "other" }), "audience is not accepted"),
        (json!({ "iss": "https://other.example.com" }), "issuer is not accepted"),
        (json!({ "iss": null }), "claim is missing or has the wrong type"),
        (json!({ "sub": "" }), "subject is not acceptable"),
        (json!({ "groups": { "agents": true } }), "groups claim has the wrong type"),
        (json!({ "groups": ["visitors"] }), "default"),
    ] {
        let bad = token(&mut stage, &first, claims.clone());
        let expected = if reason == "default" { 403 } else { 401 };
        assert_eq!(stage.status(&bad), expected, "{claims}");
        assert_eq!(stage.reason(), reason, "{claims}");
    }
    // A key that comes while the provider runs; the old one stays.
    let second = key(&mut stage.provider, "ES256");
    let rotated = token(&mut stage, &second, json!({}));
    assert_eq!(stage.status(&rotated), 200, "{}", stage.site.envoy.log_tail());
    assert_eq!(stage.status(&good), 200);
}
