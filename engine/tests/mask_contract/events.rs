//! What is around the texts of a stream: comments, names and ids of events, and events that are too large to hold.

use super::{refused, stream};
use crate::mask_support::{Random, Setup, send, whole};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::Limits;

#[test]
fn events_keep_comments_names_ids_and_payloads_of_every_kind() {
    let plan = Setup::of("openai.chat").plan();
    for same in [
        ": ping\n\n",
        ":\n:\n\n\n",
        "event: a\nid: 7\nretry: 9\nwhatever: x\nlone\ndata\n\n",
        "data:\n\n",
        "data: [1,\ndata: 2]\n\n",
        "data:{\"a\":1}\r\n\r\n",
        "\u{FEFF}data: \"x\\u0041\"\n\n",
        "data: \u{FEFF}{\"a\":[1]}\n\n",
        "data: \u{FEFF}text\n\n",
        "data: \u{FEFF}\n\n",
        "data: \"not JSON\n\n",
        "data: plain\ndata: text\n: c\ndata: here\n\n",
    ] {
        stream(&plan, same, same);
    }
    stream(&plan, "data: \"ada\\u0040example.com\"\n\n", "data: \"[EMAIL]\"\n\n");
    // Some readers skip a byte order mark: what they would read as JSON is read so here.
    stream(
        &plan,
        "data: \u{FEFF}{\"a\":\"ada\\u0040example.com\"}\n\n",
        "data: \u{FEFF}{\"a\":\"[EMAIL]\"}\n\n",
    );
    stream(
        &plan,
        "data: x ada@example.com\n: bob@example.com\ndata: -\nfoo: eve@example.com\n\n",
        "data: x [EMAIL]\n: [EMAIL]\ndata: -\nfoo: [EMAIL]\n\n",
    );
    assert_eq!(refused(&plan, Format::Sse, "id: ada@example.com\n\n"), MaskError::EventId);
    assert_eq!(refused(&plan, Format::Sse, "data: {\"a\":\"ada@example.com\n\n"), MaskError::InvalidJson);
    assert_eq!(refused(&plan, Format::Sse, "data: [ada@example.com]\n\n"), MaskError::InvalidJson);
}

#[test]
fn comments_leave_with_their_line_and_events_with_their_blank_line() {
    let mut masker = Masker::new(Setup::of("openai.chat").plan(), Format::Sse);
    let mut out = Vec::new();
    for (chunk, so_far) in
        [(": pi", 0), ("ng\n", 7), ("\n", 8), ("data: {\"a\"", 8), (":1}\n", 8), ("\n", 23)]
    {
        masker.write(chunk.as_bytes(), &mut out).unwrap();
        assert_eq!(out.len(), so_far, "after {chunk:?}");
    }
}

/// A plan that can hold 4 KiB only.
fn small(name: &str) -> Arc<MaskPlan> {
    let limits = Limits { state: 4096, ..Limits::default() };
    Setup { limits, ..Setup::of(name) }.plan()
}

/// The same for a content without channels.
fn small_without_channels() -> Arc<MaskPlan> {
    let limits = Limits { state: 4096, ..Limits::default() };
    Setup { limits, ..Setup::default() }.plan()
}

fn in_any_cut(plan: &Arc<MaskPlan>, body: &str) -> (String, Result<(), MaskError>) {
    let (out, ended) = whole(plan, Format::Sse, body.as_bytes());
    let ended = ended.map(drop);
    let mut random = Random(3);
    for longest in [1, 2, 50, 50, 500, 500, 5000, 5000, 5000] {
        let (cut, end) = send(plan, Format::Sse, random.cut(body.as_bytes(), longest));
        let (cut, end) = (String::from_utf8_lossy(&cut).into_owned(), end.map(drop));
        let same = cut.as_bytes() == out && end == ended;
        assert!(
            same,
            "in pieces of {longest}: {} {end:?}, whole {} {ended:?}: {:.300}",
            cut.len(),
            out.len(),
            cut
        );
    }
    (String::from_utf8(out).unwrap(), ended)
}

