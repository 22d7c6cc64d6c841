//! Bodies that are no JSON: texts, forms. Every case is checked at every split.
#![cfg(test)]

mod form;
#[path = "../mask_support/mod.rs"]
mod mask_support;
mod plain;
