//! A real Envoy for one test: started on free ports, watched, ended when the value goes away.
//!
//! The configuration must bind its listeners and its admin interface to port 0; the ports are asked for
//! afterwards. Every error carries the last lines of Envoy's log.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::deadline::{LIMIT, poll};

/// Envoy has to be a release of this line; the facts about the host were measured on it.
const VERSION: &str = "1.40";
const TAIL_LINES: usize = 40;
/// Raises the soft limit of open files to the hard one before Envoy starts.
const LAUNCH: &str = r#"ulimit -n "$(ulimit -H -n)" 2>/dev/null; exec "$0" "$@""#;
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
    _folder: TempDir,
}

/// How an Envoy is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads.
    pub concurrency: u32,
    /// Envoy's `--log-level`.
    pub log_level: &'static str,
    /// Extra environment, for `host_env_keys`.
    pub environment: Vec<(String, String)>,
    /// Folder that relative paths in the configuration start from.
    pub working_folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { concurrency: 1, log_level: "info", environment: Vec::new(), working_folder: None }
    }
}

impl Envoy {
    /// Starts Envoy on a configuration file and waits until it serves.
    ///
    /// # Errors
    /// When there is no Envoy, when it refuses the configuration, or when it is not ready in time.
    pub fn start(config: &Path) -> Result<Self> {
        Self::start_with(config, &Options::default())
    }

    /// As [`Envoy::start`], with options.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub fn start_with(config: &Path, options: &Options) -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let log = folder.path().join("envoy.log");
        let address = folder.path().join("admin-address");
        let output = File::create(&log).context("no log file")?;
        let mut command = Command::new("sh");
        command
            .args(["-c", LAUNCH])
            .arg(binary()?)
            .arg("--config-path")
            .arg(config)
            .arg("--admin-address-path")
            .arg(&address)
            .args(["--concurrency", &options.concurrency.to_string()])
            .args(["--log-level", options.log_level])
            // Without it two Envoys of one machine fight for the same shared memory.
            .arg("--disable-hot-restart")
            // A test waits for its access log line; the default is ten seconds.
            .args(["--file-flush-interval-msec", "20"])
            .envs(options.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(folder) = &options.working_folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().context("cannot start Envoy")?;
        match wait_ready(&mut child, &address) {
            Ok(admin) => Ok(Self { child, admin, log, _folder: folder }),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(error.context(format!("Envoy's log ends with:\n{}", tail_of(&log))))
            }
        }
    }

    /// Port of the listener called `name`.
    ///
    /// # Errors
    /// When there is no such listener.
    pub fn port(&self, name: &str) -> Result<u16> {
        Ok(self.address(name)?.port())
    }

    /// Address of the listener called `name`.
    ///
    /// # Errors
    /// When there is no such listener.
    pub fn address(&self, name: &str) -> Result<SocketAddr> {
        let text = self.admin("GET", "/listeners?format=json")?;
        let value: Value = serde_json::from_str(&text).context("the list of listeners is not JSON")?;
        let list = value.get("listener_statuses").and_then(Value::as_array).context("no listeners")?;
        let found = list.iter().find(|listener| listener.get("name").and_then(Value::as_str) == Some(name));
        let socket = found
            .and_then(|listener| listener.pointer("/local_address/socket_address"))
            .with_context(|| format!("no listener is called `{name}`: {text}"))?;
        let host = socket.get("address").and_then(Value::as_str).context("listener without address")?;
        let port = socket.get("port_value").and_then(Value::as_u64).context("listener without port")?;
        let host = if host == "0.0.0.0" { "127.0.0.1" } else { host };
        Ok(SocketAddr::new(host.parse()?, u16::try_from(port)?))
    }

    /// Address of the admin interface.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Body of an admin answer; `method` is `GET` or `POST`.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub fn admin(&self, method: &str, path: &str) -> Result<String> {
        admin_request(self.admin, method, path).with_context(|| self.log_tail())
    }

    /// Value of a counter or gauge, 0 when Envoy has not made it yet.
    ///
    /// # Errors
    /// When the admin interface does not answer.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let text = self.admin("GET", "/stats?usedonly")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(Ok(0), |number| number.trim().parse().context("a stat is not a number"))
    }

    /// Waits until a counter or gauge satisfies `wanted`.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_stat(&self, name: &str, wanted: impl Fn(u64) -> bool) -> Result<u64> {
        let found = poll(LIMIT, || Ok(Some(self.stat(name)?).filter(|value| wanted(*value))))?;
        found.with_context(|| format!("`{name}` never had the wanted value\n{}", self.log_tail()))
    }

    /// Everything that Envoy has logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).context("cannot read Envoy's log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines of the log, for failure messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail_of(&self.log)
    }

    /// Waits until the log holds `needle`.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_log(&self, needle: &str) -> Result<()> {
        let found = poll(LIMIT, || Ok(self.log()?.contains(needle).then_some(())))?;
        found.with_context(|| format!("the log never held {needle:?}\n{}", self.log_tail()))
    }

    /// Whether the process is still there.
    ///
    /// # Errors
    /// When the process cannot be asked for.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Process id, for measurements.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends Envoy in order, so that it flushes its access logs, and returns everything it logged.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<String> {
        self.admin("POST", "/quitquitquit")?;
        let ended = poll(LIMIT, || Ok(self.child.try_wait()?))?;
        ended.with_context(|| format!("Envoy did not end\n{}", self.log_tail()))?;
        self.log()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Name of the file in which [`publish_secret`] writes.
