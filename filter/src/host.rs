//! [`EnvoyHost`]: the engine's `Host` over proxy-wasm hostcalls, and the only file that makes them.
//!
//! The SDK panics on statuses it does not expect, and a panic fails every stream of the worker. So each call is made only in a phase in
//! which Envoy allows it and with offsets that exist; bytes are read with the `_bytes` calls only, because headers need not be UTF-8.

use crate::root::Shared;
use crate::signature;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, GrpcStatusCode, LogLevel, MapType};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};
use veilwire_engine::exchange::{Event, LocalReply};
use veilwire_engine::host::{CalloutRequest, HeadEdit, HeadEdits, Headers, Host, HostError, Side};
use veilwire_engine::identity::{
    JwtSimpleVerifier, KeyRequest, MAX_ANSWER_LENGTH, SignatureVerifier, VerifierError, VerifyingKey,
};
use veilwire_engine::policy::model::Algorithm;
use veilwire_engine::time::Timestamp;

/// Name of the audit property: `%TYPED_CEL(filter_state['wasm.audit'])%` in access logs.
const AUDIT: &str = "audit";
const STRUCT_TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

/// The callback that runs, which decides what may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    RequestHead,
    RequestBody {
        size: usize,
    },
    RequestTrailers,
    ResponseHead,
    ResponseBody {
        size: usize,
    },
    ResponseTrailers,
    /// A callout was answered while the request's head is paused.
    Callout,
    /// Woken by the tick while a head is paused or a response is swallowed.
    Woken,
    Log,
}

/// Envoy, during one callback of one stream.
#[derive(Debug)]
pub(crate) struct EnvoyHost<'a> {
    context_id: u32,
    shared: &'a Shared,
    phase: Phase,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl<'a> EnvoyHost<'a> {
    pub(crate) fn new(context_id: u32, shared: &'a Shared, phase: Phase) -> Self {
        EnvoyHost { context_id, shared, phase }
    }

    /// A stream that came before a policy did, or whose state is in use: nothing is known, nothing passes.
    pub(crate) fn refuse_unconfigured(&mut self) -> Action {
        if self.phase != Phase::Log {
            let _ = hostcalls::send_http_response(503, Vec::new(), None);
        }
        Action::Pause
    }

    /// Status and body of a callout's answer; `None` if it failed. A failed call has no headers, and reading them would trap.
    pub(crate) fn callout_answer(headers: usize, body: usize) -> Option<(u32, Vec<u8>)> {
        if headers == 0 {
            return None;
        }
        let pairs = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).ok()?;
        let (_, status) = pairs.iter().find(|(name, _)| name == ":status")?;
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        let body = match body {
            0 => Vec::new(),
            size => {
                hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok()?.unwrap_or_default()
            }
        };
        Some((status, body))
    }

    /// The header map of a side, if this phase has it.
    fn map(&self, side: Side) -> Result<MapType, HostError> {
        match (side, self.phase) {
            // Beyond their own callback they are asked for only while the head is held.
            (
                Side::Request,
                Phase::RequestHead
                | Phase::RequestBody { .. }
                | Phase::RequestTrailers
                | Phase::Callout
                | Phase::Woken,
            ) => Ok(MapType::HttpRequestHeaders),
            (Side::RequestTrailers, Phase::RequestTrailers | Phase::Callout | Phase::Woken) => {
                Ok(MapType::HttpRequestTrailers)
            }
            (Side::Response, Phase::ResponseHead) => Ok(MapType::HttpResponseHeaders),
            (Side::ResponseTrailers, Phase::ResponseTrailers) => Ok(MapType::HttpResponseTrailers),
            _ => Err(HostError),
        }
    }

    /// The buffer of a side and its size, if this phase has it. Outside of its own callback only a paused body is still there.
    fn buffer(&self, side: Side) -> Result<(BufferType, usize), HostError> {
        match (side, self.phase) {
            (Side::Request, Phase::RequestBody { size }) => Ok((BufferType::HttpRequestBody, size)),
            (Side::Request, Phase::RequestTrailers | Phase::Callout | Phase::Woken) => {
                Ok((BufferType::HttpRequestBody, usize::MAX))
            }
            (Side::Response, Phase::ResponseBody { size }) => Ok((BufferType::HttpResponseBody, size)),
            (Side::Response, Phase::ResponseTrailers) => Ok((BufferType::HttpResponseBody, usize::MAX)),
            _ => Err(HostError),
        }
    }
}

