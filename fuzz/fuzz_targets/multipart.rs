//! Multipart bodies: the same output however they are cut, the same bytes without findings, as many parts with the same lines
//! in their heads, and no piece of a planted value in heads or bodies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilwire_engine::format::{Boundary, Format};
use veilwire_fuzz::form::decode;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, documents_are_json, run_every_way};
use veilwire_fuzz::multipart::{Part, read};
use veilwire_fuzz::planted::{Planted, plant};

const MAX_PARTS: usize = 5;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let choice = input.byte();
    let boundary = input.pick(&["b", "x-y.z", "----Form7MA4"]);
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let form = choice & 1 == 0;
    let planted = if choice & 2 == 0 { parts(boundary, form, input) } else { lines(boundary, input) };
    let case = Case::response("json");
    let format = Format::Multipart { form, boundary: Boundary::new(boundary.as_bytes()).expect("legal") };
    let outcome = run_every_way(&case.plan, format, &planted.body, cuts);
    let Ok(findings) = &outcome.result else { return };
    assert!(!findings.is_empty() || outcome.out == planted.body, "changed without a finding");
    planted.check_masked(&outcome.out);
    let before = read(&planted.body, boundary).expect("what was accepted is parts");
    let after = read(&outcome.out, boundary).expect("what is put out is parts");
    assert_eq!(before.len(), after.len(), "another number of parts");
    for (before, after) in before.iter().zip(&after) {
        check_part(before, after, &planted);
    }
});

fn check_part(before: &Part, after: &Part, planted: &Planted) {
    let names = |part: &Part| -> Vec<Vec<u8>> { part.head.iter().map(|(name, _)| name.clone()).collect() };
    assert_eq!(names(before), names(after), "other lines in a head");
    let kind = before.head.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
    match kind.map(|(_, kind)| kind.as_slice()) {
        Some(b"application/json") if !before.body.is_empty() => {
            let json = documents_are_json(&before.body);
            // A part may be masked as a whole, because its name says so.
            let whole = !after.body.starts_with(b"[") || before.body.starts_with(b"[");
            assert!(!(json && whole) || documents_are_json(&after.body), "a part is no longer JSON");
        }
        Some(b"application/x-www-form-urlencoded") => planted.check_decoded(&decode(&after.body), decode),
        _ => {}
    }
}

/// Parts with heads and bodies of several kinds.
fn parts(boundary: &str, form: bool, mut input: Input<'_>) -> Planted {
    let mut body = Planted::default();
    for number in 0..MAX_PARTS {
        if input.is_empty() {
            break;
        }
        let style = input.byte();
        body.push(if number == 0 { b"" } else { b"\r\n" });
        body.push(format!("--{boundary}{}\r\n", ["", "", "", " "][usize::from(style % 4)]).as_bytes());
        if form || style & 4 == 0 {
            body.push(b"Content-Disposition: form-data; name=\"");
            body.append(&quoted(&mut input));
            if style & 8 == 0 {
                body.push(b"\"; filename=\"");
                body.append(&quoted(&mut input));
            }
            body.push(b"\"\r\n");
        }
        body.push(input.pick(&[
            b"".as_slice(),
            b"Content-Type: text/plain\r\n",
            b"Content-Type: application/json\r\n",
            b"Content-Type: application/x-www-form-urlencoded\r\n",
            b"content-type: text/csv; charset=utf-8\r\n",
            b"Content-Type: image/png\r\n",
        ]));
        if style & 16 != 0 {
            body.push(b"X-Note: ");
            body.append(&quoted(&mut input));
            body.push(b"\r\n");
        }
        body.push(b"\r\n");
        let length = usize::from(input.byte());
        body.append(&plant(input.take(length)));
    }
    body.push(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}

fn quoted(input: &mut Input<'_>) -> Planted {
    let length = usize::from(input.byte() % 24);
    let text: Vec<u8> =
        input.take(length).iter().copied().filter(|byte| !b"\"\\\r\n\0".contains(byte)).collect();
    plant(&text)
}

/// Any bytes, with line ends and delimiters where two of them stand for these.
fn lines(boundary: &str, input: Input<'_>) -> Planted {
    let mut body = Planted::default();
    for piece in input.rest().split_inclusive(|byte| matches!(byte, 0x07 | 0x0B)) {
        let (text, mark) = match piece.split_last() {
            Some((0x07, text)) => (text, format!("\r\n--{boundary}")),
            Some((0x0B, text)) => (text, "\r\n".to_owned()),
            _ => (piece, String::new()),
        };
        body.append(&plant(text));
        body.push(mark.as_bytes());
    }
    body
}
