//! Everything the host remembers for one instance of the module.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::abi::Status;
use super::effects::{LocalReply, Sent};
use crate::wire::Headers;

/// Context of the plugin itself.
pub(super) const ROOT: u32 = 1;

/// Severity of a log line (`proxy_log`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Trace.
    Trace,
    /// Debug.
    Debug,
    /// Info.
    Info,
    /// Warn.
    Warn,
    /// Error.
    Error,
    /// Critical.
    Critical,
}

impl LogLevel {
    pub(super) const fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            5 => Self::Critical,
            _ => return None,
        })
    }
}

/// One line that the module logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Severity; writes to standard output are Info, to standard error Error, as in Envoy.
    pub level: LogLevel,
    /// Text.
    pub text: String,
}

/// An HTTP call that the module dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// Token that its reply carries.
    pub token: u32,
    /// Context that dispatched it.
    pub context: u32,
    /// Cluster.
    pub cluster: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Vec<u8>,
    /// Time limit, zero for none.
    pub timeout: Duration,
}

/// A reply to an HTTP call while its callback runs.
#[derive(Debug, Clone, Default)]
pub(super) struct CallReply {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Headers,
}

/// Host data of one instance.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) vm_configuration: Vec<u8>,
    pub(super) plugin_configuration: Vec<u8>,
    pub(super) environment: Vec<(String, String)>,
    /// Nanoseconds since 1970.
    pub(super) now: u64,
    pub(super) random: u64,
    pub(super) log: Vec<LogLine>,
    pub(super) tick_period: Option<Duration>,
    /// Context that hostcalls act on.
    pub(super) current: u32,
    pub(super) streams: BTreeMap<u32, Stream>,
    /// Clusters that calls may name, and whether their circuit breaker is open.
    pub(super) clusters: BTreeMap<String, bool>,
    pub(super) next_token: u32,
    pub(super) calls: Vec<HttpCall>,
    pub(super) call_reply: Option<CallReply>,
    pub(super) metrics: Vec<(String, i64)>,
    pub(super) shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    pub(super) next_cas: u32,
    pub(super) declared: BTreeSet<String>,
    pub(super) root_properties: BTreeMap<String, Vec<u8>>,
}

/// Phase of an HTTP stream: which maps are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Idle,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Log,
}

/// One HTTP exchange inside the host.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) phase: Phase,
    pub(super) request: Half,
    pub(super) response: Half,
    /// Readable properties by path, elements joined with NUL.
    pub(super) properties: BTreeMap<String, Vec<u8>>,
    /// What the module set, in order.
    pub(super) written: Vec<(String, Vec<u8>)>,
    pub(super) filter_state: BTreeMap<String, Vec<u8>>,
    /// Asked for during the callback that runs now.
    pub(super) reply: Option<LocalReply>,
    pub(super) reset: bool,
    pub(super) resume_request: bool,
    pub(super) resume_response: bool,
    /// The response is a reply of the host or the filter, not the upstream's.
    pub(super) local: bool,
    pub(super) replies: Vec<LocalReply>,
    pub(super) route_cache_cleared: bool,
}

/// Request or response of a stream.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// As the filter sees and edits it.
    pub(super) head: Headers,
    /// Head is still with the filter.
    pub(super) head_held: bool,
    /// Everything after the head waits (`Pause` in a headers callback).
    pub(super) stopped: bool,
    /// The last body callback paused: the buffer keeps what came.
    pub(super) buffering: bool,
    /// The message's end has come and waits with the rest.
    pub(super) end_waits: bool,
    pub(super) buffer: Vec<u8>,
    /// What arrived while everything was stopped.
    pub(super) waiting: Vec<u8>,
    pub(super) trailers: Option<Headers>,
    /// Trailers are with the filter.
    pub(super) trailers_held: bool,
    pub(super) sent: Sent,
}

impl State {
    pub(super) fn stream(&mut self) -> Result<&mut Stream, Status> {
        self.streams.get_mut(&self.current).ok_or(Status::BadArgument)
    }

    pub(super) fn log_line(&mut self, level: LogLevel, text: &[u8]) {
        self.log.push(LogLine { level, text: String::from_utf8_lossy(text).into_owned() });
    }

    /// SplitMix64: seeded, so that a failing test fails again.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
