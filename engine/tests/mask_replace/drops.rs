//! Members, elements and fields that go: what is left is what would be there without them.

use super::mask_support::{Random, Setup, check_splits, send, tags};
use serde_json::{Map, Value};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan};
use veilwire_engine::policy::model::{Limits, Replacement, Tag};

/// Contacts go.
fn dropping() -> Vec<Tag> {
    let mut tags = tags();
    tags[4].replacement = Replacement::Drop;
    tags
}

fn plan() -> Arc<MaskPlan> {
    let setup = Setup {
        fields: vec![(4, "$..s"), (4, "$.gone[*]")],
        form_fields: vec![(4, "$.s")],
        attributes: vec![(4, "user.email")],
        ..Setup::default()
    };
    setup.plan_with(&dropping())
}

#[track_caller]
fn becomes(plan: &Arc<MaskPlan>, format: Format, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    assert_eq!(ended.err(), None);
    assert_eq!(String::from_utf8_lossy(&out), expected, "of {body}");
}

#[test]
fn members_go_with_one_comma() {
    let plan = plan();
    for (body, expected) in [
        ("{\"a\":1,\"s\":2,\"b\":3}", "{\"a\":1,\"b\":3}"),
        ("{\"s\":2,\"b\":3}", "{\"b\":3}"),
        ("{\"a\":1,\"s\":2}", "{\"a\":1}"),
        ("{\"s\":2}", "{}"),
        ("{\"s\":{\"x\":[1,{}]},\"s\":\"t\" , \"s\" : null}", "{ }"),
        ("{ \"a\" : 1 , \"s\" : \"x\" , \"b\" : [ ] }", "{ \"a\" : 1  , \"b\" : [ ] }"),
        ("{ \"s\" : \"x\" , \"b\" : 1 }", "{  \"b\" : 1 }"),
        ("{\"\\u0073\":1,\"sa\":2,\"as\":3}", "{\"sa\":2,\"as\":3}"),
        ("{\"a\":{\"s\":1},\"b\":[{\"s\":1,\"c\":2},{\"s\":3}]}", "{\"a\":{},\"b\":[{\"c\":2},{}]}"),
        ("{\"gone\":[1,\"x\",{\"y\":2}],\"kept\":[1, 2 ,3]}", "{\"gone\":[],\"kept\":[1, 2 ,3]}"),
        ("{\"a\":4111111111111111,\"s\":1,\"ada@example.com\":2}", "{\"a\":\"[CARD]\",\"[EMAIL]\":2}"),
    ] {
        becomes(&plan, Format::Json, body, expected);
    }
    let whole = Setup { fields: vec![(4, "$")], ..Setup::default() };
    becomes(&whole.plan_with(&dropping()), Format::Json, "{\"a\":1}", "null");
}

#[test]
fn members_go_from_documents_in_strings_and_events() {
    let mut setup = Setup { fields: vec![(4, "$..s")], ..Setup::of("openai.chat") };
    let plan = setup.plan_with(&dropping());
    let call = |arguments: &str| {
        format!("{{\"messages\":[{{\"tool_calls\":[{{\"function\":{{\"arguments\":\"{arguments}\"}}}}]}}]}}")
    };
    becomes(
        &plan,
        Format::Json,
        &call("{\\\"a\\\":1,\\\"s\\\":2,\\\"b\\\":3}"),
        &call("{\\\"a\\\":1,\\\"b\\\":3}"),
    );
    // What stops being JSON is text again, its commas as well.
    becomes(&plan, Format::Json, &call("{\\\"a\\\":1,\\\"b\\\" x"), &call("{\\\"a\\\":1,\\\"b\\\" x"));
    becomes(&plan, Format::Json, &call("{\\\"a\\\":1,\\\"b"), &call("{\\\"a\\\":1,\\\"b"));
    let event = |body: &str| format!("event: x\ndata: {body}\n\n");
    becomes(
        &plan,
        Format::Sse,
        &event("{\"x\":1,\ndata: \"s\":2,\ndata: \"b\":3,\n: note\ndata: \"c\":4}"),
        &event("{\"x\":1\ndata: ,\ndata: \"b\":3,\n: note\ndata: \"c\":4}"),
    );
    becomes(&plan, Format::Sse, &event("{\"a\":1,\ndata:\"b\":2}"), &event("{\"a\":1,\ndata:\"b\":2}"));
    setup.content = None;
    let plan = setup.plan_with(&dropping());
    becomes(&plan, Format::Lines, "{\"s\":1,\"a\":2}\n{\"a\":1,\"s\":2}\n", "{\"a\":2}\n{\"a\":1}\n");
}

