//! The vendors' own SDKs as clients of a real Envoy with the filter.
//!
//! Every SDK plays two scenes, each with the filter and without it. Without findings nothing may differ: not what the SDK
//! returns, not what the upstream receives. With planted values, which recorded streams carry over the borders of their
//! events, the SDK must read to the end, what it returns must be the same with placeholders in place of the values, and no
//! piece of a value may be in what it got or in what the upstream received.
#![cfg(test)]

mod check;
mod llm;
mod mcp;
mod otlp;
mod recording;
mod refused;
mod stage;
