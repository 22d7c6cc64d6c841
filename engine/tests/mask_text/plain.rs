//! Texts as bodies: the masking contract on plain text. Every case is checked at every split.

use super::mask_support::{Random, Setup, check_splits, masked, send, whole};
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, Masker};

/// Input and output, at every split.
fn text(body: &[u8], expected: &[u8]) {
    let (out, ended) = check_splits(&Setup::default().plan(), Format::Text, body);
    assert_eq!(
        String::from_utf8_lossy(&out),
        String::from_utf8_lossy(expected),
        "of {}",
        body.escape_ascii()
    );
    assert_eq!((out == expected, ended.err()), (true, None), "of {}", body.escape_ascii());
}

fn refused(body: &[u8]) -> (Vec<u8>, MaskError) {
    let (out, ended) = check_splits(&Setup::default().plan(), Format::Text, body);
    (out, ended.expect_err("passed"))
}

#[test]
fn values_are_masked_wherever_they_stand() {
    text(b"ada@example.com", b"[EMAIL]");
    text(b"to ada@example.com,\r\ncard 4111 1111 1111 1111\r\n", b"to [EMAIL],\r\ncard [CARD]\r\n");
    text(b"name;mail\nAda;ada@example.com\n", b"name;mail\nAda;[EMAIL]\n");
    text(b"<a href=\"mailto:ada@example.com\">x</a>", b"<a href=\"mailto:[EMAIL]\">x</a>");
    text(b"<k>AKIAQQQQQQQQQQQQQQQQ</k>", b"<k>[SECRET]</k>");
    text(b"\xEF\xBB\xBFada@example.com", b"\xEF\xBB\xBF[EMAIL]");
}

#[test]
fn what_holds_nothing_comes_out_as_it_came_in() {
    for body in [
        &b""[..],
        b" ",
        b"x",
        b"\xEF\xBB\xBF",
        b"\xEF\xBB",
        b"\xEF\xBB\xBF \r\n",
        b"latin-1: caf\xE9 \xFF\xFE broken \xC3 utf-8 \xED\xA0\x80",
        b"a, b\r\n\r\n\tc \\ \"d\" \x01\x7F\r",
        b"order 4111 1111 1111 1112, ada @ example.com, 12.5e3",
        b"\"{\" is not first, [neither] is this",
    ] {
        text(body, body);
    }
}

#[test]
fn a_text_that_looks_like_json_is_read_as_json() {
    text(b"{\"a\":\"ada\\u0040example.com\"}", b"{\"a\":\"[EMAIL]\"}");
    text(b"\xEF\xBB\xBF \r\n[\"\\u0061da@example.com\"] ", b"\xEF\xBB\xBF \r\n[\"[EMAIL]\"] ");
    text(b"{\"n\":4111111111111111}\n{\"n\":1}\n", b"{\"n\":\"[CARD]\"}\n{\"n\":1}\n");
    let setup = Setup { fields: vec![(3, "$..password")], ..Setup::default() };
    assert_eq!(masked(&setup.plan(), Format::Text, b" {\"password\":1}"), " {\"password\":\"[SECRET]\"}");
    assert_eq!(refused(b"{\"a\": ada@example.com}"), (b"{\"a\": ".to_vec(), MaskError::InvalidJson));
    assert_eq!(refused(b"[\"a\"").1, MaskError::Truncated);
}

#[test]
fn what_was_masked_before_is_text() {
    text(b"[EMAIL]", b"[EMAIL]");
    text(b" [EMAIL] wrote to bob@example.com [", b" [EMAIL] wrote to [EMAIL] [");
    text(b"\xEF\xBB\xBF[CARD], {", b"\xEF\xBB\xBF[CARD], {");
    assert_eq!(refused(b"[EMAI ada@example.com").1, MaskError::InvalidJson);
    assert_eq!(refused(b"[").1, MaskError::Truncated);
    // A placeholder with which JSON can begin says nothing.
    let plan = Setup { placeholder: "[0, ", ..Setup::default() }.plan();
    let (_, ended) = check_splits(&plan, Format::Text, b"[0, ada@example.com");
    assert_eq!(ended.err(), Some(MaskError::InvalidJson));
    assert_eq!(check_splits(&plan, Format::Text, b"[0, 1]").0, b"[0, 1]");
}

