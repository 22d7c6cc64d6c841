//! `cargo xtask setup`: everything that the other commands need, installed once.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::toolchain::WasmToolchain;
use crate::{console, envoy, packages, process, providers, sdk};

/// What a set-up machine offers.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) envoy: PathBuf,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask setup");
    }
    let toolchain = WasmToolchain::find()?;
    console::note(&format!("wasm: {}", toolchain.describe()));
    let ready = ensure_ready()?;
    console::note(&format!("Envoy: {}", ready.envoy.display()));
    console::note(&format!("SDKs: {}", sdk::find()?.display()));
    console::note(&format!("identity providers: {}", providers::find()?.display()));
    console::note("all set; `cargo xtask demo` shows the product, `cargo xtask test` runs every test");
    Ok(())
}

/// What tests and demo need besides the filter module (whose build finds its own toolchain).
pub(crate) fn ensure_ready() -> Result<Ready> {
    ensure!(
        cfg!(unix),
        "Envoy has no build for this system; use Linux or macOS, or a container of Debian 12"
    );
    if process::find("cc").is_none() {
        packages::install(&["gcc", "libc6-dev"], "a C compiler is needed", "Install a C compiler.")?;
    }
    Ok(Ready { envoy: envoy::find()? })
}
