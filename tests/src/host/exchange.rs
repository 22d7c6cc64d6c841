//! One HTTP exchange through the filter, with Envoy's order of callbacks.
//!
//! The test plays both peers: the caller (`request_*`) and the upstream (`response_*`). What the filter lets
//! through is in [`Exchange::upstream`] and [`Exchange::client`].

use anyhow::{Context as _, Result, ensure};

use super::abi::Action;
use super::effects::{LocalReply, Sent};
use super::state::{Half, Phase, Stream};
use super::vm::Vm;
use crate::wire::{Headers, headers};

/// Request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Caller to upstream.
    Request,
    /// Upstream to caller.
    Response,
}

/// What the host knows about an exchange: properties by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(Vec<(String, Vec<u8>)>);

impl Facts {
    /// A caller on TLS 1.3 without a client certificate, as Envoy reports it.
    #[must_use]
    pub fn tls13() -> Self {
        Self::plaintext().with(&["connection", "tls_version"], b"TLSv1.3")
    }

    /// A caller without TLS.
    #[must_use]
    pub fn plaintext() -> Self {
        Self::default()
            .with(&["connection", "mtls"], &[0])
            .with(&["source", "address"], b"127.0.0.1:40000")
            .with(&["request", "id"], b"00000000-0000-4000-8000-000000000001")
            .with(&["request", "protocol"], b"HTTP/2")
    }

    /// Adds or replaces a property.
    #[must_use]
    pub fn with(mut self, path: &[&str], value: &[u8]) -> Self {
        let path = path.join("\0");
        self.0.retain(|(known, _)| *known != path);
        self.0.push((path, value.to_vec()));
        self
    }
}

/// A stream context of the module. Methods name the instance, so that exchanges can interleave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    id: u32,
}

impl Exchange {
    /// Opens a stream.
    ///
    /// # Errors
    /// When the module traps.
    pub fn open(vm: &mut Vm, facts: &Facts) -> Result<Self> {
        let stream = Stream { properties: facts.0.iter().cloned().collect(), ..Stream::default() };
        Ok(Self { id: vm.open_stream(stream)? })
    }

    /// Sets a property from now on, for what becomes known late (upstream facts).
    ///
    /// # Errors
    /// When the exchange is over.
    pub fn set_property(self, vm: &mut Vm, path: &[&str], value: &[u8]) -> Result<()> {
        self.stream(vm)?.properties.insert(path.join("\0"), value.to_vec());
        Ok(())
    }

    /// The caller sends a request head, pseudo-headers first. `end` says that no body follows.
    ///
    /// # Errors
    /// When the module traps.
    pub fn request_head(self, vm: &mut Vm, head: Headers, end: bool) -> Result<()> {
        self.head(vm, Side::Request, head, end)
    }

    /// The caller sends a part of the body; returns what the upstream received by it. HTTP/1.1 ends with an
    /// empty part of its own, HTTP/2 with the last data or an empty part.
    ///
    /// # Errors
    /// When the module traps, or when the stream no longer takes data.
    pub fn request_body(self, vm: &mut Vm, data: &[u8], end: bool) -> Result<Vec<u8>> {
        self.body(vm, Side::Request, data, end)
    }

    /// The caller ends the request with trailers.
    ///
    /// # Errors
    /// As [`Exchange::request_body`].
    pub fn request_trailers(self, vm: &mut Vm, trailers: Headers) -> Result<()> {
        self.trailers(vm, Side::Request, trailers)
    }

    /// The upstream sends a response head, `:status` first.
    ///
    /// # Errors
    /// When the module traps.
    pub fn response_head(self, vm: &mut Vm, head: Headers, end: bool) -> Result<()> {
        // How Envoy tells an upstream's answer from one of its own.
        self.set_property(vm, &["response", "code_details"], b"via_upstream")?;
        self.head(vm, Side::Response, head, end)
    }

    /// The upstream sends a part of the body; returns what the caller received by it.
    ///
    /// # Errors
    /// As [`Exchange::request_body`].
    pub fn response_body(self, vm: &mut Vm, data: &[u8], end: bool) -> Result<Vec<u8>> {
        self.body(vm, Side::Response, data, end)
    }

