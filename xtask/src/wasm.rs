//! `cargo xtask wasm`: builds the filter module and proves its size, features and freshness; and the modules of tests and benchmarks.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::source_digest::{SECTION, source_digest};
use crate::toolchain::{TARGET, WasmToolchain};
use crate::{console, process, wasm_section, workspace};

/// Envoy compiles the module at every start. The engine in it is built for speed and not for size.
pub(crate) const SIZE_LIMIT: usize = 13 * 128 * 1024;
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
/// A regex compiler inside the filter would cost 0.7 MB and invite patterns as configuration.
const FORBIDDEN_FEATURES: &[&str] = &["regex-automata feature \"dfa-build\"", "regex-syntax "];

pub(crate) fn run(args: &[String]) -> Result<()> {
    let force = match args {
        [] => false,
        [flag] if flag == "--force" => true,
        _ => bail!("usage: cargo xtask wasm [--force]"),
    };
    build(force)?;
    build_helper(Helper::Signatures)?;
    check_features()
}

/// Builds the module unless the one there has the digest of today's sources.
pub(crate) fn build(force: bool) -> Result<()> {
    let root = workspace::root();
    let module = workspace::wasm_module();
    ensure_lock_file()?;
    let digest = source_digest(&root).context("cannot read the sources of the filter")?;
    if !force && digest_of(&module).is_some_and(|found| found == digest) {
        console::note(&format!("{} is fresh", shown(&module)));
        return check(&module);
    }
    let toolchain = WasmToolchain::find()?;
    let target_dir = workspace::target_dir().join("wasm-build");
    let mut command = toolchain.cargo_build()?;
    command
        .args(["--package", "veilwire-filter", "--profile", "wasm", "--locked"])
        .env("CARGO_TARGET_DIR", &target_dir);
    let label = format!("building the filter with {} (first time: 2 to 4 minutes)", toolchain.describe());
    process::quiet(&label, &mut command, BUILD_LIMIT)?;

    let built = target_dir.join(TARGET).join("wasm/veilwire_filter.wasm");
    let mut bytes = std::fs::read(&built).with_context(|| format!("cannot read `{}`", built.display()))?;
    // SECURITY: sources that changed during the build must not be vouched for.
    ensure!(source_digest(&root)? == digest, "the sources changed during the build; run it again");
    wasm_section::append(&mut bytes, SECTION, digest.as_bytes());
    install(&module, &bytes)?;
    console::note(&format!("{}: {} bytes", shown(&module), bytes.len()));
    check(&module)
}

/// A filter for benchmarks or tests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Helper {
    /// Only copies bodies, which the benchmarks compare with.
    Copy,
    /// Verifies signatures in both ways that there are.
    Signatures,
}

/// Builds a filter for benchmarks or tests. Cargo itself knows when it is fresh.
pub(crate) fn build_helper(helper: Helper) -> Result<()> {
    let (package, module) = match helper {
        Helper::Copy => ("veilwire-copy-filter", "copy_filter.wasm"),
        Helper::Signatures => ("veilwire-signature-filter", "signature_filter.wasm"),
    };
    ensure_lock_file()?;
    let toolchain = WasmToolchain::find()?;
    let target_dir = workspace::target_dir().join("wasm-build");
    let mut command = toolchain.cargo_build()?;
    command
        .args(["--package", package, "--profile", "wasm", "--locked"])
        .env("CARGO_TARGET_DIR", &target_dir);
    process::quiet(&format!("building {package}"), &mut command, BUILD_LIMIT)?;
    let built = target_dir.join(TARGET).join("wasm").join(module);
    let bytes = std::fs::read(&built).with_context(|| format!("cannot read `{}`", built.display()))?;
    install(&workspace::helper_module(module), &bytes)
}

/// Digest that the module at `path` says it was built from.
pub(crate) fn digest_of(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let section = wasm_section::read(&bytes, SECTION).ok()??;
    String::from_utf8(section.to_vec()).ok()
}

/// Fails when the filter's dependency tree holds a regex compiler.
pub(crate) fn check_features() -> Result<()> {
    let tree = process::capture(process::cargo().args([
        "tree",
        "--locked",
        "-p",
        "veilwire-filter",
        "--target",
        TARGET,
        "-e",
        "normal,features",
        "--prefix",
        "none",
    ]))?;
    for forbidden in FORBIDDEN_FEATURES {
        if let Some(line) = tree.lines().find(|line| line.starts_with(forbidden)) {
            bail!("the filter links a regex compiler: `{line}`; find out why with `cargo tree -i`");
        }
    }
    Ok(())
}

/// The build refuses to change the lock file behind the digest's back, so it has to exist and fit first.
fn ensure_lock_file() -> Result<()> {
    if process::succeeds(process::cargo().args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
    ])) {
        return Ok(());
    }
    process::capture(process::cargo().args(["metadata", "--format-version", "1"]))
        .context("cargo cannot resolve the workspace")?;
    Ok(())
}

/// Written beside and renamed, so that a test never reads half a module.
fn install(module: &Path, bytes: &[u8]) -> Result<()> {
    let folder = module.parent().context("the module has no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let beside = module.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&beside, bytes).with_context(|| format!("cannot write `{}`", beside.display()))?;
    std::fs::rename(&beside, module).with_context(|| format!("cannot write `{}`", module.display()))
}

fn check(module: &Path) -> Result<()> {
    let bytes = std::fs::read(module).with_context(|| format!("cannot read `{}`", module.display()))?;
    ensure!(
        bytes.len() < SIZE_LIMIT,
        "{} has {} bytes, the limit is {SIZE_LIMIT}",
        shown(module),
        bytes.len()
    );
    for place in [workspace::root(), workspace::cargo_home()?, workspace::home()?] {
        let text = format!("{}/", place.display());
        if text.len() > 1 && bytes.windows(text.len()).any(|w| w == text.as_bytes()) {
            bail!("{} holds the path `{text}` of this machine", shown(module));
        }
    }
    Ok(())
}

fn shown(module: &Path) -> String {
    module.strip_prefix(workspace::root()).unwrap_or(module).display().to_string()
}
