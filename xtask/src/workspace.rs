//! Where things are: the repository root, cargo's target folder, the per-user cache.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Root of the repository (the folder of the virtual manifest).
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo's target folder, as `$CARGO_TARGET_DIR` says or `target` in the root.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// Where the finished filter module lies, whatever `$CARGO_TARGET_DIR` says: tests, demo and Envoy
/// configurations all read it from here.
pub(crate) fn wasm_module() -> PathBuf {
    root().join("target/wasm/veilwire_filter.wasm")
}

/// Where a filter for benchmarks or tests lies.
pub(crate) fn helper_module(name: &str) -> PathBuf {
    root().join("target/wasm").join(name)
}

/// Logs of quiet steps.
pub(crate) fn log_dir() -> Result<PathBuf> {
    let dir = target_dir().join("xtask-logs");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    Ok(dir)
}

/// Downloads that outlive `cargo clean`: `$XDG_CACHE_HOME/veilwire` or `~/.cache/veilwire`.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => home()?.join(".cache"),
    };
    Ok(base.join("veilwire"))
}

/// The user's home folder.
pub(crate) fn home() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").filter(|h| !h.is_empty());
    Ok(PathBuf::from(home.context("`$HOME` is not set")?))
}

/// `$CARGO_HOME` or `~/.cargo`.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(dir) if !dir.is_empty() => Ok(PathBuf::from(dir)),
        _ => Ok(home()?.join(".cargo")),
    }
}
