//! Digest of everything the filter module is built from, so that a stale module is noticed.
//!
//! `xtask wasm` writes it into the module; the test harness includes this same file and compares. It covers
//! the sources and manifests of engine and filter, the root manifest and the lock file, and not the compiler.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Name of the custom section of the module that holds the digest (64 lower-case hex digits).
pub(crate) const SECTION: &str = "veilwire.source";

const FOLDERS: &[&str] = &["engine/src", "filter/src"];
const FILES: &[&str] = &["engine/Cargo.toml", "filter/Cargo.toml", "Cargo.toml", "Cargo.lock"];

/// SHA-256 over names, lengths and bytes of the sources, in sorted order, as hex.
///
/// # Errors
/// When a file or folder cannot be read.
pub(crate) fn source_digest(root: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for folder in FOLDERS {
        collect(root, Path::new(folder), &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = std::fs::read(root.join(&file))?;
        let name = file.to_string_lossy().replace('\\', "/");
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
