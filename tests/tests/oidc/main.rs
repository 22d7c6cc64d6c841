//! Keys that the filter fetches: from a scripted service that does what a provider may do wrong, and from real providers, over TLS,
//! through real Envoy.
#![cfg(test)]

mod kill;
mod providers;
mod reload;
mod stage;
mod vouched;
mod waiting;
