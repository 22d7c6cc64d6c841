//! Recorded traffic of every provider: nothing is refused or lost, and values planted across deltas come out masked.
//!
//! What a channel is stands here once more, as a function of an event that knows nothing of packs.
#![cfg(test)]

mod mask_support;

use mask_support::{Random, Setup, masked, recorded, send, whole};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskPlan;

/// Content, prefix and ending of its recordings, format.
const STREAMS: [(&str, &str, &str, Format); 11] = [
    ("openai.responses", "openai-responses-sse", ".sse", Format::Sse),
    ("openai.responses", "openai-responses-ndjson", ".ndjson", Format::Lines),
    ("gemini.generate", "gemini-sse-607b", ".sse", Format::Sse),
    ("gemini.generate", "gemini-sse-97c8", ".sse", Format::Sse),
    ("gemini.generate", "gemini-sse-reasoning-5e3a", ".sse", Format::Sse),
    ("gemini.generate", "gemini-sse-reasoning-92bc", ".sse", Format::Sse),
    ("gemini.generate", "gemini-sse-reasoning-f198", ".sse", Format::Sse),
    ("gemini.interactions", "gemini-sse-reasoning-42d9", ".sse", Format::Sse),
    ("gemini.interactions", "gemini-sse-reasoning-64a4", ".sse", Format::Sse),
    ("gemini.interactions", "gemini-ndjson", ".ndjson", Format::Lines),
    ("mcp.streamable", "mcp-sse", ".sse", Format::Sse),
];

/// Lines that Ollama sends, under two media types.
const OLLAMA: [(&str, &str, Format); 4] = [
    ("ollama.generate", "ollama-ndjson-634f", Format::Lines),
    ("ollama.generate", "ollama-ndjson-7d9d", Format::Lines),
    ("ollama.chat", "ollama-ndjson-ea31", Format::Lines),
    ("ollama.chat", "ollama-json-reasoning-e58e", Format::Json),
];

fn streams() -> Vec<(&'static str, String, Vec<u8>, Format)> {
    let ollama = OLLAMA.map(|(content, prefix, format)| (content, prefix, ".resp", format));
    let all = STREAMS.into_iter().chain(ollama);
    all.flat_map(|(content, prefix, ending, format)| {
        let ending = if ending == ".resp" {
            [".resp.ndjson", ".resp.json"][usize::from(format == Format::Json)]
        } else {
            ending
        };
        recorded(prefix, ending).into_iter().map(move |(name, body)| (content, name, body, format))
    })
    .collect()
}

#[test]
fn whole_documents_pass_unchanged() {
    for (content, prefix) in [
        ("openai.responses", "openai-responses"),
        ("gemini.generate", "gemini-json-reasoning"),
        ("gemini.generate", "gemini-json-error"),
        ("gemini.generate", "gemini-sse"),
        ("gemini.interactions", "gemini-json-2378"),
        ("ollama.chat", "ollama-json-reasoning-8b5e"),
        ("ollama.chat", "ollama-ndjson"),
        ("mcp.streamable", "mcp-sse"),
        ("otel.metrics", "otlp-json-json-17d1"),
        ("otel.traces", "otlp-json-json-5f56"),
        ("langsmith.runs", "tracestore-langsmith"),
        ("bedrock.converse", "bedrock-json"),
        ("bedrock.invoke", "bedrock-json"),
    ] {
        let plan = Setup::of(content).plan();
        for (name, body) in recorded(prefix, ".json") {
            for longest in [usize::MAX, 1, 1000] {
                let (out, ended) = send(&plan, Format::Json, body.chunks(longest.min(body.len())));
                assert!(ended.unwrap_or_else(|error| panic!("{name}: {error}")).is_empty(), "{name}");
                assert!(out == body, "{name} changed");
            }
        }
    }
}

#[test]
fn tokens_that_repeat_a_text_are_removed() {
    let plan = Setup::of("ollama.generate").plan();
    for (name, body) in recorded("ollama-json-dbd5", ".resp.json") {
        let out: Value = serde_json::from_str(&masked(&plan, Format::Json, &body)).unwrap();
        let mut expected: Value = serde_json::from_slice(&body).unwrap();
        assert!(expected["context"].as_array().is_some_and(|tokens| tokens.len() > 10), "{name}");
        expected["context"] = Value::Null;
        assert_eq!(out, expected, "{name}");
    }
}

#[test]
fn streams_keep_their_frames_and_the_text_of_their_channels() {
    let mut joined = 0;
    for (content, name, body, format) in streams() {
        let plan = Setup::of(content).plan();
        let (out, ended) = whole(&plan, format, &body);
        let findings = ended.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(findings.is_empty(), "{name}: {findings:?}");
        let (before, after) = (frames(&body), frames(&out));
        assert!(texts(&before) == texts(&after), "{name}: text of a channel changed");
        check_frames(&name, &before, &after);
        joined += texts(&before).len();
        let mut random = Random(7);
        for _ in 0..10 {
            let (cut, _) = send(&plan, format, random.cut(&body, 2000));
            assert!(cut == out, "{name}: depends on the cut");
        }
    }
    assert!(joined >= 25, "only {joined} texts");
}

