//! Keys that are fetched: a fake store that several workers share, a provider that answers what the test wants, and requests that wait.
#![cfg(test)]

mod requests;
#[path = "../support/mod.rs"]
mod support;
mod workers;
mod world;