#[test]
fn an_event_too_large_to_hold_is_written_as_it_comes() {
    let plan = small("anthropic.messages");
    let page = |value: &str, first: &str, second: &str| {
        format!(
            "event: content_block_start\r\ndata: {{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{{\"a\":\"{first}{value}\",\r\n\
             : {value}\r\ndata\r\ndata: \"b\":[\"{second}\",{{\"{value}\":\"{first}\"}}]}}}}\r\n\r\n"
        )
    };
    for length in [1, 3500, 3900, 4090, 4500, 9000] {
        let (first, second) = ("x ".repeat(length / 2), "\\u0041 ".repeat(700));
        let before = delta_of(0, "hello ") + &page("ada@example.com", &first, &second) + &delta_of(0, "ok ");
        let after = delta_of(0, "hello ") + &page("[EMAIL]", &first, &second) + &delta_of(0, "ok ");
        assert!(in_any_cut(&plan, &before) == (after, Ok(())), "{length}");
    }
    let text = |value: &str| format!("data: {value} {}\r\n: c\r\ndata: - {value}\r\n\r\n", "y ".repeat(4000));
    assert!(in_any_cut(&plan, &text("ada@example.com")) == (text("[EMAIL]"), Ok(())));
}

#[test]
fn data_that_is_a_number_stays_json() {
    let plan = small_without_channels();
    for (before, after) in [
        ("data: 4111111111111111\n\n", "data: \"[CARD]\"\n\n"),
        ("data:\t6004989434594561591.888\r\n\r\n", "data:\t\"[CARD]\"\r\n\r\n"),
        ("data\ndata: \ndata: 4111111111111111\n\n", "data\ndata: \ndata: \"[CARD]\"\n\n"),
        // Texts: several words, two lines, no number of JSON.
        ("data: 4111111111111111 4\n\n", "data: [CARD] 4\n\n"),
        ("data: 4111111111111111\ndata: 4\n\n", "data: [CARD]\ndata: 4\n\n"),
        ("data: 004111111111111111\n\n", "data: 004111111111111111\n\n"),
        ("data: 4111 1111 1111 1111\n\n", "data: [CARD]\n\n"),
        ("data: 17\n\ndata: -1e5\n\n", "data: 17\n\ndata: -1e5\n\n"),
    ] {
        assert_eq!(in_any_cut(&plan, before), (after.to_owned(), Ok(())), "{before}");
    }
    // What may go on as a text is not known to be a number before its end has been seen.
    let long = |end: &str| format!("data: {}{end}\n\n", "4".repeat(5000));
    assert_eq!(in_any_cut(&plan, &long("")), (String::new(), Err(MaskError::Budget)));
    let text = format!("data: 2026 was {}ada@example.com\n\n", "long ".repeat(1000));
    assert_eq!(in_any_cut(&plan, &text), (text.replace("ada@example.com", "[EMAIL]"), Ok(())));
}

#[test]
fn what_grows_leaves_room_for_what_is_held_beside_it() {
    for body in [
        format!("{{\"a ada@example.com {}\":1}}", "com ".repeat(2000)),
        format!("{{\"a\":{}}}", "1".repeat(5000)),
        format!("{{\"a\":1{}}}", " ".repeat(5000)),
    ] {
        for size in [1, 7, 64, 1000] {
            let (mut masker, mut out) = (Masker::new(small_without_channels(), Format::Json), Vec::new());
            let mut ended = Ok(());
            for piece in body.as_bytes().chunks(size) {
                ended = masker.write(piece, &mut out);
                if ended.is_err() {
                    break;
                }
                assert!(masker.held() <= 4096, "{} bytes held: {body:.40}", masker.held());
            }
            assert!(matches!(ended, Ok(()) | Err(MaskError::Budget)), "{ended:?}");
        }
    }
}

