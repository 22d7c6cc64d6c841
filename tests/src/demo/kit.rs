//! A folder with everything that one Veilwire needs: policy, keys, key set, artifact, Envoy configuration.
//!
//! It is what a user has after writing a policy and running `veilwire compile`; the demo makes it with the compiler's
//! library. The keys are made for one run and protect nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use veilwire_policy_compiler::diagnostic::render;
use veilwire_policy_compiler::files::DiskFiles;
use veilwire_policy_compiler::{Compiled, Deployment, Source, compile_policy};

use crate::pki::Pki;
use crate::token::TokenIssuer;

/// The policy of the demo, as it stands in the repository.
pub const POLICY: &str = include_str!("../../../examples/first-light/policy.yaml");

/// Names in the policy and the harness's names for them.
const KEYS: [(&str, &str); 5] = [
    ("server.pem", "edge.pem"),
    ("server.key", "edge.key"),
    ("upstream-ca.pem", "backend-ca.pem"),
    ("envoy-client.pem", "gateway-client.pem"),
    ("envoy-client.key", "gateway-client.key"),
];

/// Where things are in one installation; everything else is in the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Address that Envoy listens on.
    pub listen: String,
    /// Host of the upstream.
    pub upstream_host: String,
    /// Port of the upstream.
    pub upstream_port: u16,
    /// Where the access log goes.
    pub access_log: String,
    /// The folder, as Envoy sees it.
    pub folder: String,
    /// The filter module, as Envoy sees it.
    pub wasm: String,
}

/// A folder that is complete.
#[derive(Debug)]
pub struct Kit {
    folder: PathBuf,
    /// Certificates and keys.
    pub pki: Pki,
    /// What the policy compiled to.
    pub compiled: Compiled,
}

impl Kit {
    /// Writes everything into `folder`; `pki` has been made in its `pki`.
    ///
    /// # Errors
    /// When a file cannot be written or the policy does not compile; the error holds the compiler's diagnostics.
    pub fn write(folder: &Path, pki: Pki, placement: &Placement, issuer: &TokenIssuer) -> Result<Self> {
        for (name, made) in KEYS {
            fs::copy(pki.path(made), pki.path(name)).with_context(|| format!("cannot write `{name}`"))?;
        }
        let kit = |name: &str, bytes: &[u8]| write(folder, name, bytes);
        kit("jwks.json", issuer.jwks()?.to_string().as_bytes())?;
        let policy = place(POLICY, placement)?;
        kit("policy.yaml", policy.as_bytes())?;

        let source = Source::new("policy.yaml", policy);
        let deployment = Deployment { files: placement.folder.clone(), wasm: placement.wasm.clone() };
        let compiled = compile_policy(&source, &DiskFiles::new(folder), &deployment).map_err(|refused| {
            anyhow!("the policy does not compile:\n{}", render::human(&source, &refused, false))
        })?;
        kit("policy.artifact", &compiled.artifact)?;
        kit("envoy.yaml", compiled.envoy_yaml.as_bytes())?;
        Ok(Self { folder: folder.to_path_buf(), pki, compiled })
    }

    /// Path of a file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Adds a file and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        write(&self.folder, name, bytes)
    }
}

/// Root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The built filter module.
///
/// # Errors
/// When it was not built; the error says what to do.
pub fn filter_module() -> Result<PathBuf> {
    let path = repository().join("target/wasm/veilwire_filter.wasm");
    ensure!(
        path.is_file(),
        "`{}` is missing: run `cargo xtask wasm`, or `cargo xtask demo`, which does it",
        path.display()
    );
    Ok(path)
}

/// The policy with other addresses, and not one word more changed.
fn place(policy: &str, placement: &Placement) -> Result<String> {
    let Placement { listen, upstream_host, upstream_port, access_log, .. } = placement;
    let changes = [
        (
            "      address: 127.0.0.1\n      port: 8443\n",
            format!("      address: {listen}\n      port: 8443\n"),
        ),
        ("      accessLog: /dev/stdout\n", format!("      accessLog: {access_log}\n")),
        (
            "        host: 127.0.0.1\n        port: 9443\n",
            format!("        host: {upstream_host}\n        port: {upstream_port}\n"),
        ),
    ];
    changes.iter().try_fold(policy.to_owned(), |text, (old, new)| replace_once(&text, old, new))
}

/// The Envoy configuration with ports that the system chooses, so that no port can be in use.
///
/// # Errors
/// When the configuration does not have the policy's ports exactly once.
pub fn on_free_ports(envoy_yaml: &str) -> Result<String> {
    ["port_value: 8443", "port_value: 9901"]
        .iter()
        .try_fold(envoy_yaml.to_owned(), |text, port| replace_once(&text, port, "port_value: 0"))
}

/// Replaces what must be there exactly once.
///
/// # Errors
/// When it is not.
pub fn replace_once(text: &str, old: &str, new: &str) -> Result<String> {
    let count = text.matches(old).count();
    ensure!(count == 1, "`{}` is there {count} times instead of once", old.trim());
    Ok(text.replace(old, new))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_changes_addresses_only() {
        let placement = Placement {
            listen: "0.0.0.0".to_owned(),
            upstream_host: "upstream".to_owned(),
            upstream_port: 1234,
            access_log: "access.log".to_owned(),
            folder: String::new(),
            wasm: String::new(),
        };
        let placed = place(POLICY, &placement).unwrap();
        let changed: Vec<(&str, &str)> = POLICY.lines().zip(placed.lines()).filter(|(a, b)| a != b).collect();
        assert_eq!(POLICY.lines().count(), placed.lines().count());
        assert_eq!(changed.len(), 4, "{changed:?}");
    }

    #[test]
    fn what_is_not_there_once_is_not_replaced() {
        assert_eq!(replace_once("a b", "b", "c").unwrap(), "a c");
        assert!(replace_once("a b b", "b", "c").is_err());
        assert!(replace_once("a", "b", "c").is_err());
    }
}
