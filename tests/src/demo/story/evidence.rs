//! Step 7: the audit event of a stream, and the proof that no planted value is in any log, header or event.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value as Json;

use super::Story;
use crate::demo::leak::Leaks;
use crate::demo::show::Teller;
use crate::demo::stage::SUBJECT;
use crate::demo::values::{IN_OPENAI, all};

/// Lines of the access log read before the event must have come; the story has fewer exchanges.
const MOST_LINES: usize = 100;
/// Bytes of a value that must not be anywhere.
const PIECE: usize = 6;
/// Bytes of a token's signature in which a leak of it is looked for.
const SIGNATURE: usize = 64;
/// The same for signatures, which are random: six bytes would be found by chance.
const SIGNATURE_PIECE: usize = 16;

impl Story<'_> {
    pub(super) fn evidence(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("The audit event of the OpenAI stream, and no trace of the values")?;
        let event = self.audit_event();
        let event = match event {
            Ok(event) => event,
            Err(error) => return Ok(teller.check("the audit event", "it is there", || Err(error))?),
        };
        teller.check(
            "the access log of Envoy",
            "the event as nested JSON: who, what, why, over which TLS",
            || Ok((summary(&event), is_complete(&event, &self.stage.kit.compiled.digest))),
        )?;
        teller.check(
            "the findings in it",
            "each planted value counted, at its channel, never quoted",
            || findings(&event),
        )?;
        for line in serde_json::to_string_pretty(&event)?.lines() {
            teller.line(&format!("     {line}"))?;
        }
        teller.line("")?;
        self.leaks(teller)
    }

    /// The event of the stream, from Envoy's access log.
    fn audit_event(&mut self) -> Result<Json> {
        let id = self.streamed.clone().context("the stream had no request id")?;
        for _ in 0..MOST_LINES {
            let line = self.stage.access_log.next(&self.stage.envoy)?;
            if line.get("requestId").and_then(Json::as_str) == Some(id.as_str()) {
                return line.get("audit").cloned().context("the line has no audit event");
            }
        }
        anyhow::bail!("the access log has no line about the stream")
    }

    fn leaks(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        let values: Vec<_> = all().collect();
        let planted = Leaks::of(PIECE, values.iter().map(|value| (value.name, value.text.as_bytes())));
        let tokens: Vec<Vec<u8>> = self.tokens.iter().map(|token| signature(token)).collect();
        let tokens = Leaks::of(SIGNATURE_PIECE, tokens.iter().map(|token| ("a token", token.as_slice())));
        let mut places = std::mem::take(&mut self.seen);
        teller.check(
            "every 6-byte piece of every value, and the tokens: raw, JSON, percent, base64",
            "in no log, header, event, metric or masked body",
            || {
                places.push(("Envoy's log".to_owned(), self.stage.envoy.log()?.into_bytes()));
                places.push(("the access log".to_owned(), self.stage.access_log.text()?.into_bytes()));
                places.push((
                    "Envoy's metrics".to_owned(),
                    self.stage.envoy.admin("GET", "/stats")?.into_bytes(),
                ));
                ensure!(places.iter().any(|(_, text)| !text.is_empty()), "there was nothing to look at");
                let found = |text: &[u8]| planted.find(text).or_else(|| tokens.find(text)).map(str::to_owned);
                let hit = places.iter().find_map(|(place, text)| Some((place, found(text)?)));
                let bytes: usize = places.iter().map(|(_, text)| text.len()).sum();
                Ok(match hit {
                    Some((place, name)) => (format!("{name} is in {place}"), false),
                    None => (format!("nothing in {} places, {bytes} bytes", places.len()), true),
                })
            },
        )?;
        teller.check("the same search in the raw streams", "it finds every stream's values there", || {
            let (openai, anthropic) = super::streams::planted_streams()?;
            let found = [openai, anthropic].map(|stream| planted.find(&stream.events().concat()).is_some());
            Ok((
                format!("found in {} of 2", found.iter().filter(|found| **found).count()),
                found == [true, true],
            ))
        })?;
        Ok(())
    }
}

/// The last bytes of a token: those of its signature.
fn signature(token: &str) -> Vec<u8> {
    let bytes = token.as_bytes();
    bytes.get(bytes.len().saturating_sub(SIGNATURE)..).unwrap_or_default().to_vec()
}

fn summary(event: &Json) -> String {
    let text = |path: &str| event.pointer(path).and_then(Json::as_str).unwrap_or("nothing").to_owned();
    format!(
        "{} by {} for {} on {}, {} in, {} out",
        text("/decision"),
        text("/rules/0"),
        text("/caller/subject"),
        text("/route"),
        text("/tls/downstream/version"),
        text("/tls/upstream/version"),
    )
}

fn is_complete(event: &Json, digest: &str) -> bool {
    let is = |path: &str, wanted: &str| event.pointer(path).and_then(Json::as_str) == Some(wanted);
    let upstream = event.pointer("/tls/upstream/peer/dnsSan").and_then(Json::as_str);
    is("/schema", "veilwire.audit/v1")
        && is("/decision", "allow")
        && is("/outcome", "complete")
        && is("/rules/0", "agents-use-models")
        && is("/caller/subject", SUBJECT)
        && is("/caller/groups/0", "agents")
        && is("/route", "openai-chat")
        && is("/policy/name", "first-light")
        && is("/policy/digest", digest)
        && is("/tls/downstream/version", "TLSv1.3")
        && is("/tls/upstream/version", "TLSv1.3")
        && upstream.is_some()
}

/// Each value planted in the stream once, by its detector; nothing else.
fn findings(event: &Json) -> Result<(String, bool)> {
    let list = event.pointer("/response/findings").and_then(Json::as_array).context("no findings")?;
    let mut found = Vec::new();
    for finding in list {
        let text = |name: &str| finding.get(name).and_then(Json::as_str).unwrap_or("?").to_owned();
        let count = finding.get("count").and_then(Json::as_f64).context("a finding without a count")?;
        found.push((text("detector"), text("location"), count));
    }
    let shown: Vec<String> = found
        .iter()
        .map(|(detector, location, count)| format!("{detector} at {location}: {count}"))
        .collect();
    let expected = |detector: &str| {
        found.iter().any(|(name, at, count)| {
            name == detector && at.starts_with("channel.") && (*count - 1.0).abs() < f64::EPSILON
        })
    };
    let all_there = IN_OPENAI.iter().filter_map(|value| value.detector).all(expected);
    Ok((shown.join(", "), all_there && found.len() == IN_OPENAI.len()))
}
