//! The HTTP/2 side of the scripted upstream.

use std::sync::mpsc as std_mpsc;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::{Command, Connection, Ending, Exchange, Script, announce};
use crate::wire::{Headers, Piece, RequestHead, ResponseHead};

const WINDOW: u32 = 1 << 20;

/// Serves the requests of one connection, all at the same time.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: &Connection,
    exchanges: &std_mpsc::Sender<Exchange>,
) -> Result<()> {
    let mut session = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake::<_, Bytes>(stream)
        .await
        .context("HTTP/2 handshake with the upstream")?;
    while let Some(accepted) = session.accept().await {
        let (request, respond) = accepted.context("HTTP/2 request to the upstream")?;
        let (parts, body) = request.into_parts();
        let head = RequestHead {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path_and_query().map_or_else(String::new, |p| p.as_str().to_owned()),
            authority: parts.uri.authority().map_or_else(String::new, |a| a.as_str().to_owned()),
            headers: from_map(&parts.headers),
        };
        let Script { body: pieces, commands } = announce(head, connection, exchanges)?;
        tokio::spawn(receive(body, pieces));
        tokio::spawn(obey(respond, commands));
    }
    Ok(())
}

async fn receive(mut body: RecvStream, pieces: mpsc::UnboundedSender<Result<Piece>>) {
    while let Some(data) = body.data().await {
        match data {
            Ok(bytes) => {
                body.flow_control().release_capacity(bytes.len()).ok();
                if !bytes.is_empty() && pieces.send(Ok(Piece::Data(bytes.to_vec()))).is_err() {
                    return;
                }
            }
            Err(error) => {
                pieces.send(Err(error.into())).ok();
                return;
            }
        }
    }
    let end = body.trailers().await.map(|t| Piece::End(t.as_ref().map(from_map).unwrap_or_default()));
    pieces.send(end.map_err(Into::into)).ok();
}

async fn obey(
    mut respond: SendResponse<Bytes>,
    mut commands: mpsc::UnboundedReceiver<(Command, tokio::sync::oneshot::Sender<Result<()>>)>,
) {
    let mut stream = None;
    while let Some((command, done)) = commands.recv().await {
        done.send(perform(command, &mut respond, &mut stream).await).ok();
    }
}

async fn perform(
    command: Command,
    respond: &mut SendResponse<Bytes>,
    stream: &mut Option<SendStream<Bytes>>,
) -> Result<()> {
    match command {
        Command::Head(head, bodiless) => {
            *stream = Some(respond.send_response(to_response(&head)?, bodiless)?);
            Ok(())
        }
        Command::Raw(_) => bail!("raw bytes need HTTP/1.1"),
        Command::End(Ending::Reset) => {
            match stream {
                Some(stream) => stream.send_reset(Reason::INTERNAL_ERROR),
                None => respond.send_reset(Reason::INTERNAL_ERROR),
            }
            Ok(())
        }
        Command::Data(bytes) => send(stream.as_mut().context("data before a head")?, bytes, false).await,
        Command::End(ending) => {
            let stream = stream.as_mut().context("an end before a head")?;
            match ending {
                Ending::WithData(bytes) => send(stream, bytes, true).await,
                Ending::Trailers(trailers) => Ok(stream.send_trailers(to_map(&trailers)?)?),
                Ending::Empty | Ending::Reset => Ok(stream.send_data(Bytes::new(), true)?),
            }
        }
    }
}

/// Sends within the peer's window, so that the command is done only when the bytes are on their way.
async fn send(stream: &mut SendStream<Bytes>, bytes: Vec<u8>, end: bool) -> Result<()> {
    let mut left = Bytes::from(bytes);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let room =
            std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.context("the stream is gone")??;
        let part = left.split_to(room.min(left.len()));
        if !part.is_empty() {
            stream.send_data(part, end && left.is_empty())?;
        }
    }
    Ok(())
}

/// Headers of an HTTP message as pairs.
pub(crate) fn from_map(map: &HeaderMap) -> Headers {
    map.iter().map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Pairs as a header map.
pub(crate) fn to_map(headers: &Headers) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?);
    }
    Ok(map)
}

fn to_response(head: &ResponseHead) -> Result<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(head.status)?;
    *response.headers_mut() = to_map(&head.headers)?;
    Ok(response)
}
