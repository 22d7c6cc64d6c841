//! Messages in a gRPC stream: compressed ones, when they leave, how large they may be.

use super::{EMAIL, grpc, leaks, setup, trace};
use crate::mask_support::{Random, Setup, check_splits, send, whole};
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskError;
use veilwire_engine::policy::model::Limits;

/// A message as gzip (RFC 1952) and as deflate (RFC 1950), with the flag that says so.
fn compressed(message: &[u8]) -> [Vec<u8>; 2] {
    let crc = message.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 },
        )
    });
    let gzip = [
        b"\x1F\x8B\x08\0\0\0\0\0\0\xFF".to_vec(),
        miniz_oxide::deflate::compress_to_vec(message, 6),
        (!crc).to_le_bytes().to_vec(),
        u32::try_from(message.len()).unwrap().to_le_bytes().to_vec(),
    ]
    .concat();
    [gzip, miniz_oxide::deflate::compress_to_vec_zlib(message, 6)].map(|message| {
        let mut frame = grpc(&message);
        frame[0] = 1;
        frame
    })
}

#[test]
fn compressed_messages_are_opened_masked_and_stay_open() {
    let plan = setup("otel.traces").plan();
    let (dirty, clean) = (trace(EMAIL.as_bytes()), trace(b"no value"));
    for (dirty, clean) in compressed(&dirty).into_iter().zip(compressed(&clean)) {
        let stream = [dirty.clone(), grpc(&trace(EMAIL.as_bytes())), clean].concat();
        let (out, ended) = check_splits(&plan, Format::Grpc, &stream);
        assert_eq!(ended.map(|findings| findings.total()), Ok(2));
        let masked = grpc(&trace(b"[EMAIL]"));
        assert!(out == [masked.clone(), masked, grpc(&trace(b"no value"))].concat());
        for place in 5..dirty.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut damaged = dirty.clone();
                damaged[place] ^= flip;
                let (out, ended) = whole(&plan, Format::Grpc, &damaged);
                // Some bytes say nothing of the message: the time in the header of gzip.
                assert!(ended.is_ok() || out.is_empty());
                assert!(!leaks(&out, EMAIL), "byte {place} ^ {flip}");
            }
        }
    }
    // A bomb is refused by its ratio, and what comes out of it counts as a message does.
    let limits = Limits { message: 400 * 1024, ..Limits::default() };
    let plan = Setup { limits, ..setup("otel.traces") }.plan();
    for bomb in compressed(&vec![0; 4 * 1024 * 1024]) {
        assert_eq!(whole(&plan, Format::Grpc, &bomb).1.err(), Some(MaskError::InflateRatio));
    }
    let mut random = Random(5);
    let large = trace(&(0..450 * 1024).map(|_| b"abcdefghijklmnop"[random.below(16)]).collect::<Vec<_>>());
    for large in compressed(&large) {
        assert!(large.len() < 400 * 1024);
        assert_eq!(whole(&plan, Format::Grpc, &large).1.err(), Some(MaskError::MessageLimit));
    }
}

#[test]
fn messages_of_a_grpc_stream_leave_when_they_are_complete() {
    let plan = setup("otel.traces").plan();
    let message = grpc(&trace(EMAIL.as_bytes()));
    let mut masker = veilwire_engine::mask::Masker::new(plan, Format::Grpc);
    let mut sizes = Vec::new();
    for byte in message.repeat(3) {
        let mut out = Vec::new();
        masker.write(&[byte], &mut out).unwrap();
        sizes.push(out.len());
    }
    let masked = grpc(&trace(b"[EMAIL]")).len();
    for (place, size) in sizes.iter().enumerate() {
        let last = (place + 1) % message.len() == 0;
        assert_eq!(*size, if last { masked } else { 0 }, "byte {place}");
    }
}

#[test]
fn a_message_may_be_as_large_as_its_limit_and_no_larger() {
    let limits = Limits { message: 64 * 1024, ..Limits::default() };
    let plan = Setup { limits, ..setup("otel.traces") }.plan();
    let room = 64 * 1024 - (trace(&[b'a'; 60_000]).len() - 60_000);
    let fits = trace(&vec![b'a'; room]);
    assert_eq!(fits.len(), 64 * 1024);
    let large = trace(&vec![b'a'; room + 1]);
    for longest in [usize::MAX, 1000] {
        let cut = |body: &[u8], format| {
            let (out, ended) = send(&plan, format, body.chunks(longest.min(body.len())));
            (out.len(), ended.err())
        };
        assert_eq!(cut(&fits, Format::Protobuf), (fits.len(), None));
        assert_eq!(cut(&large, Format::Protobuf), (0, Some(MaskError::MessageLimit)));
        assert_eq!(cut(&grpc(&fits), Format::Grpc), (fits.len() + 5, None));
        assert_eq!(cut(&grpc(&large), Format::Grpc), (0, Some(MaskError::MessageLimit)));
        let many = grpc(&fits).repeat(5);
        assert_eq!(cut(&many, Format::Grpc), (many.len(), None), "the limit is for each message");
    }
}
