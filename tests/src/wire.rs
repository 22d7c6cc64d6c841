//! HTTP messages as bytes: heads, and a reader of HTTP/1.1 bodies (RFC 9112) without any I/O.
//!
//! It accepts what Envoy writes and nothing lenient beyond that: a malformed message is a finding of the test.

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};

/// Header pairs in wire order. Names are lower case, values are bytes as they came.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Longest head that is read.
const HEAD_LIMIT: usize = 256 * 1024;

/// Builds [`Headers`] from texts.
#[must_use]
pub fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
}

/// First value of a header; `name` in lower case.
#[must_use]
pub fn value<'h>(headers: &'h Headers, name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|(n, _)| n == name.as_bytes()).map(|(_, v)| v.as_slice())
}

/// Head of a request, the same for HTTP/1.1 and HTTP/2: no pseudo-headers, `host` as `authority`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Method.
    pub method: String,
    /// Request target, in origin form.
    pub path: String,
    /// `:authority` or `host`.
    pub authority: String,
    /// All other headers.
    pub headers: Headers,
}

impl RequestHead {
    /// A head with the authority `localhost`.
    #[must_use]
    pub fn new(method: &str, path: &str, pairs: &[(&str, &str)]) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            authority: "localhost".to_owned(),
            headers: headers(pairs),
        }
    }

    /// First value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        value(&self.headers, name)
    }

    /// The head as HTTP/1.1 bytes.
    #[must_use]
    pub fn to_http1(&self) -> Vec<u8> {
        let mut out =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.authority).into_bytes();
        write_headers(&mut out, &self.headers);
        out
    }
}

/// Head of a response.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: Headers,
}

impl ResponseHead {
    /// A head with these headers.
    #[must_use]
    pub fn new(status: u16, pairs: &[(&str, &str)]) -> Self {
        Self { status, headers: headers(pairs) }
    }

    /// First value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        value(&self.headers, name)
    }

    /// The head as HTTP/1.1 bytes.
    #[must_use]
    pub fn to_http1(&self) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} Scripted\r\n", self.status).into_bytes();
        write_headers(&mut out, &self.headers);
        out
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (authority {}){}", self.method, self.path, self.authority, Shown(&self.headers))
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.status, Shown(&self.headers))
    }
}

/// Headers as lines of text.
pub(crate) struct Shown<'h>(pub(crate) &'h Headers);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.0 {
            write!(f, "\n  {}: {}", String::from_utf8_lossy(name), value.escape_ascii())?;
        }
        Ok(())
    }
}

/// One part of a message body, in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes, never empty.
    Data(Vec<u8>),
    /// The body is complete; trailers if there were any.
    End(Headers),
}

/// How the end of an HTTP/1.1 body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `content-length`.
    Length(usize),
    /// `transfer-encoding: chunked`.
    Chunked,
    /// The connection's end.
    UntilClose,
}

/// Incremental reader of the messages of one side of an HTTP/1.1 connection.
#[derive(Debug, Default)]
pub struct Http1Reader {
    buffer: Vec<u8>,
    body: Body,
    closed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Between messages.
    #[default]
    None,
    Length(usize),
    UntilClose,
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailers,
}

impl Http1Reader {
    /// Takes bytes from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The connection ended: nothing more will come.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Bytes that were received and not yet given out.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// A request head, once it is complete; the body is framed as the head says.
    ///
    /// # Errors
    /// When the head is malformed.
    pub fn request(&mut self) -> Result<Option<RequestHead>> {
        let Some((start, mut headers)) = self.head()? else { return Ok(None) };
        let mut words = start.split(' ');
        let (Some(method), Some(path), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!("not a request line: {start:?}");
        };
        let host = headers.iter().position(|(name, _)| name == b"host").context("request without host")?;
        let (_, authority) = headers.remove(host);
        self.begin(framing(&headers)?.unwrap_or(Framing::Length(0)));
        Ok(Some(RequestHead {
            method: method.to_owned(),
            path: path.to_owned(),
            authority: String::from_utf8_lossy(&authority).into_owned(),
            headers,
        }))
    }

