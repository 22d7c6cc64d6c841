//! Fragments of one text: how they are joined, what waits, and what closes them.

use super::{delta, json, refused, stream};
use crate::mask_support::{Setup, masked, send, whole};
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskError;
use veilwire_engine::policy::model::{Limits, Thinking};

const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn one_text_whatever_its_deltas() {
    let plan = Setup::of("openai.chat").plan();
    let text = "mail ada@example.com now, ada, card 4111 1111 1111 1111 ok. ";
    let texts = |out: &str| -> String {
        out.split("\"content\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    };
    for size in 1..text.len() {
        let pieces: Vec<&str> =
            text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let body: String = pieces.iter().map(|piece| delta(piece)).chain([STOP.to_owned()]).collect();
        let out = masked(&plan, Format::Sse, &body);
        assert_eq!(texts(&out), "mail [EMAIL] now, ada, card [CARD] ok. ", "deltas of {size}");
        assert!(out.ends_with(STOP));
    }
}

#[test]
fn tails_come_before_what_closes_their_channel() {
    let plan = Setup::of("openai.chat").plan();
    let done = "data: [DONE]\n\n";
    stream(&plan, &(delta("a ada") + done), &(delta("a ") + &delta("ada") + done));
    stream(&plan, &(delta("ada@example.com") + STOP + done), &(delta("") + &delta("[EMAIL]") + STOP + done));
    let error = "data: {\"error\":{\"message\":\"no\"}}\n\n";
    stream(&plan, &(delta("a ada") + error), &(delta("a ") + &delta("ada") + error));
    // Two choices, two channels, one event that closes both; members that clients add up are not repeated.
    let first = |content: &str, reasoning: &str| {
        format!(
            "event: x\nid: 1\ndata: {{\"choices\":[{{\"index\":1,\"delta\":{{\"role\":\"assistant\",\"content\":\"{content}\",\
             \"reasoning\":\"{reasoning}\"}}}}],\"usage\":{{\"n\":1}}}}\n\n"
        )
    };
    let copy = |content: &str, reasoning: &str| {
        first(content, reasoning)
            .replace("id: 1\n", "")
            .replace("\"assistant\"", "null")
            .replace("{\"n\":1}", "null")
    };
    let close = "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"stop\"}]}\n\n";
    stream(
        &plan,
        &(first("hi ada", "so bob") + close),
        &(first("hi ", "so ") + &copy("ada", "") + &copy("", "bob") + close),
    );
    // Another choice closes: nothing happens to this one.
    let other = close.replace(":1,", ":0,");
    stream(
        &plan,
        &(first("hi ada", "") + &other + close),
        &(first("hi ", "") + &other + &copy("ada", "") + close),
    );
}

/// WHATWG HTML 9.2.6: a block without data dispatches nothing, and still sets the last event id.
#[test]
fn an_added_event_has_the_current_id_and_leaves_it_alone() {
    let plan = Setup::of("openai.chat").plan();
    let first = "id: 5\n".to_owned() + &delta("mail ada");
    let (alone, done) = ("id: 6\n\n", "id: 7\ndata: [DONE]\n\n");
    let kept = "id: 5\n".to_owned() + &delta("mail ");
    stream(&plan, &(first.clone() + alone + done), &(kept.clone() + alone + &delta("ada") + done));
    // The event before which it comes sets its id only afterwards: whoever resumes in between gets that event again.
    stream(&plan, &(first + done), &(kept + &delta("ada") + done));
}

#[test]
fn a_copy_keeps_line_ends() {
    let plan = Setup::of("openai.chat").plan();
    let body = (delta("a ada") + STOP).replace('\n', "\r\n");
    stream(&plan, &body, &(delta("a ") + &delta("ada") + STOP).replace('\n', "\r\n"));
    let body = body.replace("\r\n", "\r");
    stream(&plan, &body, &(delta("a ") + &delta("ada") + STOP).replace('\n', "\r"));
}

#[test]
fn a_key_may_stand_behind_its_fragment_or_be_absent() {
    let plan = Setup::of("openai.chat").plan();
    let event = |content: &str, index: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}}{index}}}]}}\n\n")
    };
    stream(
        &plan,
        &(event("ada@exa", ",\"index\":3") + &event("bob@exa", "") + &event("mple.com. ", ",\"index\":3")),
        &(event("", ",\"index\":3") + &event("", "") + &event("[EMAIL]. ", ",\"index\":3")),
    );
}

