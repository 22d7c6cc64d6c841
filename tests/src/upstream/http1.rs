//! The HTTP/1.1 side of the scripted upstream: bytes written by hand, one flush per command.

use std::sync::mpsc as std_mpsc;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Command, Connection, Ending, Exchange, Script, announce};
use crate::wire::{Http1Reader, Piece, ResponseHead, chunk, last_chunk, value};

const READ_SIZE: usize = 64 * 1024;

/// Serves the requests of one connection, one after the other.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: &Connection,
    exchanges: &std_mpsc::Sender<Exchange>,
) -> Result<()> {
    let (mut input, mut output) = tokio::io::split(stream);
    let mut reader = Http1Reader::default();
    loop {
        let head = loop {
            if let Some(head) = reader.request()? {
                break head;
            }
            if !fill(&mut input, &mut reader).await? {
                ensure!(reader.buffered().is_empty(), "the connection ended in the middle of a request head");
                return Ok(());
            }
        };
        let mut script = announce(head, connection, exchanges)?;
        if !exchange(&mut input, &mut output, &mut reader, &mut script).await? {
            return Ok(());
        }
    }
}

/// Reads the request body and obeys the test at the same time. Returns whether the connection goes on.
async fn exchange(
    input: &mut (impl AsyncRead + Unpin),
    output: &mut (impl AsyncWrite + Unpin),
    reader: &mut Http1Reader,
    script: &mut Script,
) -> Result<bool> {
    let mut request_complete = false;
    let mut response = Response::default();
    while !(request_complete && response.ended) {
        if !request_complete {
            match reader.piece() {
                Ok(Some(piece)) => {
                    request_complete = matches!(piece, Piece::End(_));
                    script.body.send(Ok(piece)).ok();
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    script.body.send(Err(error)).ok();
                    return Ok(false);
                }
            }
        }
        tokio::select! {
            more = fill(input, reader), if !request_complete => {
                more?;
            }
            command = script.commands.recv(), if !response.ended => {
                let Some((command, done)) = command else {
                    // The test let go of the exchange without an answer.
                    return Ok(false);
                };
                let outcome = response.obey(command, output).await;
                let go_on = matches!(outcome, Ok(true));
                done.send(outcome.map(drop)).ok();
                if !go_on {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// `false` at the end of the connection.
async fn fill(input: &mut (impl AsyncRead + Unpin), reader: &mut Http1Reader) -> Result<bool> {
    let mut bytes = vec![0; READ_SIZE];
    // A peer that just closes TCP is an end like any other here: the reader knows whether it was too early.
    let count = input.read(&mut bytes).await.unwrap_or(0);
    if count == 0 {
        reader.close();
        return Ok(false);
    }
    reader.push(bytes.get(..count).context("a read returned too much")?);
    Ok(true)
}

#[derive(Debug, Default)]
struct Response {
    chunked: bool,
    ended: bool,
}

impl Response {
    /// Returns whether the connection can carry another response afterwards.
    async fn obey(&mut self, command: Command, output: &mut (impl AsyncWrite + Unpin)) -> Result<bool> {
        match command {
            Command::Head(head, bodiless) => {
                let head = self.frame(head, bodiless);
                output.write_all(&head.to_http1()).await?;
                self.ended = bodiless;
            }
            Command::Data(bytes) => output.write_all(&self.encode(&bytes)).await?,
            Command::Raw(bytes) => output.write_all(&bytes).await?,
            Command::End(Ending::Reset) => {
                self.ended = true;
                output.shutdown().await.ok();
                return Ok(false);
            }
            Command::End(ending) => {
                if let Ending::WithData(bytes) = &ending {
                    output.write_all(&self.encode(bytes)).await?;
                }
                let trailers = if let Ending::Trailers(trailers) = ending { trailers } else { Vec::new() };
                if self.chunked {
                    output.write_all(&last_chunk(&trailers)).await?;
                } else if !trailers.is_empty() {
                    bail!("trailers need a chunked response");
                }
                self.ended = true;
            }
        }
        output.flush().await?;
        Ok(true)
    }

    fn frame(&mut self, mut head: ResponseHead, bodiless: bool) -> ResponseHead {
        let framed = value(&head.headers, "content-length").is_some();
        self.chunked = !framed && !bodiless;
        if self.chunked && value(&head.headers, "transfer-encoding").is_none() {
            head.headers.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
        }
        head
    }

    fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        // An empty chunk would be the last one.
        if self.chunked && !bytes.is_empty() { chunk(bytes) } else { bytes.to_vec() }
    }
}
