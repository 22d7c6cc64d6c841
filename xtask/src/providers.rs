//! The identity providers that tests drive: the npm packages of `tests/oidc/package-lock.json`, in a folder of the user's cache that is
//! named by the digest of that file. npm's own settings decide where packages come from; no script of a package is run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{console, packages, process, workspace};

/// Names the folder `node_modules` that has everything.
pub(crate) const VARIABLE: &str = "VEILWIRE_OIDC_PACKAGES";
const LOCK: &str = include_str!("../../tests/oidc/package-lock.json");
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
const LIMIT: Duration = Duration::from_secs(600);
const ELSEWHERE: &str = "Install Node.js 18.12 or newer with npm.";

/// The folder with the packages, installing them when they are not there.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let path = PathBuf::from(named);
        ensure!(path.is_dir(), "`${VARIABLE}` is `{}`, which does not exist", path.display());
        return Ok(path);
    }
    ensure_node()?;
    let digest = Sha256::digest(LOCK.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = workspace::cache_dir()?.join(format!("oidc-{hex}"));
    let modules = folder.join("node_modules");
    if !modules.is_dir() {
        install(&folder)?;
    }
    Ok(modules)
}

/// For the tests: the folder, or none and a line that says why, so that only the tests that need it fail.
pub(crate) fn find_or_say() -> Option<PathBuf> {
    find().inspect_err(|error| console::note(&format!("no identity providers: {error:#}"))).ok()
}

fn ensure_node() -> Result<()> {
    let missing: Vec<&str> = [("node", "nodejs"), ("npm", "npm")]
        .into_iter()
        .filter(|(program, _)| process::find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    packages::install(&missing, "Node.js with npm is needed", ELSEWHERE)
}

/// Made beside and renamed, so that what is there is always complete.
fn install(folder: &Path) -> Result<()> {
    let beside = folder.with_extension(format!("new-{}", std::process::id()));
    let outcome = install_into(&beside).and_then(|()| {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::rename(&beside, folder).with_context(|| format!("cannot write `{}`", folder.display()))
    });
    if outcome.is_err() {
        std::fs::remove_dir_all(&beside).ok();
    }
    outcome
}

fn install_into(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    for name in FILES {
        std::fs::copy(workspace::root().join("tests/oidc").join(name), folder.join(name))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    process::quiet("installing the identity providers that the tests drive (10 MB, once)", &mut npm, LIMIT)
        .with_context(|| {
            format!(
                "packages could not be fetched from npm. Install `tests/oidc/package-lock.json` yourself and name \
                 its `node_modules` in `${VARIABLE}`"
            )
        })
}