    /// A response head, once it is complete. `to_head` says that the request was a HEAD.
    ///
    /// # Errors
    /// When the head is malformed.
    pub fn response(&mut self, to_head: bool) -> Result<Option<ResponseHead>> {
        let Some((start, headers)) = self.head()? else { return Ok(None) };
        let mut words = start.splitn(3, ' ');
        let (Some("HTTP/1.1"), Some(status)) = (words.next(), words.next()) else {
            bail!("not a status line: {start:?}");
        };
        let status: u16 = status.parse().with_context(|| format!("not a status: {start:?}"))?;
        let bodiless = to_head || status == 204 || status == 304 || (100..200).contains(&status);
        let framed = framing(&headers)?.unwrap_or(Framing::UntilClose);
        self.begin(if bodiless { Framing::Length(0) } else { framed });
        Ok(Some(ResponseHead { status, headers }))
    }

    /// The next part of the body, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the framing is broken, or the connection ended before the body did.
    pub fn piece(&mut self) -> Result<Option<Piece>> {
        loop {
            match self.body {
                Body::None => bail!("no body is being read"),
                Body::Length(0) => return Ok(Some(self.end(Vec::new()))),
                Body::Length(left) => {
                    let taken = self.take(left);
                    self.body = Body::Length(left - taken.len());
                    return self.data(taken);
                }
                Body::UntilClose => {
                    if self.buffer.is_empty() && self.closed {
                        return Ok(Some(self.end(Vec::new())));
                    }
                    let taken = self.take(usize::MAX);
                    return if taken.is_empty() { Ok(None) } else { Ok(Some(Piece::Data(taken))) };
                }
                Body::ChunkSize => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size =
                        usize::from_str_radix(digits, 16).with_context(|| format!("chunk size {line:?}"))?;
                    self.body = if size == 0 { Body::Trailers } else { Body::Chunk(size) };
                }
                Body::Chunk(left) => {
                    let taken = self.take(left);
                    self.body =
                        if taken.len() == left { Body::ChunkEnd } else { Body::Chunk(left - taken.len()) };
                    return self.data(taken);
                }
                Body::ChunkEnd => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    ensure!(line.is_empty(), "a chunk is longer than its size says");
                    self.body = Body::ChunkSize;
                }
                Body::Trailers => {
                    let Some(trailers) = self.header_block()? else { return self.missing() };
                    return Ok(Some(self.end(trailers)));
                }
            }
        }
    }

    /// Frames a body by hand, for heads that were not read here.
    pub fn begin(&mut self, framing: Framing) {
        self.body = match framing {
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::ChunkSize,
            Framing::UntilClose => Body::UntilClose,
        };
    }

    fn end(&mut self, trailers: Headers) -> Piece {
        self.body = Body::None;
        Piece::End(trailers)
    }

    fn data(&mut self, taken: Vec<u8>) -> Result<Option<Piece>> {
        if taken.is_empty() { self.missing() } else { Ok(Some(Piece::Data(taken))) }
    }

    fn missing(&self) -> Result<Option<Piece>> {
        ensure!(!self.closed, "the connection ended in the middle of a body");
        Ok(None)
    }

    fn take(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.buffer.len());
        self.buffer.drain(..count).collect()
    }

    fn line(&mut self) -> Result<Option<String>> {
        let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else {
            ensure!(self.buffer.len() < HEAD_LIMIT, "a line without an end");
            self.missing()?;
            return Ok(None);
        };
        let line: Vec<u8> = self.buffer.drain(..at + 2).take(at).collect();
        Ok(Some(String::from_utf8(line).context("a line is not UTF-8")?))
    }

    fn head(&mut self) -> Result<Option<(String, Headers)>> {
        ensure!(self.body == Body::None, "the previous body was not read to its end");
        let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            ensure!(self.buffer.len() < HEAD_LIMIT, "a head without an end");
            return Ok(None);
        };
        let block: Vec<u8> = self.buffer.drain(..at + 4).take(at + 2).collect();
        let end = block.windows(2).position(|pair| pair == b"\r\n").context("a head without a line")?;
        let (start, rest) = block.split_at_checked(end).context("a head without a line")?;
        let headers = parse_headers(rest.get(2..).unwrap_or_default())?;
        Ok(Some((String::from_utf8_lossy(start).into_owned(), headers)))
    }

    /// A header block up to its empty line.
    fn header_block(&mut self) -> Result<Option<Headers>> {
        if self.buffer.starts_with(b"\r\n") {
            self.buffer.drain(..2);
            return Ok(Some(Vec::new()));
        }
        let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let block: Vec<u8> = self.buffer.drain(..at + 4).take(at + 2).collect();
        parse_headers(&block).map(Some)
    }
}

