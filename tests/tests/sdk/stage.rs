//! Where the SDKs play: one Envoy with two listeners, with the filter and without it, and an upstream that answers by script.
//!
//! Every call has a name, which the SDK sends as `x-call`; the upstream looks up what to answer and keeps what came.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use veilwire_tests::client::{ALPN_HTTP1, ALPN_HTTP2, Http1Client, Http2Client, Response};
use veilwire_tests::deadline::{poll, unix_seconds};
use veilwire_tests::demo::repository;
use veilwire_tests::envoy::Envoy;
use veilwire_tests::sdk;
use veilwire_tests::site::Kit;
use veilwire_tests::splits;
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::upstream::{Ending, Exchange, Server, Upstream};
use veilwire_tests::wire::{Headers, RequestHead, ResponseHead};

const POLICY: &str = include_str!("../../policies/sdk.yaml");
/// Names the call that a request belongs to.
const CALL: &str = "x-call";
/// Importing an SDK takes seconds of a busy core.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// What runs. Ends when the last test lets go of it.
#[derive(Debug)]
pub(crate) struct Stage {
    envoy: Envoy,
    server: Mutex<Server>,
    board: Arc<Board>,
    kit: Kit,
    token: String,
}

/// Which of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// With the filter.
    Veilwire,
    /// Without it.
    Open,
}

/// A request as it reached the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: RequestHead,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
}

/// What the upstream answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
}

/// What the upstream answers to the request of this number in a call.
pub(crate) type Script = Arc<dyn Fn(usize, &Seen) -> Option<Reply> + Send + Sync>;

/// What an SDK says and is answered, on one side.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) side: Side,
    /// What the SDK says.
    pub(crate) text: String,
    pub(crate) script: Script,
}

/// What came of a scene.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the program told.
    pub(crate) result: Json,
    /// What reached the upstream, in order.
    pub(crate) requests: Vec<Seen>,
}

impl Seen {
    /// The body without its coding, which Veilwire undoes (RFC 1952).
    pub(crate) fn plain(&self) -> Result<Vec<u8>> {
        match self.head.header("content-encoding") {
            None => Ok(self.body.clone()),
            Some(b"gzip") => {
                // The exporters write the shortest header and eight bytes of checksum and length.
                let packed = self.body.get(10..self.body.len().saturating_sub(8)).context("no gzip")?;
                let inflated = miniz_oxide::inflate::decompress_to_vec(packed);
                inflated.map_err(|error| anyhow!("not deflate: {:?}", error.status))
            }
            Some(other) => bail!("coding {}", other.escape_ascii()),
        }
    }
}

impl Reply {
    /// An answer with this type and body.
    pub(crate) fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let head = ResponseHead::new(200, &[("content-type", content_type)]);
        Self { head, body: body.into(), trailers: Headers::new() }
    }
}

/// Answers in this order.
pub(crate) fn in_order(replies: Vec<Reply>) -> Script {
    Arc::new(move |number, _| replies.get(number).cloned())
}

impl Scene {
    /// Name of the call, the only one of this process.
    fn call(&self, program: &str) -> String {
        format!("{}-{}-{}", program.trim_end_matches(".py"), self.name, self.side.name())
    }
}

impl Side {
    /// Name of its listener.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Veilwire => "veilwire",
            Self::Open => "open",
        }
    }
}