impl Host for EnvoyHost<'_> {
    fn now(&self) -> Timestamp {
        now()
    }

    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
        hostcalls::get_property(path.to_vec()).map_err(|_| HostError)
    }

    fn headers(&self, side: Side) -> Result<Headers, HostError> {
        let pairs = hostcalls::get_map_bytes(self.map(side)?).map_err(|_| HostError)?;
        Ok(pairs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect())
    }

    fn apply(&mut self, side: Side, edits: &HeadEdits) -> Result<(), HostError> {
        if edits.0.is_empty() {
            return Ok(());
        }
        let map = self.map(side)?;
        for edit in &edits.0 {
            let (name, value) = match edit {
                HeadEdit::Remove(name) => (std::str::from_utf8(name).map_err(|_| HostError)?, None),
                HeadEdit::Rewrite(name, value) => {
                    (std::str::from_utf8(name).map_err(|_| HostError)?, Some(value.as_slice()))
                }
                HeadEdit::Set(name, value) => (*name, Some(value.as_slice())),
                HeadEdit::Add(name, value) => {
                    let name = std::str::from_utf8(name).map_err(|_| HostError)?;
                    hostcalls::add_map_value_bytes(map, name, value).map_err(|_| HostError)?;
                    continue;
                }
            };
            hostcalls::set_map_value_bytes(map, name, value).map_err(|_| HostError)?;
        }
        Ok(())
    }

    fn body(&self, side: Side, range: Range<usize>) -> Result<Vec<u8>, HostError> {
        let (buffer, size) = self.buffer(side)?;
        let end = range.end.min(size);
        let Some(length) = end.checked_sub(range.start).filter(|length| *length > 0) else {
            return Ok(Vec::new());
        };
        let bytes = hostcalls::get_buffer(buffer, range.start, length).map_err(|_| HostError)?;
        Ok(bytes.unwrap_or_default())
    }

    fn replace_body(&mut self, side: Side, bytes: &[u8]) -> Result<(), HostError> {
        let (buffer, _) = self.buffer(side)?;
        // From 0 with a size beyond the end replaces all: the one form of the call that is always allowed.
        hostcalls::set_buffer(buffer, 0, usize::MAX, bytes).map_err(|_| HostError)
    }

    fn call(&mut self, cluster: &str, request: &CalloutRequest) -> Result<u32, HostError> {
        let headers = vec![
            (":method", "POST"),
            (":path", request.path.as_str()),
            (":authority", cluster),
            ("content-type", "application/json"),
        ];
        let timeout = Duration::from_millis(request.timeout_ms);
        hostcalls::dispatch_http_call(cluster, headers, Some(&request.body), Vec::new(), timeout)
            .map_err(|_| HostError)
    }

    fn reply(&mut self, reply: &LocalReply) -> Result<(), HostError> {
        if self.phase == Phase::Log {
            return Err(HostError);
        }
        if let Some(code) = reply.grpc_status {
            let metadata = reply.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            let message = std::str::from_utf8(&reply.body).ok();
            return hostcalls::send_grpc_response(grpc_code(code), message, metadata).map_err(|_| HostError);
        }
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        hostcalls::send_http_response(reply.status, headers, Some(&reply.body)).map_err(|_| HostError)
    }

    fn resume(&mut self, side: Side) -> Result<(), HostError> {
        match side {
            Side::Request => hostcalls::resume_http_request(),
            Side::Response => hostcalls::resume_http_response(),
            Side::RequestTrailers | Side::ResponseTrailers => return Err(HostError),
        }
        .map_err(|_| HostError)
    }

    fn abort(&mut self, _: Side) -> Result<(), HostError> {
        if self.phase == Phase::Log {
            return Err(HostError);
        }
        // Once a head is out Envoy turns a local reply into a reset of the stream; before, the client gets the 503.
        hostcalls::send_http_response(503, Vec::new(), None).map_err(|_| HostError)
    }

    fn emit(&mut self, event: &Event) -> Result<(), HostError> {
        match event {
            Event::Audit(event) => {
                self.shared.metrics.count(event);
                hostcalls::set_property(vec![AUDIT], Some(&event.to_struct())).map_err(|_| {
                    log(LogLevel::Error, "veilwire: an audit event could not be written");
                    HostError
                })
            }
            // Made by the driver itself, through `call`.
            Event::CalloutWanted { .. } => Err(HostError),
        }
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.shared.wake(self.context_id, at);
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        signed_text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError> {
        let call = |function: &str, question: &[u8]| {
            hostcalls::call_foreign_function(function, Some(question)).ok().flatten()
        };
        // Envoy's library is fifty times faster; a host that lacks it, or answers nothing, leaves the check to us.
        match signature::by_host(call, algorithm, key, signed_text, signature) {
            Some(verdict) => Ok(verdict),
            None => JwtSimpleVerifier.verify(algorithm, key, signed_text, signature),
        }
    }

    fn shared_get(&self, key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), HostError> {
        shared_get(key)
    }

    fn shared_cas(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
        shared_cas(key, value, version)
    }
}

