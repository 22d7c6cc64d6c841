//! What is sent and what is answered: four kinds of exchange, with planted values in them.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::traffic;

/// Header that tells the upstream which scenario this is.
pub(crate) const HEADER: &str = "x-bench-scenario";

const KIB: usize = 1024;

/// One kind of exchange.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Name in reports, and value of [`HEADER`].
    pub(crate) name: &'static str,
    /// Path of the route.
    pub(crate) path: &'static str,
    /// The request's body.
    pub(crate) request: Arc<Vec<u8>>,
    /// The response.
    pub(crate) response: Response,
    /// Exchanges in one slice of a round: enough to be measured well, few enough for many rounds.
    pub(crate) exchanges: usize,
}

/// How the upstream answers.
#[derive(Debug, Clone)]
pub(crate) enum Response {
    /// 204.
    Nothing,
    /// A whole JSON document.
    Json(Arc<Vec<u8>>),
    /// Events, each sent when the client has the one before.
    Events(Arc<Vec<Vec<u8>>>),
}

impl Scenario {
    /// All of them.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let prose = traffic::prose()?;
        let small = chat_request(&prose, 300)?;
        let scenarios = vec![
            Self {
                name: "head",
                path: "/chat",
                request: Arc::new(Vec::new()),
                response: Response::Nothing,
                exchanges: 100,
            },
            Self {
                name: "json_10k",
                path: "/chat",
                request: Arc::new(chat_request(&prose, 10 * KIB)?),
                response: Response::Json(Arc::new(chat_answer(&prose, 10 * KIB)?)),
                exchanges: 100,
            },
            Self {
                name: "sse_12",
                path: "/chat",
                request: Arc::new(small.clone()),
                response: Response::Events(Arc::new(stream(&prose)?)),
                exchanges: 25,
            },
            Self {
                name: "json_1mb",
                path: "/json",
                request: Arc::new(small),
                response: Response::Json(Arc::new(large(KIB * KIB)?)),
                exchanges: 8,
            },
        ];
        for scenario in &scenarios {
            let bare = matches!(scenario.response, Response::Nothing);
            ensure!(
                bare || traffic::is_leaking(&scenario.request),
                "{}: nothing planted in the request",
                scenario.name
            );
        }
        Ok(scenarios)
    }
}

/// A value for every family, in running text.
fn with_values(text: &str) -> String {
    format!("{text} Write to {}.", traffic::VALUES.join(", "))
}

/// Running text of about `size` bytes, with every value once.
fn text(prose: &str, size: usize) -> Result<String> {
    let wanted = size.min(prose.len());
    let cut = (0..=wanted).rev().find(|at| prose.is_char_boundary(*at)).unwrap_or_default();
    Ok(with_values(prose.get(..cut).context("a cut inside a character")?))
}

fn chat_request(prose: &str, size: usize) -> Result<Vec<u8>> {
    // A conversation, not one string: about a kilobyte for each message.
    let count = (size / KIB).max(1);
    let turn = size / count;
    let mut messages = vec![json!({"role": "system", "content": "You are a helpful assistant."})];
    for index in 0..count {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        let content = if index == 0 {
            text(prose, turn.saturating_sub(300))?
        } else {
            plain(prose, index * 700, turn)?
        };
        messages.push(json!({"role": role, "content": content}));
    }
    let body = json!({"model": "example-model", "messages": messages, "stream": false, "temperature": 0.2});
    Ok(body.to_string().into_bytes())
}

/// `size` bytes of prose from about `from` on.
fn plain(prose: &str, from: usize, size: usize) -> Result<String> {
    let from = from % prose.len().max(1);
    let begin = (from..=prose.len()).find(|at| prose.is_char_boundary(*at)).context("prose has an end")?;
    let rest = prose.get(begin..).context("a cut inside a character")?;
    Ok(rest.chars().take(size).collect())
}

fn chat_answer(prose: &str, size: usize) -> Result<Vec<u8>> {
    let body = json!({
        "id": "chatcmpl-7Zq", "object": "chat.completion", "created": 1_771_434_740, "model": "example-model",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text(prose, size.saturating_sub(700))?},
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 2000, "completion_tokens": 2400, "total_tokens": 4400},
    });
    Ok(body.to_string().into_bytes())
}

/// Twelve events: the role, ten deltas of which two share a value, and the end of the choice with the end of the stream.
fn stream(prose: &str) -> Result<Vec<Vec<u8>>> {
    const DELTAS: usize = 10;
    let event = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-4f39f3af-3267-4ac1-a0cf-6aa7451877dc", "object": "chat.completion.chunk",
            "created": 1_771_434_740, "model": "example-model", "system_fingerprint": "fp_e8236260a9",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n").into_bytes()
    };
    let mut events = vec![event(json!({"role": "assistant", "content": ""}), None)];
    let value = traffic::VALUES.first().context("values")?;
    let (first, second) = value.split_at_checked(value.len() / 2).context("values are ASCII")?;
    let mut words = prose.split_whitespace();
    for index in 0..DELTAS {
        let mut text: String = words.by_ref().take(4).flat_map(|word| [word, " "]).collect();
        match index {
            4 => text.push_str(first),
            5 => text.insert_str(0, &format!("{second} ")),
            _ => {}
        }
        events.push(event(json!({"content": text}), None));
    }
    let mut last = event(json!({}), Some("stop"));
    last.extend_from_slice(b"data: [DONE]\n\n");
    events.push(last);
    Ok(events)
}

/// The recorded documents with their planted values, again and again.
fn large(size: usize) -> Result<Vec<u8>> {
    let documents = traffic::documents()?;
    let mut body = b"[".to_vec();
    for document in documents.iter().cycle() {
        if body.len() + document.bytes.len() > size {
            break;
        }
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(&document.bytes);
    }
    body.push(b']');
    ensure!(body.len() > size / 2, "the documents are too large");
    Ok(body)
}
