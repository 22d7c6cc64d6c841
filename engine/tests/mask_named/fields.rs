//! Fields of forms, and attributes by their key.

use super::mask_support::{Setup, check_splits, content, whole};
use std::sync::Arc;
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan};
use veilwire_engine::policy::model::{Content, Schema};

#[track_caller]
fn becomes(plan: &Arc<MaskPlan>, format: Format, body: &str, expected: &str) -> Vec<String> {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    let findings =
        ended.as_ref().map(|findings| findings.iter().map(|found| found.location.clone()).collect());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended.as_ref().err()), (expected, None), "of {body}");
    findings.unwrap()
}

fn forms() -> Setup {
    Setup { form_fields: vec![(3, "$.pin"), (4, "$.user.mail"), (2, "$.items[*].id")], ..Setup::default() }
}

#[test]
fn fields_of_forms_are_masked_in_forms_only() {
    let plan = forms().plan();
    let places = becomes(
        &plan,
        Format::Form,
        "pin=0042&user%5Bmail%5D=x&items[0][id]=7&items[][id]=8&pins=1&user[pin]=2&mail=ada%40example.com",
        "pin=%5BSECRET%5D&user%5Bmail%5D=%5BCONTACT%5D&items[0][id]=%5BID%5D&items[][id]=%5BID%5D&pins=1&user[pin]=2&mail=%5BEMAIL%5D",
    );
    assert_eq!(places, ["form.pin", "form.user.mail", "form.items[*].id", "form.mail"]);
    let json = "{\"pin\":\"0042\",\"user\":{\"mail\":\"x\"},\"items\":[{\"id\":7}]}";
    becomes(&plan, Format::Json, json, json);
    // A value that is JSON is a form's field, whatever it holds.
    becomes(&plan, Format::Form, "user={\"mail\":\"x\"}", "user={\"mail\":%22%5BCONTACT%5D%22}");
}

#[test]
fn parts_are_named_as_fields_of_forms_are() {
    let plan = forms().plan();
    let format = Format::of(b"multipart/form-data; boundary=X").unwrap();
    let body = |pin: &str, mail: &str| {
        format!(
            "--X\r\nContent-Disposition: form-data; name=\"pin\"; filename=a.bin\r\n\r\n{pin}\r\n--X\r\nContent-Disposition: form-data; name=\"user[mail]\"\r\n\r\n{mail}\r\n--X--"
        )
    };
    becomes(&plan, format, &body("00\r\n42", ""), &body("[SECRET]", "[CONTACT]"));
}

#[test]
fn paths_of_json_still_hold_for_forms_beside_fields_of_forms() {
    let setup = Setup { fields: vec![(3, "$.user.pin"), (4, "$..note")], ..forms() };
    becomes(
        &setup.plan(),
        Format::Form,
        "user[pin]=1&a[note]=2&pin=3",
        "user[pin]=%5BSECRET%5D&a[note]=%5BCONTACT%5D&pin=%5BSECRET%5D",
    );
}

#[test]
fn no_detector_is_needed_for_fields_of_forms() {
    let setup = Setup { detectors: Vec::new(), ..forms() };
    let plan = setup.plan();
    assert!(!plan.is_idle());
    becomes(&plan, Format::Form, "pin=1&mail=ada@example.com", "pin=%5BSECRET%5D&mail=ada@example.com");
}

fn attributes(name: &str) -> Setup {
    let keys = vec![(3, "user.token"), (4, "gen_ai.reasoning.*"), (2, "user.*")];
    Setup { attributes: keys, direction: Direction::Request, ..Setup::of(name) }
}

fn span(attributes: &str) -> String {
    format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":{attributes}}}]}}]}}]}}")
}

