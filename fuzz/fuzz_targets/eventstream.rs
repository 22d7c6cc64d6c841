//! Event streams of AWS: deltas are joined as in other streams, in base64 too; whatever is in frames, what is put out is
//! frames again with right lengths and checksums, the same ones without findings, and has no piece of a planted value.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use veilwire_engine::format::Format;
use veilwire_fuzz::deltas::{Api, Delta, check, literal};
use veilwire_fuzz::frames::{Frame, Header, SIZES, read, repaired};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, run_every_way};
use veilwire_fuzz::planted::{Planted, plant};

const MAX_FRAMES: usize = 6;
const MAX_HEADERS: usize = 4;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    match input.byte() % 6 {
        0 => check(&Converse, input),
        1 => check(&Invoke, input),
        kind => any_frames(kind, input),
    }
});

fn any_frames(kind: u8, mut input: Input<'_>) {
    let case = Case::response(input.pick(&["json", "converse", "invoke"]));
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let planted = match kind {
        // A value that is planted changes a length.
        2 => Planted::nothing_in(input.rest().to_vec()),
        3 => Planted::nothing_in(repaired(input.rest())),
        _ => frames(&mut input),
    };
    let outcome = run_every_way(&case.plan, Format::EventStream, &planted.body, cuts);
    let Ok(findings) = &outcome.result else { return };
    let before = read(&planted.body).expect("what was accepted is frames");
    let after = read(&outcome.out).expect("what is put out is frames");
    assert!(after.len() >= before.len(), "a frame is missing");
    if case.plain {
        assert!(!findings.is_empty() || outcome.out == planted.body, "changed without a finding");
        assert_eq!(before.len(), after.len(), "another number of frames");
        for (before, after) in before.iter().zip(&after) {
            check_frame(before, after);
        }
        for frame in &after {
            for header in &frame.headers {
                planted.check_masked(&header.name);
                planted.check_masked(&header.value);
            }
            planted.check_masked(&opened(&frame.payload));
        }
    }
}

fn check_frame(before: &Frame, after: &Frame) {
    let mut left = after.headers.iter().peekable();
    for header in &before.headers {
        match left.next_if(|next| (&next.name, next.kind) == (&header.name, header.kind)) {
            Some(next) if next.value == header.value => {}
            Some(_) => assert!(SIZES[usize::from(header.kind)].is_none(), "a number in a header was changed"),
            // A value may be its name, and values are long.
            None => assert!(header.name.len() > 8, "a header is missing"),
        }
    }
    assert!(left.next().is_none(), "a header that was not there");
    assert!(!is_json(&before.payload) || is_json(&after.payload), "a payload is no longer JSON");
}

fn is_json(payload: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
}

