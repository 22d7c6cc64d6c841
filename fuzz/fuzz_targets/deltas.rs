//! The text of a stream's channels, however it is cut into deltas and however the channels alternate: the same masked
//! text, and no piece of a planted value, although no event ever holds the whole value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use veilwire_engine::format::Format;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, run, run_every_way};
use veilwire_fuzz::planted::{check_piece_free, value};
use veilwire_fuzz::sse::events;

const MAX_WORDS: usize = 24;
const WORDS: [&str; 20] = [
    "a",
    "ab ",
    "@",
    ".",
    "com",
    "4111",
    " ",
    "-",
    "\"",
    "\\",
    "\n",
    "é",
    "{",
    "}",
    "sk-",
    "12 ",
    "[1,",
    ":",
    "\u{1F511}",
    "\\u00",
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let api = input.pick(&[Api::Chat, Api::Messages]);
    let texts: Vec<Text> = api.channels().iter().map(|channel| Text::new(*channel, &mut input)).collect();
    let whole: Vec<Event> = texts.iter().map(|text| Event(text.channel, text.text.clone())).collect();
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let dealt = deal(&texts, &mut input);
    let case = Case::response(api.route());

    let expected = run(&case.plan, Format::Sse, [api.stream(&whole, input).as_slice()]);
    let stream = api.stream(&dealt, input);
    let outcome = run_every_way(&case.plan, Format::Sse, &stream, cuts);
    assert_eq!(expected.result.is_ok(), outcome.result.is_ok(), "other deltas, another verdict");
    if !outcome.accepted() {
        return;
    }
    let (expected, found) = (api.joined(&expected.out), api.joined(&outcome.out));
    assert_eq!(expected, found, "other deltas, another masked text");
    for text in &texts {
        let shown = found.get(&text.channel).map_or(b"".as_slice(), String::as_bytes);
        for value in &text.values {
            check_piece_free(value, shown, text.rest.as_bytes());
        }
    }
});

/// A text and its name: what a client would join.
type Channel = (u8, &'static str);

/// Some text of one channel, as one delta.
#[derive(Clone, Debug)]
struct Event(Channel, String);

#[derive(Clone, Copy, Debug)]
enum Api {
    Chat,
    Messages,
}

/// What is said on one channel.
struct Text {
    channel: Channel,
    text: String,
    values: Vec<&'static str>,
    /// The text without the planted values.
    rest: String,
}

impl Text {
    fn new(channel: Channel, input: &mut Input<'_>) -> Text {
        let mut made = Text { channel, text: String::new(), values: Vec::new(), rest: String::new() };
        for _ in 0..usize::from(input.byte()) % MAX_WORDS {
            let choice = input.byte();
            if choice >= 0xE0 {
                let value = value(choice);
                made.text.push_str(&format!(" {value} "));
                made.rest.push('\0');
                made.values.push(value);
            } else {
                let word = WORDS[usize::from(choice) % WORDS.len()];
                made.text.push_str(word);
                made.rest.push_str(word);
            }
        }
        made
    }
}

/// The texts in pieces, the channels in any order.
fn deal(texts: &[Text], input: &mut Input<'_>) -> Vec<Event> {
    let mut left: Vec<(Channel, &str)> =
        texts.iter().map(|text| (text.channel, text.text.as_str())).collect();
    let mut dealt = Vec::new();
    while !left.is_empty() {
        let index = usize::from(input.byte()) % left.len();
        // An input that has run out says everything at once.
        let length = if input.is_empty() { usize::MAX } else { usize::from(input.byte() % 12) };
        let (channel, text) = left[index];
        let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= length).unwrap_or(text.len());
        let (piece, rest) = text.split_at(end);
        dealt.push(Event(channel, piece.to_owned()));
        if rest.is_empty() {
            left.remove(index);
        } else {
            left[index].1 = rest;
        }
    }
    dealt
}

impl Api {
    fn route(self) -> &'static str {
        match self {
            Api::Chat => "chat",
            Api::Messages => "messages",
        }
    }

    fn channels(self) -> &'static [Channel] {
        match self {
            Api::Chat => &[(0, "content"), (0, "reasoning_content"), (1, "content"), (0, "arguments")],
            Api::Messages => &[(0, "thinking"), (1, "text"), (2, "partial_json")],
        }
    }

    /// A complete stream of these deltas. `style` chooses which characters are written as escapes.
    fn stream(self, deltas: &[Event], mut style: Input<'_>) -> Vec<u8> {
        let mut out = String::new();
        for Event((index, name), text) in deltas {
            let text = literal(text, &mut style);
            out += &match (self, *name) {
                (Api::Chat, "arguments") => format!(
                    r#"data: {{"choices":[{{"index":{index},"delta":{{"tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]}}}}]}}"#
                ),
                (Api::Chat, name) => {
                    format!(r#"data: {{"choices":[{{"index":{index},"delta":{{"{name}":{text}}}}}]}}"#)
                }
                (Api::Messages, name) => {
                    let kind = if name == "partial_json" { "input_json" } else { name };
                    format!(
                        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}_delta\",\"{name}\":{text}}}}}"
                    )
                }
            };
            out += "\n\n";
        }
        out += match self {
            Api::Chat => concat!(
                "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                "data: [DONE]\n\n"
            ),
            Api::Messages => concat!(
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
            ),
        };
        out.into_bytes()
    }

    /// The text of every channel, as a client joins it.
    fn joined(self, stream: &[u8]) -> BTreeMap<Channel, String> {
        let mut joined: BTreeMap<Channel, String> =
            self.channels().iter().map(|channel| (*channel, String::new())).collect();
        for event in events(stream) {
            if event.data == b"[DONE]" {
                continue;
            }
            let data: serde_json::Value =
                serde_json::from_slice(&event.data).expect("a masked event is JSON");
            for (channel, text) in &mut joined {
                let delta = match self {
                    Api::Chat if data["choices"][0]["index"] == channel.0 => &data["choices"][0]["delta"],
                    Api::Messages if data["index"] == channel.0 => &data["delta"],
                    _ => continue,
                };
                let place =
                    if channel.1 == "arguments" { &delta["tool_calls"][0]["function"] } else { delta };
                text.push_str(place[channel.1].as_str().unwrap_or_default());
            }
        }
        joined
    }
}

/// A JSON string; some characters are written as escapes although they need not be.
fn literal(text: &str, style: &mut Input<'_>) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        let quoted = serde_json::Value::from(character.to_string()).to_string();
        match (style.byte() % 8, u16::try_from(u32::from(character))) {
            (1, Ok(unit)) => out += &format!("\\u{unit:04x}"),
            (2, Ok(unit)) => out += &format!("\\u{unit:04X}"),
            _ => out += &quoted[1..quoted.len() - 1],
        }
    }
    out + "\""
}
