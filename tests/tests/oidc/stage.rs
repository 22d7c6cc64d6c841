//! A gateway whose policy fetches keys, its upstream, and callers.

use serde_json::{Value, json};
use std::path::Path;
use veilwire_policy_compiler::files::DiskFiles;
use veilwire_policy_compiler::{Deployment, Source, compile_policy};
use veilwire_tests::deadline::unix_seconds;
use veilwire_tests::demo::kit::{filter_module, on_free_ports, replace_once};
use veilwire_tests::envoy::Options;
use veilwire_tests::pki::{Identity, Pki};
use veilwire_tests::site::{Kit, Site};
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::upstream::{Exchange, Upstream};
use veilwire_tests::wire::{RequestHead, ResponseHead, headers};

pub(crate) const POLICY: &str = include_str!("../../policies/oidc.yaml");
pub(crate) const METADATA: &str = "/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "/keys";
pub(crate) const WAITING: &str = "wasmcustom.veilwire_keys_waiting";
pub(crate) const FETCHED: &str = "wasmcustom.veilwire_keys_fetched";
pub(crate) const FAILED: &str = "wasmcustom.veilwire_keys_failed";

/// A gateway beside a scripted service of its provider.
pub(crate) struct Scripted {
    pub(crate) site: Site,
    pub(crate) idp: Upstream,
    pub(crate) issuer: String,
}

impl Scripted {
    /// With two workers, because they must agree on who fetches.
    pub(crate) fn start() -> Self {
        Self::with(Identity::Upstream, POLICY)
    }

    pub(crate) fn with(who: Identity, policy: &str) -> Self {
        let mut idp = None;
        let site = site(|pki| {
            let idp = idp.insert(Upstream::start_service(pki, who).unwrap());
            policy.replace("9444", &idp.port().to_string())
        });
        let idp = idp.unwrap();
        let issuer = format!("https://localhost:{}", idp.port());
        Self { site, idp, issuer }
    }

    /// The next request for the metadata.
    pub(crate) fn asked_for_metadata(&self) -> Exchange {
        let exchange = self.idp.accept().unwrap_or_else(|error| {
            panic!("nobody asked: {error:#}\n{:?}\n{}", self.idp.failures(), self.site.envoy.log_tail())
        });
        assert_eq!(exchange.head.path, METADATA);
        assert_eq!(exchange.head.method, "GET");
        assert_eq!(format!("https://{}", exchange.head.authority), self.issuer);
        exchange
    }

    /// Answers two requests as a good provider does.
    pub(crate) fn give_keys(&self) {
        let metadata = self.metadata();
        reply(&self.asked_for_metadata(), 200, metadata.as_bytes());
        let exchange = self.idp.accept().unwrap();
        assert_eq!(exchange.head.path, KEYS);
        reply(&exchange, 200, own_keys().as_bytes());
    }

    pub(crate) fn metadata(&self) -> String {
        json!({ "issuer": self.issuer, "jwks_uri": format!("{}{KEYS}", self.issuer) }).to_string()
    }

    pub(crate) fn request(&self, algorithm: Algorithm) -> RequestHead {
        request(&TokenIssuer::shared().unwrap().mint(algorithm, &self.claims()).unwrap())
    }

    pub(crate) fn claims(&self) -> Claims {
        Claims::new(&self.issuer, "gateway", "agent-7", unix_seconds().unwrap()).groups(&["agents"])
    }

    /// A token that is signed well, by a key that nobody published.
    pub(crate) fn unknown_key(&self, number: u32) -> RequestHead {
        let header = json!({ "alg": "ES256", "kid": format!("unknown-{number}"), "typ": "JWT" });
        let claims = json!({
            "iss": self.issuer, "aud": "gateway", "sub": "agent-7", "groups": ["agents"],
            "exp": unix_seconds().unwrap() + 600,
        });
        request(&TokenIssuer::shared().unwrap().sign(Algorithm::Es256, &header, &claims).unwrap())
    }

    /// Lets the upstream answer the one request that comes.
    pub(crate) fn upstream_answers(&self) {
        answer(&self.site);
    }
}

