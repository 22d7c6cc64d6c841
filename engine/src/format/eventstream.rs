//! Event streams of AWS (`application/vnd.amazon.eventstream`): frames of headers and a payload.
//!
//! ```text
//!  0  4  length of the frame        8  4  checksum of the first eight bytes
//!  4  4  length of the headers     12  .. headers, payload
//!                                  -4  4  checksum of all before it
//! ```
//! Big-endian, CRC-32. Both checksums are verified; a frame that is written anew gets new ones, and one that is written as
//! it was gets the same.

use super::Malformed;
use super::crc32::Crc32;

/// A frame, read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'f> {
    pub(crate) headers: &'f [u8],
    pub(crate) payload: &'f [u8],
}

/// One header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'f> {
    pub(crate) name: &'f [u8],
    /// As it is written, up to the value or its length.
    pub(crate) head: &'f [u8],
    /// The value is text or bytes, with two bytes of length in front.
    pub(crate) sized: bool,
    pub(crate) value: &'f [u8],
}

/// The headers of a frame.
pub(crate) struct Headers<'f> {
    rest: &'f [u8],
}

/// Bytes before the headers.
pub(crate) const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// How long the frame is that begins here; none until its prelude is complete.
pub(crate) fn frame_length(start: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some((prelude, _)) = start.split_first_chunk::<PRELUDE>() else { return Ok(None) };
    let (lengths, checksum) = prelude.split_at_checked(8).ok_or(Malformed)?;
    let total = number(lengths).ok_or(Malformed)?;
    let headers = lengths.get(4..).and_then(number).ok_or(Malformed)?;
    let room = total.checked_sub(PRELUDE + CHECKSUM).ok_or(Malformed)?;
    if checksum == crc(lengths) && headers <= room { Ok(Some(total)) } else { Err(Malformed) }
}

impl<'f> Frame<'f> {
    /// Reads a complete frame.
    pub(crate) fn read(frame: &'f [u8]) -> Result<Frame<'f>, Malformed> {
        if frame_length(frame)? != Some(frame.len()) {
            return Err(Malformed);
        }
        let (covered, checksum) = frame.split_at_checked(frame.len() - CHECKSUM).ok_or(Malformed)?;
        let headers = covered.get(4..).and_then(number).ok_or(Malformed)?;
        let (headers, payload) =
            covered.get(PRELUDE..).and_then(|rest| rest.split_at_checked(headers)).ok_or(Malformed)?;
        if checksum == crc(covered) { Ok(Frame { headers, payload }) } else { Err(Malformed) }
    }
}

/// Makes room for the prelude of a frame; what is appended next is its headers.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; PRELUDE]);
    out.len() - PRELUDE
}

/// Completes a frame that began at `start`, with so many bytes of headers.
pub(crate) fn end(out: &mut Vec<u8>, start: usize, headers: usize) -> Result<(), Malformed> {
    let total = u32::try_from(out.len() - start + CHECKSUM).map_err(|_| Malformed)?;
    let headers = u32::try_from(headers).map_err(|_| Malformed)?;
    let lengths = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    let prelude = [lengths.as_slice(), &crc(&lengths)].concat();
    out.get_mut(start..start + PRELUDE).ok_or(Malformed)?.copy_from_slice(&prelude);
    let checksum = crc(out.get(start..).ok_or(Malformed)?);
    out.extend_from_slice(&checksum);
    Ok(())
}

/// Appends a header that is text.
pub(crate) fn push_text_header(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(u8::try_from(name.len()).map_err(|_| Malformed)?);
    out.extend_from_slice(name);
    out.push(TEXT);
    push_sized(value, out)
}

