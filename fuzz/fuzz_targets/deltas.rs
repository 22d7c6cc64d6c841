//! Deltas in event streams: the same masked text however it is cut, and no piece of a planted value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use veilwire_engine::format::Format;
use veilwire_fuzz::deltas::{Api, Delta, check, literal};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::sse::events;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    check(input.pick(&[&Chat as &dyn Api, &Messages]), input);
});

struct Chat;

struct Messages;

impl Api for Chat {
    fn route(&self) -> &'static str {
        "chat"
    }

    fn format(&self) -> Format {
        Format::Sse
    }

    fn channels(&self) -> usize {
        4
    }

    fn stream(&self, deltas: &[Delta], mut style: Input<'_>) -> Vec<u8> {
        let mut out = String::new();
        for Delta { channel, text } in deltas {
            let text = literal(text, &mut style);
            let (index, delta) = match channel {
                0 => (0, format!(r#""content":{text}"#)),
                1 => (0, format!(r#""reasoning_content":{text}"#)),
                2 => (1, format!(r#""content":{text}"#)),
                _ => (0, format!(r#""tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]"#)),
            };
            out += &format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{{delta}}}}}]}}\n\n");
        }
        out += concat!(
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n"
        );
        out.into_bytes()
    }

    fn joined(&self, stream: &[u8]) -> Vec<String> {
        let mut joined = vec![String::new(); 4];
        for choice in documents(stream).map(|mut document| document["choices"][0].take()) {
            let delta = &choice["delta"];
            let texts = [
                (0, 0, &delta["content"]),
                (1, 0, &delta["reasoning_content"]),
                (2, 1, &delta["content"]),
                (3, 0, &delta["tool_calls"][0]["function"]["arguments"]),
            ];
            for (channel, _, text) in texts.iter().filter(|(_, index, _)| choice["index"] == *index) {
                joined[*channel].push_str(text.as_str().unwrap_or_default());
            }
        }
        joined
    }
}

impl Api for Messages {
    fn route(&self) -> &'static str {
        "messages"
    }

    fn format(&self) -> Format {
        Format::Sse
    }

    fn channels(&self) -> usize {
        3
    }

    fn stream(&self, deltas: &[Delta], mut style: Input<'_>) -> Vec<u8> {
        let mut out = String::new();
        for Delta { channel, text } in deltas {
            let text = literal(text, &mut style);
            let (kind, member) =
                [("thinking", "thinking"), ("text", "text"), ("input_json", "partial_json")][*channel];
            out += &format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{channel},\
                 \"delta\":{{\"type\":\"{kind}_delta\",\"{member}\":{text}}}}}\n\n"
            );
        }
        out += concat!(
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        );
        out.into_bytes()
    }

    fn joined(&self, stream: &[u8]) -> Vec<String> {
        let mut joined = vec![String::new(); 3];
        for document in documents(stream) {
            for (channel, member) in ["thinking", "text", "partial_json"].iter().enumerate() {
                if document["index"] == channel {
                    joined[channel].push_str(document["delta"][member].as_str().unwrap_or_default());
                }
            }
        }
        joined
    }
}

/// The documents of a stream.
fn documents(stream: &[u8]) -> impl Iterator<Item = Value> {
    let data = events(stream).into_iter().map(|event| event.data).filter(|data| data != b"[DONE]");
    data.map(|data| serde_json::from_slice(&data).expect("a masked event is JSON"))
}