/// A gateway that takes other listeners while it runs, and those of the next revision of its policy.
pub(crate) fn reloadable() -> (Scripted, String) {
    let (mut idp, mut upstream, mut text) = (None, None, String::new());
    let kit = Kit::edited("oidc.yaml", |pki| {
        let idp = idp.insert(Upstream::start_service(pki, Identity::Upstream)?);
        let upstream = upstream.insert(Upstream::start(pki)?);
        let placed = format!("host: 127.0.0.1, port: {}", upstream.port());
        let policy = POLICY.replace("9444", &idp.port().to_string());
        text = replace_once(&policy, "host: localhost, port: 9443", &placed)?;
        Ok(text.clone())
    })
    .unwrap();
    let next = next_revision(&kit, &text);
    let bootstrap = std::fs::read_to_string(&kit.config).unwrap();
    let listeners = kit.folder().join("listeners.json");
    publish(&bootstrap, &listeners);
    let mut bootstrap: Value = serde_saphyr::from_str(&bootstrap).unwrap();
    bootstrap["static_resources"].as_object_mut().unwrap().remove("listeners");
    bootstrap["dynamic_resources"] = json!({ "lds_config": { "path_config_source": { "path": listeners }, "resource_api_version": "V3" } });
    std::fs::write(&kit.config, bootstrap.to_string()).unwrap();
    let options = Options { concurrency: 2, ..Options::default() };
    let idp = idp.unwrap();
    let issuer = format!("https://localhost:{}", idp.port());
    let site = Site::of(kit, upstream.unwrap(), &options).unwrap();
    (Scripted { site, idp, issuer }, next)
}

fn next_revision(kit: &Kit, text: &str) -> String {
    let source = Source::new("oidc.yaml", text.replace("revision: 1", "revision: 2"));
    let deployment = Deployment {
        files: kit.folder().display().to_string(),
        wasm: filter_module().unwrap().display().to_string(),
    };
    let compiled = compile_policy(&source, &DiskFiles::new(kit.folder()), &deployment).unwrap();
    on_free_ports(&compiled.envoy_yaml).unwrap()
}

/// Hands the listeners of a configuration to Envoy, as a file that takes the place of the one before at once.
pub(crate) fn publish(configuration: &str, listeners: &Path) {
    let configuration: Value = serde_saphyr::from_str(configuration).unwrap();
    let mut listener = configuration["static_resources"]["listeners"][0].clone();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    let beside = listeners.with_extension("new");
    std::fs::write(&beside, json!({ "resources": [listener] }).to_string()).unwrap();
    std::fs::rename(beside, listeners).unwrap();
}

/// A gateway with the policy that `policy` makes, whose upstream has a port.
pub(crate) fn site(policy: impl FnOnce(&Pki) -> String) -> Site {
    let mut upstream = None;
    let kit = Kit::edited("oidc.yaml", |pki| {
        let upstream = upstream.insert(Upstream::start(pki)?);
        let placed = format!("host: 127.0.0.1, port: {}", upstream.port());
        replace_once(&policy(pki), "host: localhost, port: 9443", &placed)
    });
    let options = Options { concurrency: 2, ..Options::default() };
    Site::of(kit.unwrap(), upstream.unwrap(), &options).unwrap()
}

pub(crate) fn request(token: &str) -> RequestHead {
    let mut head = RequestHead::new("GET", "/items", &[]);
    head.authority = "api.test".to_owned();
    head.headers.extend(headers(&[("authorization", &format!("Bearer {token}"))]));
    head
}

/// Answers the request that reached the upstream.
pub(crate) fn answer(site: &Site) {
    let exchange = site
        .upstream
        .accept()
        .unwrap_or_else(|error| panic!("the upstream saw no request: {error:#}\n{}", site.envoy.log_tail()));
    exchange.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"]).unwrap();
}

/// Answers a request for metadata or keys.
pub(crate) fn reply(exchange: &Exchange, status: u16, body: &[u8]) {
    let length = body.len().to_string();
    let head =
        ResponseHead::new(status, &[("content-type", "application/json"), ("content-length", &length)]);
    exchange.reply(head, &[body]).unwrap();
}

pub(crate) fn own_keys() -> String {
    TokenIssuer::shared().unwrap().jwks().unwrap().to_string()
}
