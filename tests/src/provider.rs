//! Real identity providers: programs of `tests/oidc` in Node.js, which `cargo xtask` installs for the tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::deadline::LIMIT;
use crate::demo::kit::repository;
use crate::pki::Pki;

/// What is installed; the folder in the cache is named by its digest, as `xtask/src/providers.rs` has it.
const LOCK: &str = include_str!("../oidc/package-lock.json");

/// A provider that runs. Ends with the value.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    commands: ChildStdin,
    answers: mpsc::Receiver<String>,
    folder: tempfile::TempDir,
    /// Its issuer, `https://localhost:PORT`.
    pub issuer: String,
}

impl Provider {
    /// Starts a program of `tests/oidc` with the upstream's certificate.
    ///
    /// # Errors
    /// When Node.js or its packages are missing, or the program does not start.
    pub fn start(program: &str, pki: &Pki) -> Result<Self> {
        // Imports are looked up from the program's own folder, so it runs beside the packages.
        let folder = tempfile::TempDir::new()?;
        for name in ["control.mjs", program] {
            std::fs::copy(repository().join("tests/oidc").join(name), folder.path().join(name))?;
        }
        std::os::unix::fs::symlink(packages()?, folder.path().join("node_modules"))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(node());
        command.arg(folder.path().join(program));
        command.args(["upstream.pem", "upstream.key", "backend-ca.pem"].map(|name| pki.path(name)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("cannot start Node.js; run `cargo xtask setup`")?;
        let (Some(commands), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("no pipes to Node.js")
        };
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut provider = Self { child, commands, answers, folder, issuer: String::new() };
        provider.issuer = provider.text("issuer")?;
        Ok(provider)
    }

    /// Port of the issuer.
    ///
    /// # Errors
    /// When the issuer has none.
    pub fn port(&self) -> Result<u16> {
        let (_, port) = self.issuer.rsplit_once(':').context("the issuer has no port")?;
        port.parse().context("the issuer's port is not a number")
    }

    /// Sends a command; gives the member `wanted` of the answer.
    ///
    /// # Errors
    /// When the provider says no, or nothing in time.
    pub fn ask(&mut self, command: &Value, wanted: &str) -> Result<String> {
        self.send(command)?;
        self.text(wanted)
    }

    /// Sends a command whose answer says only that it was carried out.
    ///
    /// # Errors
    /// As [`Provider::ask`].
    pub fn tell(&mut self, command: &Value) -> Result<()> {
        self.send(command)?;
        self.answer().map(|_| ())
    }

    fn send(&mut self, command: &Value) -> Result<()> {
        writeln!(self.commands, "{command}").with_context(|| self.log())
    }

    fn text(&mut self, wanted: &str) -> Result<String> {
        let answer = self.answer()?;
        let text = answer.get(wanted).and_then(Value::as_str);
        Ok(text.with_context(|| format!("no `{wanted}` in the answer"))?.to_owned())
    }

    fn answer(&mut self) -> Result<Value> {
        let line = self.answers.recv_timeout(LIMIT).with_context(|| format!("no answer\n{}", self.log()))?;
        let answer: Value = serde_json::from_str(&line).context("the answer is not JSON")?;
        ensure!(answer.get("error").is_none(), "{answer}\n{}", self.log());
        Ok(answer)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Node.js: `$VEILWIRE_NODE`, else the one on PATH.
fn node() -> PathBuf {
    let named = std::env::var_os("VEILWIRE_NODE").filter(|value| !value.is_empty());
    named.map_or_else(|| PathBuf::from("node"), PathBuf::from)
}

/// The installed packages: `$VEILWIRE_OIDC_PACKAGES`, else those in the user's cache.
fn packages() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("VEILWIRE_OIDC_PACKAGES") {
        ensure!(path.is_dir(), "`$VEILWIRE_OIDC_PACKAGES` is `{}`, which does not exist", path.display());
        return Ok(path);
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let digest = Sha256::digest(LOCK.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache.context("`$HOME` is not set")?.join("veilwire").join(format!("oidc-{hex}"));
    let packages: &Path = &folder.join("node_modules");
    ensure!(packages.is_dir(), "the providers of `tests/oidc` are not installed; run `cargo xtask setup`");
    Ok(packages.to_path_buf())
}
