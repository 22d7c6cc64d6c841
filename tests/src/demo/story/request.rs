//! Step 5: a recorded chat request with planted personal data, and what the upstream receives of it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value as Json;

use super::{Story, shown};
use crate::client::{Http1Client, Response};
use crate::demo::kit::replace_once;
use crate::demo::show::{Teller, fit};
use crate::demo::stage::{OPENAI, SUBJECT, Stage, post};
use crate::demo::values::{
    IN_REQUEST, REQUEST_AWS_KEY, REQUEST_CARD, REQUEST_EMAIL, REQUEST_SSN, REQUEST_TOOL_EMAIL, REQUEST_USER,
    masked,
};
use crate::pki::GATEWAY_NAME;
use crate::upstream::Ending;
use crate::wire::{RequestHead, ResponseHead};

const RECORDED: &str = include_str!("../../../demo-data/openai-chat.request.json");
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Noted."},"finish_reason":"stop"}]}"#;
/// Characters shown before and behind a change.
const AROUND: usize = 30;
const WIDTH: usize = 104;

/// What both sides of an exchange saw.
struct Seen {
    head: RequestHead,
    body: Vec<u8>,
    client_certificate: Option<String>,
    tls: Option<String>,
    response: Response,
}

impl Story<'_> {
    pub(super) fn masked_request(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("A request with personal data, and what the upstream gets of it")?;
        teller.check("the upstream directly, without a client certificate", "handshake refused", || {
            without_certificate(self.stage)
        })?;
        let raw = planted_request();
        let seen =
            raw.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).and_then(|raw| self.post_chat(raw));
        let (raw, seen) = match (raw, seen) {
            (Ok(raw), Ok(seen)) => (raw, seen),
            (_, Err(error)) | (Err(error), _) => {
                return Ok(teller.check("the request as an agent", "it passes", || Err(error))?);
            }
        };
        let asked =
            format!("an agent posts a recorded chat request with {} planted values", IN_REQUEST.len());
        teller.check(&asked, "200, over mutual TLS with Envoy's client certificate", || {
            let certificate = seen.client_certificate.as_deref().unwrap_or("no certificate");
            let tls = seen.tls.as_deref().unwrap_or("plaintext");
            let got = format!("{}, upstream saw {tls} and {certificate}", seen.response.head.status);
            let right = seen.response.head.status == 200 && certificate.contains(GATEWAY_NAME);
            Ok((got, right && seen.response.body == ANSWER.as_bytes()))
        })?;
        teller.check(
            "the caller's token and a forged `x-veilwire-subject`",
            "removed; the true subject instead",
            || {
                let credential = shown(seen.head.header("authorization"));
                let subject = shown(seen.head.header("x-veilwire-subject"));
                let decision = shown(seen.head.header("x-veilwire-decision"));
                let got = format!("authorization: {credential}; subject: {subject}; decision: {decision}");
                Ok((got, credential == "none" && subject == SUBJECT && decision == "allow"))
            },
        )?;
        let expected = "placeholders for the values, every other byte as sent";
        teller.check("the body that the upstream received", expected, || {
            let same = seen.body == masked(&raw).into_bytes();
            let got = if same { "byte for byte as expected" } else { "something else" };
            Ok((format!("{got} ({} bytes sent, {} received)", raw.len(), seen.body.len()), same))
        })?;
        show_changes(teller, &raw, &String::from_utf8_lossy(&seen.body))
    }

    fn post_chat(&mut self, body: &str) -> Result<Seen> {
        let token = self.agent()?;
        let mut head = post(OPENAI, Some(&token));
        head.headers.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
        head.headers.push((b"x-veilwire-subject".to_vec(), b"administrator".to_vec()));
        let mut client = self.stage.http1()?;
        client.send_head(&head)?;
        client.send(body.as_bytes())?;
        let mut exchange = self.stage.upstream.accept().with_context(|| self.stage.envoy.log_tail())?;
        let body = exchange.body()?;
        exchange.respond(ResponseHead::new(200, &[("content-type", "application/json")]))?;
        exchange.send(ANSWER.as_bytes())?;
        exchange.end(Ending::Empty)?;
        let response = client.response()?;
        self.client_saw(&response.head, &response.body);
        self.upstream_saw(&exchange, &body);
        let connection = exchange.connection.clone();
        let client_certificate = connection.client_subject;
        Ok(Seen { head: exchange.head, body, client_certificate, tls: connection.tls, response })
    }
}

