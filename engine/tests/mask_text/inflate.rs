//! Compressed bodies: opened, masked, sent on as they are. Every case is checked at every split.
//!
//! The constants were written by zlib 1.3 and are no recordings of anybody.

use super::mask_support::{Outcome, Random, Setup, masked};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use std::sync::Arc;
use veilwire_engine::format::{Coding, Format};
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::Limits;

/// One block with the fixed code.
const FIXED: &str = "1f8b08000000000002038bae562ac957b252504a4c497448ad48cc2dc849d54bcecf55d25150ca038a9b18a2825aa0787eb6 \
     122e32960b000ded7d9d51000000";
/// The same in a block that is not compressed.
const STORED: &str = "1f8b0800000000000203015100aeff5b7b22746f223a2022616461406578616d706c652e636f6d222c20226e223a20343131 \
     313131313131313131313131317d2c20226f6b222c20226f6b222c20226f6b222c20226f6b222c20226f6b225d0a0ded7d9d \
     51000000";
/// The same behind an extra field, a file name, a comment and a checksum of the header.
const HEADERS: &str = "1f8b081e00000000020305006162636465616461406578616d706c652e636f6d006120636f6d6d656e7400478b8bae562ac9 \
     57b252504a4c497448ad48cc2dc849d54bcecf55d25150ca038a9b18a2825aa0787eb6122e32960b000ded7d9d51000000";
/// The same in the zlib format.
const ZLIB: &str = "789c8bae562ac957b252504a4c497448ad48cc2dc849d54bcecf55d25150ca038a9b18a2825aa0787eb6122e32960b008eb5 \
     14bc";
/// The zlib format with a preset dictionary.
const DICTIONARY: &str = "78f93c8506728b564a4117528a0500542b076e";
/// The first event of a stream, flushed.
const EVENT_1: &str =
    "1f8b08000000000002034a492c49b452a8564a54b2524a4c497448ad48cc2dc849d54bcecf55aae5e202000000ffff";
/// The second one.
const EVENT_2: &str = "4a41924eca4f429706000000ffff";
/// Its end.
const EVENT_END: &str = "0300d5d3bd053e000000";
/// What the first four hold.
const BODY: &str =
    "[{\"to\": \"ada@example.com\", \"n\": 4111111111111111}, \"ok\", \"ok\", \"ok\", \"ok\", \"ok\"]\n";
/// A block with codes of its own, twelve times a name, an address and a card.
const DYNAMIC: &str = "1f8b08000000000002039dd4cd8eab200005e0fd3c45c3ba99945a6b9dd57d8f9b59202222f22745a493befb95e42e18dcb1 \
     414e0ef1db9d1fa089d233015fa7bf3f80f5fbf7723e0181d8bc5f81b364b9fc211b12fb9b4fac04d84b8c96f80edc208427 \
     f8eb88b554cff83b803adc93818e6ce2b3904a9bc53eddeab7f08a0d789f4fff4198812d6c4b494c8523863841313a8484bc \
     66e4a37a94923d5f798f3aaaf15349b3b1cdec15d6b48b4d425619d9d44d2949144198076b03c7879090b78cbc37f75272b0 \
     d2746e25abeb8cb403ead5c81636aa3e3609596764ddd6a524f59e22624d30961c4242de7312de4ac9110dfea534eec464a5 \
     9376121dd6eae587d824649391b7aa2a2519512204a10843f41012f29191557d2d2527b6e18d4d68248b937ee59aaf5eba85 \
     8cb149c83623af0d2c25b9a0d65b2a3862ec10d229c8c707b6c5f3331bcd56dc07e95f5e861eaf4c9b194d628a4d6ae6fb03 \
     2fc5fb235c084e206eace18700dedfef8f7fe70007c471050000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub(crate) fn send<'c>(
    plan: &Arc<MaskPlan>,
    format: Format,
    coding: Coding,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Outcome {
    let mut masker = Masker::new(Arc::clone(plan), format).opening(coding);
    let mut out = Vec::new();
    for chunk in chunks {
        if let Err(error) = masker.write(chunk, &mut out) {
            let length = out.len();
            assert_eq!(masker.write(b"more", &mut out), Err(error));
            assert_eq!(masker.end(&mut out), Err(error));
            assert_eq!(out.len(), length, "output after an error");
            return (out, Err(error));
        }
        assert!(masker.held() <= 64 * 1024, "{} bytes held", masker.held());
    }
    let ended = masker.end(&mut out).map(|summary| summary.findings);
    (out, ended)
}

