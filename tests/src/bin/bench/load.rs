//! A client on one keep-alive connection to one listener, one exchange after the other.

use anyhow::{Context as _, Result, ensure};
use veilwire_tests::client::Http1Client;
use veilwire_tests::wire::{Piece, RequestHead};

use crate::cpu;
use crate::scenario::{self, Response, Scenario};
use crate::site::{Site, Variant};
use crate::traffic;
use crate::upstream;

/// V8 runs new code slowly at first and compiles it again once it is hot.
const WARM_UP: usize = 4;

/// A client of one variant.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) variant: Variant,
    http: Http1Client,
    token: String,
}

/// One slice of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// CPU time of Envoy for one exchange, in microseconds.
    pub(crate) micros: f64,
}

impl Client {
    pub(crate) fn connect(site: &Site, variant: Variant) -> Result<Self> {
        let http = Http1Client::connect(site.address(variant)?, site.client_config()?)?;
        Ok(Self { variant, http, token: format!("Bearer {}", site.token) })
    }

    /// Enough exchanges for V8 to have compiled what is hot.
    pub(crate) fn warm_up(&mut self, site: &Site, scenario: &Scenario) -> Result<()> {
        for _ in 0..WARM_UP {
            self.measure(site, scenario)?;
        }
        Ok(())
    }

    /// One slice.
    pub(crate) fn measure(&mut self, site: &Site, scenario: &Scenario) -> Result<Slice> {
        let before = cpu::of_process(site.envoy.id())?;
        for _ in 0..scenario.exchanges {
            self.exchange(site, scenario).with_context(|| {
                format!("{} through `{}`\n{}", scenario.name, self.variant.name(), site.envoy.log_tail())
            })?;
        }
        let nanos = cpu::of_process(site.envoy.id())?.saturating_sub(before);
        site.upstream.check()?;
        #[expect(clippy::cast_precision_loss, reason = "a slice takes far less than 2^53 ns")]
        Ok(Slice { micros: nanos as f64 / scenario.exchanges as f64 / 1000.0 })
    }

    fn exchange(&mut self, site: &Site, scenario: &Scenario) -> Result<()> {
        let length = scenario.request.len().to_string();
        let mut head = RequestHead::new(
            "POST",
            scenario.path,
            &[
                ("content-type", "application/json"),
                ("content-length", &length),
                ("authorization", &self.token),
                (scenario::HEADER, scenario.name),
                (upstream::VARIANT, self.variant.name()),
            ],
        );
        head.authority = "llm.test".to_owned();
        site.upstream.restart();
        self.http.send(&[head.to_http1().as_slice(), &scenario.request].concat())?;
        let answer = self.http.response_head()?;
        let expected = if matches!(scenario.response, Response::Nothing) { 204 } else { 200 };
        ensure!(answer.status == expected, "status {} instead of {expected}", answer.status);
        let body = self.body(site, scenario)?;
        self.check(scenario, &body)
    }

    /// The body; the upstream hears of every event.
    fn body(&mut self, site: &Site, scenario: &Scenario) -> Result<Vec<u8>> {
        let streaming = matches!(scenario.response, Response::Events(_));
        let mut body = Vec::new();
        loop {
            match self.http.next_piece()? {
                Piece::Data(data) => body.extend(data),
                Piece::End(_) => return Ok(body),
            }
            if streaming {
                site.upstream.has(memchr::memmem::find_iter(&body, b"\n\n").count());
            }
        }
    }

    /// Everything came; what was planted is masked by Veilwire and by nobody else.
    fn check(&self, scenario: &Scenario, body: &[u8]) -> Result<()> {
        let sent = match &scenario.response {
            Response::Nothing => return Ok(()),
            Response::Json(document) => document.to_vec(),
            Response::Events(events) => events.concat(),
        };
        if self.variant == Variant::Veilwire {
            ensure!(!traffic::is_leaking(body), "a planted value arrived unmasked");
            ensure!(body.len() > sent.len() / 2, "{} of {} bytes arrived", body.len(), sent.len());
        } else {
            ensure!(body == sent, "the body was changed");
        }
        Ok(())
    }
}
