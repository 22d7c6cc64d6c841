//! A compiler and a standard library for `wasm32-wasip1`, in the order of least surprise:
//! the std that rustup already has, `rustup target add`, Debian's compiler with its own std source.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::{console, packages, process, workspace};

pub(crate) const TARGET: &str = "wasm32-wasip1";
const SIMD: &str = "-Ctarget-feature=+simd128";
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_WASI: &str = "/usr/lib/wasm32-wasi";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust";

/// How the filter is compiled on this machine.
#[derive(Debug, Clone)]
pub(crate) enum WasmToolchain {
    /// The active toolchain has a std for the target.
    Installed,
    /// Debian's compiler builds its own std; the linker comes from rustup or from Debian's lld.
    DebianBuildStd { linker: PathBuf },
}

impl WasmToolchain {
    /// The way that works here, installing what is missing.
    pub(crate) fn find() -> Result<Self> {
        if std::env::var_os("VEILWIRE_WASM_STD").is_some_and(|way| way == "debian") {
            return debian();
        }
        if std_installed() {
            return Ok(Self::Installed);
        }
        if rustup_adds_target() && std_installed() {
            return Ok(Self::Installed);
        }
        debian()
    }

    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Installed => "the active toolchain's std",
            Self::DebianBuildStd { .. } => "Debian's rustc with its std source",
        }
    }

    /// `cargo build` for the target, with the flags that this way needs.
    pub(crate) fn cargo_build(&self) -> Result<Command> {
        let mut flags = vec![SIMD.to_owned()];
        let mut command = match self {
            Self::Installed => process::cargo(),
            Self::DebianBuildStd { linker } => {
                flags.push("-Clink-self-contained=no".into());
                flags.push(format!("-L{DEBIAN_WASI}"));
                let mut cargo = Command::new(DEBIAN_CARGO);
                cargo
                    .current_dir(workspace::root())
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
                    // Set by the rustup proxy that started us; another compiler must not load its libraries.
                    .env_remove("LD_LIBRARY_PATH")
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("RUSTDOC")
                    .env_remove("RUSTC_WRAPPER");
                cargo
            }
        };
        flags.extend(remaps()?);
        command.args(["build", "--target", TARGET]);
        if let Self::DebianBuildStd { .. } = self {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(command)
    }
}

fn sysroot() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = process::capture(Command::new(rustc).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(text.trim()))
}

pub(crate) fn std_installed() -> bool {
    let Ok(sysroot) = sysroot() else { return false };
    let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let Ok(files) = std::fs::read_dir(lib) else { return false };
    files.flatten().any(|f| f.file_name().to_string_lossy().starts_with("libstd-"))
}

fn rustup_adds_target() -> bool {
    if process::find("rustup").is_none() {
        return false;
    }
    let mut command = Command::new("rustup");
    // Offline this ends at once; a slow network gets a bounded try.
    command.args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "1");
    match process::quiet("rustup target add wasm32-wasip1", &mut command, RUSTUP_LIMIT) {
        Ok(()) => true,
        Err(_) => {
            console::note("rustup cannot fetch it here; trying Debian's compiler");
            false
        }
    }
}

fn debian() -> Result<WasmToolchain> {
    if !debian_complete() {
        packages::install(
            DEBIAN_PACKAGES,
            "no standard library for wasm32-wasip1 is installed and rustup cannot fetch it",
            "Install it with `rustup target add wasm32-wasip1` (on a network that reaches rustup's server).",
        )?;
    }
    if !debian_complete() {
        bail!("the packages {} are installed but incomplete", DEBIAN_PACKAGES.join(", "));
    }
    Ok(WasmToolchain::DebianBuildStd { linker: linker()? })
}

fn debian_complete() -> bool {
    process::is_executable(Path::new(DEBIAN_RUSTC))
        && process::is_executable(Path::new(DEBIAN_CARGO))
        && Path::new(DEBIAN_WASI).join("libc.a").exists()
        && Path::new(DEBIAN_STD).join("library/Cargo.lock").exists()
}

/// rustup ships an lld that knows wasm; otherwise Debian's.
fn linker() -> Result<PathBuf> {
    if let Ok(sysroot) = sysroot() {
        let rustlib = sysroot.join("lib/rustlib");
        for host in std::fs::read_dir(&rustlib).into_iter().flatten().flatten() {
            let lld = host.path().join("bin/rust-lld");
            if process::is_executable(&lld) {
                return Ok(lld);
            }
        }
    }
    if process::find("wasm-ld").is_none() {
        packages::install(&["lld"], "no linker for wasm is installed", "Install LLVM's lld.")?;
    }
    process::find("wasm-ld").context("the package lld is installed but has no `wasm-ld`")
}

/// No path of the building machine may enter the module: it would leak, and break reproducibility.
fn remaps() -> Result<Vec<String>> {
    let mut pairs = vec![
        (workspace::root(), "veilwire"),
        (sysroot()?.join("lib/rustlib/src/rust"), "rust"),
        (PathBuf::from(DEBIAN_STD), "rust"),
    ];
    if let Ok(real) = std::fs::canonicalize(Path::new(DEBIAN_STD).join("library"))
        && let Some(parent) = real.parent()
    {
        pairs.push((parent.to_path_buf(), "rust"));
    }
    let registries = workspace::cargo_home()?.join("registry/src");
    for registry in std::fs::read_dir(registries).into_iter().flatten().flatten() {
        pairs.push((registry.path(), "crates"));
    }
    Ok(pairs.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}