#[test]
fn memory_of_events_before_is_no_room_taken_from_the_next() {
    let busy = "\u{e9} 4111 1111 1111 1111 {\\\"a\\\": [519-12-1204, \\\"ada@example.com\\\"]} AKIAIOSFODNN7EXAMPLE 4111-";
    let data =
        |text: &str| format!(": {text}\n{text}\ndata: {{\"{text}\":[\"{text}\",4111111111111111]}}\n\n");
    let line = |text: &str| format!("{{\"{text}\":[\"{text}\",4111111111111111]}}\n");
    for (format, before, start, end) in [
        (Format::Sse, data(busy), "data: {\"a\":\"", "\"}\n\n"),
        (Format::Lines, line(busy), "{\"a\":\"", "\"}\n"),
    ] {
        let (plan, mut out) = (small("anthropic.messages"), Vec::new());
        let mut masker = Masker::new(plan, format);
        masker.write(before.as_bytes(), &mut out).unwrap();
        let written = out.len();
        let next = start.to_owned() + &"x ".repeat((4096 - start.len() - end.len()) / 2) + end;
        for piece in next.as_bytes().chunks(100) {
            masker.write(piece, &mut out).unwrap();
            assert!(masker.held() <= 4096, "{format:?}: {} bytes held", masker.held());
        }
        assert!(out.get(written..) == Some(next.as_bytes()), "{format:?}");
        assert!(masker.findings().total() > 0);
    }
}

/// A delta of an Anthropic text.
fn delta_of(index: usize, text: &str) -> String {
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
    )
}

#[test]
fn a_large_event_gives_to_its_channel_or_is_refused_where_that_would_be_a_guess() {
    let plan = small("anthropic.messages");
    let pad = "x ".repeat(3000);
    let event = |text: &str| {
        format!(
            "data: {{\"index\":0,\"pad\":\"{pad}\",\"delta\":{{\"text\":\"{text}\"}},\"more\":\"{pad}\"}}\n\n"
        )
    };
    let stop = "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let body = delta_of(0, "mail ada") + &event("@exa") + &delta_of(0, "mple.com") + stop;
    let expected = delta_of(0, "mail ") + &event("") + &delta_of(0, "") + &delta_of(0, "[EMAIL]") + stop;
    assert!(in_any_cut(&plan, &body) == (expected, Ok(())));
    for late in [
        // The key comes behind its fragment, and too late.
        format!("data: {{\"delta\":{{\"text\":\"a \"}},\"pad\":\"{pad}{pad}\",\"index\":0}}\n\n"),
        format!("data: {{\"pad\":\"{pad}\",\"delta\":{{\"text\":\"a \"}},\"index\":0}}\n\n"),
        // It closes a text that still waits, and says so too late.
        format!("data: {{\"pad\":\"{pad}\",\"type\":\"content_block_stop\",\"index\":0}}\n\n"),
    ] {
        assert_eq!(in_any_cut(&plan, &(delta_of(0, "ada") + &late)).1, Err(MaskError::LateMember), "{late}");
    }
    // What it closes in the part that is held goes out before it; nothing may come for it behind that part.
    let early = |rest: &str| {
        format!("data: {{\"type\":\"content_block_stop\",\"index\":0,\"pad\":\"{pad}\"{rest}}}\n\n")
    };
    let expected = delta_of(0, "") + &delta_of(0, "ada") + &early("");
    assert!(in_any_cut(&plan, &(delta_of(0, "ada") + &early(""))) == (expected, Ok(())));
    let reopened = delta_of(0, "ada") + &early(",\"delta\":{\"text\":\"@example.com\"}");
    assert_eq!(in_any_cut(&plan, &reopened).1, Err(MaskError::LateMember));
    // A line of which nobody knows what it is until it ends is held.
    assert_eq!(in_any_cut(&plan, &format!("data: {{}}\nevent: {pad}\n\n")).1, Err(MaskError::Budget));
    // The next event carries the tail for this content, so it cannot be an event that is gone.
    let event = format!(
        "data: {{\"pad\":\"{pad}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"ada\"}}}}]}}\n\n"
    );
    assert_eq!(in_any_cut(&small("openai.chat"), &event).1, Err(MaskError::Budget));
}

#[test]
fn an_error_event_never_ends_up_inside_an_event() {
    let mut masker = Masker::new(small("anthropic.messages"), Format::Sse);
    assert!(
        masker
            .error_event()
            .is_some_and(|event| event.starts_with(b"event: error\n") && event.ends_with(b"\n\n"))
    );
    masker.write(format!("data: {{\"a\":\"{}", "x ".repeat(4000)).as_bytes(), &mut Vec::new()).unwrap();
    assert_eq!(masker.error_event(), None);
    assert_eq!(Masker::new(small("anthropic.messages"), Format::Json).error_event(), None);
}
