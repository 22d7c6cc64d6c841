//! What depends on the value, for what is masked by its place: numbers, objects, attributes, parts of multipart bodies.

use super::keyed::{KEY, keyed};
use super::mask_support::{Setup, check_splits, tags};
use std::sync::Arc;
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskPlan;
use veilwire_engine::policy::model::{Canonical, Numbers, Partial, Replacement, Tag};

/// Contacts are tokens, government ids keep their last characters, secrets their shape.
fn changed() -> Vec<Tag> {
    let mut tags = tags();
    tags[4].replacement = Replacement::Tokenize(keyed("c_k1_", Canonical::Lowercase, "[CONTACT]", Some(KEY)));
    tags[2].replacement = Replacement::Partial(Partial {
        keep_first: 0,
        keep_last: 2,
        mask_length: Some(3),
        otherwise: "[ID]".into(),
    });
    tags[3].replacement = Replacement::Shape(keyed("", Canonical::Exact, "[SECRET]", Some(KEY)));
    tags
}

fn out(plan: &Arc<MaskPlan>, format: Format, body: impl AsRef<[u8]>) -> Vec<u8> {
    let (out, ended) = check_splits(plan, format, body.as_ref());
    assert_eq!(ended.err(), None);
    out
}

fn text(plan: &Arc<MaskPlan>, format: Format, body: &str) -> String {
    String::from_utf8(out(plan, format, body)).unwrap()
}

/// By path: `who` is a contact, `id` a government id, `key` a secret.
fn fields() -> Setup {
    Setup { fields: vec![(4, "$..who"), (2, "$..id"), (3, "$..key")], ..Setup::default() }
}

/// The token of a text, as a field of JSON has it.
fn token(value: &str) -> String {
    let body = serde_json::json!({ "who": value }).to_string();
    let made = text(&fields().plan_with(&changed()), Format::Json, &body);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let token = made["who"].as_str().unwrap().to_owned();
    assert!(token.starts_with("c_k1_") && token.len() == 21, "{token}");
    token
}

