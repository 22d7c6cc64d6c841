//! What the fuzz targets share: policies, callers, one way to run a masker, planted values, small oracles.
//!
//! A target is a property, not a crash hunt alone: [`masking::run`] checks on every body what the contract of
//! `engine/src/mask.rs` promises, and each target adds its own. Everything is deterministic: no clock, no random
//! keys, no environment.

pub mod caller;
pub mod deltas;
pub mod form;
pub mod frames;
pub mod inflate;
pub mod input;
pub mod masking;
pub mod multipart;
pub mod planted;
pub mod policies;
pub mod rules;
pub mod sse;
pub mod wire;
