//! A stream that is refused in its middle is an error of the API to the SDKs: no hang, no crash, no short answer that looks whole.

use std::sync::Arc;

use serde_json::json;

use crate::stage::{Reply, Scene, Side, Stage};

const EMAIL: &str = "ada.lovelace@example.com";
const OPENAI: &[&str] = &[
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Well. "}}]}"#,
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content": ada.lovelace@example.com}}]}"#,
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "data: [DONE]",
];
const ANTHROPIC: &[&str] = &[
    r#"event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#,
    r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Well. "}}"#,
    r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text": ada.lovelace@example.com}}"#,
    r#"event: message_stop
data: {"type":"message_stop"}"#,
];

#[test]
fn a_stream_that_is_refused_is_an_error_of_the_api() {
    let stage = Stage::shared().unwrap();
    let scene = |name, script| Scene { name, side: Side::Veilwire, text: "What is new?".to_owned(), script };
    // Refused with more to come, and by the very last event.
    let scenes = [usize::MAX, 1].map(|more| {
        let name = if more == 1 { "last" } else { "middle" };
        scene(
            name,
            Arc::new(move |_, seen: &crate::stage::Seen| {
                let events = if seen.head.path.ends_with("completions") { OPENAI } else { ANTHROPIC };
                let bad = events.iter().position(|event| event.contains(EMAIL))?;
                let sent: String = events
                    .iter()
                    .take(bad.saturating_add(more))
                    .map(|event| format!("{event}\n\n"))
                    .collect();
                Some(Reply::new("text/event-stream", sent))
            }),
        )
    });
    for outcome in stage.play("refused.py", &scenes).unwrap() {
        let refused = "response refused by policy";
        assert_eq!(
            outcome.result,
            json!({
                "openai": {"read": ["Well. "], "error": "APIError", "message": refused, "code": "veilwire_refused"},
                "anthropic": {
                    "read": ["Well. "],
                    "error": "APIStatusError",
                    "body": {"type": "error", "error": {"type": "api_error", "message": refused}},
                },
            })
        );
    }
}
