//! One Envoy with four listeners that differ in one filter, an upstream behind it, keys and a token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;
use veilwire_engine::audit::encode_struct;
use veilwire_policy_compiler::diagnostic::render;
use veilwire_policy_compiler::files::DiskFiles;
use veilwire_policy_compiler::{Compiled, Deployment, Source, compile_policy};
use veilwire_tests::client::ALPN_HTTP2;
use veilwire_tests::deadline::unix_seconds;
use veilwire_tests::envoy::Envoy;
use veilwire_tests::pki::Pki;
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::upstream::Upstream as ScriptedUpstream;

use crate::upstream::Upstream;

const POLICY: &str = include_str!("../../../policies/bench.yaml");
/// The audit event of an exchange without a body, as Veilwire writes it.
const EVENT: &str = include_str!("event.json");
/// The upstream's port in the policy.
const UPSTREAM_PORT: &str = "port: 9443";

/// What stands between client and upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// No filter.
    Plain,
    /// A filter that copies bodies.
    Copy,
    /// The same, which makes the host calls besides that identity, headers and audit take, and decides and masks nothing.
    Boundary,
    /// Veilwire.
    Veilwire,
}

impl Variant {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Copy, Self::Boundary, Self::Veilwire];

    /// Name of its listener.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Copy => "copy",
            Self::Boundary => "boundary",
            Self::Veilwire => "veilwire",
        }
    }
}

/// Everything that runs. Ends with the value.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
    pub(crate) pki: Pki,
    pub(crate) compiled: Compiled,
    /// A valid token.
    pub(crate) token: String,
    /// Size of the filter module.
    pub(crate) wasm_bytes: u64,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let pki = Pki::create(&folder.path().join("pki"))?;
        let upstream = Upstream::start(&pki)?;
        let (compiled, envoy, token) = run(folder.path(), &upstream.port().to_string())?;
        let wasm_bytes = std::fs::metadata(module("veilwire_filter.wasm")?)?.len();
        Ok(Self { envoy, upstream, pki, compiled, token, wasm_bytes, _folder: folder })
    }

    /// Where a variant listens.
    pub(crate) fn address(&self, variant: Variant) -> Result<SocketAddr> {
        self.envoy.address(variant.name())
    }

    /// What a client connects with.
    pub(crate) fn client_config(&self) -> Result<Arc<rustls::ClientConfig>> {
        self.pki.client_config(&[b"http/1.1"], None, rustls::ALL_VERSIONS)
    }
}

/// An Envoy with the same listeners before an upstream that the benchmark scripts, over HTTP/2. Ends with the value.
#[derive(Debug)]
pub(crate) struct StreamSite {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: ScriptedUpstream,
    /// A valid token.
    pub(crate) token: String,
    pki: Pki,
    _folder: TempDir,
}

impl StreamSite {
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let pki = Pki::create(&folder.path().join("pki"))?;
        let upstream = ScriptedUpstream::start(&pki)?;
        let (_, envoy, token) = run(folder.path(), &format!("{}\n        protocol: http2", upstream.port()))?;
        Ok(Self { envoy, upstream, token, pki, _folder: folder })
    }

    /// What a client connects with.
    pub(crate) fn client_config(&self) -> Result<Arc<rustls::ClientConfig>> {
        self.pki.client_config(&[ALPN_HTTP2], None, rustls::ALL_VERSIONS)
    }
}

