//! The Python that holds the vendors' SDKs, which `cargo xtask` installs for the tests.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// What is installed; the folder in the cache is named by its digest, as `xtask/src/sdk.rs` has it.
const REQUIREMENTS: &str = include_str!("../sdk/requirements.txt");

/// The interpreter: `$VEILWIRE_SDK_PYTHON`, else the one in the user's cache.
///
/// # Errors
/// When there is none; a test never passes without it.
pub fn python() -> Result<PathBuf> {
    let named = std::env::var_os("VEILWIRE_SDK_PYTHON").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = named {
        ensure!(path.is_file(), "`$VEILWIRE_SDK_PYTHON` is `{}`, which does not exist", path.display());
        return Ok(path);
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache =
        std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from).or(home);
    let folder = cache.context("`$HOME` is not set")?.join("veilwire").join(folder_name());
    let python = folder.join("bin/python");
    if !python.is_file() {
        bail!("the SDKs of `tests/sdk/requirements.txt` are not installed; run `cargo xtask setup`");
    }
    Ok(python)
}

/// `sdk-` and the first 16 hex digits of the digest of the requirements.
fn folder_name() -> String {
    let digest = Sha256::digest(REQUIREMENTS.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Path::new(&format!("sdk-{hex}")).display().to_string()
}
