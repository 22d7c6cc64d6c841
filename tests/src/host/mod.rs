//! A proxy-wasm host in wasmtime: the filter module alone, with Envoy's behaviour around it.
//!
//! It implements ABI 0.2.1 as the module imports it, with what was measured on Envoy 1.40: which headers can be
//! read in which phase, what a body buffer holds after a pause, that trailers end a body without a last body
//! callback, that a local reply runs through the filter's own response callbacks. Time is virtual, random bytes
//! are seeded, and every test has an instance of its own; only the compiled code is shared by a process.
//!
//! Deliberately absent: routing, flow control, timeouts, gRPC calls, shared queues. An import that is not
//! implemented traps with its name.

mod abi;
mod effects;
mod exchange;
mod imports;
mod memory;
mod module;
mod state;
mod vm;
mod wasi;

pub use effects::{LocalReply, Sent};
pub use exchange::{Exchange, Facts, Side};
pub use module::{module_path, verify_fresh};
pub use state::{HttpCall, LogLevel, LogLine};
pub use vm::{Options, StartError, Vm};
