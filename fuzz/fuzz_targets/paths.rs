//! Any path: what is normal is so again, means what was written, and holds nothing that an upstream may read in another way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilwire_engine::decide::normal_path;

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let raw = unescaped(path.as_bytes());
    let Some(normal) = normal_path(path) else {
        let is_plain = path.starts_with('/') && has_plain_segments(&raw.bytes) && raw.is_plain;
        assert!(!is_plain || raw.stray || path.chars().any(char::is_control), "a plain path was refused");
        return;
    };
    assert_eq!(normal_path(&normal).as_deref(), Some(normal.as_ref()), "what is normal changes");
    let again = unescaped(normal.as_bytes());
    assert_eq!(again.bytes, raw.bytes, "it means something else");
    assert!(again.is_plain && has_plain_segments(&again.bytes), "an upstream may read it in another way");
});

/// A path without its escapes.
struct Unescaped {
    bytes: Vec<u8>,
    /// There is no backslash, space, control character or escaped slash.
    is_plain: bool,
    /// A `%` is no escape.
    stray: bool,
}

/// Takes each escape once. Bytes, since an escape may be a part of a character.
fn unescaped(path: &[u8]) -> Unescaped {
    let mut all = Unescaped { bytes: Vec::new(), is_plain: true, stray: false };
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        let escape =
            digit(0).zip(digit(1)).filter(|_| *first == b'%').map(|(high, low)| (high * 16 + low) as u8);
        all.stray |= *first == b'%' && escape.is_none();
        let byte = escape.unwrap_or(*first);
        all.is_plain &= byte != b'\\' && !byte.is_ascii_control() && (byte, escape) != (b'/', Some(b'/'));
        all.is_plain &= *first != b' ';
        all.bytes.push(byte);
        rest = if escape.is_some() { &after[2..] } else { after };
    }
    all
}

/// No segment is empty but the last, and none is made of dots that lead elsewhere.
fn has_plain_segments(path: &[u8]) -> bool {
    let segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').skip(1).collect();
    let count = segments.len();
    segments.iter().enumerate().all(|(number, segment)| match *segment {
        b"." | b".." => false,
        b"" => number + 1 == count,
        _ => true,
    })
}