    /// The upstream ends the response with trailers.
    ///
    /// # Errors
    /// As [`Exchange::request_body`].
    pub fn response_trailers(self, vm: &mut Vm, trailers: Headers) -> Result<()> {
        self.trailers(vm, Side::Response, trailers)
    }

    /// The exchange is over, in order or because a peer went away: log, done, delete.
    ///
    /// # Errors
    /// When the module traps.
    pub fn finish(self, vm: &mut Vm) -> Result<()> {
        let id = self.id.cast_signed();
        self.stream(vm)?.phase = Phase::Log;
        vm.callback::<i32, ()>(self.id, "proxy_on_log", id)?;
        vm.callback::<i32, i32>(self.id, "proxy_on_done", id)?;
        self.stream(vm)?.phase = Phase::Idle;
        vm.callback::<i32, ()>(self.id, "proxy_on_delete", id)
    }

    /// What the upstream received.
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn upstream(self, vm: &Vm) -> Result<&Sent> {
        Ok(&self.look(vm)?.request.sent)
    }

    /// What the caller received.
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn client(self, vm: &Vm) -> Result<&Sent> {
        Ok(&self.look(vm)?.response.sent)
    }

    /// Local replies that the filter made, in order.
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn replies(self, vm: &Vm) -> Result<&[LocalReply]> {
        Ok(&self.look(vm)?.replies)
    }

    /// Whether a side waits for the filter: its head, its body or its trailers are held back.
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn is_paused(self, vm: &Vm, side: Side) -> Result<bool> {
        let stream = self.look(vm)?;
        let half = if side == Side::Request { &stream.request } else { &stream.response };
        Ok(half.head_held || half.stopped || half.buffering || half.trailers_held)
    }

    /// The last value that the filter gave a property, by its path.
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn written(self, vm: &Vm, path: &[&str]) -> Result<Option<Vec<u8>>> {
        let path = path.join("\0");
        let found = self.look(vm)?.written.iter().rev().find(|(known, _)| *known == path);
        Ok(found.map(|(_, value)| value.clone()))
    }

    /// Everything that the filter wrote into properties and filter state, for leak searches.
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn all_written(self, vm: &Vm) -> Result<Vec<Vec<u8>>> {
        let stream = self.look(vm)?;
        let written = stream.written.iter().map(|(_, value)| value);
        Ok(written.chain(stream.filter_state.values()).cloned().collect())
    }