#[test]
fn interleaved_channels_keep_their_own_text() {
    let plan = Setup::of("openai.chat").plan();
    let event = |name: &str, text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"{name}\":\"{text}\"}}}}]}}\n\n")
    };
    stream(
        &plan,
        &(event("reasoning", "ada@")
            + &event("content", "bob@")
            + &event("reasoning", "x.com ")
            + &event("content", "y.org ")),
        &(event("reasoning", "")
            + &event("content", "")
            + &event("reasoning", "[EMAIL] ")
            + &event("content", "[EMAIL] ")),
    );
}

fn thinking(text: &str) -> String {
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"thinking_delta\",\"thinking\":\"{text}\"}}}}\n\n"
    )
}

fn signature(text: &str) -> String {
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{text}\"}}}}\n\n"
    )
}

#[test]
fn a_signature_goes_with_the_text_it_signs() {
    let mut setup = Setup::of("anthropic.messages");
    setup.thinking = Thinking::MaskAndDropSignature;
    let (mask, refuse) = (setup.plan(), Setup::of("anthropic.messages").plan());
    let clean = thinking("think of ada") + &signature("c2ln");
    let kept = thinking("think of ") + &thinking("ada") + &signature("c2ln");
    stream(&mask, &clean, &kept);
    stream(&refuse, &clean, &kept);
    let dirty = thinking("ada@exa") + &thinking("mple.com") + &signature("c2ln");
    stream(&mask, &dirty, &(thinking("") + &thinking("") + &thinking("[EMAIL]") + &signature("")));
    assert_eq!(refused(&refuse, Format::Sse, &dirty), MaskError::SignedReasoning);
    // More text after its signature left: too late to take it back.
    let late = thinking("fine. ") + &signature("c2ln") + &thinking("ada@example.com ");
    assert_eq!(refused(&mask, Format::Sse, &late), MaskError::SignedReasoning);
    let block = |text: &str, signature: &str| {
        format!(r#"{{"content":[{{"type":"thinking","thinking":"{text}","signature":"{signature}"}}]}}"#)
    };
    json(&mask, &block("ada@example.com", "c2ln"), &block("[EMAIL]", ""));
    json(&mask, &block("ada", "c2ln"), &block("ada", "c2ln"));
    assert_eq!(refused(&refuse, Format::Json, &block("ada@example.com", "c2ln")), MaskError::SignedReasoning);
    let swapped = r#"{"content":[{"signature":"c2ln","thinking":"ada@example.com"}]}"#;
    assert_eq!(refused(&mask, Format::Json, swapped), MaskError::SignedReasoning);
}

#[test]
fn more_state_than_the_limit_refuses() {
    let mut setup = Setup::of("openai.chat");
    setup.limits = Limits { state: 4096, ..Limits::default() };
    let plan = setup.plan();
    let long = "1".repeat(5000);
    for body in [format!("{{\"a\":{long}}}"), format!("{{\"a@x.com{}\":1}}", " ".repeat(5000))] {
        for size in [1, 7, usize::MAX] {
            let (out, ended) = send(&plan, Format::Json, body.as_bytes().chunks(size.min(body.len())));
            assert_eq!(ended.err(), Some(MaskError::Budget), "{}", out.len());
        }
    }
    let many: String = (0..100)
        .map(|n| format!("data: {{\"choices\":[{{\"index\":{n},\"delta\":{{\"content\":\"ada\"}}}}]}}\n\n"))
        .collect();
    let (out, ended) = send(&plan, Format::Sse, many.as_bytes().chunks(1));
    assert_eq!(ended, Err(MaskError::Budget));
    assert_eq!(whole(&plan, Format::Sse, many.as_bytes()), (out, ended));
}
