//! One Envoy with three listeners that differ in their filters, an upstream behind it, keys.

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use veilwire_policy_compiler::diagnostic::render;
use veilwire_policy_compiler::files::DiskFiles;
use veilwire_policy_compiler::{Deployment, Source, compile_policy};
use veilwire_tests::client::Http1Client;
use veilwire_tests::envoy::Envoy;
use veilwire_tests::pki::{Identity, Pki};
use veilwire_tests::token::TokenIssuer;

use super::Connection;
use crate::site::module;
use crate::upstream::Upstream;

const POLICY: &str = include_str!("../../../../policies/identity.yaml");
/// The upstream's port in the policy.
const UPSTREAM_PORT: &str = "port: 9443";

/// What stands between client and upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listener {
    /// No filter.
    Plain,
    /// Envoy's own filters.
    JwtAuthn,
    /// Veilwire.
    Veilwire,
}

impl Listener {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::JwtAuthn, Self::Veilwire];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::JwtAuthn => "jwt-authn",
            Self::Veilwire => "veilwire",
        }
    }
}

/// Everything that runs. Ends with the value.
pub(crate) struct Site {
    pub(crate) envoy: Envoy,
    pki: Pki,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let pki = Pki::create(&folder.path().join("pki"))?;
        let upstream = Upstream::start(&pki)?;
        let jwks = TokenIssuer::shared()?.jwks()?.to_string();
        std::fs::write(folder.path().join("jwks.json"), &jwks)?;
        ensure!(POLICY.matches(UPSTREAM_PORT).count() == 1, "the policy has no port to replace");
        let policy = POLICY.replace(UPSTREAM_PORT, &format!("port: {}", upstream.port()));
        let source = Source::new("identity.yaml", policy);
        let wasm = module("veilwire_filter.wasm")?.display().to_string();
        let deployment = Deployment { files: folder.path().display().to_string(), wasm };
        let compiled =
            compile_policy(&source, &DiskFiles::new(folder.path()), &deployment).map_err(|refused| {
                anyhow!("the policy does not compile:\n{}", render::human(&source, &refused, false))
            })?;
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, three_listeners(&compiled.envoy_yaml, &jwks)?.to_string())?;
        let envoy = Envoy::start(&file)?;
        Ok(Self { envoy, pki, _upstream: upstream, _folder: folder })
    }

    pub(crate) fn connect(&self, listener: Listener) -> Result<Connection> {
        let config = self.pki.client_config(&[b"http/1.1"], Some(Identity::Caller), rustls::ALL_VERSIONS)?;
        Ok(Connection(Http1Client::connect(self.envoy.address(listener.name())?, config)?))
    }
}

/// The listener that the compiler wrote, three times: without its filter, with Envoy's own in its place, as it is.
fn three_listeners(envoy_yaml: &str, jwks: &str) -> Result<Value> {
    let mut config: Value = serde_saphyr::from_str(envoy_yaml).context("the configuration is not YAML")?;
    *config.pointer_mut("/admin/address/socket_address/port_value").context("no admin port")? = json!(0);
    let listeners = config.pointer_mut("/static_resources/listeners").context("no listeners")?;
    let original = listeners.get(0).cloned().context("no listener")?;
    let three = Listener::ALL.into_iter().map(|kind| listener(original.clone(), kind, jwks));
    *listeners = Value::Array(three.collect::<Result<_>>()?);
    Ok(config)
}

fn listener(mut listener: Value, kind: Listener, jwks: &str) -> Result<Value> {
    *listener.pointer_mut("/name").context("a listener without a name")? = json!(kind.name());
    *listener.pointer_mut("/address/socket_address/port_value").context("a listener without a port")? =
        json!(0);
    let filters = listener
        .pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters")
        .and_then(Value::as_array_mut)
        .context("a listener without HTTP filters")?;
    ensure!(filters.len() == 2, "{} HTTP filters instead of Veilwire and the router", filters.len());
    if kind != Listener::Veilwire {
        filters.remove(0);
    }
    if kind == Listener::JwtAuthn {
        filters.splice(0..0, [jwt_authn(jwks), rbac()]);
    }
    Ok(listener)
}

fn jwt_authn(jwks: &str) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "idp": {
                "issuer": "https://idp.test",
                "audiences": ["gateway"],
                "local_jwks": { "inline_string": jwks },
                "payload_in_metadata": "jwt",
                "jwt_cache_config": { "jwt_cache_size": 1000 },
            } },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "idp" } }],
        },
    })
}

/// Those whose token has the group `agents`, and nobody else.
fn rbac() -> Value {
    let groups = json!({
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{ "key": "jwt" }, { "key": "groups" }],
        "value": { "list_match": { "one_of": { "string_match": { "exact": "agents" } } } },
    });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": { "agents": {
                "permissions": [{ "any": true }],
                "principals": [{ "metadata": groups }],
            } } },
        },
    })
}