impl Stage {
    /// The stage that tests of this process share, started by whoever comes first.
    pub(crate) fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
        let mut shared = locked(&SHARED);
        if let Some(stage) = shared.upgrade() {
            return Ok(stage);
        }
        let stage = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&stage);
        Ok(stage)
    }

    fn start() -> Result<Self> {
        let mut upstream = None;
        let kit =
            Kit::with_policy("sdk.yaml", POLICY, |pki| Ok(upstream.insert(Upstream::start(pki)?).port()))?;
        let upstream = upstream.context("no upstream")?;
        let config = kit.folder().join("two-listeners.json");
        fs::write(&config, two_listeners(&kit.compiled.envoy_yaml)?.to_string())?;
        let envoy = Envoy::start(&config)?;
        let board = Arc::new(Board::default());
        let playing = Arc::clone(&board);
        let server = Mutex::new(upstream.serve(move |exchange| playing.answer(exchange)));
        let claims =
            Claims::new("https://idp.test", "gateway", "agent-7", unix_seconds()?).groups(&["agents"]);
        let token = TokenIssuer::shared()?.mint(Algorithm::Es256, &claims)?;
        Ok(Self { envoy, server, board, kit, token })
    }

    /// Lets a program of `tests/sdk` play every scene, one after the other. What came of each, in order.
    pub(crate) fn play(&self, program: &str, scenes: &[Scene]) -> Result<Vec<Outcome>> {
        let mut calls = Vec::new();
        for scene in scenes {
            let call = scene.call(program);
            let url = format!("https://localhost:{}", self.envoy.port(scene.side.name())?);
            self.board.expect(&call, &scene.script);
            calls.push(json!({ "name": call, "url": url, "text": scene.text }));
        }
        let mut results = self.run(program, &Json::Array(calls))?;
        let outcome = |scene: &Scene| {
            let call = scene.call(program);
            let result = results.get_mut(&call).map(Json::take);
            let result = result.with_context(|| format!("no result of {call}"))?;
            Ok(Outcome { result, requests: self.board.seen(&call) })
        };
        scenes.iter().map(outcome).collect()
    }

    /// Sends one of the requests of a scene again through Veilwire, and gives the answer as it is on the wire.
    pub(crate) fn again(&self, request: &Seen, script: Script) -> Result<Response> {
        let call =
            format!("{}-again", String::from_utf8_lossy(request.head.header(CALL).context("no call")?));
        self.board.expect(&call, &script);
        let mut head = RequestHead::new(&request.head.method, &request.head.path, &[(CALL, &call)]);
        for name in ["content-type", "accept", "te"] {
            if let Some(value) = request.head.header(name) {
                head.headers.push((name.as_bytes().to_vec(), value.to_vec()));
            }
        }
        head.headers.push((b"authorization".to_vec(), format!("Bearer {}", self.token).into_bytes()));
        let grpc = request.head.header("content-type") == Some(b"application/grpc");
        let answer = if grpc { self.over_http2(&head, request) } else { self.over_http1(&head, request) };
        answer.with_context(|| self.said())
    }

    fn over_http1(&self, head: &RequestHead, request: &Seen) -> Result<Response> {
        let config = self.kit.pki.client_config(&[ALPN_HTTP1], None, rustls::ALL_VERSIONS)?;
        let address = self.envoy.address(Side::Veilwire.name())?;
        Http1Client::connect(address, config)?.request(head, &request.body)
    }

    fn over_http2(&self, head: &RequestHead, request: &Seen) -> Result<Response> {
        let config = self.kit.pki.client_config(&[ALPN_HTTP2], None, rustls::ALL_VERSIONS)?;
        let mut client = Http2Client::connect(self.envoy.address(Side::Veilwire.name())?, config)?;
        let mut exchange = client.start(head, false)?;
        exchange.send(&request.body, true)?;
        exchange.response()
    }

    /// Runs a program to its end and reads what it told.
    fn run(&self, program: &str, calls: &Json) -> Result<Json> {
        let folder = TempDir::new().context("no temporary folder")?;
        let (told, errors) = (folder.path().join("stdout"), folder.path().join("stderr"));
        let mut child = Command::new(sdk::python()?)
            .arg(programs().join(program))
            .env("VEILWIRE_SDK_CALLS", calls.to_string())
            .env("VEILWIRE_SDK_TOKEN", &self.token)
            .env("SSL_CERT_FILE", self.kit.pki.path("edge-ca.pem"))
            // `requests` prefers it to what an SDK is told.
            .env("REQUESTS_CA_BUNDLE", self.kit.pki.path("edge-ca.pem"))
            .env("NO_PROXY", "*")
            .env("no_proxy", "*")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(File::create(&told)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .context("cannot start the SDK's Python")?;
        let ended = poll(PROGRAM_LIMIT, || Ok(child.try_wait()?));
        let status = match ended {
            Ok(Some(status)) => status,
            other => {
                child.kill().ok();
                child.wait().ok();
                other?;
                bail!("{program} does not end\n{}\n{}", tail(&errors), self.said());
            }
        };
        ensure!(status.success(), "{program} failed ({status})\n{}\n{}", tail(&errors), self.said());
        let told = fs::read_to_string(&told)?;
        serde_json::from_str(&told).with_context(|| format!("{program} told no JSON: {told}"))
    }

    /// What the others say when something went wrong.
    fn said(&self) -> String {
        format!("upstream: {:?}\n{}", locked(&self.server).failures(), self.envoy.log_tail())
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board(..)")
    }
}