/// A value that all workers share, with its version.
pub(crate) fn shared_get(key: &str) -> Result<(Option<Vec<u8>>, Option<u32>), HostError> {
    hostcalls::get_shared_data(key).map_err(|_| HostError)
}

/// Replaces a shared value; `false` if another version is there.
pub(crate) fn shared_cas(key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
    match hostcalls::set_shared_data(key, Some(value), version) {
        Ok(()) => Ok(true),
        Err(proxy_wasm::types::Status::CasMismatch) => Ok(false),
        Err(_) => Err(HostError),
    }
}

/// Starts a `GET` for keys.
pub(crate) fn get(request: &KeyRequest) -> Result<u32, HostError> {
    let headers = vec![
        (":method", "GET"),
        (":path", request.path.as_str()),
        (":authority", request.authority.as_str()),
        ("accept", "application/json, application/jwk-set+json"),
    ];
    let timeout = Duration::from_millis(request.timeout_ms);
    hostcalls::dispatch_http_call(&request.cluster, headers, None, Vec::new(), timeout).map_err(|_| HostError)
}

/// What came of a call for keys.
pub(crate) enum Fetched {
    /// Status and body.
    Answer(u32, Vec<u8>),
    /// An answer that is not even copied.
    TooLong,
    /// No answer.
    Nothing,
}

/// The answer to a call for keys. A failed call has no headers, and reading them would trap.
pub(crate) fn key_answer(headers: usize, body: usize) -> Fetched {
    if headers > 0 && body > MAX_ANSWER_LENGTH {
        return Fetched::TooLong;
    }
    match EnvoyHost::callout_answer(headers, body) {
        Some((status, body)) => Fetched::Answer(status, body),
        None => Fetched::Nothing,
    }
}

/// The statuses that the engine answers with.
fn grpc_code(code: u32) -> GrpcStatusCode {
    match code {
        3 => GrpcStatusCode::InvalidArgument,
        4 => GrpcStatusCode::DeadlineExceeded,
        7 => GrpcStatusCode::PermissionDenied,
        8 => GrpcStatusCode::ResourceExhausted,
        12 => GrpcStatusCode::Unimplemented,
        13 => GrpcStatusCode::Internal,
        14 => GrpcStatusCode::Unavailable,
        16 => GrpcStatusCode::Unauthenticated,
        _ => GrpcStatusCode::Unknown,
    }
}

/// The time, from Envoy.
pub(crate) fn now() -> Timestamp {
    let since = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    // A clock that cannot be read is at the end of time: every token has expired.
    Timestamp(since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(u64::MAX))
}

/// The plugin's configuration; empty if there is none.
pub(crate) fn plugin_configuration() -> Vec<u8> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten().unwrap_or_default()
}

/// A variable of the environment that the configuration of the VM lets through.
pub(crate) fn environment(name: &str) -> Option<Vec<u8>> {
    std::env::var(name).ok().map(String::into_bytes)
}

/// The filter state of this name of the exchange at hand.
pub(crate) fn filter_state(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_property(vec!["filter_state", name]).ok().flatten()
}

/// One line in Envoy's log.
pub(crate) fn log(level: LogLevel, line: &str) {
    // Nobody is left to tell that logging failed.
    let _ = hostcalls::log(level, line);
}

/// Turns the root's tick on.
pub(crate) fn tick_every(millis: u64) {
    if hostcalls::set_tick_period(Duration::from_millis(millis)).is_err() {
        log(LogLevel::Error, "veilwire: no tick: paused exchanges end by Envoy's own time-outs");
    }
}

/// Makes the following calls act on a stream. `false`: the stream is gone.
pub(crate) fn enter_context(context_id: u32) -> bool {
    hostcalls::set_effective_context(context_id).is_ok()
}

/// Declares the audit property as a read-only protobuf `Struct` of the request, so that access loggers print it as nested JSON.
pub(crate) fn declare_audit() {
    // envoy.source.extensions.common.wasm.DeclarePropertyArguments: 1 name, 2 readonly, 3 type (Protobuf), 4 schema, 5 span (Request)
    let mut arguments = Vec::new();
    for (tag, text) in [(0x0a, AUDIT), (0x22, STRUCT_TYPE)] {
        arguments.push(tag);
        // Both texts are shorter than 128 bytes: one byte of varint.
        arguments.push(u8::try_from(text.len()).unwrap_or_default());
        arguments.extend_from_slice(text.as_bytes());
    }
    arguments.extend_from_slice(&[0x10, 1, 0x18, 3, 0x28, 1]);
    if hostcalls::call_foreign_function("declare_property", Some(&arguments)).is_err() {
        log(
            LogLevel::Error,
            "veilwire: the audit property could not be declared: access logs show it encoded",
        );
    }
}