/// What comes out of a JSON body at every split.
fn json(coding: Coding, body: &[u8]) -> Result<String, MaskError> {
    let plan = Setup::default().plan();
    let expected = send(&plan, Format::Json, coding, [body]);
    for at in 0..=body.len() {
        let (head, tail) = body.split_at(at);
        assert!(
            send(&plan, Format::Json, coding, [head, tail]) == expected,
            "split at {at} of {}",
            body.len()
        );
    }
    assert!(send(&plan, Format::Json, coding, body.chunks(1)) == expected, "byte by byte");
    let out = String::from_utf8(expected.0).unwrap();
    assert!(!out.contains("example.com") && !out.contains("4111"), "leak");
    expected.1.map(|_| out)
}

/// A member of gzip without anything optional.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = b"\x1F\x8B\x08\0\0\0\0\0\0\xFF".to_vec();
    out.extend(compress_to_vec(body, 6));
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    };
    out.extend((!body.iter().fold(u32::MAX, step)).to_le_bytes());
    out.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    out
}

#[test]
fn every_kind_of_block_and_header_is_opened() {
    let expected = Ok(masked(&Setup::default().plan(), Format::Json, BODY));
    for body in [FIXED, STORED, HEADERS] {
        assert_eq!(json(Coding::Gzip, &bytes(body)), expected, "{body}");
    }
    let zlib = bytes(ZLIB);
    assert_eq!(json(Coding::Deflate, &zlib), expected);
    assert_eq!(json(Coding::Deflate, &zlib[2..zlib.len() - 4]), expected, "without its header");
    let stored = bytes(STORED);
    assert_eq!(json(Coding::Deflate, &stored[10..stored.len() - 8]), expected, "stored, without a header");
    let out = json(Coding::Gzip, &bytes(DYNAMIC)).unwrap();
    assert_eq!((out.matches("[EMAIL]").count(), out.matches("[CARD]").count()), (12, 12), "{out}");
    for level in 0..=10 {
        let plain =
            format!("{{\"text\": \"{}\"}}", "mail ada@example.com now. ".repeat(40 + usize::from(level)));
        let expected = Ok(masked(&Setup::default().plan(), Format::Json, &plain));
        assert_eq!(
            json(Coding::Deflate, &compress_to_vec_zlib(plain.as_bytes(), level)),
            expected,
            "level {level}"
        );
    }
}

#[test]
fn nothing_at_all_is_an_empty_body() {
    assert_eq!(json(Coding::Gzip, b""), Ok(String::new()));
    assert_eq!(json(Coding::Deflate, b""), Ok(String::new()));
    assert_eq!(json(Coding::Gzip, &gzip(b"")), Ok(String::new()));
}

#[test]
fn a_body_that_is_cut_off_is_refused() {
    for (coding, body) in [
        (Coding::Gzip, bytes(FIXED)),
        (Coding::Gzip, bytes(HEADERS)),
        (Coding::Deflate, bytes(ZLIB)),
        (Coding::Deflate, compress_to_vec(BODY.as_bytes(), 6)),
    ] {
        for length in 1..body.len() {
            assert_eq!(
                json(coding, &body[..length]),
                Err(MaskError::Truncated),
                "{coding:?} cut at {length}"
            );
        }
    }
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let plan = Setup::default().plan();
    let expected = masked(&plan, Format::Json, BODY);
    for (coding, body) in
        [(Coding::Gzip, bytes(HEADERS)), (Coding::Gzip, bytes(FIXED)), (Coding::Deflate, bytes(ZLIB))]
    {
        let mut passed = 0;
        for at in 0..body.len() * 8 {
            let mut damaged = body.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            let (out, ended) = send(&plan, Format::Json, coding, [damaged.as_slice()]);
            assert!(!String::from_utf8_lossy(&out).contains("ada@example.com"), "leak at bit {at}");
            if ended.is_ok() {
                passed += 1;
                assert_eq!(out, expected.as_bytes(), "{coding:?} bit {at}");
            }
        }
        // Time, extra flags and system of gzip without a checksum of the header are free; so is what fills the last byte of the body.
        let free = if coding == Coding::Gzip && body[3] == 0 { 6 * 8 } else { 0 };
        assert!((free..free + 8).contains(&passed), "{coding:?}: {passed} bits do not matter");
    }
    assert_eq!(json(Coding::Deflate, &bytes(DICTIONARY)), Err(MaskError::Coding));
    assert_eq!(json(Coding::Gzip, &bytes(ZLIB)), Err(MaskError::Coding));
    assert_eq!(json(Coding::Gzip, BODY.as_bytes()), Err(MaskError::Coding));
}

