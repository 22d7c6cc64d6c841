//! `signature_filter.wasm`: what Envoy's library and ours say of a signature, side by side.
//!
//! It answers a request whose body is an array of `[jwks, algorithm, text, signature]`, the last two in base64url, with an array of
//! `[own, host]`: `good`, `bad`, `unreadable` (a good signature over what are no claims), or `none` where the host is not asked. The
//! question to the host is written by the filter's own code.

#![forbid(unsafe_code)]

#[path = "../../../../filter/src/signature.rs"]
mod signature;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType};
use serde_json::Value;
use veilwire_engine::identity::{JwtSimpleVerifier, KeySet, SignatureVerifier as _, VerifierError};
use veilwire_engine::policy::model::Algorithm;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root) });
}}

struct Root;

struct Verdicts;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Verdicts))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Verdicts {}

impl HttpContext for Verdicts {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if end {
            let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten();
            let (status, answer) = match body.as_deref().and_then(answer) {
                Some(answer) => (200, answer.to_string()),
                None => (400, "the body is no array of questions".to_owned()),
            };
            let _ = hostcalls::send_http_response(status, Vec::new(), Some(answer.as_bytes()));
        }
        Action::Pause
    }
}

fn answer(body: &[u8]) -> Option<Value> {
    let questions: Vec<[String; 4]> = serde_json::from_slice(body).ok()?;
    questions.iter().map(verdicts).collect()
}

fn verdicts([jwks, algorithm, text, signature]: &[String; 4]) -> Option<Value> {
    let algorithm = Algorithm::named(algorithm)?;
    let keys = KeySet::parse_for(jwks, &[algorithm]).ok()?;
    let key = keys.keys_for(algorithm).next()?;
    let (text, signature) = (URL_SAFE_NO_PAD.decode(text).ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?);
    let own = match JwtSimpleVerifier.verify(algorithm, key, &text, &signature) {
        Ok(verdict) => word(verdict),
        Err(VerifierError::Unreadable) => "unreadable",
        Err(_) => "bad",
    };
    let host = signature::by_host(ask, algorithm, key, &text, &signature).map_or("none", word);
    Some([own, host].into_iter().collect())
}

fn word(good: bool) -> &'static str {
    if good { "good" } else { "bad" }
}

fn ask(function: &str, question: &[u8]) -> Option<Vec<u8>> {
    hostcalls::call_foreign_function(function, Some(question)).ok().flatten()
}
