//! One instance of the module with its plugin configured: what a worker of Envoy has.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use wasmtime::{Instance, Linker, Module, Store, WasmParams, WasmResults};

use super::state::{CallReply, HttpCall, LogLine, ROOT, State, Stream};
use super::{imports, module, wasi};
use crate::wire::Headers;

/// Surroundings of an instance.
#[derive(Debug, Clone)]
pub struct Options {
    /// Plugin configuration as the module gets it (the bytes inside a `BytesValue`).
    pub configuration: Vec<u8>,
    /// VM configuration.
    pub vm_configuration: Vec<u8>,
    /// Environment of the VM.
    pub environment: Vec<(String, String)>,
    /// Virtual time at the start, nanoseconds since 1970.
    pub now: u64,
    /// Clusters that calls may name.
    pub clusters: Vec<String>,
    /// Properties that are readable everywhere, also in the root context.
    pub properties: Vec<(Vec<String>, Vec<u8>)>,
    /// `allow_on_headers_stop_iteration` of the plugin.
    pub hold_headers: bool,
    /// `per_connection_buffer_limit_bytes`: what a pause may buffer.
    pub buffer_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            configuration: Vec::new(),
            vm_configuration: Vec::new(),
            environment: Vec::new(),
            now: 1_800_000_000_000_000_000,
            clusters: Vec::new(),
            properties: Vec::new(),
            hold_headers: false,
            buffer_limit: 1024 * 1024,
        }
    }
}

/// Why an instance does not serve. Envoy ends at start, or keeps the old listener, for each of these.
#[derive(Debug)]
pub enum StartError {
    /// `on_vm_start` or `on_configure` said no; what the module logged.
    Refused(Vec<LogLine>),
    /// The module trapped; the trap and what the module logged.
    Trapped(String, Vec<LogLine>),
    /// The harness itself is not able to run it (no module, stale module, unknown import).
    Harness(anyhow::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(log) => write!(f, "the module refused its configuration; log: {log:?}"),
            Self::Trapped(trap, log) => write!(f, "the module trapped: {trap}; log: {log:?}"),
            Self::Harness(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running instance.
pub struct Vm {
    store: Store<State>,
    instance: Instance,
    next_context: u32,
    pub(super) hold_headers: bool,
    pub(super) buffer_limit: usize,
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").field("state", self.store.data()).finish_non_exhaustive()
    }
}

impl Vm {
    /// Starts the built filter module with `options`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: &Options) -> Result<Self, StartError> {
        Self::start_module(module::compiled().map_err(StartError::Harness)?, options)
    }

    /// Starts any module, for tests of the host itself.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_bytes(bytes: &[u8], options: &Options) -> Result<Self, StartError> {
        Self::start_module(&module::compile(bytes).map_err(StartError::Harness)?, options)
    }

    fn start_module(module: &Module, options: &Options) -> Result<Self, StartError> {
        let mut vm = Self::instantiate(module, options).map_err(StartError::Harness)?;
        match vm.boot(options) {
            Ok(true) => Ok(vm),
            Ok(false) => Err(StartError::Refused(vm.store.into_data().log)),
            Err(trap) => Err(StartError::Trapped(format!("{trap:#}"), vm.store.into_data().log)),
        }
    }

    fn instantiate(module: &Module, options: &Options) -> anyhow::Result<Self> {
        let mut linker = Linker::new(module.engine());
        let linked = imports::link(&mut linker).and_then(|()| wasi::link(&mut linker));
        linked.and_then(|()| linker.define_unknown_imports_as_traps(module)).map_err(to_anyhow)?;
        let state = State {
            vm_configuration: options.vm_configuration.clone(),
            plugin_configuration: options.configuration.clone(),
            environment: options.environment.clone(),
            now: options.now,
            clusters: options.clusters.iter().map(|name| (name.clone(), false)).collect(),
            root_properties: options.properties.iter().map(|(p, v)| (p.join("\0"), v.clone())).collect(),
            ..State::default()
        };
        let mut store = Store::new(module.engine(), state);
        let instance = linker.instantiate(&mut store, module).map_err(to_anyhow)?;
        let hold_headers = options.hold_headers;
        Ok(Self { store, instance, next_context: ROOT, hold_headers, buffer_limit: options.buffer_limit })
    }

    fn boot(&mut self, options: &Options) -> anyhow::Result<bool> {
        let vm_size = i32::try_from(options.vm_configuration.len())?;
        let size = i32::try_from(options.configuration.len())?;
        let root = ROOT.cast_signed();
        self.call::<(), ()>("_initialize", ())?;
        self.state().current = ROOT;
        self.call::<(i32, i32), ()>("proxy_on_context_create", (root, 0))?;
        if self.callback::<(i32, i32), i32>(ROOT, "proxy_on_vm_start", (root, vm_size))? == 0 {
            return Ok(false);
        }
        Ok(self.callback::<(i32, i32), i32>(ROOT, "proxy_on_configure", (root, size))? != 0)
    }