#[test]
fn fields_of_forms_go_with_one_separator() {
    let plan = plan();
    for (body, expected) in [
        ("a=1&s=2&b=3", "a=1&b=3"),
        ("s=2&b=3", "b=3"),
        ("a=1&s=2", "a=1"),
        ("s=1&%73=2", ""),
        ("s=1&s&&b", "s&&b"),
        ("&a=1&", "&a=1&"),
        ("s=%7B%22x%22%3A1%7D&%6d=ada%40example.com", "%6d=%5BEMAIL%5D"),
    ] {
        becomes(&plan, Format::Form, body, expected);
    }
}

/// The name waits until it is known whether its field goes, and counts wherever the body is cut.
#[test]
fn a_long_name_of_a_form_is_refused_in_every_cut() {
    let limits = Limits { state: 4096, ..Limits::default() };
    let setup = Setup { form_fields: vec![(4, "$.s")], limits, ..Setup::default() };
    let plan = setup.plan_with(&dropping());
    let of = |length: usize| format!("a=1&{}=2&b=3", "n".repeat(length));
    becomes(&plan, Format::Form, &of(1000), &of(1000));
    let (out, ended) = check_splits(&plan, Format::Form, of(5000).as_bytes());
    assert_eq!((ended.err(), out.as_slice()), (Some(MaskError::Budget), b"a=1".as_slice()));
}

#[test]
fn an_attribute_loses_its_value() {
    let setup = Setup { attributes: vec![(4, "user.email")], ..Setup::of("otel.traces") };
    let plan = setup.plan_with(&dropping());
    let body = |value: &str| {
        format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"user.email\"{value}}},{{\"key\":\"b\",\"value\":{{\"intValue\":1}}}}]}}}}]}}"
        )
    };
    becomes(&plan, Format::Json, &body(",\"value\":{\"stringValue\":\"x\"}"), &body(""));
}

#[test]
fn what_is_left_of_random_documents_is_what_a_parser_leaves() {
    let plan = plan();
    let mut random = Random(11);
    let mut dropped = 0;
    for _ in 0..400 {
        let mut body = String::new();
        write(&mut random, 4, &mut body);
        let pieces = random.cut(body.as_bytes(), 9);
        let (out, ended) = send(&plan, Format::Json, pieces);
        assert!(ended.is_ok(), "{body}");
        let before: Value = serde_json::from_str(&body).unwrap();
        let after: Value = serde_json::from_slice(&out)
            .unwrap_or_else(|error| panic!("{error}: {} of {body}", String::from_utf8_lossy(&out)));
        let mut expected = without(&before);
        if !before.is_object() {
            expected = without(&before);
        }
        assert_eq!(after, expected, "{body}");
        if before == expected {
            assert_eq!(String::from_utf8_lossy(&out), body, "nothing to drop");
        } else {
            dropped += 1;
        }
    }
    assert!(dropped > 50, "{dropped} documents with something to drop");
}

fn without(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, _)| *name != "s");
            Value::Object(kept.map(|(name, value)| (name.clone(), without(value))).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.iter().map(without).collect()),
        other => other.clone(),
    }
}

/// A random document with blanks anywhere.
fn write(random: &mut Random, depth: usize, out: &mut String) {
    let blank = |random: &mut Random| [" ", "", "\n", "", "\t ", ""][random.below(6)];
    out.push_str(blank(random));
    match random.below(if depth == 0 { 4 } else { 7 }) {
        0 => out.push_str("12"),
        1 => out.push_str("\"te\\\"xt,\""),
        2 => out.push_str("null"),
        3 => out.push_str("-0.5e1"),
        kind => {
            let object = kind != 4;
            out.push(if object { '{' } else { '[' });
            let mut names = vec!["s", "a", "b", "ss", "\\u0074"];
            let length = random.below(5);
            for place in 0..length {
                if place > 0 {
                    out.push(',');
                }
                if object {
                    out.push_str(blank(random));
                    let name = names.remove(random.below(names.len()));
                    out.push_str(&format!("\"{name}\"{}:", blank(random)));
                }
                write(random, depth - 1, out);
            }
            out.push_str(blank(random));
            out.push(if object { '}' } else { ']' });
        }
    }
    out.push_str(blank(random));
}