#[test]
fn attributes_are_masked_by_their_key() {
    let plan = attributes("otel.traces").plan();
    for (from, to) in [
        (
            r#"[{"key":"user.token","value":{"stringValue":"x"}},{"key":"a","value":{"stringValue":"x"}}]"#,
            r#"[{"key":"user.token","value":{"stringValue":"[SECRET]"}},{"key":"a","value":{"stringValue":"x"}}]"#,
        ),
        (
            r#"[{"key":"gen_ai.reasoning.text", "value" : {"intValue":"7"} },{"key":"gen_ai.reasoning","value":{"intValue":"7"}}]"#,
            r#"[{"key":"gen_ai.reasoning.text", "value" : {"stringValue":"[CONTACT]"} },{"key":"gen_ai.reasoning","value":{"intValue":"7"}}]"#,
        ),
        (
            r#"[{"key":"user\u002eid","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]"#,
            r#"[{"key":"user\u002eid","value":{"stringValue":"[ID]"}}]"#,
        ),
        (
            r#"[{"key":"a","value":{"kvlistValue":{"values":[{"key":"user.token","value":null},{"key":"b","value":{"doubleValue":1}}]}}}]"#,
            r#"[{"key":"a","value":{"kvlistValue":{"values":[{"key":"user.token","value":{"stringValue":"[SECRET]"}},{"key":"b","value":{"doubleValue":1}}]}}}]"#,
        ),
        // Readers of ProtoJSON take the names of the schema as well.
        (
            r#"[{"key":"a","value":{"kvlist_value":{"values":[{"key":"user.token","value":{"int_value":7}}]}}}]"#,
            r#"[{"key":"a","value":{"kvlist_value":{"values":[{"key":"user.token","value":{"stringValue":"[SECRET]"}}]}}}]"#,
        ),
        // Of two keys each counts, and detectors look at what is left.
        (
            r#"[{"key":"user.x","key":"a","value":{"intValue":1}},{"key":"ada@example.com","value":{"stringValue":"bob@example.com"}}]"#,
            r#"[{"key":"user.x","key":"a","value":{"stringValue":"[ID]"}},{"key":"[EMAIL]","value":{"stringValue":"[EMAIL]"}}]"#,
        ),
        (r#"[{"key":"user.tokens.x.y.z.and.a.long.rest"},{"value":null},7,"user.x"]"#, ""),
    ] {
        if to.is_empty() {
            // A value that nothing names is refused.
            assert_eq!(whole(&plan, Format::Json, span(from).as_bytes()).1, Err(MaskError::LateMember));
        } else {
            becomes(&plan, Format::Json, &span(from), &span(to));
        }
    }
    let places = becomes(
        &plan,
        Format::Json,
        &span(r#"[{"key":"user.token","value":{"intValue":1}}]"#),
        &span(r#"[{"key":"user.token","value":{"stringValue":"[SECRET]"}}]"#),
    );
    // Both names that cover it are told.
    assert_eq!(places, ["$.resourceSpans[*].scopeSpans[*].spans[*].attributes[*].value"; 2]);
}

#[test]
fn a_value_in_front_of_its_key_is_refused_before_it_leaves() {
    let plan = attributes("otel.traces").plan();
    for late in [
        r#"[{"value":{"stringValue":"0042"},"key":"user.token"}]"#,
        r#"[{"key":"a","value":{"stringValue":"0042"},"key":"user.token"}]"#,
        r#"[{"key":7,"value":{"stringValue":"0042"}}]"#,
    ] {
        let (out, ended) = check_splits(&plan, Format::Json, span(late).as_bytes());
        assert_eq!(ended.err(), Some(MaskError::LateMember), "{late}");
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains("0042") || late.contains("\"a\""), "{out}");
    }
    // Attributes inside of a value end with it: what follows belongs to the one around them.
    let inner = r#"{"kvlistValue":{"values":[{"key":"b","value":{"intValue":1}}]}}"#;
    for late in [
        format!(r#"[{{"key":"a","value":{inner},"key":"user.token"}}]"#),
        format!(r#"[{{"key":"a","value":{inner},"key":"user.token","value":{{"stringValue":"0042"}}}}]"#),
    ] {
        let (out, ended) = check_splits(&plan, Format::Json, span(&late).as_bytes());
        assert_eq!(ended.err(), Some(MaskError::LateMember), "{late}");
        assert!(!String::from_utf8(out).unwrap().contains("0042"), "{late}");
    }
    // Where no attribute is named, their order does not matter.
    let any = span(r#"[{"value":{"stringValue":"0042"},"key":"user.token"}]"#);
    becomes(&Setup::of("otel.traces").plan(), Format::Json, &any, &any);
}

#[test]
fn json_in_the_text_of_an_attribute_is_not_made_of_attributes() {
    let same = span(
        r#"[{"key":"a","value":{"stringValue":"{\"attributes\":[{\"value\":1,\"key\":\"user.token\"}]}"}}]"#,
    );
    becomes(&attributes("otel.traces").plan(), Format::Json, &same, &same);
}

/// A field of protobuf with a length.
fn sized(number: u8, body: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(body.len()).unwrap()], body].concat()
}

/// `KeyValue` with a text.
fn pair(key: &str, value: &str) -> Vec<u8> {
    [sized(1, key.as_bytes()), sized(2, &sized(1, value.as_bytes()))].concat()
}

#[test]
fn attributes_of_protobuf_are_masked_by_their_key() {
    let plan = attributes("otel.traces").plan();
    // resourceSpans, resource, attributes.
    let trace = |pairs: &[Vec<u8>]| {
        let attributes: Vec<u8> = pairs.iter().flat_map(|pair| sized(1, pair)).collect();
        sized(1, &sized(1, &attributes))
    };
    let nested = |value: &str| {
        // kvlistValue.values
        [sized(1, b"a"), sized(2, &sized(6, &sized(1, &pair("user.token", value))))].concat()
    };
    let number = [sized(1, b"user.token"), sized(2, &[0x18, 7])].concat();
    let turned = [sized(2, &sized(1, b"0042")), sized(1, b"user.token")].concat();
    let turned_masked = [sized(2, &sized(1, b"[SECRET]")), sized(1, b"user.token")].concat();
    for (from, to, findings) in [
        (
            vec![pair("user.token", "0042"), pair("b", "0042")],
            vec![pair("user.token", "[SECRET]"), pair("b", "0042")],
            2,
        ),
        (vec![nested("0042")], vec![nested("[SECRET]")], 2),
        (vec![number, turned], vec![pair("user.token", "[SECRET]"), turned_masked], 4),
        (vec![pair("user.", "0042")], vec![pair("user.", "0042")], 0),
    ] {
        let (out, ended) = check_splits(&plan, Format::Protobuf, &trace(&from));
        assert_eq!(out, trace(&to));
        assert_eq!(ended.unwrap().total(), findings);
    }
}

#[test]
fn every_list_of_keys_and_values_of_the_schemas_is_an_attribute() {
    for name in ["otel.traces", "otel.logs", "otel.metrics"] {
        let content: Content = content(name);
        let known: Vec<String> = content.attributes.iter().map(ToString::to_string).collect();
        let Some(Schema { messages, .. }) = content.protobuf else { panic!("{name} has no messages") };
        for field in messages.values().flatten().filter(|field| field.kind == "KeyValue[]") {
            let end = format!("{}[*]", field.name);
            assert!(known.iter().any(|path| path.ends_with(&end)), "{name}: {}", field.name);
        }
    }
}
