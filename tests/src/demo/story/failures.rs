//! Step 8: a header that makes careless filters trap, and an artifact that is damaged.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Story;
use crate::client::Http1Client;
use crate::demo::kit::{on_free_ports, replace_once};
use crate::demo::show::Teller;
use crate::demo::stage::{OPENAI, post};
use crate::envoy::Envoy;
use crate::wire::ResponseHead;

const BODY: &[u8] = br#"{"model":"m","messages":[]}"#;

impl Story<'_> {
    pub(super) fn failures(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("What breaks others")?;
        teller.check(
            "a request with the header `x-note: caf\\xE9`",
            "200, and the header passes as it is",
            || {
                let (status, note) = self.serve(Some(b"caf\xe9"))?;
                Ok((
                    format!("{status}, x-note: {}", note.escape_ascii()),
                    status == 200 && note == b"caf\xe9",
                ))
            },
        )?;
        teller.check("three more requests", "200 each, and no filter was started anew", || {
            let statuses = (0..3).map(|_| Ok(self.serve(None)?.0)).collect::<Result<Vec<_>>>()?;
            let reloads = self.reloads()?;
            Ok((format!("{statuses:?}, {reloads} restarts"), statuses == [200; 3] && reloads == 0))
        })?;
        let asked = "a second Envoy with one bit of the artifact changed";
        teller.check(asked, "it refuses to start", || {
            self.start_damaged(|artifact| {
                let middle = artifact.len() / 2;
                if let Some(byte) = artifact.get_mut(middle) {
                    *byte ^= 1;
                }
            })
        })?;
        teller.check("the first Envoy meanwhile", "200", || {
            let (status, _) = self.serve(None)?;
            Ok((status.to_string(), status == 200))
        })?;
        Ok(())
    }

    /// A small exchange; returns the status and the header `x-note` that the upstream got.
    fn serve(&mut self, note: Option<&[u8]>) -> Result<(u16, Vec<u8>)> {
        let token = self.agent()?;
        let mut head = post(OPENAI, Some(&token));
        head.headers.push((b"content-length".to_vec(), BODY.len().to_string().into_bytes()));
        if let Some(note) = note {
            head.headers.push((b"x-note".to_vec(), note.to_vec()));
        }
        let mut client: Http1Client = self.stage.http1()?;
        client.send_head(&head)?;
        client.send(BODY)?;
        let mut exchange = self.stage.upstream.accept().with_context(|| self.stage.envoy.log_tail())?;
        exchange.body()?;
        exchange.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"])?;
        let response = client.response()?;
        Ok((response.head.status, exchange.head.header("x-note").unwrap_or_default().to_vec()))
    }

    /// How often a filter was replaced after a trap.
    fn reloads(&self) -> Result<u64> {
        let stats = self.stage.envoy.admin("GET", "/stats")?;
        let counts = stats.lines().filter_map(|line| line.split_once(": "));
        let reloads = counts.filter(|(name, _)| name.contains("vm_reload"));
        Ok(reloads.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum())
    }

    fn start_damaged(&self, damage: impl FnOnce(&mut Vec<u8>)) -> Result<(String, bool)> {
        let compiled = &self.stage.kit.compiled;
        let mut artifact = compiled.artifact.clone();
        damage(&mut artifact);
        let yaml = on_free_ports(&compiled.envoy_yaml)?;
        let yaml = replace_once(&yaml, &STANDARD.encode(&compiled.artifact), &STANDARD.encode(artifact))?;
        let config = self.stage.kit.add("damaged.yaml", yaml.as_bytes())?;
        let Err(error) = Envoy::start(&config) else {
            return Ok(("it started".to_owned(), false));
        };
        let told = format!("{error:#}");
        let mut lines = told.lines().filter(|line| line.contains("veilwire: the policy is refused"));
        let reason =
            lines.next().and_then(|line| line.rsplit("veilwire: ").next()).unwrap_or("no reason given");
        let right = reason != "no reason given" && told.contains("ended at once");
        Ok((format!("exit at start: {reason}"), right))
    }
}