/// What a payload says, and what it carries in base64 if that is text. The digits of an escape say nothing: beside others
/// they may look like a piece of a value.
fn opened(payload: &[u8]) -> Vec<u8> {
    let Ok(value) = serde_json::from_slice::<Value>(payload) else { return payload.to_vec() };
    let carried = value["bytes"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let carried = carried.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let text = !carried.chars().any(|char| char.is_control() && !char.is_whitespace());
    let carried = if text { carried } else { String::new() };
    let carried =
        if is_json(carried.as_bytes()) { unescaped(carried.as_bytes()) } else { carried.into_bytes() };
    [unescaped(payload), carried].concat()
}

/// A document without the escapes of its strings; it has none elsewhere.
fn unescaped(document: &[u8]) -> Vec<u8> {
    let mut rest = String::from_utf8_lossy(document).into_owned();
    let mut out = String::new();
    while let Some((before, escape)) = rest.split_once('\\') {
        out += before;
        let size = escape.chars().next().map_or(0, |kind| if kind == 'u' { 5 } else { kind.len_utf8() });
        let (escape, after) = escape.split_at_checked(size).expect("escapes are complete in JSON");
        // Half of a character is none.
        out += &serde_json::from_str::<String>(&format!("\"\\{escape}\"")).unwrap_or_default();
        rest = after.to_owned();
    }
    (out + &rest).into_bytes()
}

/// Frames with any headers and payloads of several kinds.
fn frames(input: &mut Input<'_>) -> Planted {
    let mut stream = Planted::default();
    for _ in 0..MAX_FRAMES {
        if input.is_empty() {
            break;
        }
        let mut frame = Frame::default();
        for _ in 0..usize::from(input.byte()) % MAX_HEADERS {
            frame.headers.push(header(input, &mut stream));
        }
        let kind = input.byte();
        let length = usize::from(input.byte());
        let text = plant(input.take(length));
        stream.note(&text);
        frame.payload = match kind % 6 {
            0 => text.body,
            1 => format!("{{\"bytes\":\"{}\",\"p\":\"ab\"}}", STANDARD.encode(&text.body)).into_bytes(),
            2 => {
                let document = format!("{{\"a\":{}}}", quoted(&text.body, input));
                format!("{{\"bytes\":\"{}\"}}", STANDARD.encode(document)).into_bytes()
            }
            3 => format!("{{{}:1,\"a\":[]}}", quoted(&text.body, input)).into_bytes(),
            _ => format!("{{\"a\":{}}}", quoted(&text.body, input)).into_bytes(),
        };
        let mut written = frame.write();
        if kind >= 0xF0 {
            let place = usize::from(input.word()) % written.len();
            written[place] ^= 1 << (kind % 8);
        }
        stream.body.extend_from_slice(&written);
    }
    stream
}

fn header(input: &mut Input<'_>, stream: &mut Planted) -> Header {
    // Five values make no name that is too long.
    let length = usize::from(input.byte() % 6);
    let name = plant(input.take(length));
    stream.note(&name);
    let name = name.body;
    let kind = input.byte() % 10;
    let size = SIZES[usize::from(kind)];
    let length = size.unwrap_or_else(|| usize::from(input.byte() % 32));
    if size.is_some() {
        let mut value = input.take(length).to_vec();
        value.resize(length, 0);
        stream.note_shown(&value);
        return Header { name, kind, value };
    }
    let value = plant(input.take(length));
    stream.note(&value);
    Header { name, kind, value: value.body }
}

fn quoted(text: &[u8], style: &mut Input<'_>) -> String {
    literal(&String::from_utf8_lossy(text), style)
}

/// Documents in frames.
struct Converse;

/// Documents that documents in frames carry.
struct Invoke;

impl Api for Converse {
    fn route(&self) -> &'static str {
        "converse"
    }

    fn format(&self) -> Format {
        Format::EventStream
    }

    fn channels(&self) -> usize {
        3
    }

    fn stream(&self, deltas: &[Delta], mut style: Input<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for Delta { channel, text } in deltas {
            let text = literal(text, &mut style);
            let delta = match channel {
                0 => format!(r#"{{"reasoningContent":{{"text":{text}}}}}"#),
                1 => format!(r#"{{"text":{text}}}"#),
                _ => format!(r#"{{"toolUse":{{"input":{text}}}}}"#),
            };
            let document = format!(r#"{{"contentBlockIndex":{channel},"delta":{delta},"p":"abc"}}"#);
            out.extend(Frame::event("contentBlockDelta", document.into_bytes()).write());
        }
        for channel in 0..3 {
            let document = format!(r#"{{"contentBlockIndex":{channel}}}"#);
            out.extend(Frame::event("contentBlockStop", document.into_bytes()).write());
        }
        out.extend(Frame::event("messageStop", br#"{"stopReason":"end_turn"}"#.to_vec()).write());
        out
    }

    fn joined(&self, stream: &[u8]) -> Vec<String> {
        let mut joined = vec![String::new(); 3];
        for document in documents(stream) {
            let delta = &document["delta"];
            let texts = [&delta["reasoningContent"]["text"], &delta["text"], &delta["toolUse"]["input"]];
            for (channel, text) in texts.iter().enumerate() {
                if document["contentBlockIndex"] == channel {
                    joined[channel].push_str(text.as_str().unwrap_or_default());
                }
            }
        }
        joined
    }
}

impl Api for Invoke {
    fn route(&self) -> &'static str {
        "invoke"
    }

    fn format(&self) -> Format {
        Format::EventStream
    }

    fn channels(&self) -> usize {
        3
    }

    fn stream(&self, deltas: &[Delta], mut style: Input<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut push = |document: String| {
            let payload = format!(r#"{{"bytes":"{}","p":"abcd"}}"#, STANDARD.encode(document));
            out.extend(Frame::event("chunk", payload.into_bytes()).write());
        };
        for Delta { channel, text } in deltas {
            let text = literal(text, &mut style);
            let (kind, member) =
                [("thinking", "thinking"), ("text", "text"), ("input_json", "partial_json")][*channel];
            push(format!(
                r#"{{"type":"content_block_delta","index":{channel},"delta":{{"type":"{kind}_delta","{member}":{text}}}}}"#
            ));
        }
        for channel in 0..3 {
            push(format!(r#"{{"type":"content_block_stop","index":{channel}}}"#));
        }
        push(r#"{"type":"message_stop"}"#.to_owned());
        out
    }

    fn joined(&self, stream: &[u8]) -> Vec<String> {
        let mut joined = vec![String::new(); 3];
        for outer in documents(stream) {
            let carried = STANDARD.decode(outer["bytes"].as_str().expect("a chunk")).expect("base64");
            let document: Value = serde_json::from_slice(&carried).expect("what is carried is JSON");
            for (channel, member) in ["thinking", "text", "partial_json"].iter().enumerate() {
                if document["index"] == channel {
                    joined[channel].push_str(document["delta"][member].as_str().unwrap_or_default());
                }
            }
        }
        joined
    }
}

fn documents(stream: &[u8]) -> Vec<Value> {
    let frames = read(stream).expect("what is put out is frames");
    frames.iter().map(|frame| serde_json::from_slice(&frame.payload).expect("a payload is JSON")).collect()
}