/// Planted values; no piece of them occurs in the recordings.
const PLANTED: [&str; 5] = [
    "zqx.wvk@qjxvwkz.zqvjq",
    "4929 7221 8315 6024",
    "457-55-5462",
    "AKIAQ7ZX3WJ5K2NVBH6D",
    "sk-ant-api03-q9Zx7Wv5Kj3Hg1Fd-_Sa2Po4",
];

#[test]
fn values_planted_across_frames_leave_no_piece() {
    let mut random = Random(11);
    let mut planted = BTreeMap::<String, usize>::new();
    for (content, name, body, format) in streams() {
        let plan = Setup::of(content).plan();
        let frames = frames(&body);
        for (channel, _) in texts(&frames) {
            let Some(dirty) = plant(&frames, &channel, &mut random) else { continue };
            let kind: String = channel.chars().take_while(|char| !char.is_ascii_digit()).collect();
            *planted.entry(format!("{content} {kind}")).or_default() += PLANTED.len();
            leaves_no_piece(&plan, format, &dirty, &format!("{name}: {channel}"));
            // However its deltas cut a text, the same comes out of it.
            let again = plant(&frames, &channel, &mut random).unwrap();
            let text = |body: &[u8]| texts(&frames_of(&masked(&plan, format, body))).remove(&channel);
            assert!(text(&dirty) == text(&again), "{name}: {channel} depends on its deltas");
            let (cut, _) = send(&plan, format, random.cut(&dirty, 300));
            assert!(cut == whole(&plan, format, &dirty).0, "{name}: depends on the cut");
            if content == "gemini.generate" {
                leaves_no_piece(
                    &plan,
                    Format::Json,
                    &array(&dirty),
                    &format!("{name}: {channel} as an array"),
                );
            }
        }
    }
    for kind in [
        "openai.responses response.output_text.delta ",
        "openai.responses response.function_call_arguments.delta ",
        "openai.responses response.reasoning_summary_text.delta ",
        "openai.responses response.reasoning_text.delta ",
        "openai.responses response.code_interpreter_call_code.delta ",
        "gemini.generate text ",
        "gemini.interactions text ",
        "ollama.generate response",
        "ollama.chat content",
        "ollama.chat thinking",
    ] {
        assert!(planted.get(kind).is_some_and(|&count| count >= PLANTED.len()), "{kind}: {planted:?}");
    }
}

fn leaves_no_piece(plan: &Arc<MaskPlan>, format: Format, dirty: &[u8], name: &str) {
    let out = masked(plan, format, dirty);
    let joined: String = texts(&frames(out.as_bytes())).into_values().collect();
    for value in PLANTED {
        for piece in value.as_bytes().windows(6) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!out.contains(piece) && !joined.contains(piece), "{name}: piece of {value}");
        }
    }
}