    /// A value that the filter gave a filter state object of Envoy's own (`set_envoy_filter_state`).
    ///
    /// # Errors
    /// Never for an open exchange.
    pub fn filter_state(self, vm: &Vm, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.look(vm)?.filter_state.get(key).cloned())
    }

    fn look(self, vm: &Vm) -> Result<&Stream> {
        vm.read_state().streams.get(&self.id).context("no such exchange")
    }

    fn stream(self, vm: &mut Vm) -> Result<&mut Stream> {
        vm.state().streams.get_mut(&self.id).context("no such exchange")
    }

    fn half(self, vm: &mut Vm, side: Side) -> Result<&mut Half> {
        let stream = self.stream(vm)?;
        Ok(if side == Side::Request { &mut stream.request } else { &mut stream.response })
    }

    /// Whether this side can still take something from its peer.
    fn is_open(self, vm: &Vm, side: Side) -> Result<bool> {
        let stream = self.look(vm)?;
        Ok(match side {
            Side::Request => !(stream.request.sent.ended || stream.request.sent.cut || stream.local),
            Side::Response => !(stream.response.sent.ended || stream.response.sent.cut),
        })
    }

    fn head(self, vm: &mut Vm, side: Side, head: Headers, end: bool) -> Result<()> {
        ensure!(self.is_open(vm, side)?, "the stream is closed");
        let count = i32::try_from(head.len())?;
        let half = self.half(vm, side)?;
        half.head = head;
        half.head_held = true;
        half.end_waits = end;
        let (name, phase) = match side {
            Side::Request => ("proxy_on_request_headers", Phase::RequestHeaders),
            Side::Response => ("proxy_on_response_headers", Phase::ResponseHeaders),
        };
        let arguments = (self.id.cast_signed(), count, i32::from(end));
        let Some(action) = self.run(vm, side, phase, name, arguments)? else { return Ok(()) };
        let hold = vm.hold_headers && !end;
        let half = self.half(vm, side)?;
        match action {
            Action::Continue => half.release_head(end),
            // With `allow_on_headers_stop_iteration` the body callbacks run on.
            Action::Pause => half.stopped = !hold,
        }
        self.settle(vm)
    }

    fn body(self, vm: &mut Vm, side: Side, data: &[u8], end: bool) -> Result<Vec<u8>> {
        ensure!(self.is_open(vm, side)?, "the stream is closed");
        let half = self.half(vm, side)?;
        let before = half.sent.body().len();
        if half.stopped {
            half.waiting.extend_from_slice(data);
            half.end_waits = end;
            return Ok(Vec::new());
        }
        if !half.buffering {
            half.buffer.clear();
        }
        half.buffer.extend_from_slice(data);
        let size = i32::try_from(half.buffer.len())?;
        let (name, phase) = match side {
            Side::Request => ("proxy_on_request_body", Phase::RequestBody),
            Side::Response => ("proxy_on_response_body", Phase::ResponseBody),
        };
        let arguments = (self.id.cast_signed(), size, i32::from(end));
        let Some(action) = self.run(vm, side, phase, name, arguments)? else { return Ok(Vec::new()) };
        let limit = vm.buffer_limit;
        let half = self.half(vm, side)?;
        match action {
            Action::Continue => half.release_body(end),
            Action::Pause => {
                half.buffering = true;
                half.end_waits = end;
                if half.buffer.len() > limit {
                    self.over_limit(vm, side)?;
                }
            }
        }
        self.settle(vm)?;
        let body = self.half(vm, side)?.sent.body();
        Ok(body.get(before..).unwrap_or_default().to_vec())
    }

    fn trailers(self, vm: &mut Vm, side: Side, trailers: Headers) -> Result<()> {
        ensure!(self.is_open(vm, side)?, "the stream is closed");
        let count = i32::try_from(trailers.len())?;
        let half = self.half(vm, side)?;
        half.trailers = Some(trailers);
        if half.stopped {
            return Ok(());
        }
        half.trailers_held = true;
        let (name, phase) = match side {
            Side::Request => ("proxy_on_request_trailers", Phase::RequestTrailers),
            Side::Response => ("proxy_on_response_trailers", Phase::ResponseTrailers),
        };
        let Some(action) = self.run(vm, side, phase, name, (self.id.cast_signed(), count))? else {
            return Ok(());
        };
        if action == Action::Continue {
            self.half(vm, side)?.release_trailers();
        }
        self.settle(vm)
    }

    /// Runs a callback; `None` when the filter replied or reset meanwhile, which makes its action meaningless.
    fn run<P: wasmtime::WasmParams>(
        self,
        vm: &mut Vm,
        side: Side,
        phase: Phase,
        name: &str,
        arguments: P,
    ) -> Result<Option<Action>> {
        self.stream(vm)?.phase = phase;
        let number: i32 = vm.callback(self.id, name, arguments)?;
        self.stream(vm)?.phase = Phase::Idle;
        let action = Action::from_number(number).with_context(|| format!("`{name}` returned {number}"))?;
        let overtaken = self.stream(vm)?.reply.is_some() || self.stream(vm)?.reset;
        if overtaken {
            self.interrupt(vm, Some(side))?;
            return Ok(None);
        }
        Ok(Some(action))
    }

    /// Performs what the filter asked for outside a return value: replies, resets, resumes.
    pub(super) fn settle(self, vm: &mut Vm) -> Result<()> {
        self.interrupt(vm, None)?;
        if std::mem::take(&mut self.stream(vm)?.resume_request) {
            self.resume(vm, Side::Request)?;
        }
        if std::mem::take(&mut self.stream(vm)?.resume_response) {
            self.resume(vm, Side::Response)?;
        }
        Ok(())
    }

    fn interrupt(self, vm: &mut Vm, during: Option<Side>) -> Result<()> {
        let stream = self.stream(vm)?;
        if std::mem::take(&mut stream.reset) {
            stream.request.cut();
            stream.response.cut();
            return Ok(());
        }
        let Some(reply) = stream.reply.take() else { return Ok(()) };
        stream.replies.push(reply.clone());
        if stream.response.sent.head.is_some() {
            // Too late for a reply: the caller sees a cut response and nothing more of the upstream's.
            stream.request.cut();
            stream.response.cut();
            return Ok(());
        }
        let response_began = during == Some(Side::Response) || stream.response.head_held;
        stream.local = true;
        stream.request.cut();
        stream.response = Half::default();
        if response_began {
            // A reply from a response callback goes out as it is.
            stream.response.send_reply(&reply);
            return Ok(());
        }
        self.set_property(vm, &["response", "code_details"], &reply.details)?;
        self.head(vm, Side::Response, reply_head(&reply), reply.body.is_empty())?;
        if !reply.body.is_empty() && self.is_open(vm, Side::Response)? {
            self.body(vm, Side::Response, &reply.body, true)?;
        }
        Ok(())
    }

    fn resume(self, vm: &mut Vm, side: Side) -> Result<()> {
        let half = self.half(vm, side)?;
        if half.stopped {
            half.stopped = false;
            let end = std::mem::take(&mut half.end_waits);
            let waiting = std::mem::take(&mut half.waiting);
            let trailers = half.trailers.take();
            let had_body = !waiting.is_empty();
            half.release_head(end && !had_body && trailers.is_none());
            if had_body {
                self.body(vm, side, &waiting, end)?;
            }
            if let Some(trailers) = trailers {
                self.trailers(vm, side, trailers)?;
            }
        } else if half.trailers_held {
            half.release_trailers();
        } else if half.buffering {
            let end = std::mem::take(&mut half.end_waits);
            half.release_body(end);
        } else if half.head_held {
            half.release_head(false);
        }
        Ok(())
    }

    /// Envoy's answer to a pause that buffers too much.
    fn over_limit(self, vm: &mut Vm, side: Side) -> Result<()> {
        let stream = self.stream(vm)?;
        if side == Side::Request {
            let body = b"Payload Too Large".to_vec();
            stream.reply = Some(host_reply(413, body));
            stream.request.buffering = false;
        } else if stream.response.sent.head.is_some() {
            stream.request.cut();
            stream.response.cut();
        } else {
            stream.response = Half::default();
            stream.response.send_reply(&host_reply(500, b"Internal Server Error".to_vec()));
        }
        Ok(())
    }
}