#[test]
fn a_number_has_the_token_of_its_text() {
    let plan = fields().plan_with(&changed());
    let known = token("519121204");
    for (body, expected) in [
        ("{\"who\":519121204}".to_owned(), format!("{{\"who\":\"{known}\"}}")),
        ("{ \"who\" : 519121204 , \"b\":1}".to_owned(), format!("{{ \"who\" : \"{known}\" , \"b\":1}}")),
        ("{\"id\":519121204}".to_owned(), "{\"id\":\"***04\"}".to_owned()),
        ("{\"id\":51}".to_owned(), "{\"id\":\"[ID]\"}".to_owned()),
        // In a string that is JSON.
        (
            "[{\"id\":1,\"type\":\"x\",\"who\":[519121204]}]".to_owned(),
            format!("[{{\"id\":\"[ID]\",\"type\":\"x\",\"who\":\"{}\"}}]", token("[519121204]")),
        ),
    ] {
        assert_eq!(text(&plan, Format::Json, &body), expected);
    }
    let shaped = text(&plan, Format::Json, "{\"key\":519121204}");
    let shaped: serde_json::Value = serde_json::from_str(&shaped).unwrap();
    let shaped = shaped["key"].as_str().unwrap();
    assert!(shaped.len() == 9 && shaped != "519121204" && shaped.bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(text(&plan, Format::Form, "who=519121204"), format!("who={known}"));
}

#[test]
fn a_number_may_only_become_what_its_tag_allows() {
    for (numbers, expected) in [(Numbers::Zero, "{\"who\":0}"), (Numbers::Null, "{\"who\":null}")] {
        let mut tags = changed();
        tags[4].numbers = numbers;
        assert_eq!(text(&fields().plan_with(&tags), Format::Json, "{\"who\":519121204}"), expected);
    }
}

#[test]
fn the_token_of_an_object_is_that_of_its_compact_text() {
    let plan = fields().plan_with(&changed());
    let known = token(r#"{"a":[1,"x\"y\n",{}],"b":{"c":null,"d":[]},"e":"zqé"}"#);
    for spelled in [
        r#"{"a":[1,"x\"y\n",{}],"b":{"c":null,"d":[]},"e":"zqé"}"#,
        " {\"a\" : [1 , \"x\\u0022y\\u000a\", { }],\n\"\\u0062\":{\"c\":null ,\"d\":[ ]},\"e\":\"z\\u0071\\u00e9\"} ",
    ] {
        let body = format!("{{\"who\":{spelled},\"n\":1}}");
        let made = text(&plan, Format::Json, &body);
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made, serde_json::json!({"who": known, "n": 1}));
    }
    assert_ne!(token("[1]"), token("[1,1]"));
    // Nothing but a token can stand for an object, and nothing at all for what has only two values.
    for (body, expected) in [
        ("{\"id\":{\"a\":519121204}}", "{\"id\":\"[ID]\"}"),
        ("{\"key\":[519121204]}", "{\"key\":\"[SECRET]\"}"),
        ("{\"who\":true,\"id\":null}", "{\"who\":\"[CONTACT]\",\"id\":\"[ID]\"}"),
    ] {
        assert_eq!(text(&plan, Format::Json, body), expected);
    }
    let long = format!("{{\"who\":[\"{}\"]}}", "x".repeat(4093));
    let (short, _) = super::mask_support::whole(&plan, Format::Json, long.replacen('x', "", 1).as_bytes());
    assert!(String::from_utf8(short).unwrap().contains("c_k1_"));
    let (made, _) = super::mask_support::whole(&plan, Format::Json, long.as_bytes());
    assert_eq!(String::from_utf8(made).unwrap(), "{\"who\":\"[CONTACT]\"}", "too long");
}

#[test]
fn a_value_that_is_cut_off_or_no_json_leaks_nothing() {
    let plan = fields().plan_with(&changed());
    for (body, expected) in [
        // Values of a form that are JSON, and end too early or go on as something else.
        ("a={\"who\":\"519121204", "a={%22who%22:%22%5BCONTACT%5D%22"),
        ("a={\"who\":519121204", "a={%22who%22:%22%5BCONTACT%5D%22"),
        ("a={\"who\":[519121204,\"519121204", "a={%22who%22:%22%5BCONTACT%5D%22"),
        ("a={\"who\":\"5191\\q21204\"}", "a={%22who%22:%22%5BCONTACT%5D%22"),
        ("a={\"who\":[5191 21204]}", "a={%22who%22:%22%5BCONTACT%5D%22"),
    ] {
        let made = text(&plan, Format::Form, body);
        assert_eq!(made.replace('"', "%22"), expected, "{body}");
    }
    for body in ["a={\"who\":\"5191\" 21204}", "a={\"who\":5191 21204}"] {
        let made = text(&plan, Format::Form, body);
        assert!(!made.contains("5191") && !made.contains("21204"), "{made}");
    }
}

fn attributes() -> Setup {
    let keys = vec![(4, "user.id"), (2, "user.ssn"), (3, "user.key")];
    Setup { attributes: keys, direction: Direction::Request, ..Setup::of("otel.traces") }
}

fn span(key: &str, value: &str) -> String {
    let attribute = format!("[{{\"key\":\"{key}\",\"value\":{value}}}]");
    format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":{attribute}}}]}}]}}]}}")
}

fn sized(number: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128 && number < 16);
    [&[number << 3 | 2, u8::try_from(body.len()).unwrap()], body].concat()
}

/// The same as [`span`], in protobuf.
fn encoded(key: &str, value: &[u8]) -> Vec<u8> {
    let attribute = [sized(1, key.as_bytes()), sized(2, value)].concat();
    sized(1, &sized(2, &sized(2, &sized(9, &attribute))))
}