/// Appends a value with its length.
pub(crate) fn push_sized(value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.extend_from_slice(&u16::try_from(value.len()).map_err(|_| Malformed)?.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

const BYTES: u8 = 6;
const TEXT: u8 = 7;

impl<'f> Headers<'f> {
    pub(crate) fn new(headers: &'f [u8]) -> Headers<'f> {
        Headers { rest: headers }
    }

    /// The next header; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Header<'f>>, Malformed> {
        let whole = self.rest;
        let Some((&length, rest)) = whole.split_first() else { return Ok(None) };
        let (name, rest) = rest.split_at_checked(usize::from(length)).ok_or(Malformed)?;
        let (&kind, rest) = rest.split_first().ok_or(Malformed)?;
        let head = whole.get(..whole.len() - rest.len()).ok_or(Malformed)?;
        let (length, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            9 => (16, rest),
            BYTES | TEXT => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return Err(Malformed),
        };
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Some(Header { name, head, sized: matches!(kind, BYTES | TEXT), value }))
    }
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()
}

fn crc(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut crc = Crc32::default();
    crc.update(bytes);
    crc.value().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of the specification's test vectors: `all_headers` without its payload would do; this one is small.
    fn frame() -> Vec<u8> {
        let mut out = b"before".to_vec();
        let start = begin(&mut out);
        push_text_header(b":event-type", b"chunk", &mut out).unwrap();
        let headers = out.len() - start - PRELUDE;
        out.extend_from_slice(b"{}");
        end(&mut out, start, headers).unwrap();
        out.split_off(start)
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let frame = frame();
        assert_eq!(frame_length(&frame[..11]), Ok(None));
        assert_eq!(frame_length(&frame), Ok(Some(frame.len())));
        let read = Frame::read(&frame).unwrap();
        assert_eq!(read.payload, b"{}");
        let mut headers = Headers::new(read.headers);
        let header = headers.next().unwrap().unwrap();
        assert_eq!((header.name, header.value, header.sized), (&b":event-type"[..], &b"chunk"[..], true));
        assert!(headers.next().unwrap().is_none());
        // An empty frame, as in the vectors of the specification.
        let empty = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xC2\x48\xEB\x7D\x98\xC8\xFF";
        assert_eq!(Frame::read(empty).unwrap().payload, b"");
        let mut written = Vec::new();
        begin(&mut written);
        end(&mut written, 0, 0).unwrap();
        assert_eq!(written, empty);
    }

    #[test]
    fn any_damaged_bit_and_any_other_length_is_malformed() {
        let frame = frame();
        for place in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[place] ^= 1 << bit;
                assert!(Frame::read(&damaged).is_err(), "byte {place}, bit {bit}");
            }
            assert!(Frame::read(&frame[..place]).is_err());
        }
        assert!(Frame::read(&[frame, vec![0]].concat()).is_err());
    }

    #[test]
    fn headers_of_every_type_are_passed_and_broken_ones_are_not() {
        let all = [
            &b"\x01a\x00"[..],
            b"\x01b\x01",
            b"\x01c\x02\xFF",
            b"\x01d\x03\x00\x01",
            b"\x01e\x04\x00\x00\x00\x01",
            b"\x01f\x05\x00\x00\x00\x00\x00\x00\x00\x01",
            b"\x01g\x06\x00\x02\xFF\xFE",
            b"\x01h\x07\x00\x02hi",
            b"\x01i\x08\x00\x00\x00\x00\x00\x00\x00\x01",
            b"\x01j\x09ABCDEFGHIJKLMNOP",
        ];
        let joined = all.concat();
        let mut headers = Headers::new(&joined);
        let mut seen = Vec::new();
        while let Some(header) = headers.next().unwrap() {
            seen.push((header.name[0], header.value.len(), header.sized));
        }
        let sizes = [0, 0, 1, 2, 4, 8, 2, 2, 8, 16];
        let expected: Vec<_> =
            (b'a'..).zip(sizes).map(|(name, size)| (name, size, matches!(name, b'g' | b'h'))).collect();
        assert_eq!(seen, expected);
        for broken in [
            &b"\x05a"[..],
            b"\x01a",
            b"\x01a\x0A",
            b"\x01a\x07\x00",
            b"\x01a\x07\x00\x03hi",
            b"\x01a\x04\x00",
        ] {
            assert_eq!(Headers::new(broken).next().err(), Some(Malformed), "{broken:x?}");
        }
    }
}
