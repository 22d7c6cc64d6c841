//! `demo --prepare`: the folder that `docker-compose.yml` mounts.
//!
//! The same policy, keys and recordings as in the demo, placed for two containers: Envoy listens on all addresses of
//! its container, and the upstream is a host of that name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::kit::{Kit, Placement, filter_module, repository};
use super::stage::agent_claims;
use super::stay::header_line;
use super::story::planted_streams;
use crate::deadline::unix_seconds;
use crate::pki::Pki;
use crate::token::{Algorithm, TokenIssuer};

/// The folder, seen from the repository.
pub const FOLDER: &str = "target/compose";
/// What it holds for the containers and for callers.
pub const PREPARED: [&str; 12] = [
    "agent.header",
    "anthropic-messages.sse",
    "envoy.yaml",
    "openai-chat.sse",
    "pki/edge-ca.pem",
    "pki/envoy-client.key",
    "pki/envoy-client.pem",
    "pki/server.key",
    "pki/server.pem",
    "pki/upstream-ca.pem",
    "pki/upstream.pem",
    "veilwire_filter.wasm",
];
/// Where the containers see it.
const MOUNT: &str = "/etc/veilwire";
const HOURS: u64 = 24;

/// Writes the folder; what was there is replaced.
///
/// # Errors
/// When the filter is not built or a file cannot be written.
pub fn prepare() -> Result<PathBuf> {
    let folder = repository().join(FOLDER);
    prepare_in(&folder, MOUNT)?;
    Ok(folder)
}

/// As [`prepare`], into any folder, which the containers see as `mount`. Returns the certificates.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_in(folder: &Path, mount: &str) -> Result<Pki> {
    let wasm = filter_module()?;
    let pki = Pki::create(&folder.join("pki"))?;
    let issuer = TokenIssuer::shared()?;
    let placement = Placement {
        listen: "0.0.0.0".to_owned(),
        upstream_host: "upstream".to_owned(),
        upstream_port: 9443,
        access_log: "/dev/stdout".to_owned(),
        folder: mount.to_owned(),
        wasm: format!("{mount}/veilwire_filter.wasm"),
    };
    let kit = Kit::write(folder, pki, &placement, issuer)?;
    // Renamed into place: an Envoy that runs on the old module keeps it.
    let beside = kit.path("veilwire_filter.wasm.new");
    fs::copy(&wasm, &beside).context("cannot copy the filter")?;
    fs::rename(&beside, kit.path("veilwire_filter.wasm")).context("cannot copy the filter")?;
    let now = unix_seconds()?;
    let claims = agent_claims(&["agents"], now).with("exp", json!(now.saturating_add(HOURS * 3600)));
    kit.add("agent.header", header_line(&issuer.mint(Algorithm::Rs256, &claims)?).as_bytes())?;
    let (openai, anthropic) = planted_streams()?;
    kit.add("openai-chat.sse", &openai.events().concat())?;
    kit.add("anthropic-messages.sse", &anthropic.events().concat())?;
    Ok(kit.pki)
}