/// What the upstream answers to each call, and what came so far.
#[derive(Default)]
struct Board {
    calls: Mutex<HashMap<String, (Script, Vec<Seen>)>>,
}

impl Board {
    fn expect(&self, call: &str, script: &Script) {
        locked(&self.calls).insert(call.to_owned(), (Arc::clone(script), Vec::new()));
    }

    fn seen(&self, call: &str) -> Vec<Seen> {
        locked(&self.calls).get(call).map(|(_, seen)| seen.clone()).unwrap_or_default()
    }

    fn answer(&self, mut exchange: Exchange) -> Result<()> {
        let (body, trailers) = exchange.rest()?;
        let seen = Seen { head: exchange.head.clone(), body, trailers };
        let call = seen.head.header(CALL).map(|name| String::from_utf8_lossy(name).into_owned());
        let call = call.context("a request of no call")?;
        let reply = self.reply(&call, seen).with_context(|| format!("a request too many of {call}"))?;
        exchange.respond(reply.head)?;
        for piece in splits::pieces(&reply.body, &splits::seeded(reply.body.len(), 3)) {
            exchange.send(piece)?;
        }
        let ending = if reply.trailers.is_empty() { Ending::Empty } else { Ending::Trailers(reply.trailers) };
        exchange.end(ending)
    }

    fn reply(&self, call: &str, request: Seen) -> Option<Reply> {
        let mut calls = locked(&self.calls);
        let (script, seen) = calls.get_mut(call)?;
        let reply = script(seen.len(), &request);
        seen.push(request);
        reply
    }
}

/// The listener that the compiler wrote as it is, and once more without the filter.
fn two_listeners(envoy_yaml: &str) -> Result<Json> {
    let mut config: Json = serde_saphyr::from_str(envoy_yaml).context("the configuration is not YAML")?;
    *config.pointer_mut("/admin/address/socket_address/port_value").context("no admin port")? = json!(0);
    let listeners = config.pointer_mut("/static_resources/listeners").context("no listeners")?;
    let [veilwire] = listeners.as_array_mut().context("no listeners")?.as_mut_slice() else {
        return Err(anyhow!("not one listener"));
    };
    *veilwire.pointer_mut("/address/socket_address/port_value").context("no port")? = json!(0);
    let mut open = veilwire.clone();
    *open.pointer_mut("/name").context("a listener without a name")? = json!(Side::Open.name());
    let filters = open
        .pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters")
        .and_then(Json::as_array_mut)
        .context("a listener without HTTP filters")?;
    let before = filters.len();
    filters.retain(|filter| filter.pointer("/name").and_then(Json::as_str) != Some("veilwire"));
    ensure!(filters.len() + 1 == before, "the filter is not there once");
    *listeners = Json::Array(vec![veilwire.take(), open]);
    Ok(config)
}

/// Folder of the programs.
fn programs() -> PathBuf {
    repository().join("tests/sdk")
}

fn tail(file: &Path) -> String {
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