impl Vm {
    /// Performs what a root callback asked for on any stream.
    pub(super) fn settle_all(&mut self) -> Result<()> {
        let ids: Vec<u32> = self.read_state().streams.keys().copied().collect();
        for id in ids {
            Exchange { id }.settle(self)?;
        }
        Ok(())
    }
}

impl Half {
    fn release_head(&mut self, end: bool) {
        self.head_held = false;
        self.sent.head = Some(self.head.clone());
        self.sent.ended = end;
    }

    fn release_body(&mut self, end: bool) {
        if self.head_held {
            self.release_head(false);
        }
        self.buffering = false;
        let bytes = std::mem::take(&mut self.buffer);
        if !bytes.is_empty() {
            self.sent.pieces.push(bytes);
        }
        self.sent.ended = end;
    }

    fn release_trailers(&mut self) {
        self.trailers_held = false;
        if self.buffering || self.head_held {
            self.release_body(false);
        }
        self.sent.trailers = self.trailers.clone();
        self.sent.ended = true;
    }

    fn cut(&mut self) {
        let complete = self.sent.ended;
        *self = Self {
            sent: std::mem::take(&mut self.sent),
            head: std::mem::take(&mut self.head),
            ..Self::default()
        };
        self.sent.cut = !complete;
    }

    fn send_reply(&mut self, reply: &LocalReply) {
        self.head = reply_head(reply);
        self.buffer.clone_from(&reply.body);
        self.release_head(false);
        self.release_body(true);
    }
}

fn host_reply(status: u32, body: Vec<u8>) -> LocalReply {
    LocalReply { status, headers: Headers::new(), body, details: Vec::new(), grpc_status: -1 }
}

/// A local reply's head as Envoy makes it.
fn reply_head(reply: &LocalReply) -> Headers {
    let mut head = headers(&[(":status", &reply.status.to_string())]);
    head.extend(reply.headers.iter().cloned());
    if !reply.body.is_empty() {
        head.retain(|(name, _)| name != b"content-length");
        head.push((b"content-length".to_vec(), reply.body.len().to_string().into_bytes()));
        if !head.iter().any(|(name, _)| name == b"content-type") {
            head.push((b"content-type".to_vec(), b"text/plain".to_vec()));
        }
    }
    head
}
