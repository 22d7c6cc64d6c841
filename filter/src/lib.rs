//! `veilwire_filter.wasm`: Envoy's proxy-wasm callbacks in, steps of the engine out.
//!
//! An adapter and nothing else. `root` loads the policy, `http` forwards callbacks to an engine `Driver`, `host` is the only place that
//! makes hostcalls, `metrics` names the counters. Whatever decides or masks is in the engine, where it is tested natively; this crate is
//! tested in wasmtime and in Envoy.

#![forbid(unsafe_code)]

mod host;
mod http;
mod keyring;
mod keys;
mod metrics;
mod root;
mod signature;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    // SECURITY: the default hook prints the panic's text, which may quote traffic.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
        let _ = hostcalls::log(LogLevel::Critical, &format!("veilwire: internal error at {place}"));
    }));
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(root::Root::default()) });
}}
