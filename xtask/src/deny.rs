//! Licences, bans and sources of every dependency, by cargo-deny, as `deny.toml` says.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{console, process, workspace};

const VERSION: &str = "0.20.2";

pub(crate) fn check() -> Result<()> {
    let tool = find()?;
    process::stream(deny(&tool).args(["check", "bans", "licenses", "sources"]))?;
    advisories(&tool)
}

/// The advisory database is a git repository: not everybody who builds this reaches it.
fn advisories(tool: &PathBuf) -> Result<()> {
    if !process::succeeds(deny(tool).args(["fetch", "db"])) {
        console::note("advisories: skipped, the advisory database cannot be fetched here");
        return Ok(());
    }
    process::stream(deny(tool).args(["check", "--disable-fetch", "advisories"]))
}

fn deny(tool: &PathBuf) -> Command {
    let mut command = Command::new(tool);
    command.current_dir(workspace::root()).args(["--log-level", "error", "--locked"]);
    command
}

/// cargo-deny on PATH, or our own build of it in the user's cache (about 3 minutes on two cores, once).
fn find() -> Result<PathBuf> {
    if let Some(path) = process::find("cargo-deny") {
        return Ok(path);
    }
    let root = workspace::cache_dir()?.join("tools");
    let path = root.join("bin/cargo-deny");
    if !process::is_executable(&path) {
        let mut install = process::cargo();
        install
            .args(["install", "--locked", "--version", VERSION, "cargo-deny", "--root"])
            .arg(&root)
            .env("CARGO_TARGET_DIR", workspace::target_dir().join("tools-build"));
        process::quiet("installing cargo-deny (once, about 3 minutes)", &mut install, console::LONG)?;
    }
    ensure!(process::is_executable(&path), "cargo-deny was installed, but `{}` is missing", path.display());
    Ok(path)
}
