//! The module under test: found, proven fresh, compiled once per process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, Module};

#[path = "../../../xtask/src/source_digest.rs"]
mod source_digest;

/// Where `cargo xtask wasm` puts the module.
///
/// # Errors
/// When the harness is not inside the repository.
pub fn module_path() -> Result<PathBuf> {
    Ok(repository()?.join("target/wasm/veilwire_filter.wasm"))
}

/// Fails when the module was not built from today's sources: a test of an old module proves nothing.
///
/// # Errors
/// When the module is missing, has no digest or another one.
pub fn verify_fresh() -> Result<()> {
    fresh_bytes().map(drop)
}

/// The compiled module, shared by all tests of this process. Code only: every instance has its own state.
pub(super) fn compiled() -> Result<&'static Module> {
    static COMPILED: OnceLock<Module> = OnceLock::new();
    if let Some(module) = COMPILED.get() {
        return Ok(module);
    }
    let module = compile(&fresh_bytes()?)?;
    Ok(COMPILED.get_or_init(|| module))
}

/// Compiles any module, for tests of the host itself.
pub(super) fn compile(bytes: &[u8]) -> Result<Module> {
    let engine = Engine::default();
    Module::new(&engine, bytes).map_err(|error| anyhow!("the module does not compile: {error:?}"))
}

fn repository() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the harness lies outside a repository")
}

fn fresh_bytes() -> Result<Vec<u8>> {
    let path = module_path()?;
    let bytes = std::fs::read(&path)
        .with_context(|| format!("no filter module at `{}`; run `cargo xtask wasm`", path.display()))?;
    let written =
        digest_in(&bytes)?.context("the filter module has no source digest; run `cargo xtask wasm`")?;
    let wanted = source_digest::source_digest(repository()?).context("cannot read the filter's sources")?;
    ensure!(written == wanted, "the filter module is not built from today's sources; run `cargo xtask wasm`");
    Ok(bytes)
}

fn digest_in(module: &[u8]) -> Result<Option<String>> {
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::CustomSection(section)) if section.name() == source_digest::SECTION => {
                return Ok(Some(String::from_utf8(section.data().to_vec())?));
            }
            Ok(_) => {}
            Err(error) => bail!("the filter module is damaged: {error}"),
        }
    }
    Ok(None)
}
