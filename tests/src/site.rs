//! An installation of the corpus policy: keys, key set, compiled artifact, a real Envoy with the built filter, an upstream
//! that requires client certificates. Everything ends with the value.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use tempfile::TempDir;
use veilwire_policy_compiler::diagnostic::render;
use veilwire_policy_compiler::files::DiskFiles;
use veilwire_policy_compiler::{Compiled, Deployment, Source, compile_policy};

use crate::client::{ALPN_HTTP1, ALPN_HTTP2, Http1Client, Http2Client};
use crate::deadline::unix_seconds;
use crate::demo::kit::{filter_module, on_free_ports};
use crate::envoy::{AccessLog, Envoy, Options};
use crate::pki::{Identity, Pki};
use crate::token::{Algorithm, Claims, TokenIssuer};
use crate::upstream::Upstream;
use crate::wire::{RequestHead, headers};

/// Names in the policy and the harness's names for them.
pub const KEYS: [(&str, &str); 5] = [
    ("server.pem", "edge.pem"),
    ("server.key", "edge.key"),
    ("upstream-ca.pem", "backend-ca.pem"),
    ("envoy-client.pem", "gateway-client.pem"),
    ("envoy-client.key", "gateway-client.key"),
];

/// The key of the corpus policy in Envoy's environment: the variable, and 32 times `A` in base64. What it makes of values is
/// computed elsewhere, in the tests of the engine too.
pub const PSEUDONYM_KEY: (&str, &str) =
    ("VEILWIRE_TEST_PSEUDONYMS", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=");

/// The policy of the corpus.
pub const POLICY: &str = include_str!("../policies/corpus.yaml");

/// A running installation.
#[derive(Debug)]
pub struct Site {
    /// Envoy with the filter.
    pub envoy: Envoy,
    /// The upstream.
    pub upstream: Upstream,
    /// What Envoy tells afterwards.
    pub access_log: AccessLog,
    /// The files.
    pub kit: Kit,
}

/// The files of an installation, without anything running.
#[derive(Debug)]
pub struct Kit {
    /// Certificates and keys.
    pub pki: Pki,
    /// What the policy compiled to.
    pub compiled: Compiled,
    /// The Envoy configuration, on free ports.
    pub config: PathBuf,
    folder: TempDir,
}

impl Kit {
    /// Writes the files of the corpus policy for an upstream on this port.
    ///
    /// # Errors
    /// When the filter was not built, or the policy does not compile.
    pub fn new(upstream_port: impl FnOnce(&Pki) -> Result<u16>) -> Result<Self> {
        Self::with_policy("corpus.yaml", POLICY, upstream_port)
    }

    /// As [`Kit::new`], of another policy with the same keys and ports.
    ///
    /// # Errors
    /// As [`Kit::new`].
    pub fn with_policy(
        name: &str,
        policy: &str,
        upstream_port: impl FnOnce(&Pki) -> Result<u16>,
    ) -> Result<Self> {
        Self::edited(name, |pki| {
            let port = upstream_port(pki)?;
            let placed = "host: localhost, port: 9443";
            ensure!(policy.contains(placed), "`{name}` has no upstream at `{placed}`");
            Ok(policy.replace(placed, &format!("host: 127.0.0.1, port: {port}")))
        })
    }

    /// As [`Kit::new`], of a policy that is made when the certificates are there.
    ///
    /// # Errors
    /// As [`Kit::new`].
    pub fn edited(name: &str, policy: impl FnOnce(&Pki) -> Result<String>) -> Result<Self> {
        let folder = TempDir::new()?;
        let pki = Pki::create(&folder.path().join("pki"))?;
        for (name, made) in KEYS {
            fs::copy(pki.path(made), pki.path(name))?;
        }
        fs::write(folder.path().join("jwks.json"), TokenIssuer::shared()?.jwks()?.to_string())?;
        let source = Source::new(name, policy(&pki)?);
        let deployment = Deployment {
            files: folder.path().display().to_string(),
            wasm: filter_module()?.display().to_string(),
        };
        let compiled =
            compile_policy(&source, &DiskFiles::new(folder.path()), &deployment).map_err(|refused| {
                anyhow!("the policy does not compile:\n{}", render::human(&source, &refused, false))
            })?;
        let config = folder.path().join("envoy.yaml");
        fs::write(&config, on_free_ports(&compiled.envoy_yaml)?)?;
        Ok(Self { pki, compiled, config, folder })
    }

    /// Folder of the files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Site {
    /// Starts everything.
    ///
    /// # Errors
    /// As [`Kit::new`], or when Envoy does not start.
    pub fn start() -> Result<Self> {
        Self::with_policy("corpus.yaml", POLICY)
    }

    /// As [`Site::start`], with an upstream that is spoken to over HTTP/2: only there a response can have trailers.
    ///
    /// # Errors
    /// As [`Site::start`].
    pub fn over_http2() -> Result<Self> {
        let placed = "host: localhost, port: 9443, ";
        ensure!(POLICY.contains(placed), "`corpus.yaml` has no upstream at `{placed}`");
        Self::with_policy("corpus.yaml", &POLICY.replace(placed, &format!("{placed}protocol: http2, ")))
    }

    /// As [`Site::start`], with another policy with the same keys and ports.
    ///
    /// # Errors
    /// As [`Site::start`].
    pub fn with_policy(name: &str, policy: &str) -> Result<Self> {
        Self::with_options(name, policy, &Options::default())
    }

    /// As [`Site::with_policy`], with options for Envoy.
    ///
    /// # Errors
    /// As [`Site::start`].
    pub fn with_options(name: &str, policy: &str, options: &Options) -> Result<Self> {
        let mut upstream = None;
        let kit = Kit::with_policy(name, policy, |pki| Ok(upstream.insert(Upstream::start(pki)?).port()))?;
        let upstream = upstream.ok_or_else(|| anyhow!("no upstream"))?;
        Self::of(kit, upstream, options)
    }

    /// Starts Envoy on these files, with the key in its environment.
    ///
    /// # Errors
    /// As [`Site::start`].
    pub fn of(kit: Kit, upstream: Upstream, options: &Options) -> Result<Self> {
        let envoy = Envoy::start_with(&kit.config, &with_key(options.clone()))?;
        let access_log = AccessLog::new(kit.folder().join("access.log"));
        Ok(Self { envoy, upstream, access_log, kit })
    }

    /// A new HTTP/1.1 connection.
    ///
    /// # Errors
    /// When there is none.
    pub fn http1(&self) -> Result<Http1Client> {
        let config = self.kit.pki.client_config(&[ALPN_HTTP1], None, rustls::ALL_VERSIONS)?;
        Http1Client::connect(self.envoy.address("veilwire")?, config)
    }

    /// A GET of `/items` with these fields, over a new HTTP/1.1 connection of whoever has this certificate; not yet answered.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn asked(&self, who: Option<Identity>, sent: &[(&str, &str)]) -> Result<Http1Client> {
        let config = self.kit.pki.client_config(&[ALPN_HTTP1], who, rustls::ALL_VERSIONS)?;
        let mut client = Http1Client::connect(self.envoy.address("veilwire")?, config)?;
        let mut head = RequestHead::new("GET", "/items", &[]);
        head.authority = "llm.test".to_owned();
        head.headers.extend(headers(sent));
        client.send_head(&head)?;
        Ok(client)
    }

    /// A new HTTP/2 connection.
    ///
    /// # Errors
    /// When there is none.
    pub fn http2(&self) -> Result<Http2Client> {
        let config = self.kit.pki.client_config(&[ALPN_HTTP2], None, rustls::ALL_VERSIONS)?;
        Http2Client::connect(self.envoy.address("veilwire")?, config)
    }

    /// The head of a POST by an allowed agent.
    ///
    /// # Errors
    /// When no token can be made.
    pub fn post(&self, route: &str, content_type: &str) -> Result<RequestHead> {
        self.post_to(path(route)?, content_type)
    }

    /// The same, to a path.
    ///
    /// # Errors
    /// As [`Site::post`].
    pub fn post_to(&self, path: &str, content_type: &str) -> Result<RequestHead> {
        let claims =
            Claims::new("https://idp.test", "gateway", "agent-7", unix_seconds()?).groups(&["agents"]);
        let token = TokenIssuer::shared()?.mint(Algorithm::Es256, &claims)?;
        let mut head = RequestHead::new("POST", path, &[("content-type", content_type)]);
        head.authority = "llm.test".to_owned();
        head.headers.extend(headers(&[("authorization", &format!("Bearer {token}"))]));
        Ok(head)
    }
}

/// The same, with the key of the corpus policy in Envoy's environment.
#[must_use]
pub fn with_key(mut options: Options) -> Options {
    let (name, key) = PSEUDONYM_KEY;
    options.environment.push((name.to_owned(), key.to_owned()));
    options
}

/// Path of a route of the corpus policy.
///
/// # Errors
/// When there is no such route.
pub fn path(route: &str) -> Result<&'static str> {
    let named = |line: &&str| line.trim_start().strip_prefix(route).is_some_and(|rest| rest.starts_with(':'));
    let line = POLICY.lines().find(named).ok_or_else(|| anyhow!("no route `{route}`"))?;
    let (_, rest) = line.split_once("path: ").ok_or_else(|| anyhow!("route `{route}` has no path"))?;
    let path = rest.split(", ").next().unwrap_or_default();
    // Below a prefix any path will do, the shortest too.
    Ok(path.trim_matches('"').trim_end_matches('*'))
}
