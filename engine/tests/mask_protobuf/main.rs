//! Protobuf and gRPC: every text field is masked, all else stays byte for byte, and damage is refused.
#![cfg(test)]

mod expected;
mod grpc;
#[path = "../mask_support/mod.rs"]
mod mask_support;
#[path = "../mask_support/oracle.rs"]
mod oracle;
#[expect(dead_code, reason = "the scan's oracle can do more than is needed here")]
#[path = "../scan_oracle/oracle.rs"]
mod scan_oracle;

use expected::expected;
use mask_support::{Random, Setup, check_splits, recorded, send, whole};
use oracle::Rules;
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskError;
use veilwire_engine::policy::model::{Schema, SchemaField};

const CONTENTS: [&str; 3] = ["otel.traces", "otel.logs", "otel.metrics"];
const EMAIL: &str = "zqx.wvk@qjxvwkz.zqvjq";

fn setup(name: &str) -> Setup {
    Setup { direction: Direction::Request, ..Setup::of(name) }
}

fn schema(setup: &Setup) -> &Schema {
    setup.content.as_ref().unwrap().protobuf.as_ref().unwrap()
}

fn varint(mut value: u64, padding: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7F {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    for _ in 0..padding {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
    out
}

fn sized(number: u32, body: &[u8]) -> Vec<u8> {
    [varint(u64::from(number) << 3 | 2, 0), varint(body.len() as u64, 0), body.to_vec()].concat()
}

/// One gRPC message.
fn grpc(message: &[u8]) -> Vec<u8> {
    [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), message].concat()
}

fn leaks(out: &[u8], value: &str) -> bool {
    value.as_bytes().windows(6).any(|piece| out.windows(6).any(|window| window == piece))
}

#[test]
fn recorded_messages_are_masked_as_the_oracle_says() {
    let setup = setup("otel.traces");
    let plan = setup.plan();
    let rules = Rules::new(&setup);
    for (name, body) in recorded("otlp", ".req.pb") {
        let wanted = expected(&body, "ExportTraceServiceRequest", schema(&setup), &rules);
        let (out, ended) = check_splits(&plan, Format::Protobuf, &body);
        let findings = ended.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(out == wanted, "{name}");
        // The recordings of others hold nothing; ours hold made-up values.
        assert_eq!(findings.is_empty(), name.starts_with("otlp-http-pb-") && !name.contains("sdk"), "{name}");
        assert_eq!(findings.is_empty(), out == body, "{name}");
        for value in ["4111 1111 1111 1111", "219-09-9999", "jane.roe@example.com"] {
            assert!(!leaks(&out, value), "{name}");
        }
        let stream = [grpc(&body), grpc(b""), grpc(&body)].concat();
        let (out, ended) = if stream.len() <= 2048 {
            check_splits(&plan, Format::Grpc, &stream)
        } else {
            let mut random = Random(35);
            let expected = whole(&plan, Format::Grpc, &stream);
            for _ in 0..200 {
                assert!(send(&plan, Format::Grpc, random.cut(&stream, 3000)) == expected, "{name}");
            }
            expected
        };
        assert_eq!(ended.err(), None, "{name}");
        assert!(out == [grpc(&wanted), grpc(b""), grpc(&wanted)].concat(), "{name}");
    }
}

/// Every text field, with a value in it and the messages around it; the path to it. Recursion is followed twice.
fn every_text(name: &str, schema: &Schema, trail: &mut Vec<String>, texts: &mut Vec<(String, Vec<u8>)>) {
    if trail.iter().filter(|seen| *seen == name).count() > 1 {
        return;
    }
    trail.push(name.to_owned());
    let fields = &schema.messages[name];
    for field in fields {
        // The message has a number and an id beside it.
        let mut beside = varint(u64::from(fields[0].number + 900) << 3, 2);
        beside.extend(varint(7, 1));
        let around = |body: &[u8]| [beside.as_slice(), &sized(field.number, body), &beside].concat();
        match field.kind.trim_end_matches("[]") {
            "number" | "id" => {}
            "text" => {
                let place = format!("{}.{}", trail.join("/"), field.name);
                for text in [format!("to {EMAIL} of"), EMAIL.to_owned(), format!("{{\"a\":\"{EMAIL}\"}}")] {
                    texts.push((place.clone(), around(text.as_bytes())));
                }
            }
            message => {
                let mut inner = Vec::new();
                every_text(message, schema, trail, &mut inner);
                texts.extend(inner.into_iter().map(|(place, body)| (place, around(&body))));
            }
        }
    }
    trail.pop();
}

#[test]
fn a_value_in_any_text_field_leaves_no_piece_and_nothing_else_changes() {
    for name in CONTENTS {
        for direction in [Direction::Request, Direction::Response] {
            let setup = Setup { direction, ..setup(name) };
            let (plan, rules, schema) = (setup.plan(), Rules::new(&setup), schema(&setup));
            let root = if direction == Direction::Request { &schema.request } else { &schema.response };
            let mut texts = Vec::new();
            every_text(root, schema, &mut Vec::new(), &mut texts);
            assert!(texts.len() > if direction == Direction::Request { 100 } else { 5 });
            for (place, body) in texts {
                let (out, ended) = whole(&plan, Format::Protobuf, &body);
                let findings = ended.unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(findings.total(), 1, "{place}");
                assert!(!leaks(&out, EMAIL), "{place}");
                assert!(out == expected(&body, root, schema, &rules), "{place}");
                let location = &findings.iter().next().unwrap().location;
                let member = place.rsplit('.').next().unwrap();
                assert!(
                    location.trim_end_matches("[*]").ends_with(member) || location.ends_with(".*"),
                    "{location}"
                );
            }
        }
    }
}

/// Texts with and without values, whole and cut.
const TEXTS: [&str; 14] = [
    "ada@example.com",
    "mail ada@example.com, or 4111 1111 1111 1111.",
    "no value",
    "",
    "ada@",
    "519-12-1204",
    r#"{"a": "ada@example.com", "b": [1, "\u0061da\u0040example.com"]}"#,
    r#" [ {"4111 1111 1111 1111": null}, 4111111111111111 ]"#,
    r#"{"deep": "{\"mail\": \"bob@example.org\"}"}"#,
    "é漢 ada@example.com 漢",
    "sk-ant-api03-abcdefghijklmnopqrst_-01",
    "{not json ada@example.com",
    "12345678901234567890",
    "x@y.co x@y.co",
];

/// A random message of a schema, with fields that nobody knows.
fn random_message(random: &mut Random, name: &str, schema: &Schema, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(4) + usize::from(depth > 6) {
        let padding = if random.below(6) == 0 { random.below(3) } else { 0 };
        let fields = &schema.messages[name];
        let unknown = SchemaField { number: 77, name: String::new(), kind: "unknown".into() };
        let field = if random.below(8) == 0 { &unknown } else { &fields[random.below(fields.len())] };
        let tag = |wire: u64| varint(u64::from(field.number) << 3 | wire, padding);
        let body = match field.kind.trim_end_matches("[]") {
            "text" => TEXTS[random.below(TEXTS.len())].as_bytes().to_vec(),
            "id" => vec![b'1'; random.below(17)],
            "number" | "unknown" => match random.below(5) {
                0 => {
                    out.extend([tag(0), varint(random.0, 0)].concat());
                    continue;
                }
                1 => {
                    out.extend([tag(1), b"ada@exam".to_vec()].concat());
                    continue;
                }
                2 => {
                    out.extend([tag(5), vec![0xFF; 4]].concat());
                    continue;
                }
                3 => {
                    out.extend([tag(3), sized(1, b"in a group"), vec![0x18, 1], tag(4)].concat());
                    continue;
                }
                _ if field.kind == "number[]" => vec![0xFF; 3],
                _ => [&b"plain ada@example.com"[..], b"\xFF\x00\x01", b"nothing"][random.below(3)].to_vec(),
            },
            _ if depth == 0 => Vec::new(),
            message => random_message(random, message, schema, depth - 1),
        };
        out.extend([tag(2), varint(body.len() as u64, padding), body].concat());
    }
    out
}

#[test]
fn random_messages_come_out_as_the_oracle_says_at_every_cut() {
    let rounds =
        std::env::var("VEILWIRE_ORACLE_TEXTS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut random = Random(0x0711);
    let mut changed = 0;
    for name in CONTENTS {
        let setup = setup(name);
        let (plan, rules, schema) = (setup.plan(), Rules::new(&setup), schema(&setup));
        for round in 0..rounds {
            let messages: Vec<_> =
                (0..3).map(|_| random_message(&mut random, &schema.request, schema, 9)).collect();
            let wanted: Vec<_> =
                messages.iter().map(|message| expected(message, &schema.request, schema, &rules)).collect();
            changed += usize::from(messages != wanted);
            for (message, wanted) in messages.iter().zip(&wanted) {
                let (out, ended) = send(&plan, Format::Protobuf, random.cut(message, 40));
                assert!(ended.is_ok() && out == *wanted, "{name} {round}: {message:x?}");
            }
            let stream: Vec<u8> = messages.iter().flat_map(|message| grpc(message)).collect();
            let wanted: Vec<u8> = wanted.iter().flat_map(|message| grpc(message)).collect();
            let (out, ended) = send(&plan, Format::Grpc, random.cut(&stream, 40));
            assert!(ended.is_ok() && out == wanted, "{name} {round}");
        }
    }
    assert!(changed > rounds / 2, "{changed} rounds had a value");
}

/// A trace with a value in an attribute of a span.
fn trace(value: &[u8]) -> Vec<u8> {
    let attribute = [sized(1, b"user"), sized(2, &sized(1, value))].concat();
    let span = [sized(1, &[0xAB; 16]), sized(5, b"call"), sized(9, &attribute)].concat();
    sized(1, &sized(2, &sized(2, &span)))
}

#[test]
fn damage_is_refused_or_harmless_at_every_byte() {
    let plan = setup("otel.traces").plan();
    let body = trace(format!("to {EMAIL} of").as_bytes());
    let at = body.windows(EMAIL.len()).position(|window| window == EMAIL.as_bytes()).unwrap();
    let stream = [grpc(&body), grpc(&body)].concat();
    let mut refused = 0;
    for place in 0..body.len() {
        let (out, ended) = whole(&plan, Format::Protobuf, &body[..place]);
        assert!(place == 0 || ended.is_err(), "cut at {place}");
        assert!(out.is_empty());
        if (at..at + EMAIL.len()).contains(&place) {
            continue;
        }
        for flip in 1..=255 {
            let mut damaged = body.clone();
            damaged[place] ^= flip;
            let (out, ended) = whole(&plan, Format::Protobuf, &damaged);
            refused += usize::from(ended.is_err());
            let whole_value = out.windows(EMAIL.len()).any(|window| window == EMAIL.as_bytes());
            // A field that says it holds numbers is not read as text; nothing else may keep the value.
            let numbers = damaged[at - 4..at].iter().any(|byte| matches!(byte & 7, 1 | 5 | 0));
            assert!(ended.is_ok() || out.is_empty());
            assert!(!whole_value || numbers, "byte {place} ^ {flip:#x}");
        }
    }
    assert!(refused > 4_000, "{refused}");
    for place in 0..stream.len() {
        let (out, ended) = whole(&plan, Format::Grpc, &stream[..place]);
        let boundary = place == 0 || place == body.len() + 5;
        assert_eq!(ended.err(), (!boundary).then_some(MaskError::Truncated), "cut at {place}");
        assert!(!leaks(&out, EMAIL));
    }
}

#[test]
fn a_number_with_a_length_is_a_field_that_nobody_knows() {
    let plan = setup("otel.traces").plan();
    let span = |count: &[u8]| sized(1, &sized(2, &sized(2, &[sized(5, b"call"), count.to_vec()].concat())));
    let dropped = |body: &[u8]| span(&sized(10, body));
    let (out, ended) = check_splits(&plan, Format::Protobuf, &dropped(EMAIL.as_bytes()));
    assert_eq!((out, ended.unwrap().total()), (span(b""), 1));
    let harmless = dropped(b"\x01\x02\x03");
    let (out, ended) = check_splits(&plan, Format::Protobuf, &harmless);
    assert_eq!((out, ended.unwrap().total()), (harmless, 0));
    // Packed numbers may look like anything.
    let plan = setup("otel.metrics").plan();
    let point = |counts: &[u8]| sized(1, &sized(2, &sized(2, &sized(9, &sized(1, &sized(6, counts))))));
    let counts = point(b"4111111111111111");
    assert!(whole(&plan, Format::Protobuf, &counts).0 == counts);
}

#[test]
fn a_message_of_numbers_is_inspected_for_what_else_it_has() {
    let plan = setup("otel.metrics").plan();
    let buckets = |bytes: &[u8]| sized(1, &sized(2, &sized(2, &sized(10, &sized(1, &sized(9, bytes))))));
    // An offset, counts (packed, with the digits of a card), and a field that nobody knows.
    let numbers = [b"\x08\x02".as_slice(), &sized(2, b"4111111111111111")].concat();
    let (out, ended) = check_splits(&plan, Format::Protobuf, &buckets(&numbers));
    assert_eq!((out, ended.map(|findings| findings.is_empty())), (buckets(&numbers), Ok(true)));
    let besides = [numbers.as_slice(), &sized(77, EMAIL.as_bytes())].concat();
    let (out, ended) = check_splits(&plan, Format::Protobuf, &buckets(&besides));
    assert_eq!((out, ended.map(|findings| findings.is_empty())), (buckets(&numbers), Ok(false)));
    // A group without an end.
    let (_, ended) = check_splits(&plan, Format::Protobuf, &buckets(b"\x63"));
    assert_eq!(ended.err(), Some(MaskError::InvalidFrame));

    let json = |buckets: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"exponentialHistogram":{{"dataPoints":[{{"negative":{buckets}}}]}}}}]}}]}}]}}"#
        )
    };
    let numbers = json(r#"{"offset":2,"bucketCounts":["4111111111111111"]}"#);
    assert_eq!(whole(&plan, Format::Json, numbers.as_bytes()).0, numbers.as_bytes());
    let besides = json(&format!(r#"{{"offset":2,"note":"{EMAIL}"}}"#));
    let (out, _) = whole(&plan, Format::Json, besides.as_bytes());
    assert_eq!(String::from_utf8_lossy(&out), json(r#"{"offset":2,"note":"[EMAIL]"}"#));
}

#[test]
fn malformed_messages_are_refused_by_name() {
    let plan = setup("otel.traces").plan();
    let deep = |levels: usize| {
        // AnyValue.arrayValue.values, again and again, in an attribute of a resource.
        let value = (0..levels).fold(Vec::new(), |inner, _| sized(5, &sized(1, &inner)));
        sized(1, &sized(1, &sized(1, &sized(2, &value))))
    };
    for (name, body, error) in [
        ("tag of zero", b"\x00".to_vec(), MaskError::InvalidFrame),
        ("longer than the message", b"\x0a\x05abc".to_vec(), MaskError::InvalidFrame),
        ("wire type 7", b"\x0f".to_vec(), MaskError::InvalidFrame),
        ("text where a message is due", sized(1, b"not a message"), MaskError::InvalidFrame),
        ("group that never ends", b"\x0b".to_vec(), MaskError::InvalidFrame),
        ("end of no group", b"\x0c".to_vec(), MaskError::InvalidFrame),
        ("end of another group", b"\x0b\x14".to_vec(), MaskError::InvalidFrame),
        (
            "group over the end of a message",
            [sized(1, b"\x0b"), b"\x0c".to_vec()].concat(),
            MaskError::InvalidFrame,
        ),
        ("deep", deep(31), MaskError::TooDeep),
        ("deep groups", b"\x0b".repeat(65), MaskError::TooDeep),
    ] {
        let (out, ended) = whole(&plan, Format::Protobuf, &body);
        assert_eq!((out.len(), ended.err()), (0, Some(error)), "{name}");
        assert_eq!(whole(&plan, Format::Grpc, &grpc(&body)).1.err(), Some(error), "{name}");
    }
    assert_eq!(whole(&plan, Format::Protobuf, &deep(30)).1.err(), None);
    for (name, stream, error) in [
        ("compressed otherwise", b"\x01\0\0\0\x04\xFF\x06\0\0".as_slice(), MaskError::Compressed),
        ("a block that never ends", b"\x01\0\0\0\x01\0", MaskError::Compressed),
        ("unknown flag", b"\x02\0\0\0\0", MaskError::InvalidFrame),
        ("trailers of gRPC-Web", b"\x80\0\0\0\0", MaskError::InvalidFrame),
        ("larger than all memory", b"\0\xFF\xFF\xFF\xFF", MaskError::MessageLimit),
        ("cut prefix", b"\0\0\0\0", MaskError::Truncated),
        ("cut message", b"\0\0\0\0\x01", MaskError::Truncated),
    ] {
        let (out, ended) = check_splits(&plan, Format::Grpc, stream);
        assert_eq!((out.len(), ended.err()), (0, Some(error)), "{name}");
    }
}

#[test]
fn unknown_fields_stay_unless_a_value_is_seen_in_them() {
    let plan = setup("otel.traces").plan();
    let text = |text: &str| text.as_bytes().to_vec();
    let json = text(r#"{"mail": "ada\u0040example.com"}"#);
    let group =
        [b"\xa3\x06".to_vec(), sized(3, EMAIL.as_bytes()), sized(4, b"stays"), b"\xa4\x06".to_vec()].concat();
    let emptied = [b"\xa3\x06".to_vec(), sized(4, b"stays"), b"\xa4\x06".to_vec()].concat();
    for (name, unknown, expected) in [
        ("text", sized(100, b"plain"), None),
        ("bytes", sized(100, &[0xFF, 0, 1]), None),
        ("message", sized(100, &sized(1, b"plain")), None),
        ("value", sized(100, EMAIL.as_bytes()), Some(Vec::new())),
        ("value in text", sized(100, format!("to {EMAIL}.").as_bytes()), Some(Vec::new())),
        ("value in JSON", sized(100, &json), Some(Vec::new())),
        // The length in front is a digit, which hides a card from a scan of the whole.
        (
            "value in a message",
            sized(100, &sized(1, format!("4111 1111 1111 1111{}", " ".repeat(30)).as_bytes())),
            Some(Vec::new()),
        ),
        (
            "value in a message in a message",
            sized(100, &sized(1, &sized(6, EMAIL.as_bytes()))),
            Some(Vec::new()),
        ),
        ("value in a group", group, Some(emptied)),
        (
            "value in place of an id",
            sized(1, &sized(2, &sized(2, &sized(1, EMAIL.as_bytes())))),
            Some(sized(1, &sized(2, &sized(2, b"")))),
        ),
    ] {
        let body = [sized(1, b""), unknown.clone(), sized(1, b"")].concat();
        let expected = [sized(1, b""), expected.unwrap_or(unknown), sized(1, b"")].concat();
        let (out, ended) = check_splits(&plan, Format::Protobuf, &body);
        assert_eq!(ended.map(|findings| findings.total()), Ok(u64::from(out != body)), "{name}");
        assert_eq!(out, expected, "{name}");
    }
    let deep = (0..20).fold(b"x".to_vec(), |inner, _| sized(1, &inner));
    assert_eq!(whole(&plan, Format::Protobuf, &sized(100, &deep)).1.err(), Some(MaskError::TooDeep));
}

#[test]
fn paths_mean_in_protobuf_what_they_mean_in_json() {
    let mut setup = setup("otel.traces");
    setup.fields = vec![
        (4, "$.resourceSpans[*].scopeSpans[*].spans[*].name"),
        (3, "$.resourceSpans[*].scopeSpans[*].spans[*].kind"),
        (3, "$..events"),
        (2, "$..password"),
    ];
    let content = setup.content.as_mut().unwrap();
    content.skip.push("$..traceState".parse().unwrap());
    content.null.push("$..status".parse().unwrap());
    let span = |fields: &[Vec<u8>]| sized(1, &sized(2, &sized(2, &fields.concat())));
    let attribute =
        |text: &str| sized(9, &[sized(1, b"input"), sized(2, &sized(1, text.as_bytes()))].concat());
    let body = span(&[
        sized(3, EMAIL.as_bytes()),
        sized(5, b"SELECT 1"),
        vec![0x30, 2],
        attribute(r#"{"password": "x", "n": 1}"#),
        sized(15, &sized(2, b"failed")),
    ]);
    let expected = span(&[
        sized(3, EMAIL.as_bytes()),
        sized(5, b"[CONTACT]"),
        attribute(r#"{"password": "[ID]", "n": 1}"#),
    ]);
    let (out, ended) = check_splits(&setup.plan(), Format::Protobuf, &body);
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
    let places: Vec<_> = ended.unwrap().iter().map(|finding| finding.location.clone()).collect();
    let spans = "$.resourceSpans[*].scopeSpans[*].spans[*]";
    assert_eq!(
        places,
        [
            format!("{spans}.name"),
            format!("{spans}.kind"),
            format!("{spans}.attributes[*].value.stringValue.password"),
        ]
    );
}

#[test]
fn text_need_not_be_utf8_and_lengths_are_written_short_only_where_they_change() {
    let plan = setup("otel.traces").plan();
    let tag = [0x8A, 0x80, 0x00];
    let padded = |body: &[u8]| [&tag[..], &varint(body.len() as u64, 3), body].concat();
    let short = |body: &[u8]| [&tag[..], &varint(body.len() as u64, 0), body].concat();
    let clean = padded(&padded(&padded(&sized(1, b"\xFF\xFE text \xC3"))));
    let (out, ended) = whole(&plan, Format::Protobuf, &clean);
    assert!(ended.unwrap().is_empty());
    assert_eq!(out, clean);
    let attribute = |text: &[u8]| [sized(1, b"k\xFF"), sized(2, &sized(1, text))].concat();
    let dirty = padded(&padded(&padded(&attribute(b"\xFF ada@example.com \xC3"))));
    let (out, ended) = whole(&plan, Format::Protobuf, &dirty);
    assert_eq!(ended.unwrap().total(), 1);
    assert_eq!(out, short(&short(&short(&attribute(b"\xFF [EMAIL] \xC3")))));
}