    /// Everything the module has logged.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.store.data().log
    }

    /// The log as one text, for assertions and failure messages.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.log().iter().map(|line| format!("{:?} {}\n", line.level, line.text)).collect()
    }

    /// Value of a metric by its name, 0 when it was never defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> i64 {
        self.store.data().metrics.iter().find(|(n, _)| n == name).map_or(0, |(_, value)| *value)
    }

    /// Names of all metrics, in order of definition.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        self.store.data().metrics.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether the module declared a property (in the root context, where alone it counts).
    #[must_use]
    pub fn is_declared(&self, property: &str) -> bool {
        self.store.data().declared.contains(property)
    }

    /// Calls that were dispatched and not yet answered, oldest first.
    #[must_use]
    pub fn calls(&self) -> &[HttpCall] {
        &self.store.data().calls
    }

    /// Period of ticks that the module asked for.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        self.store.data().tick_period
    }

    /// A value of the shared data.
    #[must_use]
    pub fn shared(&self, key: &[u8]) -> Option<&[u8]> {
        self.store.data().shared.get(key).map(|(value, _)| value.as_slice())
    }

    /// Writes shared data as another worker would.
    pub fn set_shared(&mut self, key: &[u8], value: &[u8]) {
        let state = self.state();
        state.next_cas = state.next_cas.wrapping_add(1).max(1);
        let change = state.next_cas;
        state.shared.insert(key.to_vec(), (value.to_vec(), change));
    }

    /// Opens or closes the circuit breaker of a cluster: open, calls fail at once.
    pub fn set_overflow(&mut self, cluster: &str, open: bool) {
        self.state().clusters.insert(cluster.to_owned(), open);
    }

    /// Moves the virtual clock.
    pub fn advance(&mut self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let state = self.state();
        state.now = state.now.saturating_add(nanoseconds);
    }

    /// Sets the virtual clock, also backwards. Nanoseconds since 1970.
    pub fn set_now(&mut self, now: u64) {
        self.state().now = now;
    }

    /// Size of the module's memory in bytes.
    #[must_use]
    pub fn memory_size(&mut self) -> usize {
        self.instance.get_memory(&mut self.store, "memory").map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Runs the tick callback.
    ///
    /// # Errors
    /// When the module traps.
    pub fn tick(&mut self) -> anyhow::Result<()> {
        self.callback::<i32, ()>(ROOT, "proxy_on_tick", ROOT.cast_signed())?;
        self.settle_all()
    }

    /// Answers a call. `None` is a failed call (reset, answer too large): the module sees no headers.
    ///
    /// # Errors
    /// When no such call is open or the module traps.
    pub fn answer_call(&mut self, token: u32, answer: Option<(Headers, Vec<u8>)>) -> anyhow::Result<()> {
        let state = self.state();
        let place = state.calls.iter().position(|call| call.token == token).context("no such call")?;
        state.calls.remove(place);
        let (headers, body) = answer.unwrap_or_default();
        let counts = (i32::try_from(headers.len())?, i32::try_from(body.len())?);
        state.call_reply = Some(CallReply { headers, body, trailers: Headers::new() });
        let arguments = (ROOT.cast_signed(), token.cast_signed(), counts.0, counts.1, 0);
        let outcome = self.callback::<_, ()>(ROOT, "proxy_on_http_call_response", arguments);
        self.state().call_reply = None;
        outcome?;
        self.settle_all()
    }

    pub(super) fn open_stream(&mut self, stream: Stream) -> anyhow::Result<u32> {
        self.next_context = self.next_context.checked_add(1).context("too many streams")?;
        let id = self.next_context;
        self.state().streams.insert(id, stream);
        let arguments = (id.cast_signed(), ROOT.cast_signed());
        self.callback::<(i32, i32), ()>(id, "proxy_on_context_create", arguments)?;
        Ok(id)
    }

    pub(super) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(super) fn read_state(&self) -> &State {
        self.store.data()
    }

    /// Calls an export with `context` as the one that hostcalls act on.
    pub(super) fn callback<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        name: &str,
        parameters: P,
    ) -> anyhow::Result<R> {
        self.state().current = context;
        self.call(name, parameters)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> anyhow::Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name).map_err(to_anyhow)?;
        let outcome = function.call(&mut self.store, parameters).map_err(to_anyhow);
        outcome.with_context(|| format!("the module trapped in `{name}`"))
    }
}

fn to_anyhow(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}
