//! A scripted upstream on the loopback interface: TLS that requires a client certificate, HTTP/1.1 and HTTP/2.
//!
//! Nothing is sent until the test says so, and every command returns only when the bytes were handed to the
//! connection. So a test proves that events pass one by one without looking at a clock: it sends one, waits until
//! the client has it, and only then sends the next.
//!
//! The same commands work for both protocols; which one is used is what Envoy negotiated by ALPN.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::deadline::{Deadline, LIMIT};
use crate::pki::{Identity, Pki};
use crate::wire::{Headers, Piece, RequestHead, ResponseHead};
use crate::{client::ALPN_HTTP1, client::ALPN_HTTP2, runtime};

mod http1;
mod http2;

pub(crate) use http2::{from_map, to_map};

/// A listening upstream. Ends with the value.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    exchanges: std_mpsc::Receiver<Exchange>,
    failures: std_mpsc::Receiver<String>,
    acceptor: JoinHandle<()>,
}

/// One request that arrived, waiting for what the test wants to answer.
pub struct Exchange {
    /// The request's head as it arrived.
    pub head: RequestHead,
    /// How the request arrived.
    pub connection: Connection,
    body: mpsc::UnboundedReceiver<Result<Piece>>,
    commands: mpsc::UnboundedSender<(Command, oneshot::Sender<Result<()>>)>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("head", &self.head).field("connection", &self.connection).finish()
    }
}

/// What is known about the connection that a request came on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `h2` or `http/1.1`.
    pub protocol: &'static str,
    /// TLS version, for example `TLSv1_3`; `None` on a plaintext upstream.
    pub tls: Option<String>,
    /// Subject of the client certificate, for example `CN=gateway.example.com, O=Example`.
    pub client_subject: Option<String>,
}

/// How a response ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The last bytes carry the end (HTTP/2: END_STREAM on the data; HTTP/1.1: as [`Ending::Empty`]).
    WithData(Vec<u8>),
    /// The end comes alone, after all data.
    Empty,
    /// Trailers end the response.
    Trailers(Headers),
    /// The response is cut: HTTP/2 RST_STREAM, HTTP/1.1 a closed connection.
    Reset,
}

/// What the test makes the connection do.
#[derive(Debug)]
enum Command {
    Head(ResponseHead, bool),
    Data(Vec<u8>),
    Raw(Vec<u8>),
    End(Ending),
}

impl Upstream {
    /// An upstream that requires a client certificate of the backend authority.
    ///
    /// # Errors
    /// When the certificates cannot be read or no port is free.
    pub fn start(pki: &Pki) -> Result<Self> {
        let config = pki.upstream_config(&[ALPN_HTTP2, ALPN_HTTP1])?;
        Self::listen(Some(TlsAcceptor::from(config)))
    }

    /// A service over HTTP/1.1 that shows the certificate of `who` and asks for none.
    ///
    /// # Errors
    /// As [`Upstream::start`].
    pub fn start_service(pki: &Pki, who: Identity) -> Result<Self> {
        Self::listen(Some(TlsAcceptor::from(pki.server_config(who, &[ALPN_HTTP1])?)))
    }

    /// An upstream without TLS, for HTTP/1.1.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_plaintext() -> Result<Self> {
        Self::listen(None)
    }

    fn listen(tls: Option<TlsAcceptor>) -> Result<Self> {
        let runtime = runtime::shared()?;
        let listener =
            runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).context("no free port")?;
        let address = listener.local_addr()?;
        let (exchange_in, exchanges) = std_mpsc::channel();
        let (failure_in, failures) = std_mpsc::channel();
        let acceptor = runtime.spawn(accept(listener, tls, exchange_in, failure_in));
        Ok(Self { address, exchanges, failures, acceptor })
    }

    /// Address the upstream listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Port the upstream listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next request.
    ///
    /// # Errors
    /// When none comes in time; the error names the connections that failed meanwhile.
    pub fn accept(&self) -> Result<Exchange> {
        self.exchanges.recv_timeout(LIMIT).map_err(|_| {
            let failures = self.failures();
            anyhow!("no request reached the upstream within {} s; failures: {failures:?}", LIMIT.as_secs())
        })
    }

    /// A request that has already arrived, if there is one. Ask only after something that happens later is known
    /// to have happened (for example the client has its refusal).
    #[must_use]
    pub fn arrived(&self) -> Option<Exchange> {
        self.exchanges.try_recv().ok()
    }

    /// Connections that failed since the last call: handshakes without a client certificate, broken requests.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.failures.try_iter().collect()
    }

    /// Waits for a connection to fail and says how.
    ///
    /// # Errors
    /// When none fails in time.
    pub fn next_failure(&self) -> Result<String> {
        self.failures.recv_timeout(LIMIT).context("no connection to the upstream failed")
    }

    /// Serves every request with `handler`, each on a thread of its own, until the returned value is dropped.
    #[must_use]
    pub fn serve(self, handler: impl Fn(Exchange) -> Result<()> + Send + Sync + 'static) -> Server {
        let address = self.address;
        let acceptor = self.acceptor.abort_handle();
        let handler = Arc::new(handler);
        let (failure_in, failures) = std_mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(exchange) = self.exchanges.recv() {
                let handler = Arc::clone(&handler);
                let failure_in = failure_in.clone();
                std::thread::spawn(move || {
                    if let Err(error) = handler(exchange) {
                        failure_in.send(format!("{error:#}")).ok();
                    }
                });
            }
        });
        Server { address, acceptor, failures }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// An upstream that answers by itself.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    acceptor: tokio::task::AbortHandle,
    failures: std_mpsc::Receiver<String>,
}

