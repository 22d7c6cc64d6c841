//! Replacements that are no fixed text: the ends of a value, nothing at all, and pseudonyms.
#![cfg(test)]

mod drops;
mod keyed;
#[path = "../mask_support/mod.rs"]
mod mask_support;
mod partial;
mod places;
mod pseudonyms;
