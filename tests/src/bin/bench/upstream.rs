//! An upstream that answers at once: one thread for each connection, answers made beforehand.
//!
//! Events of a stream are not paced by a clock: each is sent when the client says that it has the one before. So every
//! event reaches Envoy alone, as in real streams, and a stream takes no longer than it must.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use veilwire_tests::deadline::LIMIT;
use veilwire_tests::pki::Pki;
use veilwire_tests::wire::{Http1Reader, Piece, RequestHead, ResponseHead, chunk, last_chunk};

use crate::scenario::{self, Response, Scenario};
use crate::traffic;

/// Header that tells the upstream which listener the request came through.
pub(crate) const VARIANT: &str = "x-bench-variant";

const READ_SIZE: usize = 64 * 1024;

/// A listening upstream. Its threads end with the connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Events that the client has of the current stream.
    seen: Mutex<usize>,
    changed: Condvar,
    /// Requests that came through Veilwire with a piece of a planted value.
    leaks: AtomicUsize,
    /// Requests that came through another listener without any: then the check itself would be broken.
    blanks: AtomicUsize,
}

impl Upstream {
    pub(crate) fn start(pki: &Pki) -> Result<Self> {
        let config = pki.upstream_config(&[b"http/1.1"])?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let scenarios = Arc::new(Scenario::all()?);
        let threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (config, shared, scenarios) =
                    (Arc::clone(&config), Arc::clone(&threads), Arc::clone(&scenarios));
                // A connection that breaks is seen by the client, whose request fails.
                std::thread::spawn(move || Connection::serve(stream, config, &shared, &scenarios));
            }
        });
        Ok(Self { port, shared })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The client begins a stream: it has no event.
    pub(crate) fn restart(&self) {
        self.shared.set_seen(0);
    }

    /// The client has so many events.
    pub(crate) fn has(&self, events: usize) {
        self.shared.set_seen(events);
    }

    /// Fails if a request came through Veilwire with a planted value, or through another listener without.
    pub(crate) fn check(&self) -> Result<()> {
        let leaks = self.shared.leaks.load(Ordering::SeqCst);
        let blanks = self.shared.blanks.load(Ordering::SeqCst);
        if leaks > 0 || blanks > 0 {
            bail!(
                "planted values reached the upstream in {leaks} requests; {blanks} requests came without the values they had"
            );
        }
        Ok(())
    }
}

impl Shared {
    fn set_seen(&self, events: usize) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = events;
        self.changed.notify_all();
    }

    fn wait_seen(&self, events: usize) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(seen, LIMIT, |seen| *seen < events);
        let (guard, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(guard);
        if result.timed_out() {
            bail!("the client never had event {events}");
        }
        Ok(())
    }

    fn note(&self, head: &RequestHead, body: &[u8]) {
        let through_veilwire = head.header(VARIANT) == Some(b"veilwire");
        let leaking = traffic::is_leaking(body);
        if through_veilwire && leaking {
            self.leaks.fetch_add(1, Ordering::SeqCst);
        } else if !through_veilwire && !leaking && !body.is_empty() {
            self.blanks.fetch_add(1, Ordering::SeqCst);
        }
    }
}

struct Connection<'a> {
    stream: StreamOwned<ServerConnection, TcpStream>,
    reader: Http1Reader,
    shared: &'a Shared,
    scenarios: &'a [Scenario],
}

impl Connection<'_> {
    fn serve(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        shared: &Shared,
        scenarios: &[Scenario],
    ) -> Result<()> {
        tcp.set_nodelay(true)?;
        let stream = StreamOwned::new(ServerConnection::new(config)?, tcp);
        let mut connection = Connection { stream, reader: Http1Reader::default(), shared, scenarios };
        while let Some((head, body)) = connection.request()? {
            connection.shared.note(&head, &body);
            connection.answer(&head)?;
        }
        Ok(())
    }

    fn request(&mut self) -> Result<Option<(RequestHead, Vec<u8>)>> {
        let head = loop {
            if let Some(head) = self.reader.request()? {
                break head;
            }
            if !self.fill()? {
                return Ok(None);
            }
        };
        let mut body = Vec::new();
        loop {
            match self.reader.piece()? {
                Some(Piece::Data(data)) => body.extend(data),
                Some(Piece::End(_)) => return Ok(Some((head, body))),
                None => {
                    self.fill()?;
                }
            }
        }
    }

    fn fill(&mut self) -> Result<bool> {
        let mut bytes = vec![0; READ_SIZE];
        let count = self.stream.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            self.reader.close();
            return Ok(false);
        }
        self.reader.push(bytes.get(..count).context("a read returned too much")?);
        Ok(true)
    }

    fn answer(&mut self, request: &RequestHead) -> Result<()> {
        let name = request.header(scenario::HEADER).context("a request of no scenario")?;
        let scenario =
            self.scenarios.iter().find(|s| s.name.as_bytes() == name).context("an unknown scenario")?;
        match &scenario.response {
            Response::Nothing => self.send(&ResponseHead::new(204, &[]).to_http1()),
            Response::Json(body) => {
                let length = body.len().to_string();
                let head = ResponseHead::new(
                    200,
                    &[("content-type", "application/json"), ("content-length", &length)],
                );
                self.send(&[head.to_http1().as_slice(), body].concat())
            }
            Response::Events(events) => {
                let pairs = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")];
                self.send(&ResponseHead::new(200, &pairs).to_http1())?;
                for (index, event) in events.iter().enumerate() {
                    self.shared.wait_seen(index)?;
                    self.send(&chunk(event))?;
                }
                self.send(&last_chunk(&Vec::new()))
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }
}