#[test]
fn wide_characters_and_nul_are_refused() {
    let wide = |mark: &[u8], text: &str, big: bool| -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        mark.iter().copied().chain(text.encode_utf16().flat_map(bytes)).collect()
    };
    for body in [
        wide(b"\xFF\xFE", "ada@example.com", false),
        wide(b"\xFE\xFF", "ada@example.com", true),
        wide(b"", "ada@example.com", false),
        wide(b"", "ada@example.com", true),
        b"\xFF\xFE\0\0a\0\0\0".to_vec(),
        b"\0\0\xFE\xFF\0\0\0a".to_vec(),
        b"a\0\0\0d\0\0\0".to_vec(),
        b"\0".to_vec(),
        b"a\0".to_vec(),
    ] {
        assert_eq!(refused(&body), (Vec::new(), MaskError::Charset), "{}", body.escape_ascii());
    }
    // Later than the first bytes: what came before is handled as usual, an open value is not written.
    assert_eq!(refused(b"mail bob@example.com, ada\0@\0"), (b"mail [EMAIL], ".to_vec(), MaskError::Charset));
    let wide = wide(b"", "\u{4e2d}\u{6587}4111 1111 1111 1111", true);
    assert_eq!(refused(&wide), (wide[..4].to_vec(), MaskError::Charset));
}

#[test]
fn nothing_is_emitted_before_it_is_decided_and_the_rest_at_once() {
    let mut masker = Masker::new(Setup::default().plan(), Format::Text);
    let mut out = Vec::new();
    for (chunk, so_far) in [
        ("Wri", ""),
        ("te to ", "Write to "),
        ("ada.love", "Write to "),
        ("lace@example.c", "Write to "),
        ("om", "Write to "),
        (", card 4111 1111 ", "Write to [EMAIL], card "),
        ("1111 1111", "Write to [EMAIL], card "),
        ("\n", "Write to [EMAIL], card [CARD]\n"),
        ("\n\n", "Write to [EMAIL], card [CARD]\n\n\n"),
        ("bob", "Write to [EMAIL], card [CARD]\n\n\n"),
    ] {
        masker.write(chunk.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), so_far, "after {chunk}");
    }
    let summary = masker.end(&mut out).unwrap();
    assert_eq!(out, b"Write to [EMAIL], card [CARD]\n\n\nbob");
    let places: Vec<_> = summary.findings.iter().map(|finding| finding.location.clone()).collect();
    assert_eq!(places, ["text", "text"]);
}

#[test]
fn a_text_of_any_length_needs_little_memory() {
    let plan = Setup::default().plan();
    let line = "The quick brown fox; 4111 1111 1111 1111, ada@example.com and 2026-11-22T10:00:00Z.\r\n";
    let masked = line.replace("4111 1111 1111 1111", "[CARD]").replace("ada@example.com", "[EMAIL]");
    let mut masker = Masker::new(plan, Format::Text);
    let mut out = Vec::new();
    for round in 0..20_000 {
        out.clear();
        masker.write(line.as_bytes(), &mut out).unwrap();
        assert!(masker.held() < 2048, "{} held", masker.held());
        assert!(round == 0 || out == masked.as_bytes(), "line {round}");
    }
    assert_eq!(masker.end(&mut out).unwrap().findings.total(), 40_000);
}

#[test]
fn random_texts_are_the_same_however_they_are_cut() {
    let plan = Setup::default().plan();
    let values = ["ada@example.com", "4111 1111 1111 1111", "123-45-6789", "AKIAQQQQQQQQQQQQQQQQ"];
    let noise: [&[u8]; 8] =
        [b"4111-1111-", b"ada@", b"\r\n", b"sk-ant-api03-", b"\xC3\xA9", b",", b"\xFF", b"x"];
    let mut random = Random(7);
    for _ in 0..300 {
        let mut body = Vec::new();
        for _ in 0..12 {
            (0..random.below(4)).for_each(|_| body.extend_from_slice(noise[random.below(noise.len())]));
            body.extend_from_slice(format!(", {} ;", values[random.below(values.len())]).as_bytes());
        }
        let expected = whole(&plan, Format::Text, &body);
        assert!(expected.1.as_ref().is_ok_and(|findings| findings.total() >= 12));
        let shown = String::from_utf8_lossy(&expected.0).into_owned();
        assert!(values.iter().all(|value| !shown.contains(value)), "{}", body.escape_ascii());
        for _ in 0..20 {
            assert!(send(&plan, Format::Text, random.cut(&body, 30)) == expected, "{}", body.escape_ascii());
        }
    }
}

#[test]
fn text_is_no_way_around_channels_and_fields() {
    assert!(Setup::default().plan().takes(Format::Text));
    assert!(!Setup::of("openai.chat").plan().takes(Format::Text));
    let fields = Setup { fields: vec![(3, "$..password")], detectors: Vec::new(), ..Setup::default() };
    assert!(!fields.plan().takes(Format::Text));
    assert!(fields.plan().takes(Format::Json));
}