fn framing(headers: &Headers) -> Result<Option<Framing>> {
    if let Some(coding) = value(headers, "transfer-encoding") {
        ensure!(coding == b"chunked", "transfer-encoding {}", coding.escape_ascii());
        ensure!(value(headers, "content-length").is_none(), "both content-length and transfer-encoding");
        return Ok(Some(Framing::Chunked));
    }
    let Some(length) = value(headers, "content-length") else { return Ok(None) };
    let text = std::str::from_utf8(length).context("content-length")?;
    Ok(Some(Framing::Length(text.parse().with_context(|| format!("content-length {text:?}"))?)))
}

/// Lines `name: value`, each closed by CR LF.
fn parse_headers(block: &[u8]) -> Result<Headers> {
    let mut headers = Headers::new();
    for line in block.split(|&b| b == b'\n') {
        let Some(line) = line.strip_suffix(b"\r") else {
            ensure!(line.is_empty(), "a header line without CR LF");
            continue;
        };
        let colon = line.iter().position(|&b| b == b':').context("a header line without a colon")?;
        let (name, value) = line.split_at_checked(colon).context("a header line without a colon")?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        headers.push((name.to_ascii_lowercase(), value.to_vec()));
    }
    Ok(headers)
}

/// Writes header lines and the empty line that closes a head.
fn write_headers(out: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in headers {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// `bytes` as one chunk of a chunked body.
#[must_use]
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

/// The last chunk of a chunked body with its trailers.
#[must_use]
pub fn last_chunk(trailers: &Headers) -> Vec<u8> {
    let mut out = b"0\r\n".to_vec();
    write_headers(&mut out, trailers);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8], step: usize) -> (ResponseHead, Vec<u8>, Headers) {
        let mut reader = Http1Reader::default();
        let mut head = None;
        let mut body = Vec::new();
        for part in bytes.chunks(step) {
            reader.push(part);
            if head.is_none() {
                head = reader.response(false).unwrap();
            }
            while let Some(known) = &head {
                match reader.piece().unwrap() {
                    Some(Piece::Data(data)) => body.extend(data),
                    Some(Piece::End(trailers)) => return (known.clone(), body, trailers),
                    None => break,
                }
            }
        }
        panic!("message not complete");
    }

    #[test]
    fn chunked_body_with_trailers_is_read_at_every_cut() {
        let mut bytes = ResponseHead::new(200, &[("transfer-encoding", "chunked")]).to_http1();
        bytes.extend(chunk(b"hello "));
        bytes.extend(chunk(b"world"));
        bytes.extend(last_chunk(&headers(&[("x-end", "1")])));
        for step in 1..bytes.len() {
            let (head, body, trailers) = read_all(&bytes, step);
            assert_eq!(head.status, 200);
            assert_eq!(body, b"hello world");
            assert_eq!(trailers, headers(&[("x-end", "1")]));
        }
    }

    #[test]
    fn a_cut_body_is_an_error() {
        let mut reader = Http1Reader::default();
        reader.push(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
        reader.response(false).unwrap().unwrap();
        assert_eq!(reader.piece().unwrap(), Some(Piece::Data(b"hel".to_vec())));
        assert_eq!(reader.piece().unwrap(), None);
        reader.close();
        assert!(reader.piece().is_err());
    }

    #[test]
    fn header_bytes_outside_ascii_are_kept() {
        let mut reader = Http1Reader::default();
        reader.push(b"GET / HTTP/1.1\r\nHost: a\r\nX-Odd: caf\xe9\r\n\r\n");
        let head = reader.request().unwrap().unwrap();
        assert_eq!(head.header("x-odd"), Some(&b"caf\xe9"[..]));
        assert_eq!(head.authority, "a");
        assert_eq!(reader.piece().unwrap(), Some(Piece::End(Vec::new())));
    }

    #[test]
    fn two_lengths_are_refused() {
        let mut reader = Http1Reader::default();
        reader.push(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n");
        assert!(reader.response(false).is_err());
    }
}
