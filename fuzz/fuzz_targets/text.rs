//! Plain text, and forms, whose names and values are texts in percent-encoding: the same output however they are cut, the same
//! bytes without findings, as many fields as before, and no piece of a planted value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilwire_engine::format::Format;
use veilwire_fuzz::form::{decode, pairs};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, Outcome, run_every_way};
use veilwire_fuzz::planted::{Planted, plant};

const MAX_FIELDS: usize = 6;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let kind = input.byte() % 3;
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let planted = if kind == 2 { fields(input) } else { plant(input.rest()) };
    let format = if kind == 0 { Format::Text } else { Format::Form };
    let case = Case::response("json");
    let outcome = run_every_way(&case.plan, format, &planted.body, cuts);
    let Ok(findings) = &outcome.result else { return };
    assert!(!findings.is_empty() || outcome.out == planted.body, "changed without a finding");
    // The digits of an escape and the text behind it can make a piece that no reader sees: of a form, what is read counts.
    if format == Format::Form {
        check_form(&planted, &outcome);
    } else {
        planted.check_masked(&outcome.out);
    }
});

fn check_form(planted: &Planted, outcome: &Outcome) {
    planted.check_decoded(&decode(&outcome.out), decode);
    // What begins like JSON is read as JSON.
    let text = planted.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&planted.body).trim_ascii_start();
    if matches!(text.first(), Some(b'{' | b'[')) {
        return;
    }
    let names = |body: &[u8]| -> Vec<bool> { pairs(body).map(|(_, value)| value.is_some()).collect() };
    assert_eq!(names(&planted.body), names(&outcome.out), "other fields");
}

/// Names and values; of some characters the bytes are written as escapes.
fn fields(mut input: Input<'_>) -> Planted {
    let mut form = Planted::default();
    for _ in 0..MAX_FIELDS {
        if input.is_empty() {
            break;
        }
        let (style, name) = (input.byte(), usize::from(input.byte() % 12));
        form.append_encoded(&plant(input.take(name)), |text| encode(text, style));
        if style % 8 != 0 {
            form.push(b"=");
            let length = usize::from(input.byte());
            form.append_encoded(&plant(input.take(length)), |text| encode(text, style));
        }
        if style % 16 != 1 {
            form.push(b"&");
        }
    }
    form
}

fn encode(text: &[u8], style: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for (place, &byte) in text.iter().enumerate() {
        let often = [1, 2, 5, 16][usize::from(style >> 4) % 4];
        match byte {
            b' ' if style & 4 != 0 => out.push(b'+'),
            b'%' | b'&' | b'=' | b'+' => out.extend(format!("%{byte:02X}").bytes()),
            _ if place % often == 0 && style & 8 != 0 => out.extend(format!("%{byte:02x}").bytes()),
            _ if byte < 0x21 || byte > 0x7E => out.extend(format!("%{byte:02X}").bytes()),
            _ => out.push(byte),
        }
    }
    out
}
