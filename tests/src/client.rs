//! Callers: an HTTP/1.1 client that writes exact bytes, and an HTTP/2 client.
//!
//! Both give out the response in the parts in which it arrives, so that a test can prove that one event came
//! before the next was sent.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::deadline::{Deadline, LIMIT};
use crate::wire::{Headers, Http1Reader, Piece, RequestHead, ResponseHead, chunk, last_chunk};

mod http2;

pub use http2::{Http2Client, Http2Exchange};

/// ALPN name of HTTP/1.1.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";
/// ALPN name of HTTP/2.
pub const ALPN_HTTP2: &[u8] = b"h2";

const READ_SIZE: usize = 64 * 1024;

/// A whole response as a client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status and headers.
    pub head: ResponseHead,
    /// The body, whole.
    pub body: Vec<u8>,
    /// Trailers.
    pub trailers: Headers,
}

impl Response {
    /// The body as text, for assertions.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An HTTP/1.1 client on one TLS connection.
#[derive(Debug)]
pub struct Http1Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    reader: Http1Reader,
    last_method_head: bool,
}

impl Http1Client {
    /// Connects and finishes the handshake. The server's name is `localhost`.
    ///
    /// # Errors
    /// When the connection is refused or the handshake fails.
    pub fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Result<Self> {
        let tcp = TcpStream::connect_timeout(&address, LIMIT).context("no connection")?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(LIMIT))?;
        tcp.set_write_timeout(Some(LIMIT))?;
        let session = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).context("TLS handshake")?;
        }
        Ok(Self { stream, reader: Http1Reader::default(), last_method_head: false })
    }

    /// Negotiated TLS version, for example `TLSv1_3`.
    #[must_use]
    pub fn tls_version(&self) -> String {
        self.stream.conn.protocol_version().map_or_else(String::new, |v| format!("{v:?}"))
    }

    /// Writes exactly these bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the request cannot be written")?;
        self.stream.flush().context("the request cannot be written")
    }

    /// Writes a request head; the body is up to the caller.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_head(&mut self, head: &RequestHead) -> Result<()> {
        self.last_method_head = head.method == "HEAD";
        self.send(&head.to_http1())
    }

    /// Writes one chunk of a chunked request body.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(&chunk(bytes))
    }

    /// Ends a chunked request body.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn finish_chunks(&mut self, trailers: &Headers) -> Result<()> {
        self.send(&last_chunk(trailers))
    }

    /// A whole exchange with `content-length` framing.
    ///
    /// # Errors
    /// When there is no complete response in time.
    pub fn request(&mut self, head: &RequestHead, body: &[u8]) -> Result<Response> {
        let mut head = head.clone();
        if !body.is_empty() || !matches!(head.method.as_str(), "GET" | "HEAD") {
            head.headers.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
        }
        self.send_head(&head)?;
        self.send(body)?;
        self.response()
    }

    /// The head of the response. Interim (1xx) heads are skipped.
    ///
    /// # Errors
    /// When none comes in time, or when it is malformed.
    pub fn response_head(&mut self) -> Result<ResponseHead> {
        loop {
            if let Some(head) = self.reader.response(self.last_method_head)? {
                if head.status >= 200 || head.status == 101 {
                    return Ok(head);
                }
                self.next_piece()?;
                continue;
            }
            if !self.fill()? {
                bail!("the connection ended before a response: {}", self.reader.buffered().escape_ascii());
            }
        }
    }

    /// The next part of the response body.
    ///
    /// # Errors
    /// When none comes in time, or when the body is cut.
    pub fn next_piece(&mut self) -> Result<Piece> {
        loop {
            if let Some(piece) = self.reader.piece()? {
                return Ok(piece);
            }
            self.fill()?;
        }
    }

    /// The next `count` bytes of the body, in however many parts they come.
    ///
    /// # Errors
    /// When the body ends before.
    pub fn next_bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match self.next_piece()? {
                Piece::Data(data) => bytes.extend(data),
                Piece::End(_) => bail!("the body ended after {} of {count} bytes", bytes.len()),
            }
        }
        Ok(bytes)
    }

    /// A whole response.
    ///
    /// # Errors
    /// When it does not come in time, or when it is cut.
    pub fn response(&mut self) -> Result<Response> {
        let head = self.response_head()?;
        let deadline = Deadline::after(LIMIT);
        let mut body = Vec::new();
        loop {
            match self.next_piece()? {
                Piece::Data(data) => body.extend(data),
                Piece::End(trailers) => return Ok(Response { head, body, trailers }),
            }
            if deadline.is_over() {
                bail!("the response does not end; {} bytes so far", body.len());
            }
        }
    }

    /// Everything until the connection's end, as bytes. For answers that are cut on purpose.
    ///
    /// # Errors
    /// When the connection does not end in time.
    pub fn read_to_close(&mut self) -> Result<Vec<u8>> {
        while self.fill()? {}
        Ok(self.reader.buffered().to_vec())
    }

    /// `false` at the connection's end, however it came.
    fn fill(&mut self) -> Result<bool> {
        let mut bytes = vec![0; READ_SIZE];
        match self.stream.read(&mut bytes) {
            Ok(0) => {}
            Ok(count) => {
                self.reader.push(bytes.get(..count).context("a read returned too much")?);
                return Ok(true);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("nothing came within {} s", LIMIT.as_secs());
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(error).context("TLS alert"),
            // A peer that closes TCP without a TLS goodbye cuts the connection; the reader judges it.
            Err(_) => {}
        }
        self.reader.close();
        Ok(false)
    }
}
