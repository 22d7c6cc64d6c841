//! OpenTelemetry's exporters of spans, logs and metrics: protobuf over HTTP, plain and compressed, and gRPC.

use std::sync::Arc;

use veilwire_tests::demo::values::{REQUEST_AWS_KEY, REQUEST_CARD, REQUEST_EMAIL, REQUEST_SSN, Value};
use veilwire_tests::wire::{ResponseHead, headers};

use crate::check::Play;
use crate::stage::{Reply, Script};

/// What attributes, events, bodies, descriptions and the status of a span hold.
const SAID: &[Value] = &[REQUEST_EMAIL, REQUEST_SSN, REQUEST_CARD, REQUEST_AWS_KEY];

#[test]
fn otlp_over_http() {
    let answer = |body: Vec<u8>| -> Script {
        Arc::new(move |_, _| Some(Reply::new("application/x-protobuf", body.clone())))
    };
    Play {
        program: "otlp_http.py",
        clean: answer(Vec::new()),
        planted: answer(echo()),
        said: SAID,
        answered: &[],
    }
    .check(|_| {});
}

#[test]
fn otlp_over_grpc() {
    let answer = |message: Vec<u8>| -> Script {
        let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        framed.extend(message);
        let reply = Reply {
            head: ResponseHead::new(200, &[("content-type", "application/grpc")]),
            body: framed,
            trailers: headers(&[("grpc-status", "0")]),
        };
        Arc::new(move |_, _| Some(reply.clone()))
    };
    Play {
        program: "otlp_grpc.py",
        clean: answer(Vec::new()),
        planted: answer(echo()),
        said: SAID,
        answered: &[],
    }
    .check(|_| {});
}

/// `Export{Trace,Logs,Metrics}ServiceResponse{partialSuccess: {errorMessage: …}}` that repeats a value.
fn echo() -> Vec<u8> {
    let text = REQUEST_EMAIL.text.as_bytes();
    let length = u8::try_from(text.len()).unwrap();
    [&[0x0a, length + 2, 0x12, length], text].concat()
}
