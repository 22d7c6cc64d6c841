//! Harness of the tests that run the finished filter module.
//!
//! It starts real programs and real peers on the loopback interface ([`envoy`], [`upstream`], [`client`]),
//! makes their keys ([`pki`], [`token`]), runs the module alone in wasmtime with a scripted host (`host`), and
//! loads the cases that all runners share ([`corpus`]).
//!
//! Guarantees: every wait is bounded and its error says what the other side said last; no port, file name or
//! clock is shared between tests. Deliberately absent: any knowledge of how the engine works inside.

pub mod accuracy;
pub mod client;
pub mod corpus;
pub mod deadline;
pub mod demo;
pub mod envoy;
#[cfg(feature = "wasm-host")]
pub mod host;
pub mod pki;
pub mod probe;
pub mod provider;
pub mod runtime;
pub mod sdk;
pub mod site;
pub mod splits;
pub mod token;
pub mod upstream;
pub mod wire;