#[test]
fn nothing_may_follow_the_end() {
    let (one, two) = (bytes(FIXED), gzip(b"[]"));
    assert_eq!(json(Coding::Gzip, &[one.as_slice(), &two].concat()), Err(MaskError::Coding));
    assert_eq!(json(Coding::Gzip, &[one.as_slice(), b"\0"].concat()), Err(MaskError::Coding));
    assert_eq!(json(Coding::Deflate, &[bytes(ZLIB).as_slice(), b"\n"].concat()), Err(MaskError::Coding));
    let raw = compress_to_vec(BODY.as_bytes(), 6);
    assert_eq!(json(Coding::Deflate, &[raw.as_slice(), b"{}"].concat()), Err(MaskError::Coding));
}

#[test]
fn events_leave_when_they_are_flushed() {
    let mut masker = Masker::new(Setup::default().plan(), Format::Sse).opening(Coding::Gzip);
    let mut out = Vec::new();
    for (chunk, so_far) in [
        (EVENT_1, "data: {\"a\":\"[EMAIL]\"}\n\n"),
        (EVENT_2, "data: {\"a\":\"[EMAIL]\"}\n\ndata: {\"a\":\"[EMAIL]\"}\n\n"),
        (EVENT_END, "data: {\"a\":\"[EMAIL]\"}\n\ndata: {\"a\":\"[EMAIL]\"}\n\n"),
    ] {
        masker.write(&bytes(chunk), &mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), so_far);
    }
    masker.end(&mut out).unwrap();
}

/// What came out of a bomb before it was refused, for these cuts.
fn bomb(limits: &Limits, body: &[u8], cut: usize) -> usize {
    let plan = Setup { limits: limits.clone(), ..Setup::default() }.plan();
    let mut masker = Masker::new(plan, Format::Text).opening(Coding::Gzip);
    let mut total = 0;
    for chunk in body.chunks(cut) {
        let mut out = Vec::new();
        let done = masker.write(chunk, &mut out);
        assert!(out.len() <= (256 << 10) + chunk.len() * 1032 + 4096, "{} bytes at once", out.len());
        total += out.len();
        if let Err(error) = done {
            assert_eq!(error, MaskError::InflateRatio);
            return total;
        }
    }
    panic!("it passed");
}

#[test]
fn a_bomb_is_refused_at_the_same_byte_however_it_is_cut() {
    let limits = Limits::default();
    let body = gzip(". ".repeat(20 << 20).as_bytes());
    assert!(body.len() < 60_000, "{}", body.len());
    let whole = bomb(&limits, &body, body.len());
    assert!((256 << 10..300 << 10).contains(&whole), "{whole}");
    for cut in [1, 2, 3, 7, 64, 1000] {
        assert_eq!(bomb(&limits, &body, cut), whole, "cut at {cut}");
    }
    // One byte too many.
    let steep = gzip(&b".".repeat(300 << 10));
    let (taken, allowance) = (steep.len() - 8, 256_usize << 10);
    let ratio = u32::try_from(((300 << 10) - allowance).div_ceil(taken)).unwrap();
    let outcome = |ratio| {
        let plan =
            Setup { limits: Limits { inflate_ratio: ratio, ..limits.clone() }, ..Setup::default() }.plan();
        send(&plan, Format::Text, Coding::Gzip, steep.chunks(5)).1.map(|_| ())
    };
    assert_eq!((outcome(ratio - 1), outcome(ratio + 10)), (Err(MaskError::InflateRatio), Ok(())), "{ratio}");
}

#[test]
fn long_bodies_are_the_same_however_they_are_cut() {
    let mut random = Random(5);
    let mut text = Vec::new();
    // Matches as far away as they may be: the window is used to its last byte.
    let block: Vec<u8> = (0..32_768).map(|_| b"abcdefghijklmnopqrstuvwxyz ,.\n;"[random.below(31)]).collect();
    for _ in 0..6 {
        text.extend_from_slice(&block);
        text.extend_from_slice(b" ada@example.com ");
    }
    let plan = Setup::default().plan();
    let expected = masked(&plan, Format::Text, &text);
    assert_eq!(expected.matches("[EMAIL]").count(), 6);
    let body = gzip(&text);
    for longest in [1, 30, 3_000, 100_000] {
        let (out, ended) = send(&plan, Format::Text, Coding::Gzip, random.cut(&body, longest));
        assert!(ended.is_ok() && out == expected.as_bytes(), "pieces up to {longest}");
    }
}
