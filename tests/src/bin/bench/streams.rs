//! Many slow streams at once, and one that is very long: what they cost Envoy in memory.
//!
//! Each variant has an Envoy of its own, so that no stream finds memory that another variant left. Streams share connections
//! (HTTP/2, a hundred on each) to the client and to the upstream: what is compared is streams, not TLS sessions.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use veilwire_tests::client::{Http2Client, Http2Exchange};
use veilwire_tests::upstream::{Ending, Exchange};
use veilwire_tests::wire::{Piece, RequestHead, ResponseHead, headers};

use crate::memory;
use crate::site::{StreamSite, Variant};
use crate::traffic;

/// As many as Envoy is told to allow on one connection.
const PER_CONNECTION: usize = 100;
/// Streams that are open before memory is read for the first time: code, tables and pools are there then.
const WARM_UP: usize = 100;
const MB: usize = 1_000_000;
/// Length of the long stream, in bytes.
const LONG: usize = 100 * MB;

/// What was measured, in bytes of resident memory.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    count: usize,
    /// Growth for each stream that got an event and waits.
    open: BTreeMap<Variant, f64>,
    /// The same with half a value held back in each.
    held: f64,
    /// Growth while the long stream passed.
    long: f64,
}

impl Figures {
    pub(crate) fn measure(count: usize) -> Result<Self> {
        ensure!((1..=20_000).contains(&count), "between 1 and 20000 streams are possible");
        let mut figures = Self { count, ..Self::default() };
        for variant in [Variant::Plain, Variant::Copy, Variant::Veilwire] {
            println!("{count} streams: {}", variant.name());
            let mut site = Open::start(variant)?;
            site.open(WARM_UP)?;
            let before = site.memory()?;
            site.open(count)?;
            let growth = |now: f64| (now - before) / count as f64;
            figures.open.insert(variant, growth(site.memory()?));
            if variant == Variant::Veilwire {
                site.hold()?;
                figures.held = growth(site.memory()?);
                site.finish()?;
            }
        }
        println!("one stream of {} MB", LONG / MB);
        figures.long = long()?;
        Ok(figures)
    }

    pub(crate) fn print(&self) {
        let of = |variant| self.open.get(&variant).copied().unwrap_or(f64::NAN);
        println!(
            "\nResident memory of Envoy, one worker, {} open streams: bytes for each stream",
            self.count
        );
        println!("{:<24} {:>10.0}", "no filter", of(Variant::Plain));
        println!("{:<24} {:>10.0}", "copying filter", of(Variant::Copy));
        println!("{:<24} {:>10.0}", "Veilwire", of(Variant::Veilwire));
        println!("{:<24} {:>10.0}", "Veilwire, values held", self.held);
        println!("growth while {} MB of events pass one stream: {:.1} MB", LONG / MB, self.long / MB as f64);
    }

    /// The object `envoy.streams`; the keys are explained in `docs/reference/benchmarks.md`.
    pub(crate) fn to_json(&self) -> Value {
        let of = |variant| self.open.get(&variant).map(|bytes| bytes.round());
        json!({
            "count": self.count,
            "rss_per_stream_bytes": of(Variant::Veilwire),
            "rss_per_stream_bytes_plain": of(Variant::Plain),
            "rss_per_stream_bytes_copy": of(Variant::Copy),
            "rss_per_stream_bytes_held": self.held.round(),
            "rss_growth_100mb_bytes": self.long.round(),
        })
    }
}

/// Streams that are open through one listener.
struct Open {
    // First the streams, then what they run on.
    streams: Vec<(Http2Exchange, Exchange)>,
    clients: Vec<Http2Client>,
    head: RequestHead,
    variant: Variant,
    site: StreamSite,
}

impl Open {
    fn start(variant: Variant) -> Result<Self> {
        let site = StreamSite::start()?;
        let mut head = RequestHead::new("POST", "/chat", &[("content-type", "application/json")]);
        head.authority = "llm.test".to_owned();
        head.headers.extend(headers(&[("authorization", &format!("Bearer {}", site.token))]));
        Ok(Self { streams: Vec::new(), clients: Vec::new(), head, variant, site })
    }

    fn memory(&self) -> Result<f64> {
        memory::resident(self.site.envoy.id())
    }

