//! The masking contract, line by line, on small messages. Every case is checked at every split.
#![cfg(test)]

mod mask_support;

use mask_support::{Random, Setup, check_splits, masked, send, whole};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::{Limits, Thinking};

/// Input and output of a JSON body, at every split.
fn json(plan: &Arc<MaskPlan>, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, Format::Json, body.as_bytes());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended.err()), (expected, None), "of {body}");
}

/// Input and output of a stream, at every split.
fn stream(plan: &Arc<MaskPlan>, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, Format::Sse, body.as_bytes());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended.err()), (expected, None), "of {body}");
}

fn refused(plan: &Arc<MaskPlan>, format: Format, body: &str) -> MaskError {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    let error = ended.expect_err(body);
    assert!(!String::from_utf8_lossy(&out).contains("example.com"), "leak before a refusal");
    error
}

fn delta(fragment: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{fragment}\"}}}}]}}\n\n")
}

const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn nothing_is_emitted_before_it_is_decided() {
    let plan = Setup::default().plan();
    let mut masker = Masker::new(plan, Format::Json);
    let mut out = Vec::new();
    for (chunk, so_far) in [
        ("[\"mail ", "[\"mail "),
        ("ada.love", "[\"mail "),
        ("lace@example", "[\"mail "),
        (".com", "[\"mail "),
        (", card 4111 1111 ", "[\"mail [EMAIL], card "),
        ("1111 1111", "[\"mail [EMAIL], card "),
        ("\",", "[\"mail [EMAIL], card [CARD]\","),
        (" 41111", "[\"mail [EMAIL], card [CARD]\", "),
        ("11111111111 ", "[\"mail [EMAIL], card [CARD]\", "),
        ("]", "[\"mail [EMAIL], card [CARD]\", \"[CARD]\" ]"),
    ] {
        masker.write(chunk.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), so_far, "after {chunk}");
    }
    assert_eq!(masker.end(&mut out).unwrap().findings.total(), 3);
}

#[test]
fn a_long_value_needs_no_memory() {
    let plan = Setup::default().plan();
    let mut masker = Masker::new(plan, Format::Json);
    let mut out = Vec::new();
    masker.write(b"\"key sk-ant-api03-", &mut out).unwrap();
    for _ in 0..1000 {
        masker.write(&[b'a'; 1000], &mut out).unwrap();
        assert!(masker.held() < 4096, "{}", masker.held());
    }
    masker.write(b" end\"", &mut out).unwrap();
    assert_eq!(masker.end(&mut out).unwrap().findings.total(), 1);
    assert_eq!(out, b"\"key [SECRET] end\"");
}

