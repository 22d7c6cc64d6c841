//! What a policy names: fields that are masked whatever they hold, and content that passes without a look.
#![cfg(test)]

mod fields;
#[path = "../mask_support/mod.rs"]
mod mask_support;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "every test binary uses its own part of this module")]
mod support;
mod unseen;
