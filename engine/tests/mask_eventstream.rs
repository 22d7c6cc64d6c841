//! Event streams of AWS: recorded streams keep their frames and texts, values that are cut over frames leave no piece, and
//! damage is refused. Frames are read and written here by code of its own.
#![cfg(test)]

mod mask_support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mask_support::{Outcome, Random, Setup, check_splits, recorded, send, whole};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::{Limits, Thinking};

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
        }
    }
    (!crc).to_be_bytes()
}

fn frame_of(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut frame = [total.to_be_bytes(), u32::try_from(headers.len()).unwrap().to_be_bytes()].concat();
    frame.extend(crc(&frame));
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend(crc(&frame));
    frame
}

fn headers_of(event: &str) -> Vec<u8> {
    let fields = [(":event-type", event), (":content-type", "application/json"), (":message-type", "event")];
    fields.iter().flat_map(|(name, value)| header(name, value)).collect()
}

fn header(name: &str, value: &str) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &[7], &length, value.as_bytes()].concat()
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame_of(&headers_of(name), payload.as_bytes())
}

/// A document as InvokeModel passes it on.
fn chunk(document: impl AsRef<[u8]>) -> Vec<u8> {
    event("chunk", &format!(r#"{{"bytes":"{}","p":"abcdef"}}"#, STANDARD.encode(document)))
}

/// Headers and payload of every frame; panics if a length or checksum is wrong.
fn frames(mut body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        let (total, headers) = (number(0), number(4));
        assert_eq!(body[8..12], crc(&body[..8]));
        assert_eq!(body[total - 4..total], crc(&body[..total - 4]));
        frames.push((body[12..12 + headers].to_vec(), body[12 + headers..total - 4].to_vec()));
        body = &body[total..];
    }
    frames
}

/// The documents of a stream, taken out of their base64.
fn documents(body: &[u8]) -> Vec<Value> {
    let open = |(_, payload): (Vec<u8>, Vec<u8>)| {
        let outer: Value =
            serde_json::from_slice(&payload).unwrap_or_else(|_| panic!("a payload is no JSON"));
        let inner = outer["bytes"].as_str().map(|text| STANDARD.decode(text).unwrap());
        match inner {
            Some(inner) => match serde_json::from_slice(&inner) {
                Ok(document @ Value::Object(_)) => document,
                _ => json!({"bytes": String::from_utf8(inner).unwrap()}),
            },
            None => outer,
        }
    };
    frames(body).into_iter().map(open).collect()
}

/// The texts of a stream, joined by where they are and by index.
fn texts(body: &[u8]) -> BTreeMap<String, String> {
    fn collect(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
        match value {
            Value::String(text) => into.entry(path.to_owned()).or_default().push_str(text),
            Value::Object(members) => {
                members.iter().filter(|(name, _)| *name != "p").for_each(|(name, value)| {
                    collect(value, &format!("{path}.{name}"), into);
                });
            }
            Value::Array(elements) => {
                elements.iter().for_each(|value| collect(value, &format!("{path}[]"), into))
            }
            _ => {}
        }
    }
    let mut texts = BTreeMap::new();
    for document in documents(body) {
        let index =
            document.get("index").or(document.get("contentBlockIndex")).unwrap_or(&Value::Null).to_string();
        // Only fragments may go on in other frames; the rest is compared with its frame.
        for member in ["delta", "bytes", "completion"] {
            if let Some(value) = document.get(member) {
                let mut found = BTreeMap::new();
                collect(value, &format!("{index}.{member}"), &mut found);
                found.retain(|path, _| !path.ends_with(".type"));
                for (path, text) in found {
                    texts.entry(path).or_insert_with(String::new).push_str(&text);
                }
            }
        }
    }
    texts
}

fn leaks(body: &[u8], value: &str) -> bool {
    let shown: String =
        documents(body).iter().map(Value::to_string).chain(texts(body).into_values()).collect();
    value.as_bytes().windows(6).any(|piece| {
        let raw = body.windows(6).any(|window| window == piece);
        raw || shown.contains(std::str::from_utf8(piece).unwrap())
    })
}

const RECORDED: [(&str, &str); 7] = [
    ("bedrock-eventstream-6790aed6", "bedrock.invoke"),
    ("bedrock-eventstream-88b5b1c8", "bedrock.invoke"),
    ("bedrock-eventstream-91cf70bd", "bedrock.invoke"),
    ("bedrock-eventstream-reasoning-5111cfb4", "bedrock.converse"),
    ("bedrock-eventstream-reasoning-84b82290", "bedrock.converse"),
    ("bedrock-eventstream-bac4330d", "bedrock.agent"),
    ("bedrock-bin-reasoning-de5250ff", "bedrock.agent"),
];

fn plan(content: &str) -> Arc<MaskPlan> {
    Setup { thinking: Thinking::MaskAndDropSignature, ..Setup::of(content) }.plan()
}

#[test]
fn recorded_streams_keep_their_frames_and_texts_at_every_cut() {
    for (name, content) in RECORDED {
        let plan = plan(content);
        let (_, body) = recorded(name, ".resp.bin").remove(0);
        let (out, ended) = whole(&plan, Format::EventStream, &body);
        assert!(ended.unwrap_or_else(|error| panic!("{name}: {error}")).is_empty(), "{name}");
        assert!(texts(&out) == texts(&body), "{name}");
        // Frames keep their order, headers and all that is no fragment; text that waited may add a frame.
        let (before, after) = (frames(&body), frames(&out));
        let mut rest = after.iter();
        for (headers, payload) in &before {
            let same = |(other, text): &&(Vec<u8>, Vec<u8>)| other == headers && keys(text) == keys(payload);
            assert!(rest.find(same).is_some(), "{name}: a frame went");
        }
        let waits = after.len() - before.len();
        assert!(waits <= 2, "{name}: {waits} more frames");
        // Without values the frames in which nothing waited are the same.
        let unchanged = before.iter().filter(|frame| after.contains(frame)).count();
        assert!(unchanged * 5 > before.len(), "{name}: {unchanged} of {}", before.len());
        if body.len() <= 2600 {
            drop(check_splits(&plan, Format::EventStream, &body));
        }
        let mut random = Random(11);
        for longest in [1, 5, 100, 2000, 2000, 2000, 5000] {
            let (cut, _) = send(&plan, Format::EventStream, random.cut(&body, longest));
            assert!(cut == out, "{name}: depends on the cut");
        }
    }
}

/// The members of a payload.
fn keys(payload: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(payload).unwrap();
    value.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn without_detectors_every_frame_is_the_same() {
    for (name, content) in RECORDED {
        // A field nobody has keeps the plan from being idle.
        let setup = Setup { detectors: Vec::new(), fields: vec![(0, "$.nobody")], ..Setup::of(content) };
        let (_, body) = recorded(name, ".resp.bin").remove(0);
        let (out, ended) = whole(&setup.plan(), Format::EventStream, &body);
        assert!(ended.is_ok() && out == body, "{name}");
    }
}

const PLANTED: [&str; 4] =
    ["zqx.wvk@qjxvwkz.zqvjq", "4929 7221 8315 6024", "457-55-5462", "sk-ant-api03-q9Zx7Wv5Kj3Hg1Fd-_Sa2Po4"];
const MASKED: [&str; 4] = ["[EMAIL]", "[CARD]", "[ID]", "[SECRET]"];

/// How each API streams a text in pieces, and closes it.
type Api = (&'static str, fn(&[String]) -> Vec<u8>);

fn invoke(pieces: &[String]) -> Vec<u8> {
    let mut body =
        chunk(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#);
    for piece in pieces {
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}});
        body.extend(chunk(delta.to_string()));
    }
    body.extend(chunk(r#"{"type":"content_block_stop","index":0}"#));
    body.extend(chunk(r#"{"type":"message_stop"}"#));
    body
}

fn invoke_tool(pieces: &[String]) -> Vec<u8> {
    let text: String = pieces.concat();
    // The arguments are a document; it is cut where the pieces end.
    let document = json!({ "to": text }).to_string();
    let mut rest = document.as_str();
    let mut body = Vec::new();
    for piece in pieces {
        let (part, after) = rest.split_at(piece.len().min(rest.len()));
        rest = after;
        let delta = json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": part}});
        body.extend(chunk(delta.to_string()));
    }
    let delta = json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": rest}});
    body.extend(chunk(delta.to_string()));
    body.extend(chunk(r#"{"type":"content_block_stop","index":1}"#));
    body
}

fn converse(pieces: &[String]) -> Vec<u8> {
    let mut body = event("messageStart", r#"{"p":"abc","role":"assistant"}"#);
    for piece in pieces {
        let delta = json!({"contentBlockIndex": 0, "delta": {"text": piece}, "p": "abcdef"});
        body.extend(event("contentBlockDelta", &delta.to_string()));
    }
    body.extend(event("contentBlockStop", r#"{"contentBlockIndex":0,"p":"ab"}"#));
    body.extend(event("messageStop", r#"{"stopReason":"end_turn","p":"ab"}"#));
    body
}

fn agent(pieces: &[String]) -> Vec<u8> {
    let chunks =
        pieces.iter().map(|piece| event("chunk", &json!({"bytes": STANDARD.encode(piece)}).to_string()));
    let mut body: Vec<u8> = chunks.flatten().collect();
    body.extend(event("trace", r#"{"trace":{"orchestrationTrace":{"rationale":{"text":"done"}}}}"#));
    body
}

const APIS: [Api; 4] = [
    ("bedrock.invoke", invoke),
    ("bedrock.invoke", invoke_tool),
    ("bedrock.converse", converse),
    ("bedrock.agent", agent),
];

#[test]
fn values_cut_over_frames_anywhere_leave_no_piece() {
    for (content, stream) in APIS {
        let plan = plan(content);
        for (value, masked) in PLANTED.iter().zip(MASKED) {
            // At the end too, where the text waits until the channel closes.
            for text in [format!("It is {value} there."), format!("It is {value}")] {
                for cut in 0..=text.len() {
                    let (first, rest) = text.split_at(cut);
                    let (second, third) = rest.split_at(rest.len().min(4));
                    let pieces = [first, second, third].map(str::to_owned);
                    let body = stream(&pieces);
                    let (out, ended) = whole(&plan, Format::EventStream, &body);
                    let findings = ended.unwrap_or_else(|error| panic!("{content}, cut at {cut}: {error}"));
                    assert_eq!(findings.total(), 1, "{content}, cut at {cut}");
                    assert!(!leaks(&out, value), "{content}, cut at {cut}");
                    let joined: String = texts(&out).into_values().collect();
                    let expected = texts(&body).into_values().collect::<String>().replace(value, masked);
                    assert_eq!(joined, expected, "{content}, cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn streams_with_values_do_not_depend_on_how_bytes_are_cut() {
    for (content, stream) in APIS {
        let pieces = ["It is zqx.wvk@qj", "xvwkz.zq", "vjq or 4929 7221", " 8315 6024"].map(str::to_owned);
        let body = stream(&pieces);
        let (out, ended) = check_splits(&plan(content), Format::EventStream, &body);
        assert_eq!(ended.map(|findings| findings.total()), Ok(2), "{content}");
        let joined: String = texts(&out).into_values().collect();
        assert!(joined.contains("It is [EMAIL] or [CARD]"), "{content}: {joined}");
    }
}

#[test]
fn a_tail_goes_out_in_a_frame_of_its_own_before_the_one_that_closes() {
    let pieces = ["mail ada@exam".to_owned(), "ple.com".to_owned()];
    let (out, _) = whole(&plan("bedrock.invoke"), Format::EventStream, &invoke(&pieces));
    let shown: Vec<_> = documents(&out)
        .iter()
        .map(|document| (document["type"].clone(), document["delta"]["text"].clone()))
        .collect();
    assert_eq!(shown.len(), 6);
    assert_eq!(shown[3], (json!("content_block_delta"), json!("[EMAIL]")));
    assert_eq!(shown[4].0, json!("content_block_stop"));
    assert_eq!(frames(&out)[3].0, headers_of("chunk"));
    let (out, _) = whole(&plan("bedrock.converse"), Format::EventStream, &converse(&pieces));
    let frames = frames(&out);
    let shown: Vec<_> = frames
        .iter()
        .map(|(headers, payload)| (headers.clone(), String::from_utf8(payload.clone()).unwrap()))
        .collect();
    assert_eq!(shown.len(), 6);
    assert_eq!(shown[3].0, headers_of("contentBlockDelta"));
    assert_eq!(shown[3].1, r#"{"contentBlockIndex":0,"delta":{"text":"[EMAIL]"},"p":"abcdef"}"#);
    assert_eq!(shown[4].0, headers_of("contentBlockStop"));
    // What an agent says is over when the body is.
    let (out, _) = whole(&plan("bedrock.agent"), Format::EventStream, &agent(&pieces));
    assert_eq!(documents(&out).pop().unwrap(), json!({"bytes": "[EMAIL]"}));
}

#[test]
fn a_frame_of_its_own_has_the_headers_of_another_only_as_they_are_masked() {
    let noted = [headers_of("chunk"), header("note", "to bob@example.com")].concat();
    let closing =
        format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(r#"{"type":"content_block_stop","index":0}"#));
    let body = [
        chunk(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi ada"}}"#),
        frame_of(&noted, closing.as_bytes()),
    ]
    .concat();
    let (out, ended) = check_splits(&plan("bedrock.invoke"), Format::EventStream, &body);
    assert_eq!(ended.unwrap().total(), 1);
    let masked = [headers_of("chunk"), header("note", "to [EMAIL]")].concat();
    let headers: Vec<_> = frames(&out).into_iter().map(|(headers, _)| headers).collect();
    assert_eq!(headers, [headers_of("chunk"), masked.clone(), masked]);
    assert_eq!(documents(&out)[1]["delta"]["text"], "ada");
}

#[test]
fn a_header_whose_name_is_a_value_goes() {
    let named =
        [header("bob@example.com", "x"), headers_of("ping"), b"\x0bAda@ex.test\x00".to_vec()].concat();
    let (out, ended) = check_splits(&plan("bedrock.converse"), Format::EventStream, &frame_of(&named, b"{}"));
    assert_eq!(ended.unwrap().total(), 2);
    assert!(out == frame_of(&headers_of("ping"), b"{}"));
}

#[test]
fn frames_leave_when_they_are_complete() {
    let plan = plan("bedrock.converse");
    let body = converse(&["plain words ".to_owned(), "and more ".to_owned()]);
    let lengths: Vec<_> =
        frames(&body).iter().map(|(headers, payload)| 16 + headers.len() + payload.len()).collect();
    let mut masker = Masker::new(plan, Format::EventStream);
    let (mut place, mut ends) = (0, Vec::new());
    for &byte in &body {
        let mut out = Vec::new();
        masker.write(&[byte], &mut out).unwrap();
        place += 1;
        if !out.is_empty() {
            assert!(!frames(&out).is_empty());
            ends.push(place);
        }
    }
    let expected: Vec<usize> = lengths
        .iter()
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();
    assert_eq!(ends, expected);
}

#[test]
fn damage_is_refused_at_every_bit_and_nothing_of_the_frame_leaves() {
    let plan = plan("bedrock.invoke");
    let first = chunk(r#"{"type":"message_start"}"#);
    let second = chunk(
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"mail zqx.wvk@qjxvwkz.zqvjq now"}}"#,
    );
    let body = [first.clone(), second.clone()].concat();
    for place in first.len()..body.len() {
        for bit in 0..8 {
            let mut damaged = body.clone();
            damaged[place] ^= 1 << bit;
            let (out, ended) = whole(&plan, Format::EventStream, &damaged);
            assert_eq!(
                (out == first, ended.err()),
                (true, Some(MaskError::InvalidFrame)),
                "byte {place}, bit {bit}"
            );
        }
        let (out, ended) = whole(&plan, Format::EventStream, &body[..place]);
        assert!(out == first);
        assert_eq!(ended.err(), (place > first.len()).then_some(MaskError::Truncated), "cut at {place}");
    }
}

fn refused(content: &str, body: &[u8]) -> Option<MaskError> {
    let (out, ended) = check_splits(&plan(content), Format::EventStream, body);
    assert!(ended.is_ok() || out.is_empty());
    ended.err()
}

#[test]
fn what_cannot_be_inspected_is_refused() {
    let bytes = |text: &[u8]| STANDARD.encode(text);
    let two = format!(r#"{{"bytes":"{}","bytes":"{}"}}"#, bytes(b"{}"), bytes(b"{}"));
    let hidden = format!(r#"{{"bytes":"{}","\u0062ytes":"{}"}}"#, bytes(b"{}"), bytes(b"{}"));
    let text = format!(r#"{{"bytes":"{}"}}"#, bytes(b"plain text, and who knows how it goes on"));
    let broken = format!(r#"{{"bytes":"{}"}}"#, bytes(br#"{"a": ada@example.com}"#));
    for (name, payload, error) in [
        ("two documents", two.as_str(), MaskError::InvalidFrame),
        ("two documents, one in disguise", &hidden, MaskError::InvalidFrame),
        ("text that no channel joins", &text, MaskError::InvalidFrame),
        ("broken document", &broken, MaskError::InvalidJson),
        ("broken payload", r#"{"a": }"#, MaskError::InvalidJson),
        ("more than one payload", "{} {}", MaskError::InvalidJson),
        ("no JSON", "ada@example.com", MaskError::InvalidFrame),
        ("bytes", "\u{1}\u{2}", MaskError::InvalidFrame),
    ] {
        assert_eq!(refused("bedrock.invoke", &event("chunk", payload)), Some(error), "{name}");
    }
    for (name, headers) in
        [("cut name", &b"\x05a"[..]), ("unknown type", b"\x01a\x0A"), ("long value", b"\x01a\x07\xFF\xFFa")]
    {
        assert_eq!(
            refused("bedrock.invoke", &frame_of(headers, b"{}")),
            Some(MaskError::InvalidFrame),
            "{name}"
        );
    }
    let mut short = [15_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    short.extend(crc(&short));
    assert_eq!(refused("bedrock.invoke", &short), Some(MaskError::InvalidFrame));
    let mut long = [17_u32.to_be_bytes(), 2_u32.to_be_bytes()].concat();
    long.extend(crc(&long));
    assert_eq!(refused("bedrock.invoke", &long), Some(MaskError::InvalidFrame));
}

#[test]
fn frames_without_payload_and_exceptions_pass_masked() {
    let exception: Vec<u8> = [
        (":exception-type", "validationException"),
        (":message-type", "exception"),
        (":content-type", "application/json"),
    ]
    .iter()
    .flat_map(|(name, value)| header(name, value))
    .collect();
    let errors =
        [header(":message-type", "error"), header(":error-message", "no ada@example.com here")].concat();
    let body = [
        frame_of(b"", b""),
        frame_of(&headers_of("ping"), b" "),
        frame_of(&exception, br#"{"message":"unknown user ada@example.com"}"#),
        frame_of(&errors, b""),
    ]
    .concat();
    let expected = [
        frame_of(b"", b""),
        frame_of(&headers_of("ping"), b" "),
        frame_of(&exception, br#"{"message":"unknown user [EMAIL]"}"#),
        frame_of(
            &[header(":message-type", "error"), header(":error-message", "no [EMAIL] here")].concat(),
            b"",
        ),
    ]
    .concat();
    let (out, ended): Outcome = check_splits(&plan("bedrock.invoke"), Format::EventStream, &body);
    assert_eq!(ended.unwrap().total(), 2);
    assert!(out == expected);
}

#[test]
fn base64_that_carries_no_document_is_a_text_like_any_other() {
    let plan = plan("bedrock.invoke");
    // Sixteen digits are base64 as well.
    let body = event("chunk", r#"{"bytes":"4111111111111111","note":"ada@example.com"}"#);
    let (out, ended) = whole(&plan, Format::EventStream, &body);
    assert_eq!(ended.unwrap().total(), 2);
    assert_eq!(frames(&out)[0].1, br#"{"bytes":"[CARD]","note":"[EMAIL]"}"#);
    // Around a document everything is masked too, and escapes in the base64 hide nothing.
    let inner = STANDARD.encode(r#"{"note":"ada@example.com"}"#).replace('e', "\\u0065");
    let body = event("chunk", &format!(r#"{{ "note" : "ada@example.com", "bytes" : "{inner}" , "n": 1 }}"#));
    let (out, _) = whole(&plan, Format::EventStream, &body);
    let masked = STANDARD.encode(r#"{"note":"[EMAIL]"}"#);
    let expected = format!(r#"{{ "note" : "[EMAIL]", "bytes" : "{masked}" , "n": 1 }}"#);
    assert_eq!(String::from_utf8_lossy(&frames(&out)[0].1), expected);
    // A field rule for it masks it whole.
    let setup = Setup { fields: vec![(3, "$.bytes")], ..Setup::of("bedrock.invoke") };
    let (out, _) = whole(&setup.plan(), Format::EventStream, &chunk(r#"{"note":"ada@example.com"}"#));
    assert_eq!(frames(&out)[0].1, br#"{"bytes":"[SECRET]","p":"abcdef"}"#);
}

#[test]
fn a_frame_may_be_as_large_as_its_limit_and_no_larger() {
    let limits = Limits { message: 64 * 1024, ..Limits::default() };
    let plan = Setup { limits, ..Setup::of("bedrock.converse") }.plan();
    let of_size = |size: usize| {
        let empty = event("metadata", r#"{"note":""}"#).len();
        event("metadata", &format!(r#"{{"note":"{}"}}"#, "a".repeat(size - empty)))
    };
    let fits = of_size(64 * 1024);
    let (out, ended) = send(&plan, Format::EventStream, fits.chunks(1000));
    assert!(ended.is_ok() && out == fits);
    let (out, ended) = whole(&plan, Format::EventStream, &of_size(64 * 1024 + 1)[..12]);
    assert_eq!((out.len(), ended.err()), (0, Some(MaskError::MessageLimit)));
}

#[test]
fn a_refusal_is_told_in_a_frame() {
    let mut masker = Masker::new(plan("bedrock.converse"), Format::EventStream);
    let mut out = Vec::new();
    let body = [event("messageStart", r#"{"role":"assistant"}"#), event("x", "no JSON")].concat();
    assert_eq!(masker.write(&body, &mut out), Err(MaskError::InvalidFrame));
    assert_eq!(frames(&out).len(), 1);
    let frames = frames(masker.error_event().unwrap());
    assert_eq!(frames.len(), 1);
    assert!(frames[0].0.starts_with(&header(":exception-type", "internalServerException")));
    assert_eq!(frames[0].1, br#"{"message":"response refused by policy"}"#);
}
