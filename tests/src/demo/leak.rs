//! The leak check: is any piece of a planted value in a log, a header, an event?
//!
//! A piece is looked for as it is, behind JSON escapes, percent-encoded, and inside base64 of either alphabet at
//! every alignment. What was found is named, never quoted. UUIDs are left out: they are random, so that sooner or
//! later one holds a piece of anything.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Lengths of the groups of hexadecimal digits of a UUID (RFC 9562, 4).
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Every piece of some values.
#[derive(Debug)]
pub struct Leaks {
    piece: usize,
    plain: HashMap<Vec<u8>, String>,
    base64: HashMap<Vec<u8>, String>,
}

impl Leaks {
    /// The pieces of `piece` bytes (at least two) of `values`, each with the name it is reported by.
    #[must_use]
    pub fn of<'v>(piece: usize, values: impl IntoIterator<Item = (&'v str, &'v [u8])>) -> Self {
        let mut leaks = Self { piece: piece.max(2), plain: HashMap::new(), base64: HashMap::new() };
        for (name, value) in values {
            for piece in value.windows(leaks.piece) {
                leaks.plain.insert(piece.to_vec(), name.to_owned());
                for encoded in encoded_pieces(piece) {
                    leaks.base64.insert(encoded, name.to_owned());
                }
            }
        }
        leaks
    }

    /// Name of a value of which `text` holds a piece.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<&str> {
        let text = &without_uuids(text);
        let plain = |text: &[u8]| find(&self.plain, self.piece, text);
        let base64 = |text: &[u8]| find(&self.base64, encoded_length(self.piece), text);
        plain(text)
            .or_else(|| plain(&json_decoded(text)))
            .or_else(|| plain(&percent_decoded(text)))
            .or_else(|| base64(text))
            .or_else(|| base64(&standard_alphabet(text)))
    }
}

fn find<'l>(pieces: &'l HashMap<Vec<u8>, String>, length: usize, text: &[u8]) -> Option<&'l str> {
    text.windows(length).find_map(|window| pieces.get(window)).map(String::as_str)
}

/// What base64 shows of a piece that begins 0, 1 or 2 bytes after a group's start, without the characters that the
/// neighbours share.
fn encoded_pieces(piece: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let length = encoded_length(piece.len());
    (0_usize..3).filter_map(move |before| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(piece);
        let text = STANDARD_NO_PAD.encode(bytes).into_bytes();
        let first = (before * 8).div_ceil(6);
        text.get(first..first + length).map(<[u8]>::to_vec)
    })
}

/// Characters of base64 that a piece fixes at every alignment: one of six bits may be lost at either end.
fn encoded_length(piece: usize) -> usize {
    (0..3)
        .map(|before| ((before + piece) * 8 / 6).saturating_sub((before * 8).div_ceil(6)))
        .min()
        .unwrap_or_default()
}

/// The text with every UUID cut out.
fn without_uuids(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match after_uuid(rest) {
            Some(after) => {
                out.push(b'#');
                after
            }
            None => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

fn after_uuid(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    for (number, length) in UUID.into_iter().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b"-")?;
        }
        let (group, after) = rest.split_at_checked(length)?;
        if !group.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// Escapes of JSON strings decoded; everything else, broken escapes included, stays.
fn json_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (decoded, after) = match (first, tail) {
            (b'\\', [b'u', after @ ..]) => {
                match after.split_at_checked(4).map(|(digits, rest)| (hex(digits), rest)) {
                    Some((Some(code), after)) => {
                        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                        (character.to_string().into_bytes(), after)
                    }
                    _ => (vec![*first], tail),
                }
            }
            (b'\\', [escaped @ (b'"' | b'\\' | b'/'), after @ ..]) => (vec![*escaped], after),
            _ => (vec![*first], tail),
        };
        out.extend(decoded);
        rest = after;
    }
    out
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let code =
            tail.get(..2).filter(|_| *first == b'%').and_then(hex).and_then(|code| u8::try_from(code).ok());
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    out
}

fn standard_alphabet(text: &[u8]) -> Vec<u8> {
    let translate = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    text.iter().map(translate).collect()
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const VALUE: &[u8] = b"ada?lovelace@engine>room.test";

    fn leaks() -> Leaks {
        Leaks::of(6, [("it", VALUE)])
    }

    #[test]
    fn pieces_are_found_as_they_are() {
        assert_eq!(leaks().find(b"x engine y"), Some("it"));
        assert_eq!(leaks().find(b"x engin y"), None);
    }

    #[test]
    fn pieces_are_found_behind_escapes() {
        assert_eq!(leaks().find(br"x \u0065ngi\u006Ee y"), Some("it"));
        assert_eq!(leaks().find(b"x lace%40engine y"), Some("it"));
        assert_eq!(leaks().find(b"x e%6egi%6Ee y"), Some("it"));
    }

    #[test]
    fn pieces_are_found_in_base64_at_every_alignment() {
        for before in 0..4 {
            let mut text = vec![b'#'; before];
            text.extend_from_slice(b"lovela");
            text.extend_from_slice(b"##");
            assert_eq!(leaks().find(STANDARD.encode(&text).as_bytes()), Some("it"), "{before} bytes before");
            text.splice(before..before + 6, *b"ine>ro");
            assert_eq!(
                leaks().find(URL_SAFE_NO_PAD.encode(&text).as_bytes()),
                Some("it"),
                "{before} bytes before"
            );
        }
    }

    #[test]
    fn uuids_hide_nothing_but_themselves() {
        let ssn = Leaks::of(6, [("ssn", &b"234-56-7891"[..])]);
        assert_eq!(ssn.find(b"0a1b2c3d-1234-56ef-89ab-0123456789ab"), None);
        assert_eq!(ssn.find(b"0a1b2c3d-1234-56ef-89ab-0123456789ab 234-56-7891"), Some("ssn"));
        assert_eq!(ssn.find(b"0a1b2c3d-1234-56ef-89ab-01234567"), Some("ssn"));
    }

    #[test]
    fn what_is_broken_is_kept() {
        for text in [&br"\u00"[..], b"%4", b"\\", b"%", b""] {
            assert_eq!(json_decoded(text), text);
            assert_eq!(percent_decoded(text), text);
        }
    }
}
