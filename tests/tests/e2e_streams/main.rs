//! Streams in real Envoy: how messages end, what becomes of a stream that is refused in its middle, calls with messages both ways.
#![cfg(test)]

mod ends;
mod grpc;
mod head;
mod many;
mod messages;
mod pseudonyms;
mod refused;