/// The recorded request with the values in its messages, in a tool call, in a tool's result and in `user`.
fn planted_request() -> Result<String> {
    let plantings = [
        ("just regular ones.", format!("just regular ones. Sign in with {}.", REQUEST_AWS_KEY.text)),
        (
            "on the second try you can use valid args",
            format!(
                "on the second try you can use valid args. Report to {}, SSN {}.",
                REQUEST_EMAIL.text, REQUEST_SSN.text
            ),
        ),
        (
            r#""{\"invalid_param\":\"value\"}""#,
            format!(r#""{{\"invalid_param\":\"value\",\"copy\":\"{}\"}}""#, REQUEST_TOOL_EMAIL.text),
        ),
        (
            "Something with name: example",
            format!("Something with name: example, paid with {}", REQUEST_CARD.text),
        ),
        (r#""stream":true"#, format!(r#""stream":false,"user":"{}""#, REQUEST_USER.text)),
    ];
    plantings
        .iter()
        .try_fold(RECORDED.to_owned(), |text, (place, planted)| replace_once(&text, place, planted))
}

fn without_certificate(stage: &Stage) -> Result<(String, bool)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(stage.kit.pki.path("backend-ca.pem"))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let outcome = Http1Client::connect(stage.upstream.address(), Arc::new(config))
        .and_then(|mut client| client.request(&RequestHead::new("GET", "/", &[]), b""));
    ensure!(outcome.is_err(), "the upstream answered");
    let reason = stage.upstream.next_failure()?;
    let refused = reason.contains("peer sent no certificates");
    Ok((format!("handshake refused: {}", reason.rsplit(": ").next().unwrap_or(&reason)), refused))
}

/// Every string that differs, as `diff` would show it.
fn show_changes(teller: &mut Teller<'_>, sent: &str, received: &str) -> Result<()> {
    let (Ok(sent), Ok(received)) = (serde_json::from_str(sent), serde_json::from_str(received)) else {
        return Ok(());
    };
    let mut changes = Vec::new();
    differences("", &sent, &received, &mut changes);
    teller.line("   as the agent sent it (-) and as the upstream got it (+):")?;
    for (place, before, after) in changes {
        teller.line(&format!("     {place}"))?;
        let (before, after) = near_change(&before, &after);
        teller.change(&fit(&before, WIDTH), &fit(&after, WIDTH))?;
    }
    teller.line("")?;
    Ok(())
}

fn differences(place: &str, sent: &Json, received: &Json, out: &mut Vec<(String, String, String)>) {
    match (sent, received) {
        (Json::Object(a), Json::Object(b)) => {
            for (name, value) in a {
                differences(&format!("{place}/{name}"), value, b.get(name).unwrap_or(&Json::Null), out);
            }
        }
        (Json::Array(a), Json::Array(b)) => {
            for (index, value) in a.iter().enumerate() {
                differences(&format!("{place}/{index}"), value, b.get(index).unwrap_or(&Json::Null), out);
            }
        }
        (Json::String(a), Json::String(b)) if a != b => out.push((place.to_owned(), a.clone(), b.clone())),
        (a, b) if a != b => out.push((place.to_owned(), a.to_string(), b.to_string())),
        _ => {}
    }
}

/// Both texts without the long beginning that they share.
fn near_change(before: &str, after: &str) -> (String, String) {
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let skipped = same.saturating_sub(AROUND);
    let cut = |text: &str| {
        let rest: String = text.chars().skip(skipped).collect();
        if skipped > 0 { format!("…{rest}") } else { rest }
    };
    (cut(before), cut(after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::values::Value;

    #[test]
    fn the_planted_request_is_json_and_holds_every_value() {
        let request = planted_request().unwrap();
        serde_json::from_str::<Json>(&request).unwrap();
        assert!(IN_REQUEST.iter().all(|Value { text, .. }| request.matches(text).count() == 1));
        assert!(IN_REQUEST.iter().all(|Value { text, .. }| !masked(&request).contains(text)));
    }
}
