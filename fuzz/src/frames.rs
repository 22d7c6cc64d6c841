//! A writer and a reader of the event streams of AWS (`application/vnd.amazon.eventstream`), from the specification alone.

use std::sync::LazyLock;

/// What a frame is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub headers: Vec<Header>,
    pub payload: Vec<u8>,
}

/// A header of any type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: Vec<u8>,
    /// 0 to 9.
    pub kind: u8,
    /// Without its length.
    pub value: Vec<u8>,
}

/// How long the values of a type are; bytes and text (6 and 7) say it themselves.
pub const SIZES: [Option<usize>; 10] =
    [Some(0), Some(0), Some(1), Some(2), Some(4), Some(8), None, None, Some(8), Some(16)];

impl Frame {
    /// A JSON document as an event of this name.
    pub fn event(name: &str, payload: Vec<u8>) -> Frame {
        let header = |name: &str, value: &str| Header { name: name.into(), kind: 7, value: value.into() };
        let headers = vec![
            header(":event-type", name),
            header(":content-type", "application/json"),
            header(":message-type", "event"),
        ];
        Frame { headers, payload }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut headers = Vec::new();
        for Header { name, kind, value } in &self.headers {
            headers.push(u8::try_from(name.len()).expect("names are short"));
            headers.extend_from_slice(name);
            headers.push(*kind);
            if matches!(kind, 6 | 7) {
                headers.extend(u16::try_from(value.len()).expect("values are short").to_be_bytes());
            }
            headers.extend_from_slice(value);
        }
        let total = 16 + headers.len() + self.payload.len();
        let mut frame = [prelude(total, headers.len()).as_slice(), &headers, &self.payload].concat();
        let checksum = crc(&frame);
        frame.extend(checksum);
        frame
    }
}

/// The frames of a stream; none if anything is wrong with it.
pub fn read(mut stream: &[u8]) -> Option<Vec<Frame>> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let total = number(stream)?;
        let (frame, rest) = stream.split_at_checked(total)?;
        let (covered, checksum) = frame.split_at_checked(total.checked_sub(4)?)?;
        let body = covered.get(12..)?;
        let (headers, payload) = body.split_at_checked(number(&covered[4..])?)?;
        if checksum != crc(covered) || covered[8..12] != crc(&covered[..8]) {
            return None;
        }
        frames.push(Frame { headers: read_headers(headers)?, payload: payload.to_vec() });
        stream = rest;
    }
    Some(frames)
}

fn read_headers(mut text: &[u8]) -> Option<Vec<Header>> {
    let mut headers = Vec::new();
    while let Some((&length, rest)) = text.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&kind, mut rest) = rest.split_first()?;
        let size = match SIZES.get(usize::from(kind))? {
            Some(size) => *size,
            None => {
                let (size, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                usize::from(u16::from_be_bytes(*size))
            }
        };
        let (value, rest) = rest.split_at_checked(size)?;
        headers.push(Header { name: name.to_vec(), kind, value: value.to_vec() });
        text = rest;
    }
    Some(headers)
}

/// Makes lengths and checksums of any bytes right, so that a mutation of a frame is a frame.
pub fn repaired(mut stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let (Some(total), Some(headers)) = (number(stream), stream.get(4..).and_then(number)) {
        let total = total.clamp(16, stream.len().max(16));
        let Some(body) = stream.get(12..total - 4) else { break };
        let headers = headers.min(body.len());
        let start = out.len();
        out.extend(prelude(total, headers));
        out.extend_from_slice(body);
        let checksum = crc(&out[start..]);
        out.extend(checksum);
        stream = stream.get(total..).unwrap_or_default();
    }
    out
}

fn prelude(total: usize, headers: usize) -> Vec<u8> {
    let word = |length: usize| u32::try_from(length).expect("inputs are short").to_be_bytes();
    let lengths = [word(total), word(headers)].concat();
    [lengths.as_slice(), &crc(&lengths)].concat()
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()
}

/// CRC-32 (ISO-HDLC).
pub fn crc32(bytes: &[u8]) -> u32 {
    static TABLE: LazyLock<[u32; 256]> = LazyLock::new(|| {
        let step = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        std::array::from_fn(|byte| (0..8).fold(u32::try_from(byte).expect("a byte"), |crc, _| step(crc)))
    });
    !bytes.iter().fold(u32::MAX, |crc, &byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8))
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    crc32(bytes).to_be_bytes()
}
