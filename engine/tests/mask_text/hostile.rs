//! Bodies that nobody would write: whatever comes, cuts do not matter, an error is final, and no value leaves.

use super::inflate;
use super::mask_support::{Random, Setup, send, whole};
use veilwire_engine::format::{Coding, Format};

const VALUES: [&str; 3] = ["ada@example.com", "4111 1111 1111 1111", "123-45-6789"];

/// Bodies made of these pieces, each also in random cuts.
fn check(format: Format, pieces: &[&[u8]], seed: u64) {
    let plan = Setup { fields: vec![(3, "$..password"), (4, "$.user")], ..Setup::default() }.plan();
    let mut random = Random(seed);
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..600 {
        let mut body = Vec::new();
        for _ in 0..random.below(14) {
            match random.below(8) {
                0 => body.extend_from_slice(format!(" {} ", VALUES[random.below(3)]).as_bytes()),
                _ => body.extend_from_slice(pieces[random.below(pieces.len())]),
            }
        }
        let expected = whole(&plan, format, &body);
        *if expected.1.is_ok() { &mut passed } else { &mut refused } += 1;
        let out = String::from_utf8_lossy(&expected.0);
        for value in VALUES {
            assert!(!out.contains(&format!(" {value} ")), "{} became {out}", body.escape_ascii());
        }
        for longest in [1, 3, 20] {
            let cut = send(&plan, format, random.cut(&body, longest));
            assert!(cut == expected, "{} in pieces of up to {longest}", body.escape_ascii());
        }
    }
    assert!(passed > 10 && refused > 10, "{passed} passed, {refused} refused: the pieces show nothing");
}

#[test]
fn texts() {
    let pieces: [&[u8]; 14] = [
        b"\xEF\xBB",
        b"\xBF",
        b"\xFF\xFE",
        b"\0",
        b"{",
        b"[",
        b"[EMAIL]",
        b"[EMA",
        b"]",
        b"\"",
        b" ",
        b"\r\n",
        b"x:",
        b"\xC3",
    ];
    check(Format::Text, &pieces, 21);
}

#[test]
fn forms() {
    let pieces: [&[u8]; 20] = [
        b"&",
        b"=",
        b"%",
        b"%4",
        b"%40",
        b"%5B",
        b"%7B%22a%22%3A",
        b"+",
        b"{",
        b"[",
        b"]",
        b"user",
        b"password",
        b"\"",
        b"%22",
        b"[a]",
        b"\\u0040",
        b"ada%40example.com",
        b"1,",
        b"x",
    ];
    check(Format::Form, &pieces, 22);
}

#[test]
fn parts() {
    let pieces: [&[u8]; 16] = [
        b"--XX-42\r\nContent-Disposition: form-data; name=a\r\n\r\n",
        b"--XX-42\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n",
        b"\r\n--XX-42\r\nContent-Disposition: form-data; name=password; filename=\"ada@example.com\"\r\n\r\n",
        b"\r\n--XX-42\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name=j\r\n\r\n",
        b"\r\n--XX-42--",
        b"\r\n--XX-42--\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"--",
        b"--XX",
        b"-42",
        b"{\"user\":1}",
        b"[",
        b"\0",
        b"x",
    ];
    let form = Format::of(b"multipart/form-data; boundary=XX-42").unwrap();
    let mixed = Format::of(b"multipart/mixed; boundary=XX-42").unwrap();
    // Random pieces are hardly ever a body; with a frame around them some are.
    let framed: Vec<Vec<u8>> =
        pieces.iter().map(|piece| [pieces[0], *piece, b" ok", pieces[5]].concat()).collect();
    let all: Vec<&[u8]> = pieces.iter().copied().chain(framed.iter().map(Vec::as_slice)).collect();
    check(form, &all, 23);
    check(mixed, &all, 24);
}

#[test]
fn compressed() {
    let plan = Setup::default().plan();
    let mut random = Random(25);
    let text = "{\"note\": \"to ada@example.com , or so\"}, ".repeat(30);
    let body = inflate::gzip(format!("[{text}0]").as_bytes());
    for _ in 0..500 {
        let mut damaged = body.clone();
        for _ in 0..random.below(4) {
            let at = random.below(damaged.len());
            damaged[at] = u8::try_from(random.below(256)).unwrap();
        }
        damaged.truncate(damaged.len() - random.below(2) * random.below(damaged.len()));
        for coding in [Coding::Gzip, Coding::Deflate] {
            let expected = inflate::send(&plan, Format::Text, coding, [damaged.as_slice()]);
            assert!(!String::from_utf8_lossy(&expected.0).contains(" ada@example.com "), "leak");
            for longest in [1, 9, 100] {
                let cut = inflate::send(&plan, Format::Text, coding, random.cut(&damaged, longest));
                assert!(cut == expected, "{}", damaged.escape_ascii());
            }
        }
    }
}
