//! Delta streams that are no event streams: one object a line, or the elements of one array. Every case at every split.
#![cfg(test)]

mod mask_support;

use mask_support::{Setup, check_splits, send};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::{Content, Limits};

/// A content of lines and arrays: the tail of `text` is a copy, that of `note` has a template.
fn content(lines: bool) -> Content {
    let json = format!(
        r#"{{"name":"test","lines":{lines},"skip":["$.id"],
            "channels":[
                {{"name":"thought","fragments":["$.p[*].t"],"when":{{"at":"$.p[*].thought","is":"true"}},"nested":true,"closedBy":[{{"at":"$.done","is":"true"}}]}},
                {{"name":"text","fragments":["$.p[*].t"],"nested":true,"closedBy":[{{"at":"$.done","is":"true"}}]}},
                {{"name":"note","fragments":["$.note"],"key":["$.n"],"closedBy":[{{"at":"$.end"}}],"tail":"data: {{\"n\":%0,\"note\":\"%t\"}}\n\n"}}],
            "once":["$.usage"],
            "errorEvent":"event: error\ndata: {{\"error\":\"refused\"}}\n\n"}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn plan(lines: bool) -> Arc<MaskPlan> {
    Setup { content: Some(content(lines)), ..Setup::default() }.plan()
}

fn small() -> Arc<MaskPlan> {
    let limits = Limits { state: 4096, ..Limits::default() };
    Setup { content: Some(content(true)), limits, ..Setup::default() }.plan()
}

#[track_caller]
fn passes(plan: &Arc<MaskPlan>, format: Format, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended.err()), (expected, None));
}

#[track_caller]
fn refused(plan: &Arc<MaskPlan>, format: Format, body: &str, expected: MaskError) {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    assert_eq!(ended.err(), Some(expected));
    assert!(!String::from_utf8_lossy(&out).contains("example.com"), "leak before a refusal");
}