/// Compiles the policy with this port of the upstream, starts Envoy and makes a token.
fn run(folder: &Path, port: &str) -> Result<(Compiled, Envoy, String)> {
    let (veilwire, copy) = (module("veilwire_filter.wasm")?, module("copy_filter.wasm")?);
    let issuer = TokenIssuer::shared()?;
    std::fs::write(folder.join("jwks.json"), issuer.jwks()?.to_string())?;
    let compiled = compile(folder, port, &veilwire)?;
    let config = listeners(&compiled.envoy_yaml, &copy)?;
    let file = folder.join("envoy.json");
    std::fs::write(&file, config.to_string())?;
    let envoy = Envoy::start(&file)?;
    let now = unix_seconds()?;
    // Valid for the longest run, from a little before now in case the clocks of two cores disagree.
    let claims =
        Claims::new("https://idp.test", "gateway", "agent-7", now.saturating_sub(5)).groups(&["agents"]);
    let token = issuer.mint(Algorithm::Rs256, &claims.with("exp", json!(now + 3600)))?;
    Ok((compiled, envoy, token))
}

pub(crate) fn module(name: &str) -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.parent().unwrap_or(here).join("target/wasm").join(name);
    ensure!(path.is_file(), "`{}` is missing; `cargo xtask bench` builds it", path.display());
    Ok(path)
}

fn compile(folder: &Path, upstream_port: &str, wasm: &Path) -> Result<Compiled> {
    ensure!(POLICY.matches(UPSTREAM_PORT).count() == 1, "the policy has no port to replace");
    let policy = POLICY.replace(UPSTREAM_PORT, &format!("port: {upstream_port}"));
    let source = Source::new("bench.yaml", policy);
    let deployment = Deployment { files: folder.display().to_string(), wasm: wasm.display().to_string() };
    compile_policy(&source, &DiskFiles::new(folder), &deployment).map_err(|refused| {
        anyhow!("the policy does not compile:\n{}", render::human(&source, &refused, false))
    })
}

/// The listener that the compiler wrote, for every variant: without its filter, with the copying filter in its place (silent, and with an
/// event to write), as it is.
fn listeners(envoy_yaml: &str, copy: &Path) -> Result<Value> {
    let mut config: Value = serde_saphyr::from_str(envoy_yaml).context("the configuration is not YAML")?;
    *config.pointer_mut("/admin/address/socket_address/port_value").context("no admin port")? = json!(0);
    let listeners = config.pointer_mut("/static_resources/listeners").context("no listeners")?;
    let [original] = listeners.as_array().context("no listeners")?.as_slice() else {
        return Err(anyhow!("not one listener"));
    };
    let all = Variant::ALL.iter().map(|variant| listener(original.clone(), *variant, copy));
    *listeners = Value::Array(all.collect::<Result<_>>()?);
    Ok(config)
}

fn listener(mut listener: Value, variant: Variant, copy: &Path) -> Result<Value> {
    *listener.pointer_mut("/name").context("a listener without a name")? = json!(variant.name());
    *listener.pointer_mut("/address/socket_address/port_value").context("a listener without a port")? =
        json!(0);
    let filters = listener
        .pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters")
        .and_then(Value::as_array_mut)
        .context("a listener without HTTP filters")?;
    ensure!(filters.len() == 2, "{} HTTP filters instead of Veilwire and the router", filters.len());
    match variant {
        Variant::Veilwire => {}
        Variant::Plain => {
            filters.remove(0);
        }
        Variant::Copy | Variant::Boundary => {
            let plugin = filters
                .first_mut()
                .and_then(|f| f.pointer_mut("/typed_config/config"))
                .context("no plugin")?;
            for (place, value) in [
                ("/name", json!(variant.name())),
                ("/root_id", json!(variant.name())),
                ("/vm_config/vm_id", json!(variant.name())),
                ("/vm_config/code/local/filename", json!(copy.display().to_string())),
            ] {
                *plugin.pointer_mut(place).with_context(|| format!("no {place}"))? = value;
            }
            if variant == Variant::Boundary {
                let event = BASE64.encode(encode_struct(&serde_json::from_str(EVENT)?));
                *plugin.pointer_mut("/configuration/value").context("no configuration")? = json!(event);
            } else {
                plugin.as_object_mut().context("no plugin")?.remove("configuration");
            }
        }
    }
    Ok(listener)
}
