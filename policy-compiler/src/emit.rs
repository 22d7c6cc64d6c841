//! What the compiler writes.

pub mod envoy;
pub mod yaml;
