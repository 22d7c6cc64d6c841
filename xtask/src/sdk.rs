//! The Pythons that tests and measurements drive: the vendors' SDKs of `tests/sdk/requirements.txt`, and Presidio. Each is
//! named by a variable, or is a virtual environment in the user's cache, named by the digest of its requirements. pip's own
//! settings decide where packages come from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::{console, packages, process, workspace};

/// A virtual environment.
#[derive(Debug)]
struct Environment {
    /// Begin of the folder's name.
    name: &'static str,
    /// Names a Python that has everything.
    variable: &'static str,
    /// File of the repository that says what is installed, and its content.
    requirements: (&'static str, &'static str),
    /// Fails when something is missing or does not fit this machine.
    probe: &'static str,
    /// What it is, for people.
    what: &'static str,
}

/// `tests/src/sdk.rs` knows the folder by the same digest.
const SDKS: Environment = Environment {
    name: "sdk",
    variable: "VEILWIRE_SDK_PYTHON",
    requirements: ("tests/sdk/requirements.txt", include_str!("../../tests/sdk/requirements.txt")),
    probe: "import anthropic, google.genai, mcp, ollama, openai, \
     opentelemetry.exporter.otlp.proto.grpc.trace_exporter, opentelemetry.exporter.otlp.proto.http.trace_exporter",
    what: "the SDKs that the tests drive (190 MB, once)",
};
const PRESIDIO: Environment = Environment {
    name: "presidio",
    variable: "VEILWIRE_PRESIDIO_PYTHON",
    requirements: ("tests/accuracy/requirements.txt", include_str!("../../tests/accuracy/requirements.txt")),
    probe: "import presidio_analyzer",
    what: "Presidio, to compare with (300 MB, once)",
};
const LIMIT: Duration = Duration::from_secs(900);
const ELSEWHERE: &str = "Install Python 3.10 or newer with its `venv` module.";

/// Path of a Python that has every SDK, installing them when they are not there.
pub(crate) fn find() -> Result<PathBuf> {
    SDKS.find()
}

/// Path of a Python that has Presidio, installing it when it is not there.
pub(crate) fn presidio() -> Result<PathBuf> {
    PRESIDIO.find()
}

impl Environment {
    fn find(&self) -> Result<PathBuf> {
        if let Some(named) = std::env::var_os(self.variable).filter(|value| !value.is_empty()) {
            let path = PathBuf::from(named);
            let variable = self.variable;
            ensure!(process::is_executable(&path), "`${variable}` is `{}`, not a program", path.display());
            return Ok(path);
        }
        let folder = workspace::cache_dir()?.join(self.folder_name());
        let python = folder.join("bin/python");
        // A Python that was replaced since leaves its environments broken.
        if process::is_executable(&python) && runs(&python) {
            return Ok(python);
        }
        self.install(&folder)?;
        Ok(python)
    }

    fn folder_name(&self) -> String {
        let digest = Sha256::digest(self.requirements.1.as_bytes());
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{hex}", self.name)
    }

    /// Made beside and renamed, so that what is there is always complete.
    fn install(&self, folder: &Path) -> Result<()> {
        let base = python_with_venv()?;
        let beside = folder.with_extension(format!("new-{}", std::process::id()));
        let outcome = self.install_into(&base, &beside).and_then(|()| {
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

    fn install_into(&self, base: &Path, folder: &Path) -> Result<()> {
        let mut venv = Command::new(base);
        venv.args(["-m", "venv"]).arg(folder);
        process::quiet("making a Python environment", &mut venv, LIMIT)?;
        let python = folder.join("bin/python");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--requirement"])
            .arg(workspace::root().join(self.requirements.0));
        process::quiet(&format!("installing {}", self.what), &mut pip, LIMIT).with_context(|| {
            format!(
                "packages could not be fetched from PyPI. Install `{}` yourself and name its Python in `${}`",
                self.requirements.0, self.variable
            )
        })?;
        let mut probe = Command::new(&python);
        probe.args(["-c", self.probe]);
        process::quiet("importing what was installed", &mut probe, LIMIT)
    }
}

fn runs(python: &Path) -> bool {
    process::succeeds(Command::new(python).args(["-c", "import sys"]))
}

fn python_with_venv() -> Result<PathBuf> {
    if let Some(python) = process::find("python3").filter(|python| has_venv(python)) {
        return Ok(python);
    }
    packages::install(&["python3", "python3-venv"], "Python with `venv` is needed", ELSEWHERE)?;
    // The python3 on PATH need not be the one that apt serves.
    let found = process::find("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    match found.into_iter().find(|python| has_venv(python)) {
        Some(python) => Ok(python),
        None => bail!("no Python 3.10 with `venv` after installing it. {ELSEWHERE}"),
    }
}

fn has_venv(python: &Path) -> bool {
    let check = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    process::succeeds(Command::new(python).args(["-c", check]))
}

/// For the tests: the Python, or none and a line that says why, so that only the tests that need it fail.
pub(crate) fn find_or_say() -> Option<PathBuf> {
    find().inspect_err(|error| console::note(&format!("no SDKs: {error:#}"))).ok()
}