fn text(text: &str) -> String {
    format!(r#"{{"id":"4111111111111111","p":[{{"t":"{text}"}}],"usage":null}}"#)
}

#[test]
fn lines_without_findings_are_left_alone() {
    let body = "\u{feff} \r\n{\"id\":1,\"x\":[\"}\\\"\",{}]}\r\n\r\n\t{ \"p\" : [ {\"t\":\"a b \"} ] }\n{\"done\":true}";
    passes(&plan(true), Format::Lines, body, body);
    passes(&plan(true), Format::Json, body, body);
    passes(&plan(false), Format::Lines, body, body);
}

#[test]
fn a_value_split_over_lines_is_masked_where_it_began() {
    let body = [text("mail ada@exa"), text("mple.com now "), r#"{"done":true}"#.to_owned()].join("\n");
    let expected = [text("mail "), text("[EMAIL] now "), r#"{"done":true}"#.to_owned()].join("\n");
    passes(&plan(true), Format::Lines, &body, &expected);
    passes(&plan(true), Format::Json, &(body.clone() + "\n"), &(expected + "\n"));
    // A content that says nothing of lines has one document, if JSON is what it says it is.
    refused(&plan(false), Format::Json, &body, MaskError::InvalidJson);
}

#[test]
fn what_waits_leaves_in_a_line_of_its_own_before_the_closing_one() {
    let close = r#"{"done":true,"usage":7}"#;
    let body = text("a").replace("null", "5") + "\r\n" + &text("da") + "\r\n" + close + "\n";
    let expected =
        text("").replace("null", "5") + "\r\n" + &text("") + "\r\n" + &text("ada") + "\n" + close + "\n";
    passes(&plan(true), Format::Lines, &body, &expected);
    let note = |text: &str| format!("{{\"note\":\"{text}\",\"n\":3}}\n");
    let expected = note("") + "{\"n\":3,\"note\":\"ada\"}\n{\"end\":0}\n";
    passes(&plan(true), Format::Lines, &(note("ada") + "{\"end\":0}\n"), &expected);
}

#[test]
fn lines_that_just_stop_drop_what_waits() {
    passes(&plan(true), Format::Lines, &(text("mail ada") + "\n"), &(text("mail ") + "\n"));
    refused(&plan(true), Format::Lines, r#"{"p":[{"t":"ada@example.com"#, MaskError::Truncated);
}

#[test]
fn a_condition_beside_a_fragment_chooses_its_channel() {
    let part = |text: &str, thought: &str| format!(r#"{{"t":"{text}"{thought}}}"#);
    let thought = r#","thought":true"#;
    let line = |first: &str, second: &str| {
        format!("{{\"p\":[{},{}]}}\n", part(first, thought), part(second, r#","thought":"true?""#))
    };
    // Two texts that run side by side: neither takes from the other, whatever their places in the list.
    let swapped =
        |first: &str, second: &str| format!("{{\"p\":[{},{}]}}\n", part(second, ""), part(first, thought));
    let body =
        line("mail ada@", "mail bob@") + &swapped("example.com ", "example.com ") + "{\"done\":true}\n";
    let expected = line("mail ", "mail ") + &swapped("[EMAIL] ", "[EMAIL] ") + "{\"done\":true}\n";
    passes(&plan(true), Format::Lines, &body, &expected);
}

#[test]
fn the_elements_of_an_array_are_a_delta_stream() {
    for lines in [false, true] {
        let body =
            format!("[{},\r\n{}\r\n, {}\n]\n", text("mail ada@exa"), text("mple.com or bob"), text("by"));
        let tail = text("bobby");
        let expected =
            format!("[{},\r\n{}\r\n, {}\n,{tail}]\n", text("mail "), text("[EMAIL] or "), text(""));
        passes(&plan(lines), Format::Json, &body, &expected);
    }
    let body = format!("[{},{}]", text("ada"), r#"{"done":true}"#);
    let expected = format!("[{},{},{}]", text(""), text("ada"), r#"{"done":true}"#);
    passes(&plan(false), Format::Json, &body, &expected);
    for body in ["[]", " [ ] ", "[{}]", "[ {} , {} ]"] {
        passes(&plan(false), Format::Json, body, body);
    }
    for body in [
        "[,]",
        "[{},]",
        "[{} {}]",
        "[{}]]",
        "[{}]{}",
        "[{}],",
        "[{}\n{}]",
        "{}]",
        "[1 2]",
        "[}]",
        "[ada@example.com]",
        "[4111 1111 1111 1111]",
        "[1]]",
        "[\"x\"\"y\"]",
    ] {
        refused(&plan(false), Format::Json, body, MaskError::InvalidJson);
    }
    for body in ["[1", "[\"ada@example.com\"", "[[[{}]"] {
        refused(&plan(false), Format::Json, body, MaskError::Truncated);
    }
    for body in ["[", "[{}", "[{},", "[{\"a\":1}, {"] {
        refused(&plan(false), Format::Json, body, MaskError::Truncated);
    }
}

#[test]
fn elements_that_are_no_objects_are_texts_between_the_deltas() {
    let mixed = |first: &str, value: &str, second: &str| {
        format!("[ \"{value}\" ,{}, [1,[\"{value}\"]] ,-1.5e3\n,null,true , {}]\n", text(first), text(second))
    };
    let body = mixed("mail ada@exa", "bob@example.com", "mple.com ");
    passes(&plan(false), Format::Json, &body, &mixed("mail ", "[EMAIL]", "[EMAIL] "));
    passes(&plan(false), Format::Json, "[4111111111111111 , \"x\"]", "[\"[CARD]\" , \"x\"]");
    let limits = Limits { json_depth: 3, ..Limits::default() };
    let shallow = Setup { content: Some(content(false)), limits, ..Setup::default() }.plan();
    passes(&shallow, Format::Json, "[[[1]],{\"a\":[1]}]", "[[[1]],{\"a\":[1]}]");
    for body in ["[[[[1]]]]", "[{\"a\":[[1]]}]"] {
        refused(&shallow, Format::Json, body, MaskError::TooDeep);
    }
}

#[test]
fn a_byte_order_mark_is_in_front_of_a_body_only() {
    refused(&plan(false), Format::Json, "[\u{FEFF} 0]", MaskError::InvalidJson);
    refused(&plan(false), Format::Json, "[1, \u{FEFF}2]", MaskError::InvalidJson);
    refused(&plan(false), Format::Json, "[\u{FEFF}{}]", MaskError::InvalidJson);
    passes(&plan(false), Format::Json, "\u{FEFF} [ 0]", "\u{FEFF} [ 0]");
}

#[test]
fn fields_are_found_in_elements_and_on_lines() {
    let setup = Setup {
        content: Some(content(true)),
        fields: vec![(3, "$.user"), (3, "$[*].owner"), (3, "$..password")],
        ..Setup::default()
    };
    let object = r#"{"user":"u","owner":"o","x":[{"password":[1]}]}"#;
    let in_array = r#"[{"user":"[SECRET]","owner":"[SECRET]","x":[{"password":"[SECRET]"}]}]"#;
    passes(&setup.plan(), Format::Json, &format!("[{object}]"), in_array);
    let on_line = r#"{"user":"[SECRET]","owner":"o","x":[{"password":"[SECRET]"}]}"#;
    passes(&setup.plan(), Format::Lines, &format!("{object}\n{object}"), &format!("{on_line}\n{on_line}"));
}

#[test]
fn what_is_no_line_of_json_is_refused() {
    for body in [
        "{} {}",
        "{}{}",
        "{}\n[]",
        "{}\n1",
        "{}\nada@example.com",
        "{}}",
        "{]}",
        "{\"a\":ada@example.com}",
        "{\"a\":}\n",
        "\u{feff}x",
    ] {
        refused(&plan(true), Format::Lines, body, MaskError::InvalidJson);
    }
}

#[test]
fn one_document_that_is_no_object_is_a_document() {
    for body in ["12", "null", " \"x\" ", "\u{feff}true\n", ""] {
        passes(&plan(true), Format::Lines, body, body);
    }
    passes(&plan(true), Format::Lines, "\"ada@example.com\"", "\"[EMAIL]\"");
    refused(&plan(true), Format::Lines, "12\n13", MaskError::InvalidJson);
    let mut masker = Masker::new(plan(true), Format::Lines);
    masker.write(b"4111111111111111", &mut Vec::new()).unwrap();
    assert!(masker.waits());
}

#[test]
fn a_first_object_too_large_to_hold_is_the_only_one() {
    let pad = "x ".repeat(3000);
    let large = |text: &str| format!(r#"{{"pad":"{pad}","p":[{{"t":"{text}"}}],"done":true}}"#);
    let (out, ended) = send(&small(), Format::Lines, large("ada@example.com").as_bytes().chunks(7));
    assert_eq!((String::from_utf8(out).unwrap(), ended.err()), (large("[EMAIL]"), None));
    let two = large("ada@exa") + "\n" + &text("mple.com");
    for size in [1, 7, 100_000] {
        let (out, ended) = send(&small(), Format::Lines, two.as_bytes().chunks(size.min(two.len())));
        assert_eq!(ended.err(), Some(MaskError::InvalidJson));
        assert!(!String::from_utf8(out).unwrap().contains("mple"));
    }
}

#[test]
fn a_later_object_too_large_to_hold_goes_by_or_is_refused() {
    let pad = "x ".repeat(3000);
    let run = |body: &str| {
        let whole = send(&small(), Format::Lines, [body.as_bytes()]);
        for size in [1, 2, 3, 100, 4095, 4096, 4097] {
            assert!(
                send(&small(), Format::Lines, body.as_bytes().chunks(size.min(body.len()))) == whole,
                "{size}"
            );
        }
        (String::from_utf8(whole.0).unwrap(), whole.1.err())
    };
    let body =
        |first: &str, late: &str| format!("{first}\n{{\"done\":true,\"pad\":\"{pad}{late}\"}}\n{{}}\n");
    let (out, error) = run(&body(&text("ada"), "bob@example.com"));
    let first = text("") + "\n" + &text("ada");
    assert_eq!((out, error), (body(&first, "[EMAIL]"), None));
    // Its text waits, and what closes it is seen when the object was written.
    let late = format!("{}\n{{\"pad\":\"{pad}\",\"done\":true}}\n", text("ada"));
    assert_eq!(run(&late).1, Some(MaskError::LateMember));
    // Whether a part is a thought may still come.
    let open = format!("{{}}\n{{\"pad\":\"{pad}\",\"p\":[{{\"t\":\"a \",\"thought\":true}}]}}\n");
    assert_eq!(run(&open).1, Some(MaskError::LateMember));
}

#[test]
fn an_error_line_stands_between_lines_only() {
    let line = b"{\"error\":\"refused\"}\n".as_slice();
    for (body, format, expected) in [
        ("{}\n", Format::Lines, Some(line)),
        ("{}\n{\"a\":", Format::Lines, Some(line)),
        ("{\"a\":", Format::Lines, Some(line)),
        ("{}", Format::Lines, None),
        ("12", Format::Lines, None),
        ("[{}", Format::Lines, None),
        ("[{", Format::Json, None),
    ] {
        let mut masker = Masker::new(plan(true), format);
        masker.write(body.as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(masker.error_event(), expected, "{body}");
    }
}

#[test]
fn an_object_too_large_to_hold_that_fails_has_no_error_line_inside() {
    let first = "{\"id\":\"1\"}\n";
    for (broken, written) in [
        // In what is held, in what comes behind it, and at its end.
        (format!("{{\"a\": nope, \"pad\":\"{}\"}}", "x ".repeat(3000)), false),
        (format!("{{\"pad\":\"{}\",\"a\": nope}}", "x ".repeat(3000)), true),
        (format!("{{\"pad\":\"{}\"]}}", "x ".repeat(3000)), true),
    ] {
        let body = format!("{first}{broken}\n");
        let run = |cuts: &[&[u8]]| {
            let mut masker = Masker::new(small(), Format::Lines);
            let mut out = Vec::new();
            let done = cuts.iter().try_for_each(|cut| masker.write(cut, &mut out));
            assert_eq!(done, Err(MaskError::InvalidJson));
            assert_eq!(masker.error_event().is_some(), !written, "{} bytes left", out.len());
            out
        };
        let whole = run(&[body.as_bytes()]);
        assert_eq!(whole.len() > first.len(), written);
        for at in (0..body.len()).filter(|at| at % 97 == 0 || body.len() - at < 30) {
            let (head, tail) = body.as_bytes().split_at(at);
            assert!(run(&[head, tail]) == whole, "cut at {at}");
        }
    }
}

#[test]
fn elements_that_are_no_objects_pass_beside_deltas() {
    for format in [Format::Json, Format::Lines] {
        passes(
            &plan(false),
            format,
            "[1 , \"ada@example.com\", [true ,{}] ]",
            "[1 , \"[EMAIL]\", [true ,{}] ]",
        );
        passes(&plan(false), format, "[4111111111111111,null]", "[\"[CARD]\",null]");
    }
    let body = format!("[\"x\",{},7 ,{}]", text("ada@exam"), text("ple.com"));
    let masked = format!("[\"x\",{},7 ,{},{}]", text(""), text(""), text("[EMAIL]"));
    passes(&plan(false), Format::Json, &body, &masked);
    for broken in ["[1 2]", "[4111 1111 1111 1111]", "[1,]", "[,1]", "[\"a\" \"b\"]", "[nul]", "[1}", "[[1}]"]
    {
        refused(&plan(false), Format::Json, broken, MaskError::InvalidJson);
        let (out, _) = send(&plan(false), Format::Json, [broken.as_bytes()]);
        assert!(!String::from_utf8_lossy(&out).contains("4111"), "{broken}");
    }
    refused(&plan(false), Format::Json, "[1", MaskError::Truncated);
}
