//! `copy_filter.wasm`: what every filter that can change bodies costs at least.
//!
//! It reads each body callback's bytes out of Envoy and writes them back unchanged, and it removes `content-length`, as a
//! filter must that may change a length. It looks at nothing. The benchmarks subtract it from Veilwire to tell the price
//! of the boundary from the price of masking.
//!
//! With an audit event as its configuration it makes, besides, the host calls that a filter cannot do without which knows its caller,
//! names its decision in headers and audits: it reads heads and facts of the connection, sets headers, and writes the event. It still
//! decides and masks nothing, so no such filter can cost less.

#![forbid(unsafe_code)]

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType, MetricType};

/// `envoy.source.extensions.common.wasm.DeclarePropertyArguments`: a read-only protobuf `Struct` of the request, named `audit`.
const DECLARATION: &[u8] =
    b"\x0a\x05audit\x10\x01\x18\x03\x22\x2atype.googleapis.com/google.protobuf.Struct\x28\x01";

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
}}

#[derive(Default)]
struct Root {
    event: Option<Rc<Event>>,
}

/// What is written of every exchange: a serialised `Struct`, and a counter.
struct Event {
    bytes: Vec<u8>,
    counter: Option<u32>,
}

struct Copy {
    event: Option<Rc<Event>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        if size > 0
            && let Ok(Some(bytes)) = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
        {
            let counter = hostcalls::define_metric(MetricType::Counter, "copy_exchanges").ok();
            self.event = Some(Rc::new(Event { bytes, counter }));
            return hostcalls::call_foreign_function("declare_property", Some(DECLARATION)).is_ok();
        }
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Copy { event: self.event.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Copy {}

impl HttpContext for Copy {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let map = MapType::HttpRequestHeaders;
        if self.event.is_some() {
            let _ = hostcalls::get_current_time();
            let _ = hostcalls::get_map_bytes(map);
            ask(&[&["xds", "route_name"], &["connection", "tls_version"], &["connection", "mtls"]]);
            let _ = hostcalls::set_map_value_bytes(map, "authorization", None);
            set(map, &[("x-veilwire-decision", "allow"), ("x-veilwire-subject", "agent-7")]);
            set(map, &[("x-veilwire-policy", "bench@1"), ("x-veilwire-request-id", REQUEST_ID)]);
        }
        drop_length(map)
    }

    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        copy(BufferType::HttpRequestBody, size)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let map = MapType::HttpResponseHeaders;
        if self.event.is_some() {
            let _ = hostcalls::get_map_bytes(map);
            ask(&[&["response", "code_details"], &["upstream", "tls_version"]]);
            ask(&[&["upstream", "sha256_peer_certificate_digest"]]);
            set(map, &[("x-veilwire-decision", "allow"), ("x-veilwire-policy", "bench@1")]);
            set(map, &[("x-veilwire-request-id", REQUEST_ID)]);
        }
        drop_length(map)
    }

    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        copy(BufferType::HttpResponseBody, size)
    }

    fn on_log(&mut self) {
        if let Some(event) = &self.event {
            let _ = hostcalls::set_property(vec!["audit"], Some(&event.bytes));
            if let Some(counter) = event.counter {
                let _ = hostcalls::increment_metric(counter, 1);
            }
        }
    }
}

const REQUEST_ID: &str = "d24c8b9c-768b-450f-9c52-22f9ca0eb79a";

/// The benchmark sees in the log what was known.
fn ask(properties: &[&[&str]]) {
    for property in properties {
        let _ = hostcalls::get_property(property.to_vec());
    }
}

fn set(map: MapType, headers: &[(&str, &str)]) {
    for (name, value) in headers {
        let _ = hostcalls::set_map_value_bytes(map, name, Some(value.as_bytes()));
    }
}

/// A failure is seen by the benchmark, which compares what arrives.
fn drop_length(map: MapType) -> Action {
    let _ = hostcalls::set_map_value_bytes(map, "content-length", None);
    Action::Continue
}

fn copy(buffer: BufferType, size: usize) -> Action {
    if size > 0
        && let Ok(Some(bytes)) = hostcalls::get_buffer(buffer, 0, size)
    {
        let _ = hostcalls::set_buffer(buffer, 0, usize::MAX, &bytes);
    }
    Action::Continue
}