    /// Opens streams, each of which gets one event.
    fn open(&mut self, count: usize) -> Result<()> {
        let first = event("Well. ");
        for _ in 0..count {
            let (mut exchange, arrived) = self.begin()?;
            arrived.send(&first)?;
            ensure!(next(&mut exchange)? == first, "another event arrived");
            self.streams.push((exchange, arrived));
        }
        Ok(())
    }

    /// Opens a stream up to its head.
    fn begin(&mut self) -> Result<(Http2Exchange, Exchange)> {
        if self.streams.len().is_multiple_of(PER_CONNECTION) {
            let address = self.site.envoy.address(self.variant.name())?;
            self.clients.push(Http2Client::connect(address, self.site.client_config()?)?);
        }
        let client = self.clients.last_mut().context("no connection")?;
        let mut exchange = client.start(&self.head, false)?;
        exchange.send(b"{\"messages\":[]}", true)?;
        let mut arrived = self.site.upstream.accept().with_context(|| self.site.envoy.log_tail())?;
        arrived.body()?;
        arrived.respond(ResponseHead::new(200, &[("content-type", "text/event-stream")]))?;
        ensure!(exchange.response_head()?.status == 200, "not answered");
        Ok((exchange, arrived))
    }

    /// Half a value for each stream.
    fn hold(&mut self) -> Result<()> {
        let (half, _) = halves()?;
        for (exchange, arrived) in &mut self.streams {
            arrived.send(&event(&format!("Write to {half}")))?;
            let got = next(exchange)?;
            ensure!(!traffic::is_leaking(&got), "half a value arrived");
        }
        Ok(())
    }

    /// The other half: every value is masked.
    fn finish(&mut self) -> Result<()> {
        let (_, half) = halves()?;
        for (exchange, arrived) in &mut self.streams {
            arrived.send(&event(&format!("{half} and others.")))?;
            arrived.end(Ending::WithData(b"data: [DONE]\n\n".to_vec()))?;
            let mut text = Vec::new();
            while let Piece::Data(data) = exchange.next_piece()? {
                text.extend(data);
            }
            ensure!(!traffic::is_leaking(&text), "a value arrived unmasked");
            ensure!(text.ends_with(b"data: [DONE]\n\n"), "a stream was cut");
        }
        Ok(())
    }
}

/// One stream of events with values in them; how much memory grew by it.
fn long() -> Result<f64> {
    let mut site = Open::start(Variant::Veilwire)?;
    site.open(1)?;
    let before = site.memory()?;
    let (mut exchange, arrived) = site.begin()?;
    let value = traffic::VALUES.first().context("no values")?;
    let piece = event(&format!("Write to {value} and others. ")).repeat(400);
    let count = LONG / piece.len() + 1;
    let sender = std::thread::spawn(move || {
        (0..count).try_for_each(|_| arrived.send(&piece))?;
        arrived.end(Ending::WithData(b"data: [DONE]\n\n".to_vec()))
    });
    let (mut total, mut most) = (0, before);
    while let Piece::Data(data) = exchange.next_piece()? {
        ensure!(!traffic::is_leaking(&data), "a value arrived unmasked");
        if total / (10 * MB) != (total + data.len()) / (10 * MB) {
            most = most.max(site.memory()?);
        }
        total += data.len();
    }
    sender.join().ok().context("the upstream's thread ended")??;
    ensure!(total > LONG / 2, "only {total} bytes arrived");
    Ok(most.max(site.memory()?) - before)
}

fn next(exchange: &mut Http2Exchange) -> Result<Vec<u8>> {
    match exchange.next_piece()? {
        Piece::Data(data) => Ok(data),
        Piece::End(_) => anyhow::bail!("a stream ended"),
    }
}

fn halves() -> Result<(&'static str, &'static str)> {
    let value = traffic::VALUES.first().context("no values")?;
    value.split_at_checked(value.len() / 2).context("values are ASCII")
}

fn event(text: &str) -> Vec<u8> {
    let chunk = json!({
        "id": "chatcmpl-7Zq", "object": "chat.completion.chunk", "created": 1_771_434_740, "model": "example-model",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
    });
    format!("data: {chunk}\n\n").into_bytes()
}