impl Server {
    /// Address the upstream listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What handlers failed with since the last call.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.failures.try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Exchange {
    /// The next part of the request body.
    ///
    /// # Errors
    /// When nothing comes in time or the request is cut.
    pub fn next_piece(&mut self) -> Result<Piece> {
        let piece = runtime::wait("the next part of the request body", LIMIT, async {
            self.body.recv().await.context("the connection is gone")
        })?;
        piece.context("the request body was cut")
    }

    /// The whole rest of the request body, and its trailers.
    ///
    /// # Errors
    /// As [`Exchange::next_piece`].
    pub fn rest(&mut self) -> Result<(Vec<u8>, Headers)> {
        let deadline = Deadline::after(LIMIT);
        let mut body = Vec::new();
        loop {
            match self.next_piece()? {
                Piece::Data(data) => body.extend(data),
                Piece::End(trailers) => return Ok((body, trailers)),
            }
            if deadline.is_over() {
                bail!("the request body does not end; {} bytes so far", body.len());
            }
        }
    }

    /// The whole rest of the request body.
    ///
    /// # Errors
    /// As [`Exchange::next_piece`].
    pub fn body(&mut self) -> Result<Vec<u8>> {
        Ok(self.rest()?.0)
    }

    /// Sends the head of the response; data and an end follow. HTTP/1.1 frames the body by the head's
    /// `content-length`, else in chunks.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn respond(&self, head: ResponseHead) -> Result<()> {
        self.command(Command::Head(head, false))
    }

    /// Sends a head without a body.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn respond_bodiless(&self, head: ResponseHead) -> Result<()> {
        self.command(Command::Head(head, true))
    }

    /// Sends `bytes` as one chunk or one data frame, and flushes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        self.command(Command::Data(bytes.to_vec()))
    }

    /// Writes `bytes` to the connection as they are (HTTP/1.1 only), for broken messages.
    ///
    /// # Errors
    /// When the connection is gone, or on HTTP/2.
    pub fn send_raw(&self, bytes: &[u8]) -> Result<()> {
        self.command(Command::Raw(bytes.to_vec()))
    }

    /// Ends the response.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn end(&self, ending: Ending) -> Result<()> {
        self.command(Command::End(ending))
    }

    /// A whole response: `pieces` one by one, then an end of its own.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn reply(&self, head: ResponseHead, pieces: &[&[u8]]) -> Result<()> {
        self.respond(head)?;
        for piece in pieces {
            self.send(piece)?;
        }
        self.end(Ending::Empty)
    }

    fn command(&self, command: Command) -> Result<()> {
        let (done, finished) = oneshot::channel();
        let shown = format!("{command:.60?}");
        self.commands.send((command, done)).map_err(|_| anyhow!("the connection to the upstream is gone"))?;
        runtime::wait("a command to the upstream", LIMIT, async {
            finished.await.with_context(|| format!("the connection ended before `{shown}`"))?
        })
    }
}

/// The connection's end of an [`Exchange`].
struct Script {
    body: mpsc::UnboundedSender<Result<Piece>>,
    commands: mpsc::UnboundedReceiver<(Command, oneshot::Sender<Result<()>>)>,
}

/// Hands a request to the test.
fn announce(
    head: RequestHead,
    connection: &Connection,
    exchanges: &std_mpsc::Sender<Exchange>,
) -> Result<Script> {
    let (body_in, body) = mpsc::unbounded_channel();
    let (command_in, commands) = mpsc::unbounded_channel();
    let exchange = Exchange { head, connection: connection.clone(), body, commands: command_in };
    exchanges.send(exchange).map_err(|_| anyhow!("the test is over"))?;
    Ok(Script { body: body_in, commands })
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    exchanges: std_mpsc::Sender<Exchange>,
    failures: std_mpsc::Sender<String>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        let exchanges = exchanges.clone();
        let failures = failures.clone();
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, tls, exchanges).await {
                failures.send(format!("{error:#}")).ok();
            }
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    exchanges: std_mpsc::Sender<Exchange>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        let connection = Connection { protocol: "http/1.1", tls: None, client_subject: None };
        return http1::serve(stream, &connection, &exchanges).await;
    };
    let stream = tls.accept(stream).await.context("TLS handshake with the upstream")?;
    let (_, session) = stream.get_ref();
    let subject =
        session.peer_certificates().and_then(<[_]>::first).map(|c| subject(c.as_ref())).transpose()?;
    let version = session.protocol_version().map(|v| format!("{v:?}"));
    if session.alpn_protocol() == Some(ALPN_HTTP2) {
        let connection = Connection { protocol: "h2", tls: version, client_subject: subject };
        http2::serve(stream, &connection, &exchanges).await
    } else {
        let connection = Connection { protocol: "http/1.1", tls: version, client_subject: subject };
        http1::serve(stream, &connection, &exchanges).await
    }
}

fn subject(der: &[u8]) -> Result<String> {
    let (_, certificate) = X509Certificate::from_der(der).context("client certificate")?;
    Ok(certificate.subject().to_string())
}
