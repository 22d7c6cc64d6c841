//! The files a policy refers to, behind a small trait: on disk for the CLI, in memory for tests and fuzzing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads what a policy refers to. References are as the policy spells them.
pub trait Files {
    /// The content of a file.
    ///
    /// # Errors
    /// Why there is none.
    fn read(&self, reference: &str) -> Result<Vec<u8>, FileError>;

    /// Whether the file is there. Used for private keys, which are never read.
    fn exists(&self, reference: &str) -> bool;
}

/// Why a file has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// It is a folder or a device.
    #[error("not a regular file")]
    NotAFile,
    /// Larger than [`MAX_FILE`].
    #[error("larger than 4 MiB")]
    TooLarge,
    /// Permissions or hardware.
    #[error("permission denied or read error")]
    Unreadable,
}

/// Largest file a policy may refer to, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// Files on disk; relative references begin at the folder of the policy.
#[derive(Clone, Debug)]
pub struct DiskFiles {
    base: PathBuf,
}

/// Files in memory, by reference.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Vec<u8>>,
}

impl DiskFiles {
    /// Files looked up from `base`.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        DiskFiles { base: base.into() }
    }

    fn locate(&self, reference: &str) -> PathBuf {
        self.base.join(Path::new(reference))
    }
}

impl Files for DiskFiles {
    fn read(&self, reference: &str) -> Result<Vec<u8>, FileError> {
        let path = self.locate(reference);
        let metadata = std::fs::metadata(&path).map_err(|error| classify(&error))?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile);
        }
        if metadata.len() > MAX_FILE {
            return Err(FileError::TooLarge);
        }
        std::fs::read(&path).map_err(|error| classify(&error))
    }

    fn exists(&self, reference: &str) -> bool {
        std::fs::metadata(self.locate(reference)).is_ok_and(|metadata| metadata.is_file())
    }
}

impl MemoryFiles {
    /// Adds a file.
    #[must_use]
    pub fn with(mut self, reference: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(reference.into(), content.into());
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, reference: &str) -> Result<Vec<u8>, FileError> {
        self.files.get(reference).cloned().ok_or(FileError::Missing)
    }

    fn exists(&self, reference: &str) -> bool {
        self.files.contains_key(reference)
    }
}

fn classify(error: &std::io::Error) -> FileError {
    match error.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing,
        _ => FileError::Unreadable,
    }
}
