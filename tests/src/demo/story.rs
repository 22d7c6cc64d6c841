//! The story, step by step. Each step is a file; what one leaves for the next is in [`Story`].

mod callers;
mod door;
mod evidence;
mod failures;
mod request;
mod streams;

pub(super) use streams::planted_streams;

use anyhow::Result;

use super::show::Teller;
use super::stage::{OPENAI, Stage, post};
use crate::client::Response;
use crate::upstream::Exchange;
use crate::wire::{Headers, ResponseHead};

/// A story that is being told.
#[derive(Debug)]
pub struct Story<'s> {
    stage: &'s mut Stage,
    /// Everything that callers and the upstream could see, for the leak check: where, and the bytes.
    seen: Vec<(String, Vec<u8>)>,
    /// Every token that was shown to Envoy.
    tokens: Vec<String>,
    /// Request id of the OpenAI stream.
    streamed: Option<String>,
}

impl<'s> Story<'s> {
    /// Tells everything.
    ///
    /// # Errors
    /// When nobody listens (the output is gone). A step that goes wrong is a failed check.
    pub fn tell(stage: &'s mut Stage, teller: &mut Teller<'_>) -> Result<()> {
        let mut story = Self { stage, seen: Vec::new(), tokens: Vec::new(), streamed: None };
        story.door(teller)?;
        story.no_token(teller)?;
        story.bad_tokens(teller)?;
        story.wrong_groups(teller)?;
        story.masked_request(teller)?;
        story.masked_streams(teller)?;
        story.evidence(teller)?;
        story.failures(teller)
    }

    /// A valid token of an agent.
    fn agent(&mut self) -> Result<String> {
        let claims = self.stage.claims(&["agents"]);
        let token = self.stage.mint(&claims)?;
        self.tokens.push(token.clone());
        Ok(token)
    }

    /// Posts a small chat request that must not reach the upstream.
    fn refused(&mut self, token: Option<String>) -> Result<Response> {
        let head = post(OPENAI, token.as_deref());
        self.tokens.extend(token);
        let response = self.stage.http1()?.request(&head, br#"{"model":"m","messages":[]}"#)?;
        self.client_saw(&response.head, &response.body);
        Ok(response)
    }

    /// Whether a request has reached the upstream that should not have.
    fn leaked_through(&self) -> bool {
        self.stage.upstream.arrived().is_some()
    }

    fn client_saw(&mut self, head: &ResponseHead, body: &[u8]) {
        self.seen.push(("headers that the caller got".to_owned(), flat(&head.headers)));
        self.seen.push(("a body that the caller got".to_owned(), body.to_vec()));
    }

    fn upstream_saw(&mut self, exchange: &Exchange, body: &[u8]) {
        let target = format!("{} {}", exchange.head.authority, exchange.head.path).into_bytes();
        let head = [target, flat(&exchange.head.headers)].join(&b'\n');
        self.seen.push(("headers that the upstream got".to_owned(), head));
        self.seen.push(("a body that the upstream got".to_owned(), body.to_vec()));
    }
}

fn flat(headers: &Headers) -> Vec<u8> {
    headers
        .iter()
        .map(|(name, value)| [name.as_slice(), value].join(&b": "[..]))
        .collect::<Vec<_>>()
        .join(&b'\n')
}

/// A header as text.
fn shown<'h>(value: Option<&'h [u8]>) -> std::borrow::Cow<'h, str> {
    value.map_or_else(|| "none".into(), String::from_utf8_lossy)
}