pub const SECRETS: &str = "sds.json";

/// Writes or replaces the secret of a folder's [`SECRETS`] (SDS from a file), as Envoy asks for it: by a rename.
///
/// # Errors
/// When the folder cannot be written.
pub fn publish_secret(folder: &Path, name: &str, value: &str) -> Result<()> {
    let resource = serde_json::json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        "generic_secret": {"secret": {"inline_string": value}},
    });
    let made = folder.join("next.json");
    std::fs::write(&made, serde_json::json!({"resources": [resource]}).to_string())
        .context("no secret is written")?;
    std::fs::rename(made, folder.join(SECRETS)).context("no secret is published")
}

/// Runs `envoy --mode validate`, which loads the filter and configures it, in this environment and folder.
///
/// # Errors
/// When there is no Envoy. A refused configuration is an `Ok` with a non-zero status.
pub fn validate(config: &Path, options: &Options) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(["--mode", "validate", "--log-level", "warning", "--config-path"]).arg(config);
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &options.working_folder {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).output().context("cannot start Envoy")
}

/// The Envoy binary that `cargo xtask setup` installed: `$ENVOY_BIN`, else the user's cache, else PATH.
///
/// # Errors
/// When there is none; a test never passes without it.
pub fn binary() -> Result<PathBuf> {
    let named = std::env::var_os("ENVOY_BIN").filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(path) = named {
        ensure!(path.is_file(), "`$ENVOY_BIN` is `{}`, which does not exist", path.display());
        return Ok(path);
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from).or(home);
    let cached = cache.map(|dir| dir.join("veilwire/envoy-1.40.0/envoy"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("envoy"));
    for candidate in cached.into_iter().chain(on_path).filter(|file| file.is_file()) {
        let output = Command::new(&candidate).arg("--version").output();
        if output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(&format!("/{VERSION}."))) {
            return Ok(candidate);
        }
    }
    bail!("no Envoy {VERSION} is installed; run `cargo xtask setup`")
}

/// An access log that Envoy writes as one JSON object a line.
#[derive(Debug)]
pub struct AccessLog {
    path: PathBuf,
    /// Lines already given out.
    seen: usize,
}

impl AccessLog {
    /// The log at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), seen: 0 }
    }

    /// Waits for the next line and parses it.
    ///
    /// # Errors
    /// When no line comes in time, or when the line is not JSON.
    pub fn next(&mut self, envoy: &Envoy) -> Result<Value> {
        let line = poll(LIMIT, || {
            let text = self.text()?;
            let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
            Ok(complete.lines().nth(self.seen).map(str::to_owned))
        })?;
        let line = line.with_context(|| {
            format!(
                "no line {} in the access log; it holds:\n{}\n{}",
                self.seen + 1,
                self.shown(),
                envoy.log_tail()
            )
        })?;
        self.seen += 1;
        serde_json::from_str(&line).with_context(|| format!("an access log line is not JSON: {line}"))
    }

    /// Everything in the file so far.
    ///
    /// # Errors
    /// When the file cannot be read; one that does not exist yet is empty.
    pub fn text(&self) -> Result<String> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).context("cannot read the access log"),
        }
    }

    fn shown(&self) -> String {
        self.text().unwrap_or_default()
    }
}

fn wait_ready(child: &mut Child, address: &Path) -> Result<SocketAddr> {
    let admin = poll(LIMIT, || {
        fail_if_ended(child.try_wait()?)?;
        let text = std::fs::read_to_string(address).unwrap_or_default();
        Ok(text.trim().parse::<SocketAddr>().ok())
    })?;
    let admin = admin.context("Envoy opened no admin interface")?;
    let ready = poll(LIMIT, || {
        fail_if_ended(child.try_wait()?)?;
        Ok(admin_request(admin, "GET", "/ready").ok().filter(|text| text.trim() == "LIVE"))
    })?;
    ready.context("Envoy did not become ready")?;
    Ok(admin)
}

fn fail_if_ended(status: Option<ExitStatus>) -> Result<()> {
    match status {
        None => Ok(()),
        Some(status) => bail!("Envoy ended at once ({status})"),
    }
}

fn admin_request(admin: SocketAddr, method: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, ADMIN_TIMEOUT).context("no admin interface")?;
    stream.set_read_timeout(Some(ADMIN_TIMEOUT))?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("no admin answer")?;
    let mut reader = crate::wire::Http1Reader::default();
    reader.push(&bytes);
    reader.close();
    let head = reader.response(false)?.context("no admin answer")?;
    let mut body = Vec::new();
    while let Some(crate::wire::Piece::Data(data)) = reader.piece()? {
        body.extend(data);
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    ensure!(head.status == 200, "{method} {path} of the admin interface: {} {text}", head.status);
    Ok(text)
}

fn tail_of(log: &Path) -> String {
    let text = std::fs::read(log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}
