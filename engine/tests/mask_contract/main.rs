//! The masking contract, line by line, on small messages. Every case is checked at every split.
#![cfg(test)]

mod channels;
mod events;
#[path = "../mask_support/mod.rs"]
mod mask_support;

use mask_support::{Setup, check_splits, masked, whole};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};

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
        r#"{"id":"ada@example.com","usage":{"[EMAIL]":[4111111111111111]},"choices":[{"logprobs":null},{"logprobs":null}],"x":"[EMAIL]"}"#,
    );
    let mut setup = Setup::of("openai.chat");
    setup.fields = vec![(3, "$..secret")];
    json(&setup.plan(), r#"{"usage":{"secret":{"a":1},"b":2}}"#, r#"{"usage":{"secret":"[SECRET]","b":2}}"#);
}

#[test]
fn what_only_counts_is_inspected_for_texts_beside_the_counts() {
    let plan = Setup::of("openai.chat").plan();
    json(
        &plan,
        r#"{"usage":{"total":4111111111111111,"tier":"default","note":"ada@example.com","x":[{"y":"4111111111111111"}],"n":null},"z":4111111111111111}"#,
        r#"{"usage":{"total":4111111111111111,"tier":"default","note":"[EMAIL]","x":[{"y":"[CARD]"}],"n":null},"z":"[CARD]"}"#,
    );
    // A name that stands for one value, and holds more.
    json(
        &plan,
        r#"{"id":["4111111111111111",4111111111111111,"ada@example.com"],"model":{"id":"m"}}"#,
        r#"{"id":["[CARD]",4111111111111111,"[EMAIL]"],"model":{"id":"m"}}"#,
    );
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
fn nothing_that_is_held_is_printed() {
    let mut masker = Masker::new(Setup::default().plan(), Format::Json);
    masker.write(b"{\"ada.love\":\"", &mut Vec::new()).unwrap();
    masker.write(b"ada.love", &mut Vec::new()).unwrap();
    let printed = format!("{masker:?} {masker:#?}");
    let bytes = format!("{:?}", b"ada.love");
    assert!(!printed.contains("ada") && !printed.contains(bytes.trim_matches(['[', ']'])), "{printed}");
}
