//! The SDKs of model providers.

use serde_json::json;
use veilwire_tests::demo::values::{
    CONTENT_CARD, REASONING_AWS_KEY, REASONING_EMAIL, REQUEST_AWS_KEY, REQUEST_CARD, REQUEST_EMAIL,
    REQUEST_SSN, TEXT_API_KEY, TEXT_EMAIL, THINKING_SSN, Value,
};

use crate::check::Play;
use crate::recording::{Channel, Recording};
use crate::stage::{Reply, Script, in_order};

/// What every SDK of a model says.
const SAID: &[Value] = &[REQUEST_EMAIL, REQUEST_SSN, REQUEST_CARD, REQUEST_AWS_KEY];

const OPENAI_CHAT: &str = include_str!("../../demo-data/openai-chat.response.sse");
const OPENAI_CHAT_WHOLE: &str = include_str!("../../sdk/recordings/openai-chat.json");
const OPENAI_RESPONSES: &str = include_str!("../../sdk/recordings/openai-responses.sse");
const GEMINI: &str = include_str!("../../sdk/recordings/gemini-generate.sse");
const OLLAMA: &str = include_str!("../../sdk/recordings/ollama-chat.ndjson");
const ANTHROPIC: &str = include_str!("../../demo-data/anthropic-messages.response.sse");
const ANTHROPIC_WHOLE: &str = include_str!("../../sdk/recordings/anthropic-messages.json");

#[test]
fn openai_chat() {
    let channel = |at| Channel { at, when: None };
    let planted = planted(
        OPENAI_CHAT,
        "\n\n",
        &[
            (channel("/choices/0/delta/reasoning"), 3, REASONING_EMAIL),
            (channel("/choices/0/delta/reasoning"), 20, REASONING_AWS_KEY),
            (channel("/choices/0/delta/content"), 2, CONTENT_CARD),
        ],
    );
    let whole = swap(OPENAI_CHAT_WHOLE, &[("Loki", TEXT_EMAIL)]);
    Play {
        program: "openai_chat.py",
        clean: chat(OPENAI_CHAT, OPENAI_CHAT_WHOLE),
        planted: chat(&planted, &whole),
        said: SAID,
        answered: &[REASONING_EMAIL, REASONING_AWS_KEY, CONTENT_CARD, TEXT_EMAIL],
    }
    .check(|_| {});
}

#[test]
fn anthropic_messages() {
    let delta = |at, kind| Channel { at, when: Some(("/delta/type", kind)) };
    let planted = planted(
        ANTHROPIC,
        "\n\n",
        &[
            (delta("/delta/thinking", "thinking_delta"), 0, THINKING_SSN),
            (delta("/delta/partial_json", "input_json_delta"), 10, TEXT_EMAIL),
            (delta("/delta/text", "text_delta"), 4, TEXT_API_KEY),
        ],
    );
    let whole = swap(ANTHROPIC_WHOLE, &[("Moscow", CONTENT_CARD), ("\"France\"", REASONING_EMAIL)]);
    Play {
        program: "anthropic_messages.py",
        clean: chat(ANTHROPIC, ANTHROPIC_WHOLE),
        planted: chat(&planted, &whole),
        said: SAID,
        answered: &[THINKING_SSN, TEXT_EMAIL, TEXT_API_KEY, CONTENT_CARD, REASONING_EMAIL],
    }
    .check(|expected| {
        // A reasoning block that was changed loses its signature: the provider would refuse it.
        for place in ["/streamed/content/0/signature", "/whole/content/0/signature"] {
            *expected.pointer_mut(place).unwrap() = json!("");
        }
    });
}

#[test]
fn openai_responses() {
    let delta = Channel { at: "/delta", when: Some(("/type", "response.output_text.delta")) };
    let planted = planted(OPENAI_RESPONSES, "\n\n", &[(delta, 1, REASONING_EMAIL), (delta, 7, CONTENT_CARD)]);
    let answer = |stream: &str| in_order(vec![Reply::new("text/event-stream", stream)]);
    Play {
        program: "openai_responses.py",
        clean: answer(OPENAI_RESPONSES),
        planted: answer(&planted),
        said: SAID,
        answered: &[REASONING_EMAIL, CONTENT_CARD],
    }
    .check(|_| {});
}

#[test]
fn gemini_generate() {
    let text = Channel { at: "/candidates/0/content/parts/0/text", when: None };
    let planted = planted(GEMINI, "\r\n\r\n", &[(text, 0, TEXT_EMAIL), (text, 5, CONTENT_CARD)]);
    let answer = |stream: &str| in_order(vec![Reply::new("text/event-stream", stream)]);
    Play {
        program: "gemini_generate.py",
        clean: answer(GEMINI),
        planted: answer(&planted),
        said: SAID,
        answered: &[TEXT_EMAIL, CONTENT_CARD],
    }
    .check(|_| {});
}

#[test]
fn ollama_chat() {
    let content = Channel { at: "/message/content", when: None };
    let planted = planted(OLLAMA, "\n", &[(content, 2, TEXT_API_KEY), (content, 30, REASONING_EMAIL)]);
    let answer = |stream: &str| in_order(vec![Reply::new("application/x-ndjson", stream)]);
    Play {
        program: "ollama_chat.py",
        clean: answer(OLLAMA),
        planted: answer(&planted),
        said: SAID,
        answered: &[TEXT_API_KEY, REASONING_EMAIL],
    }
    .check(|_| {});
}

/// A stream, then a whole answer.
fn chat(stream: &str, whole: &str) -> Script {
    in_order(vec![Reply::new("text/event-stream", stream), Reply::new("application/json", whole)])
}

fn planted(recording: &str, end: &str, plantings: &[(Channel, usize, Value)]) -> String {
    let mut recording = Recording::new(recording, end).unwrap();
    for (channel, nth, value) in plantings {
        recording.plant(*channel, *nth, *value).unwrap();
    }
    String::from_utf8(recording.bytes()).unwrap()
}

/// Puts values where words were.
pub(crate) fn swap(text: &str, words: &[(&str, Value)]) -> String {
    words.iter().fold(text.to_owned(), |text, (word, value)| {
        assert!(text.contains(word), "no {word}");
        let quoted =
            if word.starts_with('"') { format!("\"{}\"", value.text) } else { value.text.to_owned() };
        text.replacen(word, &quoted, 1)
    })
}