/// Replaces the fragments of one channel by a text with all planted values, cut at random.
fn plant(frames: &[Frame], channel: &str, random: &mut Random) -> Option<Vec<u8>> {
    let mut frames = frames.to_vec();
    let places: Vec<(usize, String)> = frames
        .iter()
        .enumerate()
        .flat_map(|(place, frame)| {
            let fragments = frame.value.as_ref().map(fragments).unwrap_or_default();
            let own = fragments.into_iter().filter(|(name, _, text)| name == channel && !text.is_empty());
            own.map(move |(_, at, _)| (place, at)).collect::<Vec<_>>()
        })
        .collect();
    if places.len() < 3 {
        return None;
    }
    let text: String = PLANTED.iter().map(|value| format!("is {value}. ")).collect();
    let mut cuts: Vec<usize> = (1..places.len()).map(|_| random.below(text.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(text.len());
    let mut from = 0;
    for ((place, at), to) in places.into_iter().zip(cuts) {
        let value = frames[place].value.as_mut()?.pointer_mut(&at)?;
        *value = Value::String(text.get(from..to).unwrap().to_owned());
        from = to;
    }
    Some(frames.iter().flat_map(Frame::bytes).collect())
}

/// The payloads of a stream as the elements of an array, as the API sends them without `alt=sse`.
fn array(body: &[u8]) -> Vec<u8> {
    let values: Vec<String> =
        frames(body).iter().filter_map(|frame| frame.value.as_ref()).map(Value::to_string).collect();
    format!("[{}\n]\n", values.join("\n,\r\n")).into_bytes()
}

/// An event or a line: what stands around the document, and the document.
#[derive(Clone)]
struct Frame {
    before: String,
    value: Option<Value>,
    after: String,
}

impl Frame {
    fn bytes(&self) -> Vec<u8> {
        let value = self.value.as_ref().map(Value::to_string).unwrap_or_default();
        [self.before.as_bytes(), value.as_bytes(), self.after.as_bytes()].concat()
    }
}

fn frames_of(text: &str) -> Vec<Frame> {
    frames(text.as_bytes())
}

fn frames(body: &[u8]) -> Vec<Frame> {
    let text = std::str::from_utf8(body).unwrap();
    if text.starts_with('[') {
        let Ok(Value::Array(elements)) = serde_json::from_str(text) else { panic!("no array") };
        let frame = |value| Frame { before: String::new(), value: Some(value), after: "\n".into() };
        return elements.into_iter().map(frame).collect();
    }
    if text.starts_with('{') {
        let frame = |line: &str| Frame {
            before: String::new(),
            value: Some(serde_json::from_str(line).unwrap()),
            after: "\n".into(),
        };
        return text.lines().filter(|line| !line.is_empty()).map(frame).collect();
    }
    let end = if text.contains("\r\n\r\n") { "\r\n\r\n" } else { "\n\n" };
    // Events of our own end with LF.
    let text = text.replace("}\n\n", &format!("}}{end}"));
    text.split_inclusive(end)
        .map(|block| {
            let data = block.find("data:").map(|at| block.split_at(at + 5));
            match data.and_then(|(before, data)| Some((before, serde_json::from_str(data).ok()?))) {
                Some((before, value)) => {
                    Frame { before: format!("{before} "), value: Some(value), after: end.into() }
                }
                None => Frame { before: block.into(), value: None, after: String::new() },
            }
        })
        .collect()
}

/// The fragments of an event: name of the channel, place, text.
fn fragments(event: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut add = |channel: String, at: String| {
        if let Some(text) = event.pointer(&at).and_then(Value::as_str) {
            found.push((channel, at, text.to_owned()));
        }
    };
    let number = |at: &str| event.pointer(at).map_or(0, |value| value.as_u64().unwrap_or(99));
    match event["type"].as_str() {
        Some(kind) if kind.ends_with(".delta") => {
            let place = (number("/output_index"), number("/content_index"), number("/summary_index"));
            add(format!("{kind} {place:?}").replace("(", ""), "/delta".into());
            return found;
        }
        _ => {}
    }
    if event.get("event_type").is_some() {
        add(format!("text {}", number("/index")), "/delta/text".into());
        return found;
    }
    for (place, candidate) in event["candidates"].as_array().into_iter().flatten().enumerate() {
        let index = candidate["index"].as_u64().unwrap_or(place as u64);
        for (part, value) in candidate["content"]["parts"].as_array().into_iter().flatten().enumerate() {
            let kind = if value["thought"] == Value::Bool(true) { "thought" } else { "text" };
            add(format!("{kind} {index}"), format!("/candidates/{place}/content/parts/{part}/text"));
        }
    }
    if event.get("done").is_some() {
        for (name, at) in
            [("content", "/message/content"), ("thinking", "/message/thinking"), ("response", "/response")]
        {
            add(name.to_owned(), at.to_owned());
        }
    }
    found
}

fn texts(frames: &[Frame]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (channel, _, text) in frames.iter().filter_map(|frame| frame.value.as_ref()).flat_map(fragments) {
        all.entry(channel).or_default().push_str(&text);
    }
    all.retain(|_, text| !text.is_empty());
    all
}

/// The frame with its fragments emptied, and without what is removed from every answer.
fn skeleton(frame: &Frame) -> (String, Option<Value>) {
    let mut value = frame.value.clone();
    if let Some(value) = &mut value {
        for (_, at, _) in fragments(value) {
            *value.pointer_mut(&at).unwrap() = Value::Null;
        }
        if let Some(context) = value.get_mut("context") {
            *context = Value::Null;
        }
    }
    (frame.before.clone(), value)
}

/// Every frame of the input is there, in order, and differs only in fragments; only deltas are added between them.
fn check_frames(name: &str, before: &[Frame], after: &[Frame]) {
    let mut rest = after.iter();
    let mut added = 0;
    for frame in before {
        let wanted = skeleton(frame);
        loop {
            let found = rest.next().unwrap_or_else(|| panic!("{name}: a frame is missing"));
            if skeleton(found) == wanted {
                break;
            }
            let delta = found.value.as_ref().is_some_and(|value| !fragments(value).is_empty());
            assert!(delta, "{name}: a frame was added that is no delta");
            added += 1;
        }
    }
    assert!(rest.next().is_none(), "{name}: a frame was added at the end");
    assert!(added <= texts(before).len(), "{name}: {added} frames added");
}
