//! Bodies that are no JSON: texts, forms, multipart, compressed ones. Every case is checked at every split.
#![cfg(test)]

mod form;
mod hostile;
mod inflate;
#[path = "../mask_support/mod.rs"]
mod mask_support;
mod multipart;
mod plain;