#[test]
fn an_attribute_has_the_token_of_its_text_or_integer() {
    let plan = attributes().plan_with(&changed());
    let known = token("519121204");
    let made = format!("{{\"stringValue\":\"{known}\"}}");
    for value in [
        r#"{"stringValue":"519121204"}"#,
        r#"{"intValue":"519121204"}"#,
        r#"{"intValue":519121204}"#,
        r#"{"int\u0056alue" : 519121204 }"#,
        r#"{"string_value":"51\u00391\u0032120\u0034"}"#,
    ] {
        assert_eq!(text(&plan, Format::Json, &span("user.id", value)), span("user.id", &made), "{value}");
    }
    // 519121204 as a varint.
    for value in [sized(1, b"519121204"), vec![0x18, 0xB4, 0xD2, 0xC4, 0xF7, 0x01]] {
        let expected = encoded("user.id", &sized(1, known.as_bytes()));
        assert_eq!(out(&plan, Format::Protobuf, encoded("user.id", &value)), expected);
    }
    let minus = [[0x18].as_slice(), &[0xFF; 9], &[1]].concat();
    let expected = encoded("user.id", &sized(1, token("-1").as_bytes()));
    assert_eq!(out(&plan, Format::Protobuf, encoded("user.id", &minus)), expected);
    assert_eq!(
        text(&plan, Format::Json, &span("user.ssn", r#"{"stringValue":"519-12-1204"}"#)),
        span("user.ssn", r#"{"stringValue":"***04"}"#)
    );
    let expected = encoded("user.ssn", &sized(1, b"***04"));
    assert_eq!(out(&plan, Format::Protobuf, encoded("user.ssn", &sized(1, b"519-12-1204"))), expected);
    let shaped = text(&plan, Format::Json, &span("user.key", r#"{"stringValue":"519-12-1204"}"#));
    let shape = shaped.split('"').find(|text| text.len() == 11 && text.as_bytes()[3] == b'-').unwrap();
    let expected = encoded("user.key", &sized(1, shape.as_bytes()));
    assert_eq!(out(&plan, Format::Protobuf, encoded("user.key", &sized(1, b"519-12-1204"))), expected);
}

#[test]
fn an_attribute_that_is_no_single_text_has_none() {
    let plan = attributes().plan_with(&changed());
    for value in [
        r#"{"stringValue":"519121204","stringValue":"519121204"}"#,
        r#"{"stringValue":"519121204","intValue":"519121204"}"#,
        r#"{"arrayValue":{"values":[{"stringValue":"519121204"}]}}"#,
        r#"{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"519121204"}}]}}"#,
        r#"{"boolValue":true}"#,
        r#"{"doubleValue":519121204.5}"#,
        r#"{"bytesValue":"NTE5MTIxMjA0"}"#,
        r#"{"stringValue":null}"#,
        r#"{"stringValue":""}"#,
        "{}",
        r#""519121204""#,
        "519121204",
        r#"["519121204"]"#,
        "null",
    ] {
        let expected = span("user.id", r#"{"stringValue":"[CONTACT]"}"#);
        assert_eq!(text(&plan, Format::Json, &span("user.id", value)), expected, "{value}");
    }
    for value in [
        [sized(1, b"519121204"), sized(1, b"519121204")].concat(),
        vec![0x10, 0x01],
        sized(5, &sized(1, &sized(1, b"519121204"))),
        sized(7, b"519121204"),
        vec![],
    ] {
        let expected = encoded("user.id", &sized(1, b"[CONTACT]"));
        assert_eq!(out(&plan, Format::Protobuf, encoded("user.id", &value)), expected, "{value:x?}");
    }
}

#[test]
fn a_part_of_text_has_the_token_of_its_text() {
    let setup = Setup { form_fields: vec![(4, "$.who"), (2, "$.id")], ..Setup::default() };
    let plan = setup.plan_with(&changed());
    let format = || Format::of(b"multipart/form-data; boundary=XX-42").unwrap();
    let part = |head: &str, body: &str| {
        format!("--XX-42\r\nContent-Disposition: form-data; name={head}\r\n\r\n{body}\r\n--XX-42--\r\n")
    };
    for (head, value, expected) in [
        ("\"who\"", "519121204", token("519121204")),
        ("\"who\"", "{\"a\":1}\r\nand\r\n--XX-4", token("{\"a\":1}\r\nand\r\n--XX-4")),
        ("\"id\"; filename=\"a.txt\"", "519-12-1204", "***04".to_owned()),
        ("\"id\"", "51", "[ID]".to_owned()),
        // What is kept could end a line or the quotes that it stands in.
        ("\"id\"", "519-12-120\n4", "[ID]".to_owned()),
        ("\"id\"", "519-12-120\"4", "[ID]".to_owned()),
        // Other parts have a text.
        ("\"who\"\r\nContent-Type: application/json", "519121204", "[CONTACT]".to_owned()),
    ] {
        assert_eq!(text(&plan, format(), &part(head, value)), part(head, &expected));
    }
    // What says its length says the new one.
    let head = |length: usize| format!("\"who\"\r\nContent-Length: {length}");
    let made = text(&plan, format(), &part(&head(9), "519121204"));
    assert_eq!(made, part(&head(21), &token("519121204")));
}
