//! The ends of a value, what stands for numbers, and names of detectors.

use super::mask_support::{Random, Setup, check_splits, masked, send, tags};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskPlan;
use veilwire_engine::policy::model::{Numbers, Partial, Replacement, Tag};

fn ends(first: u8, last: u8, mask: Option<u8>, otherwise: &str) -> Replacement {
    Replacement::Partial(Partial {
        keep_first: first,
        keep_last: last,
        mask_length: mask,
        otherwise: otherwise.to_owned(),
    })
}

/// Cards keep their last four digits, contacts their ends.
fn changed() -> Vec<Tag> {
    let mut tags = tags();
    tags[1].replacement = ends(0, 4, None, "[CARD]");
    tags[4].replacement = ends(1, 2, Some(3), "[CONTACT]");
    tags
}

#[track_caller]
fn becomes(plan: &Arc<MaskPlan>, format: Format, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    assert_eq!(ended.err(), None);
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn the_ends_of_what_a_detector_finds_stay() {
    let plan = Setup::default().plan_with(&changed());
    becomes(&plan, Format::Text, "pay 4111 1111 1111 1111 now", "pay ***************1111 now");
    let escaped = "\"a\\u0034111-1111-1111-1111\"";
    becomes(
        &plan,
        Format::Json,
        escaped,
        "\"a4111-1111-1111-1111\"".replace("a4111-1111-1111-1111", "a\\u0034111-1111-1111-1111").as_str(),
    );
    becomes(&plan, Format::Json, "{\"a\":\"\\u0034111-1111-1111-1111\"}", "{\"a\":\"***************1111\"}");
    becomes(&plan, Format::Json, "[4111111111111111]", "[\"************1111\"]");
    becomes(
        &plan,
        Format::Form,
        "a=4111+1111+1111+1111",
        "a=%2A".replace("%2A", "***************1111").as_str(),
    );
}

#[test]
fn a_span_of_several_values_keeps_nothing() {
    let plan = Setup::default().plan_with(&changed());
    // A card number that is part of an address: a text is stricter than the ends of a value.
    becomes(&plan, Format::Text, "4111111111111111@example.com", "[EMAIL]");
    // Two card numbers that share their digits.
    let twice = "4111111111111111 4111111111111111";
    let out = masked(&plan, Format::Text, twice);
    assert!(out == "************1111 ************1111" || out == "[CARD]", "{out}");
}

#[test]
fn fields_keep_their_ends_escaped_where_they_must_be() {
    let setup = Setup {
        fields: vec![(4, "$.mail"), (4, "$.list[*]")],
        form_fields: vec![(4, "$.mail")],
        ..Setup::default()
    };
    let plan = setup.plan_with(&changed());
    let body = "{\"mail\":\"\\\"abcdefgh\\\\\\n\",\"list\":[\"\u{e9}1234567\u{1F600}\\u00e9\",\"short\",12,null,{\"a\":1}]}";
    let expected = "{\"mail\":\"\\\"***\\\\\\n\",\"list\":[\"\u{e9}***\u{1F600}\u{e9}\",\"[CONTACT]\",\"[CONTACT]\",\"[CONTACT]\",\"[CONTACT]\"]}";
    becomes(&plan, Format::Json, body, expected);
    becomes(&plan, Format::Form, "mail=%22bcdefghi%26j&x=1", "mail=%22***%26j&x=1");
}

#[test]
fn a_long_value_has_a_text_however_it_is_cut() {
    let setup = Setup { fields: vec![(4, "$.mail")], ..Setup::default() };
    let plan = setup.plan_with(&changed());
    for (length, expected) in [(4096, "a***aa"), (4097, "[CONTACT]"), (100_000, "[CONTACT]")] {
        let body = format!("{{\"mail\":\"{}\"}}", "a".repeat(length));
        let whole = masked(&plan, Format::Json, &body);
        assert_eq!(whole, format!("{{\"mail\":\"{expected}\"}}"));
        for longest in [1, 7, 5000] {
            let (out, ended) = send(&plan, Format::Json, Random(7).cut(body.as_bytes(), longest));
            assert!(ended.is_ok() && out == whole.as_bytes(), "pieces of {longest}");
        }
    }
    // The same for what a detector finds: a token of any length.
    let mut tags = tags();
    tags[3].replacement = ends(2, 2, Some(3), "[SECRET]");
    let plan = Setup::default().plan_with(&tags);
    for (length, expected) in [(60, "sk***aa"), (4093, "sk***aa"), (4094, "[SECRET]"), (50_000, "[SECRET]")] {
        let body = format!("x sk-{} y", "a".repeat(length));
        for longest in [1, 13, 100_000] {
            let (out, ended) = send(&plan, Format::Text, Random(9).cut(body.as_bytes(), longest));
            assert!(ended.is_ok());
            assert_eq!(String::from_utf8_lossy(&out), format!("x {expected} y"), "{length} by {longest}");
        }
    }
}

#[test]
fn fragments_of_a_stream_that_are_a_field_keep_nothing() {
    let setup = Setup { fields: vec![(4, "$.choices[*].delta.content")], ..Setup::of("openai.chat") };
    let plan = setup.plan_with(&changed());
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    becomes(&plan, Format::Sse, &event("abcdefghijkl"), &event("[CONTACT]"));
}

#[test]
fn a_number_becomes_what_its_tag_says() {
    let setup = Setup { fields: vec![(4, "$.id")], ..Setup::default() };
    for (numbers, card, id) in [
        (Numbers::String, "\"[CARD]\"", "\"[CONTACT]\""),
        (Numbers::Zero, "0", "0"),
        (Numbers::Null, "null", "null"),
    ] {
        let mut tags = tags();
        tags[1].numbers = numbers;
        tags[4].numbers = numbers;
        let plan = setup.plan_with(&tags);
        let body = "{\"a\":[4111111111111111 ,1],\"id\":-1.5e3,\"b\":\"4111111111111111\"}";
        let expected = format!("{{\"a\":[{card} ,1],\"id\":{id},\"b\":\"[CARD]\"}}");
        becomes(&plan, Format::Json, body, &expected);
    }
    let mut tags = tags();
    tags[1].replacement = Replacement::Drop;
    let plan = Setup::default().plan_with(&tags);
    becomes(&plan, Format::Json, "[4111111111111111,\"x 4111111111111111 y\"]", "[null,\"x  y\"]");
}

#[test]
fn a_text_can_name_the_detector_that_found_the_value() {
    let mut tags = tags();
    tags[2].replacement = Replacement::Placeholder("[{detector}]".to_owned());
    let setup = Setup { fields: vec![(2, "$.id")], ..Setup::default() };
    let plan = setup.plan_with(&tags);
    becomes(
        &plan,
        Format::Json,
        "{\"a\":\"078-05-1121\",\"id\":1}",
        "{\"a\":\"[d2]\",\"id\":\"[pii.gov-id]\"}",
    );
}
