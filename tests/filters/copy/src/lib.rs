//! `copy_filter.wasm`: what every filter that can change bodies costs at least.
//!
//! It reads each body callback's bytes out of Envoy and writes them back unchanged, and it removes `content-length`, as a
//! filter must that may change a length. It looks at nothing. The benchmarks subtract it from Veilwire to tell the price
//! of the boundary from the price of masking.

#![forbid(unsafe_code)]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root) });
}}

struct Root;

struct Copy;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Copy))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Copy {}

impl HttpContext for Copy {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        drop_length(MapType::HttpRequestHeaders)
    }

    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        copy(BufferType::HttpRequestBody, size)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        drop_length(MapType::HttpResponseHeaders)
    }

    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        copy(BufferType::HttpResponseBody, size)
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
