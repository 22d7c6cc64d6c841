//! What a TLS port says to peers that do not speak proper TLS: plaintext, and TLS 1.1.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, bail};

use crate::deadline::LIMIT;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
/// `protocol_version` (RFC 8446, 6.2).
pub const PROTOCOL_VERSION: u8 = 70;

/// How a port answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A TLS alert: its description.
    Alert(u8),
    /// The handshake went on: the version that the server chose.
    ServerHello(u16),
    /// The connection was closed or reset without a word.
    Closed,
    /// Something else; what a plaintext server would say.
    Bytes(Vec<u8>),
}

/// Sends a plaintext HTTP request.
///
/// # Errors
/// When the port refuses connections or keeps silent for too long.
pub fn plaintext(address: SocketAddr) -> Result<Answer> {
    ask(address, b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}

/// Sends a ClientHello that knows nothing newer than TLS 1.1 (RFC 4346, 7.4.1.2).
///
/// # Errors
/// As [`plaintext`].
pub fn tls11(address: SocketAddr) -> Result<Answer> {
    ask(address, &client_hello(0x0302))
}

/// Sends the same ClientHello with another version: `0x0303` (TLS 1.2) shows that the probe itself is good.
///
/// # Errors
/// As [`plaintext`].
pub fn tls_version(address: SocketAddr, version: u16) -> Result<Answer> {
    ask(address, &client_hello(version))
}

fn ask(address: SocketAddr, bytes: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).context("no connection")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("the port keeps the connection open and is silent");
            }
            Err(_) => break,
        }
        // A server that goes on with the handshake waits for us; its first message tells enough.
        if answer.len() >= 11 && answer.first() == Some(&HANDSHAKE) {
            break;
        }
    }
    Ok(read(&answer))
}

fn read(answer: &[u8]) -> Answer {
    match answer {
        [] => Answer::Closed,
        [ALERT, _, _, _, _, _, description, ..] => Answer::Alert(*description),
        [HANDSHAKE, _, _, _, _, SERVER_HELLO, _, _, _, major, minor, ..] => {
            Answer::ServerHello(u16::from_be_bytes([*major, *minor]))
        }
        other => Answer::Bytes(other.to_vec()),
    }
}

fn client_hello(version: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend_from_slice(&[0x5a; 32]); // random
    body.push(0); // no session
    // Suites that a TLS 1.1 server knows (AES-CBC with RSA or ECDHE) and two that TLS 1.2 needs.
    let suites: [u16; 7] = [0xc00a, 0xc009, 0xc014, 0xc013, 0x002f, 0xc02b, 0xc02f];
    body.extend_from_slice(&length(suites.len() * 2));
    for suite in suites {
        body.extend_from_slice(&suite.to_be_bytes());
    }
    body.extend_from_slice(&[1, 0]); // no compression
    let mut extensions = Vec::new();
    extensions.extend_from_slice(&[0, 10, 0, 4, 0, 2, 0, 23]); // supported_groups: secp256r1
    extensions.extend_from_slice(&[0, 11, 0, 2, 1, 0]); // ec_point_formats: uncompressed
    if version >= 0x0303 {
        extensions.extend_from_slice(&[0, 13, 0, 6, 0, 4, 4, 3, 4, 1]); // ecdsa_secp256r1_sha256, rsa_pkcs1_sha256
    }
    body.extend_from_slice(&length(extensions.len()));
    body.extend_from_slice(&extensions);

    let mut message = vec![1, 0];
    message.extend_from_slice(&length(body.len()));
    message.extend_from_slice(&body);

    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend_from_slice(&length(message.len()));
    record.extend_from_slice(&message);
    record
}

fn length(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(read(&[]), Answer::Closed);
        assert_eq!(read(&[21, 3, 1, 0, 2, 2, 70]), Answer::Alert(PROTOCOL_VERSION));
        assert_eq!(read(&[22, 3, 3, 0, 60, 2, 0, 0, 56, 3, 3, 9]), Answer::ServerHello(0x0303));
        assert_eq!(read(b"HTTP/1.1 400"), Answer::Bytes(b"HTTP/1.1 400".to_vec()));
    }

    #[test]
    fn lengths_of_the_hello_add_up() {
        let hello = client_hello(0x0302);
        let record = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        assert_eq!(record, hello.len() - 5);
        let message = usize::from(u16::from_be_bytes([hello[7], hello[8]]));
        assert_eq!(message, hello.len() - 9);
    }
}
