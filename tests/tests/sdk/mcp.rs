//! The SDK of the Model Context Protocol, over streamable HTTP.

use std::sync::Arc;

use serde_json::Value as Json;
use veilwire_tests::demo::values::{
    CONTENT_CARD, REQUEST_EMAIL, REQUEST_SSN, TEXT_API_KEY, TEXT_EMAIL, THINKING_SSN,
};
use veilwire_tests::wire::ResponseHead;

use crate::check::Play;
use crate::llm::swap;
use crate::stage::{Reply, Script};

const INITIALIZE: &str = include_str!("../../sdk/recordings/mcp-initialize.sse");
const CALL: &str = include_str!("../../sdk/recordings/mcp-tools-call.sse");
/// Not recorded: a list of one tool, whose answer is `CALL`.
const LIST: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"tools":[{"name":"ask_question","description":"Ask any question about a repository","inputSchema":{"type":"object","properties":{"repoName":{"type":"string"},"question":{"type":"string","description":"The question to ask"}},"required":["repoName","question"]}}]}}"#;

#[test]
fn mcp() {
    let hello = swap(INITIALIZE, &[("DeepWiki MCP provides", TEXT_EMAIL)]);
    let list = swap(LIST, &[("any question", THINKING_SSN)]);
    let call = swap(CALL, &[("production-grade", TEXT_API_KEY), ("state machine", CONTENT_CARD)]);
    Play {
        program: "mcp_client.py",
        clean: server(INITIALIZE, LIST, CALL),
        planted: server(&hello, &list, &call),
        said: &[REQUEST_EMAIL, REQUEST_SSN],
        answered: &[TEXT_EMAIL, THINKING_SSN, TEXT_API_KEY, CONTENT_CARD],
    }
    .check(|_| {});
}

/// Answers by the method that is called, with the id of the call.
fn server(hello: &str, list: &str, call: &str) -> Script {
    let (hello, list, call) = (hello.to_owned(), list.to_owned(), call.to_owned());
    Arc::new(move |_, seen| {
        let message: Json = serde_json::from_slice(&seen.body).ok()?;
        let method = message.get("method")?.as_str()?;
        let Some(id) = message.get("id") else { return Some(accepted()) };
        let stream = |recorded: &str, old| {
            Reply::new("text/event-stream", recorded.replacen(old, &format!("\"id\":{id},"), 1))
        };
        match method {
            "initialize" => Some(stream(&hello, "\"id\":0,")),
            "tools/list" => {
                Some(Reply::new("application/json", list.replacen("\"id\":0", &format!("\"id\":{id}"), 1)))
            }
            "tools/call" => Some(stream(&call, "\"id\":2,")),
            _ => None,
        }
    })
}

/// The answer to a notification.
fn accepted() -> Reply {
    let mut reply = Reply::new("application/json", "");
    reply.head = ResponseHead::new(202, &[("content-length", "0")]);
    reply
}
