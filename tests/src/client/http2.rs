//! The HTTP/2 caller.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Uri, Version};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{ALPN_HTTP2, Response};
use crate::deadline::LIMIT;
use crate::runtime;
use crate::upstream::{from_map, to_map};
use crate::wire::{Headers, Piece, RequestHead, ResponseHead};

/// An HTTP/2 client on one TLS connection.
#[derive(Debug)]
pub struct Http2Client {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

/// One request under way.
#[derive(Debug)]
pub struct Http2Exchange {
    stream: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
}

impl Http2Client {
    /// Connects; `config` must offer `h2`. The server's name is `localhost`.
    ///
    /// # Errors
    /// When the connection or a handshake fails.
    pub fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Result<Self> {
        runtime::wait("the HTTP/2 handshake", LIMIT, async {
            let tcp = TcpStream::connect(address).await.context("no connection")?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from("localhost")?;
            let tls = TlsConnector::from(config).connect(name, tcp).await.context("TLS handshake")?;
            ensure!(tls.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2), "the server does not speak h2");
            let (sender, connection) = h2::client::handshake(tls).await?;
            let connection = tokio::spawn(async move {
                // Its failure is what every open exchange sees.
                connection.await.ok();
            });
            Ok(Self { sender, connection })
        })
    }

    /// Sends a request head; `end` says that no body follows.
    ///
    /// # Errors
    /// When the head is not valid HTTP or the connection is gone.
    pub fn start(&mut self, head: &RequestHead, end: bool) -> Result<Http2Exchange> {
        let uri = Uri::builder()
            .scheme("https")
            .authority(head.authority.as_str())
            .path_and_query(head.path.as_str())
            .build()?;
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(head.method.as_bytes())?;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = to_map(&head.headers)?;
        let sender = self.sender.clone();
        runtime::wait("sending a request", LIMIT, async {
            let mut ready = sender.ready().await?;
            let (response, stream) = ready.send_request(request, end)?;
            Ok(Http2Exchange { stream, response: Some(response), body: None })
        })
    }

    /// A whole exchange: the body in one piece, the end with it.
    ///
    /// # Errors
    /// When there is no complete response in time.
    pub fn request(&mut self, head: &RequestHead, body: &[u8]) -> Result<Response> {
        let mut exchange = self.start(head, body.is_empty())?;
        if !body.is_empty() {
            exchange.send(body, true)?;
        }
        exchange.response()
    }
}

impl Drop for Http2Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Http2Exchange {
    /// Sends a part of the request body; `end` ends it with this part.
    ///
    /// # Errors
    /// When the stream is gone or its window stays shut.
    pub fn send(&mut self, bytes: &[u8], end: bool) -> Result<()> {
        let stream = &mut self.stream;
        runtime::wait("sending a request body", LIMIT, async {
            let mut left = Bytes::copy_from_slice(bytes);
            if left.is_empty() {
                stream.send_data(left, end)?;
                return Ok(());
            }
            while !left.is_empty() {
                stream.reserve_capacity(left.len());
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let room = room.context("the stream is gone")??;
                let part = left.split_to(room.min(left.len()));
                if !part.is_empty() {
                    stream.send_data(part, end && left.is_empty())?;
                }
            }
            Ok(())
        })
    }

    /// Ends the request body with trailers.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn finish(&mut self, trailers: &Headers) -> Result<()> {
        let map = to_map(trailers)?;
        // Frames are written by the connection's task; entering the runtime wakes it.
        runtime::wait("sending trailers", LIMIT, async { Ok(self.stream.send_trailers(map)?) })
    }

    /// Cuts the request, as a client does that goes away in mid-stream.
    pub fn reset(&mut self) {
        self.stream.send_reset(Reason::CANCEL);
    }

    /// The head of the response.
    ///
    /// # Errors
    /// When none comes in time or the stream is reset.
    pub fn response_head(&mut self) -> Result<ResponseHead> {
        let future = self.response.take().context("the response head was already taken")?;
        let response = runtime::wait("the response head", LIMIT, async { Ok(future.await?) })?;
        let (parts, body) = response.into_parts();
        self.body = Some(body);
        Ok(ResponseHead { status: parts.status.as_u16(), headers: from_map(&parts.headers) })
    }

    /// The next part of the response body.
    ///
    /// # Errors
    /// When none comes in time or the stream is reset.
    pub fn next_piece(&mut self) -> Result<Piece> {
        let body = self.body.as_mut().context("the response head was not read")?;
        runtime::wait("the next part of the response", LIMIT, async {
            while let Some(data) = body.data().await {
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                if !data.is_empty() {
                    return Ok(Piece::Data(data.to_vec()));
                }
            }
            let trailers = body.trailers().await?;
            Ok(Piece::End(trailers.as_ref().map(from_map).unwrap_or_default()))
        })
    }

    /// A whole response.
    ///
    /// # Errors
    /// When it does not come in time or is cut.
    pub fn response(&mut self) -> Result<Response> {
        let head = self.response_head()?;
        let mut body = Vec::new();
        loop {
            match self.next_piece()? {
                Piece::Data(data) => body.extend(data),
                Piece::End(trailers) => return Ok(Response { head, body, trailers }),
            }
        }
    }
}
