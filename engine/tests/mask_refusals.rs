//! What has left when a body is refused: nothing of a value, and the same however the body was cut.
#![cfg(test)]

mod mask_support;

use mask_support::{Random, Setup, check_splits, send, whole};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::Limits;

/// Checks at every split that this left, and why no more did.
#[track_caller]
fn left(plan: &Arc<MaskPlan>, format: Format, body: &str, expected: &str, error: MaskError) {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended), (expected, Err(error)), "of {body:?}");
}

#[test]
fn a_scalar_before_a_blank_waits_for_what_must_follow_it() {
    let plan = Setup::default().plan();
    for (body, expected) in [
        ("[4111 1111 1111 1111]", "["),
        ("4111 1111 1111 1111", ""),
        ("4111\t1111 1111 1111", ""),
        ("4111 ada@example.com", ""),
        (" -4111\r 1111 1111 1111", " "),
        ("[1, 4111\n1111 1111 1111]", "[1, "),
        ("{\"a\": 4111 1111}", "{\"a\": "),
        ("[4111\"1111\"]", "["),
        ("[4111-1111-1111-1111]", "["),
        ("[4111111111111111 1]", "["),
        ("[true@example.com]", "["),
        ("[nu@example.com]", "["),
        ("null @example.com", ""),
        ("false ada@example.com", ""),
        // A line end after a document is the end of a text: the next line is another.
        ("4111\n1111 1111 1111", "4111\n"),
        ("true \r\n \n1111 1111 1111", "true \r\n \n"),
    ] {
        left(&plan, Format::Json, body, expected, MaskError::InvalidJson);
    }
    // Where lines are not documents of their own, not even a line end lets it go.
    left(&Setup::of("openai.chat").plan(), Format::Json, "4111\n1111 1111", "", MaskError::InvalidJson);
    left(&plan, Format::Json, "[4111 ", "[", MaskError::Truncated);
    left(&plan, Format::Json, "tru", "", MaskError::Truncated);
}

#[test]
fn a_scalar_leaves_with_what_ends_it() {
    for content in [None, Some("openai.chat")] {
        let plan = content.map_or_else(Setup::default, Setup::of).plan();
        for (body, expected) in [
            ("{\"a\":[4111 , 4111111111111111 ]}", "{\"a\":[4111 , \"[CARD]\" ]}"),
            ("{\"a\":[true ,false\n, null ]}", "{\"a\":[true ,false\n, null ]}"),
            ("{\"a\":1 ,\"b\" : 2\t}", "{\"a\":1 ,\"b\" : 2\t}"),
            ("4111111111111111 \n", "\"[CARD]\" \n"),
            (" 12345 ", " 12345 "),
            ("true", "true"),
        ] {
            let (out, ended) = check_splits(&plan, Format::Json, body.as_bytes());
            assert_eq!(
                (String::from_utf8_lossy(&out).as_ref(), ended.err()),
                (expected, None),
                "of {body:?}"
            );
        }
    }
}

#[test]
fn a_scalar_is_prompt() {
    for (content, chunks) in [
        (None, [("[1", "["), (" ", "["), (",", "[1 ,"), ("2]", "[1 ,2]"), (" ", "[1 ,2] ")]),
        (None, [("7", ""), (" ", ""), ("\n", "7 \n"), ("true", "7 \n"), ("\n", "7 \ntrue\n")]),
        (Some("openai.chat"), [("7", ""), (" ", ""), ("\n", ""), ("\n", ""), ("", "")]),
    ] {
        let mut masker = Masker::new(content.map_or_else(Setup::default, Setup::of).plan(), Format::Json);
        let mut out = Vec::new();
        for (chunk, so_far) in chunks {
            masker.write(chunk.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8_lossy(&out), so_far, "after {chunk:?}");
        }
        let waits = masker.waits();
        let before = out.len();
        masker.end(&mut out).unwrap();
        assert_eq!(waits, out.len() > before, "it waits if the end has something to write");
    }
}

#[test]
fn a_scalar_at_the_top_level_waits_for_the_end() {
    for (chunk, waits) in [
        ("12345 ", true),
        ("4111111111111111 ", true),
        ("true", true),
        ("null \t", true),
        ("-", false),
        ("fals", false),
        ("5\n", false),
        ("[5 ", false),
        ("\"x\"", false),
        ("[1", false),
        ("[1]", false),
    ] {
        for size in [1, 32] {
            let mut masker = Masker::new(Setup::default().plan(), Format::Json);
            for piece in chunk.as_bytes().chunks(size) {
                masker.write(piece, &mut Vec::new()).unwrap();
            }
            assert_eq!(masker.waits(), waits, "{chunk:?}");
        }
    }
}

/// A plan that can hold 4 KiB only.
fn small() -> Arc<MaskPlan> {
    let limits = Limits { state: 4096, ..Limits::default() };
    Setup { limits, ..Setup::of("anthropic.messages") }.plan()
}

/// What left of a stream, the same in any cut.
fn in_any_cut(plan: &Arc<MaskPlan>, body: &str) -> (String, Result<(), MaskError>) {
    let (out, ended) = whole(plan, Format::Sse, body.as_bytes());
    let mut random = Random(7);
    for longest in [1, 2, 7, 50, 500, 500, 5000, 5000] {
        let (cut, end) = send(plan, Format::Sse, random.cut(body.as_bytes(), longest));
        assert!(cut == out && end == ended, "pieces of {longest}: {} of {} bytes", cut.len(), out.len());
    }
    (String::from_utf8(out).unwrap(), ended.map(drop))
}

#[test]
fn a_scalar_in_a_large_event_waits_over_lines_of_data() {
    let plan = small();
    let start = format!("data: {{\"type\":\"x\",\"pad\":\"{}\",\"a\":[7,", "x ".repeat(3000));
    for end in ["\n", "\r\n", "\r"] {
        for (rest, written) in [
            ("4111 1111 1111 1111]}|", ""),
            ("4111|data: 1111 1111 1111]}|", ""),
            ("4111|: c|id: 7|data:1111|", ""),
            ("true|data|data: @example.com|", ""),
        ] {
            let body = start.clone() + &rest.replace('|', end) + end;
            let expected = start.clone() + &written.replace('|', end);
            assert!(in_any_cut(&plan, &body) == (expected, Err(MaskError::InvalidJson)), "{rest} {end:?}");
        }
        for (rest, written) in [
            ("4111 |: ada@example.com|data|data: ,1]}||", "4111 |: [EMAIL]|data|data: ,1]}||"),
            ("4111111111111111|data: ]|data: }||", "\"[CARD]\"|data: ]|data: }||"),
        ] {
            let body = start.clone() + &rest.replace('|', end);
            let expected = start.clone() + &written.replace('|', end);
            assert!(in_any_cut(&plan, &body) == (expected, Ok(())), "{rest} {end:?}");
        }
    }
}
