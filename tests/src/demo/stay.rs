//! After the story: Envoy stays up, the upstream answers by itself, and there are `curl` lines to try.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use tokio::signal::unix::{SignalKind, signal};

use super::recording::Recording;
use super::show::Teller;
use super::stage::{ANTHROPIC, HOST, OPENAI, Stage};
use super::story::planted_streams;
use crate::runtime;
use crate::upstream::{Ending, Exchange};
use crate::wire::ResponseHead;

/// Pause between two events, so that eyes can follow.
const PACE: Duration = Duration::from_millis(40);
/// Life of the tokens that are left for `curl`.
const HOURS: u64 = 12;

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When files cannot be written or the output is gone.
pub(super) fn stay(stage: Stage, teller: &mut Teller<'_>) -> Result<()> {
    let (openai, anthropic) = planted_streams()?;
    let header = |groups: &[&str]| Ok::<_, anyhow::Error>(header_line(&stage.lasting_token(groups, HOURS)?));
    stage.kit.add("agent.header", header(&["agents"])?.as_bytes())?;
    stage.kit.add("contractor.header", header(&["contractors"])?.as_bytes())?;
    let chat = json!({ "model": "m", "messages": [{ "role": "user", "content": "I am kim@mill-lane.test, SSN 123-45-6788" }] });
    stage.kit.add("chat.json", chat.to_string().as_bytes())?;
    stage.kit.add("stream.json", br#"{"model":"m","stream":true,"messages":[]}"#)?;
    tell(&stage, teller)?;

    let Stage { upstream, envoy, kit, folder, .. } = stage;
    let server = upstream.serve(move |mut exchange| answer(&mut exchange, &openai, &anthropic));
    until_told()?;
    drop(server);
    drop(envoy);
    drop(kit);
    folder.close().context("the demo's folder cannot be removed")?;
    teller.line("\nended; the demo's files are removed")?;
    Ok(())
}

fn tell(stage: &Stage, teller: &mut Teller<'_>) -> Result<()> {
    let port = stage.address.port();
    let folder = stage.path();
    let curl = format!("curl -sS --cacert pki/edge-ca.pem --resolve {HOST}:{port}:127.0.0.1");
    let json = "-H 'content-type: application/json'";
    let url = format!("https://{HOST}:{port}");
    let lines = [
        "\nEnvoy stays up until Ctrl-C. In another terminal:\n".to_owned(),
        format!("  cd {}", folder.display()),
        "\n  # the upstream says what it received".to_owned(),
        format!("  {curl} -H @agent.header {json} -d @chat.json {url}{OPENAI}"),
        "\n  # streams with planted values, masked as they come".to_owned(),
        format!("  {curl} -N -H @agent.header {json} -d @stream.json {url}{OPENAI}"),
        format!("  {curl} -N -H @agent.header {json} -d @stream.json {url}{ANTHROPIC}"),
        "\n  # refused: no token, and a token of the wrong group".to_owned(),
        format!("  {curl} -i {json} -d @chat.json {url}{OPENAI}"),
        format!("  {curl} -i -H @contractor.header {json} -d @chat.json {url}{OPENAI}"),
        "\n  # the audit events".to_owned(),
        "  tail -f access.log".to_owned(),
        String::new(),
    ];
    for line in lines {
        teller.line(&line)?;
    }
    Ok(())
}

/// A header file for `curl -H @FILE`.
pub(super) fn header_line(token: &str) -> String {
    format!("authorization: Bearer {token}\n")
}

/// A stream if one was asked for, else a document that repeats what arrived.
fn answer(exchange: &mut Exchange, openai: &Recording, anthropic: &Recording) -> Result<()> {
    let body = exchange.body()?;
    let request: Json = serde_json::from_slice(&body).context("the request is not JSON")?;
    let is_anthropic = exchange.head.path.starts_with(ANTHROPIC);
    if request.get("stream") == Some(&Json::Bool(true)) {
        let recording = if is_anthropic { anthropic } else { openai };
        exchange.respond(ResponseHead::new(200, &[("content-type", "text/event-stream; charset=utf-8")]))?;
        for event in recording.events() {
            exchange.send(event)?;
            std::thread::sleep(PACE);
        }
        return exchange.end(Ending::Empty);
    }
    let text = format!("the upstream received {}", String::from_utf8_lossy(&body));
    let document = if is_anthropic {
        json!({ "type": "message", "role": "assistant", "content": [{ "type": "text", "text": text }] })
    } else {
        json!({ "object": "chat.completion", "choices": [{ "index": 0, "message": { "role": "assistant", "content": text } }] })
    };
    exchange.reply(
        ResponseHead::new(200, &[("content-type", "application/json")]),
        &[document.to_string().as_bytes()],
    )
}

fn until_told() -> Result<()> {
    runtime::shared()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
