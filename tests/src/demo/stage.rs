//! Everything that plays in the demo, set up and running: an upstream that requires client certificates, Envoy with
//! the filter in front of it, an identity provider, callers.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;

use super::kit::{Kit, Placement, filter_module, on_free_ports};
use super::show::Teller;
use crate::client::{ALPN_HTTP1, ALPN_HTTP2, Http1Client, Http2Client};
use crate::deadline::unix_seconds;
use crate::envoy::{self, AccessLog, Envoy};
use crate::pki::Pki;
use crate::token::{Algorithm, Claims, TokenIssuer};
use crate::upstream::Upstream;
use crate::wire::RequestHead;

/// Host of the policy's routes.
pub const HOST: &str = "llm.local";
/// Path of the OpenAI route.
pub const OPENAI: &str = "/v1/chat/completions";
/// Path of the Anthropic route.
pub const ANTHROPIC: &str = "/v1/messages";
/// Subject of the tokens.
pub const SUBJECT: &str = "agent-7";

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "veilwire-demo";
const LISTENER: &str = "veilwire";

/// The running demo. Everything ends with the value, its folder too.
#[derive(Debug)]
pub struct Stage {
    /// Files.
    pub kit: Kit,
    /// The upstream.
    pub upstream: Upstream,
    /// Envoy with the filter.
    pub envoy: Envoy,
    /// Envoy's access log.
    pub access_log: AccessLog,
    /// Where callers connect to.
    pub address: SocketAddr,
    issuer: &'static TokenIssuer,
    now: u64,
    /// Folder of the files.
    pub folder: TempDir,
}

impl Stage {
    /// Sets everything up in a new temporary folder.
    ///
    /// # Errors
    /// When something is missing or does not start; the error says what to do.
    pub fn set_up(teller: &mut Teller<'_>) -> Result<Self> {
        let wasm = filter_module()?;
        envoy::binary().context("the demo needs Envoy; `cargo xtask demo` installs it")?;
        let folder = TempDir::new().context("no temporary folder")?;
        teller.note("making keys, certificates and an identity provider")?;
        let issuer = TokenIssuer::shared()?;
        let pki = Pki::create(&folder.path().join("pki"))?;
        let upstream = Upstream::start(&pki)?;
        let placement = Placement {
            listen: "127.0.0.1".to_owned(),
            upstream_host: "127.0.0.1".to_owned(),
            upstream_port: upstream.port(),
            access_log: "access.log".to_owned(),
            folder: folder.path().display().to_string(),
            wasm: wasm.display().to_string(),
        };
        let kit = Kit::write(folder.path(), pki, &placement, issuer)?;
        let (artifact, digest) =
            (kit.compiled.artifact.len(), kit.compiled.digest.get(..12).unwrap_or_default());
        teller.note(&format!(
            "examples/first-light/policy.yaml compiled: {artifact} bytes, sha256 {digest}…"
        ))?;

        let config = kit.add("envoy.yaml", on_free_ports(&kit.compiled.envoy_yaml)?.as_bytes())?;
        let envoy = Envoy::start(&config)?;
        let address = envoy.address(LISTENER)?;
        let size = std::fs::metadata(&wasm)?.len();
        teller.note(&format!("Envoy listens on {address}; the filter has {size} bytes"))?;
        teller.note(&format!(
            "the upstream listens on {} and requires client certificates",
            upstream.address()
        ))?;
        let access_log = AccessLog::new(kit.path("access.log"));
        Ok(Self { kit, upstream, envoy, access_log, address, issuer, now: unix_seconds()?, folder })
    }

    /// Path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Claims of a valid token for a caller in these groups.
    #[must_use]
    pub fn claims(&self, groups: &[&str]) -> Claims {
        agent_claims(groups, self.now)
    }

    /// The same claims, expired an hour ago.
    #[must_use]
    pub fn expired_claims(&self, groups: &[&str]) -> Claims {
        self.claims(groups).expired(self.now, 3600)
    }

    /// A valid token of an agent for `hours`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn lasting_token(&self, groups: &[&str], hours: u64) -> Result<String> {
        self.mint(
            &self.claims(groups).with("exp", json!(self.now.saturating_add(hours.saturating_mul(3600)))),
        )
    }

    /// A truly signed token.
    ///
    /// # Errors
    /// When signing fails.
    pub fn mint(&self, claims: &Claims) -> Result<String> {
        self.issuer.mint(Algorithm::Rs256, claims)
    }

    /// The identity provider.
    #[must_use]
    pub const fn issuer(&self) -> &'static TokenIssuer {
        self.issuer
    }

    /// A new HTTP/1.1 connection to Envoy.
    ///
    /// # Errors
    /// When there is none.
    pub fn http1(&self) -> Result<Http1Client> {
        Http1Client::connect(
            self.address,
            self.kit.pki.client_config(&[ALPN_HTTP1], None, rustls::ALL_VERSIONS)?,
        )
    }

    /// A new HTTP/2 connection to Envoy.
    ///
    /// # Errors
    /// When there is none.
    pub fn http2(&self) -> Result<Http2Client> {
        Http2Client::connect(
            self.address,
            self.kit.pki.client_config(&[ALPN_HTTP2], None, rustls::ALL_VERSIONS)?,
        )
    }
}

/// Claims of a valid token for a caller in these groups.
#[must_use]
pub fn agent_claims(groups: &[&str], now: u64) -> Claims {
    Claims::new(ISSUER, AUDIENCE, SUBJECT, now).groups(groups)
}

/// Head of a JSON request to a route of the policy.
#[must_use]
pub fn post(path: &str, token: Option<&str>) -> RequestHead {
    let mut head = RequestHead::new("POST", path, &[("content-type", "application/json")]);
    head.authority = HOST.to_owned();
    if let Some(token) = token {
        head.headers.push((b"authorization".to_vec(), format!("Bearer {token}").into_bytes()));
    }
    head
}