#[test]
fn escapes_are_decoded_to_look_and_kept_to_write() {
    let plan = Setup::default().plan();
    json(&plan, r#"["\u0061da\u0040example\u002Ecom"]"#, r#"["[EMAIL]"]"#);
    json(&plan, r#"["\n\u00e9ada@example.com\n\ud83d\ude00\/"]"#, r#"["\n\u00e9[EMAIL]\n\ud83d\ude00\/"]"#);
    json(
        &plan,
        r#"["\ud83d\ud83dada@example.com\ude00\ud83d","\ud83d\n"]"#,
        r#"["\ud83d\ud83d[EMAIL]\ude00\ud83d","\ud83d\n"]"#,
    );
    json(&plan, r#"{"\u0061da@example.com":1,"b@example.com":2}"#, r#"{"[EMAIL]":1,"[EMAIL:2]":2}"#);
}

#[test]
fn masked_keys_of_one_object_stay_apart() {
    let plan = Setup::default().plan();
    json(&plan, r#"{"a@x.com":{"a@x.com":1},"b@x.com":2}"#, r#"{"[EMAIL]":{"[EMAIL]":1},"[EMAIL:2]":2}"#);
    json(&plan, r#"[{"a@x.com":1},{"b@x.com":2}]"#, r#"[{"[EMAIL]":1},{"[EMAIL]":2}]"#);
    json(
        &plan,
        r#"{"to a@x.com":1,"cc b@x.com":2,"to c@x.com":3}"#,
        r#"{"to [EMAIL]":1,"cc [EMAIL]":2,"to [EMAIL:2]":3}"#,
    );
    json(&plan, r#"{"[EMAIL]":0,"a@x.com":1}"#, r#"{"[EMAIL]":0,"[EMAIL:2]":1}"#);
    json(
        &plan,
        r#"{"a@x.com, b@x.com.":1,"c@x.com, d@x.com.":2}"#,
        r#"{"[EMAIL], [EMAIL].":1,"[EMAIL], [EMAIL:2].":2}"#,
    );
    let many: Vec<String> = (0..20_000).map(|n| format!("\"user{n}@example.com\":{n}")).collect();
    let out = masked(&plan, Format::Json, format!("{{{}}}", many.join(",")));
    assert!(out.ends_with("\"[EMAIL:20000]\":19999}"));
}

#[test]
fn what_leaves_of_a_key_before_a_refusal_does_not_depend_on_cuts() {
    let plan = Setup::default().plan();
    for (body, left) in [
        (r#"{"to ada@example.com, x"#, r#"{"to "#),
        (r#"{"[x] ada@example.com bob@example.com, "#, r#"{"[x] "#),
        (r#"{"a@x.com":1,"to c@x.com""#, r#"{"[EMAIL]":1,"to [EMAIL]""#),
    ] {
        let (out, ended) = check_splits(&plan, Format::Json, body.as_bytes());
        assert_eq!(
            (String::from_utf8_lossy(&out).as_ref(), ended),
            (left, Err(MaskError::Truncated)),
            "of {body}"
        );
    }
}

#[test]
fn fields_are_masked_whatever_they_hold() {
    let setup =
        Setup { fields: vec![(4, "$.user"), (3, "$..password"), (0, "$.list[*].x")], ..Setup::default() };
    let plan = setup.plan();
    json(&plan, r#"{"user" : {"a":[1,{"b":"c"}]} , "n":1}"#, r#"{"user" : "[CONTACT]" , "n":1}"#);
    json(
        &plan,
        r#"{"user":[],"password":12.5e3,"a":{"password":true}}"#,
        r#"{"user":"[CONTACT]","password":"[SECRET]","a":{"password":"[SECRET]"}}"#,
    );
    json(
        &plan,
        r#"{"user":null,"user":"","user":"x\"y"}"#,
        r#"{"user":"[CONTACT]","user":"[CONTACT]","user":"[CONTACT]"}"#,
    );
    json(
        &plan,
        r#"{"list":[{"x":1,"y":2},{"x":[3]}],"x":4}"#,
        r#"{"list":[{"x":"[EMAIL]","y":2},{"x":"[EMAIL]"}],"x":4}"#,
    );
    json(
        &plan,
        r#"{"us\u0065r":"a","\u0070assword":"b"}"#,
        r#"{"us\u0065r":"[CONTACT]","\u0070assword":"[SECRET]"}"#,
    );
    let (_, ended) = whole(&plan, Format::Json, br#"{"user":1,"q":{"password":[1,2]},"z":"a@x.com"}"#);
    let places: Vec<String> = ended.unwrap().iter().map(|finding| finding.location.clone()).collect();
    assert_eq!(places, ["$.user", "$.*.password", "$.*"]);
}

#[test]
fn fields_reach_into_documents_inside_strings() {
    let mut setup = Setup::of("openai.chat");
    setup.fields = vec![(3, "$..password")];
    let plan = setup.plan();
    let call = |text: &str| {
        format!(r#"{{"messages":[{{"tool_calls":[{{"function":{{"arguments":"{text}"}}}}]}}]}}"#)
    };
    for (arguments, expected) in [
        (r#"{\"password\":\"x\",\"b\":1}"#, r#"{\"password\":\"[SECRET]\",\"b\":1}"#),
        (r#"{\"pass\\u0077ord\":[1,\"x\"]}"#, r#"{\"pass\\u0077ord\":\"[SECRET]\"}"#),
        (r#"{\u0022password\u0022:7}"#, r#"{\u0022password\u0022:\"[SECRET]\"}"#),
        // Not JSON from the value on: where it ends cannot be known, so nothing behind it is written.
        (r#"{\"password\": hunter2}"#, r#"{\"password\": \"[SECRET]\""#),
        (r#"{\"password\": \"a\u0001b\", \"c\": 1}"#, r#"{\"password\": \"[SECRET]\""#),
        (r#"{\"password\": {\"a\": oops"#, r#"{\"password\": \"[SECRET]\""#),
        (r#"{\"password\": 7hunter2, \"c\": 1}"#, r#"{\"password\": \"[SECRET]\""#),
        (r#"{\"password\": 519 12 1204}"#, r#"{\"password\": \"[SECRET]\" "#),
        (r#"{\"password\": nullify}"#, r#"{\"password\": \"[SECRET]\""#),
        (r#"{\"password\": \"hun\"ter\"2\"}"#, r#"{\"password\": \"[SECRET]\""#),
        (r#"{\"password\": [\"hun\"] ter2}"#, r#"{\"password\": \"[SECRET]\" "#),
        (r#"{\"password\" = \"hunter2\"}"#, r#"{\"password\" \"[SECRET]\""#),
        // Behind the next comma it is another value.
        (r#"{\"password\": 7 ,\"b\": x2}"#, r#"{\"password\": \"[SECRET]\" ,\"b\": x2}"#),
    ] {
        json(&plan, &call(arguments), &call(expected));
    }
}

#[test]
fn documents_inside_strings_are_looked_at_with_both_layers_decoded() {
    let plan = Setup::of("openai.chat").plan();
    let call = |text: &str| {
        format!(r#"{{"messages":[{{"tool_calls":[{{"function":{{"arguments":"{text}"}}}}]}}]}}"#)
    };
    for (arguments, expected) in [
        (r#"{\"a\":\"x\\nada@example.com\\n\"}"#, r#"{\"a\":\"x\\n[EMAIL]\\n\"}"#),
        (r#"{\"a\":\"ada\\u0040example.com\"}"#, r#"{\"a\":\"[EMAIL]\"}"#),
        (r#"{\"a\":\"ada\u005cu0040example.com\"}"#, r#"{\"a\":\"[EMAIL]\"}"#),
        (r#"{\"a\":\"\\\"ada@example.com\\\"\"}"#, r#"{\"a\":\"\\\"[EMAIL]\\\"\"}"#),
        (r#" \n[4111111111111111 , 2, \"\\ud83d\\ude00\"]"#, r#" \n[\"[CARD]\" , 2, \"\\ud83d\\ude00\"]"#),
        (r#"{\"a@x.com\":1,\"b@x.com\":2}"#, r#"{\"[EMAIL]\":1,\"[EMAIL:2]\":2}"#),
        // Cut short.
        (r#"{\"a\":\"ada@example.com"#, r#"{\"a\":\"[EMAIL]"#),
        (r#"{\"a\":4111111111111111"#, r#"{\"a\":\"[CARD]\""#),
        (r#"{\"a\":\"x\\u00"#, r#"{\"a\":\"x\\u00"#),
        (r#"{\"ada@example.com"#, r#"{\"[EMAIL]"#),
        // Not JSON, or no longer.
        (r#"ada@example.com"#, r#"[EMAIL]"#),
        (r#"[see] ada@example.com"#, r#"[see] [EMAIL]"#),
        (r#"{\"a\": 4111 1111 1111 1111}"#, r#"{\"a\": [CARD]}"#),
        (r#"{\"a\": ada@example.com}"#, r#"{\"a\": [EMAIL]}"#),
        (r#"{\"a\": nul@example.com}"#, r#"{\"a\": [EMAIL]}"#),
        (r#"{\"a\": true@example.com}"#, r#"{\"a\": [EMAIL]}"#),
        (r#"{\"a\":\"ada\q@example.com"#, ""),
        (r#"{\"a\":\"x ada\n@ bob@example.com\"}"#, r#"{\"a\":\"x ada\n@ [EMAIL]\"}"#),
        (r#"{\"a\":\"bob\\q@example.com\"} z@example.com"#, r#"{\"a\":\"bob\\[EMAIL]\"} [EMAIL]"#),
        (r#"{\"a\":1}{\"b\":\"ada\\u0040example.com\"}"#, r#"{\"a\":1}{\"b\":\"[EMAIL]\"}"#),
        (r#"{\"a\":1} and ada@example.com"#, r#"{\"a\":1} and [EMAIL]"#),
    ] {
        if expected.is_empty() {
            assert_eq!(refused(&plan, Format::Json, &call(arguments)), MaskError::InvalidJson);
        } else {
            json(&plan, &call(arguments), &call(expected));
        }
    }
}

#[test]
fn what_is_never_touched_passes_and_what_repeats_text_is_null() {
    let plan = Setup::of("openai.chat").plan();
    json(
        &plan,
        r#"{"id":"ada@example.com","usage":{"a@x.com":[4111111111111111]},"choices":[{"logprobs":{"content":[{"token":"ada"}]}},{"logprobs":null}],"x":"ada@example.com"}"#,
        r#"{"id":"ada@example.com","usage":{"a@x.com":[4111111111111111]},"choices":[{"logprobs":null},{"logprobs":null}],"x":"[EMAIL]"}"#,
    );
    let mut setup = Setup::of("openai.chat");
    setup.fields = vec![(3, "$..secret")];
    json(&setup.plan(), r#"{"usage":{"secret":{"a":1},"b":2}}"#, r#"{"usage":{"secret":"[SECRET]","b":2}}"#);
}

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
        "data: \"not JSON\n\n",
        "data: plain\ndata: text\n: c\ndata: here\n\n",
    ] {
        stream(&plan, same, same);
    }
    stream(&plan, "data: \"ada\\u0040example.com\"\n\n", "data: \"[EMAIL]\"\n\n");
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
fn a_masked_text_is_still_text_for_the_next_masker() {
    let plan = Setup::of("openai.chat").plan();
    for (text, expected) in [
        ("data: ada@example.com\n\n", "data: [EMAIL]\n\n"),
        ("data:\ndata:  ada@example.com, 4111 1111 1111 1111\n\n", "data:\ndata:  [EMAIL], [CARD]\n\n"),
        ("data: [EMAIL] bob@example.com\n\n", "data: [EMAIL] [EMAIL]\n\n"),
        ("data: [EMAIL] \"bob@example.com\ndata: {\"a\n\n", "data: [EMAIL] \"[EMAIL]\ndata: {\"a\n\n"),
    ] {
        stream(&plan, text, expected);
        stream(&plan, expected, expected);
    }
    // Only placeholders of this policy, and only as they are.
    for other in ["[NAME]", "[EMAI", "[\"EMAIL]", "{EMAIL]", "[ EMAIL]", "[DONE", "[ada@example.com]"] {
        assert_eq!(
            refused(&plan, Format::Sse, &format!("data: {other}\n\n")),
            MaskError::InvalidJson,
            "{other}"
        );
    }
}

#[test]
fn a_placeholder_that_json_can_begin_with_makes_no_text() {
    let plan = Setup { placeholder: "[1,2", ..Setup::default() }.plan();
    assert_eq!(refused(&plan, Format::Sse, "data: [1,2 ada@example.com\n\n"), MaskError::InvalidJson);
    stream(&plan, "data: [1,2,\"ada\\u0040example.com\"]\n\n", "data: [1,2,\"[1,2\"]\n\n");
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

/// A plan that can hold 4 KiB only.
fn small(name: &str) -> Arc<MaskPlan> {
    let limits = Limits { state: 4096, ..Limits::default() };
    Setup { limits, ..Setup::of(name) }.plan()
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
fn an_empty_body_is_nothing_to_inspect() {
    for format in [Format::Json, Format::Sse] {
        let (out, ended) = whole(&Setup::default().plan(), format, b"");
        assert!(out.is_empty() && ended.is_ok());
    }
    let (_, ended) = whole(&Setup::default().plan(), Format::Json, b" \n");
    assert_eq!(ended, Err(MaskError::Truncated));
}

#[test]
fn lines_of_documents_are_documents() {
    let plan = Setup::default().plan();
    json(
        &plan,
        "{\"a\":\"ada@example.com\"}\n{\"b\":4111111111111111}\n5\n\n\"x\"\n",
        "{\"a\":\"[EMAIL]\"}\n{\"b\":\"[CARD]\"}\n5\n\n\"x\"\n",
    );
    assert_eq!(refused(&plan, Format::Json, "{} {}"), MaskError::InvalidJson);
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

#[test]
fn nothing_that_is_held_is_printed() {
    let mut masker = Masker::new(Setup::default().plan(), Format::Json);
    masker.write(b"{\"ada.love\":\"", &mut Vec::new()).unwrap();
    masker.write(b"ada.love", &mut Vec::new()).unwrap();
    let printed = format!("{masker:?} {masker:#?}");
    let bytes = format!("{:?}", b"ada.love");
    assert!(!printed.contains("ada") && !printed.contains(bytes.trim_matches(['[', ']'])), "{printed}");
}
