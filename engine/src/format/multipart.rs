//! Syntax of multipart bodies (RFC 2046, section 5.1; RFC 7578): boundaries and the heads of parts, read strictly.
//!
//! What readers are known to disagree on is refused: a delimiter that is not on a line of its own, bare CR or LF and folded
//! lines in heads, repeated headers, escapes other than `\"` and `\\`, encoded words (RFC 2047).

use super::is_token;
use memchr::memchr;
use std::fmt;

/// The boundary of a multipart body.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Boundary {
    bytes: [u8; Boundary::LONGEST],
    length: usize,
}

impl Boundary {
    const LONGEST: usize = 70;

    /// A boundary as RFC 2046 has it: up to 70 of its characters, no blank at the end.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Boundary> {
        let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
        let mut bytes = [0; Self::LONGEST];
        if text.is_empty() || text.ends_with(b" ") || !text.iter().all(is_legal) {
            return None;
        }
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Boundary { bytes, length: text.len() })
    }

    /// What begins a delimiter: `--` and the boundary.
    pub(crate) fn dashed(&self) -> Vec<u8> {
        let text = self.bytes.get(..self.length).unwrap_or_default();
        [b"--", text].concat()
    }
}

impl fmt::Debug for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Boundary({} bytes)", self.length)
    }
}

/// Where `dashed` begins in `text`.
pub(crate) fn find(text: &[u8], dashed: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr(b'-', text.get(from..)?) {
        from += at;
        if text.get(from..)?.starts_with(dashed) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// How much at the end of `text` may be the beginning of a line end and `dashed`.
pub(crate) fn undecided(text: &[u8], dashed: &[u8]) -> usize {
    let longest = text.len().min(dashed.len() + 1);
    let begins = |length: &usize| {
        let tail = text.get(text.len() - length..).unwrap_or_default();
        dashed.starts_with(tail)
            || b"\r\n".starts_with(tail)
            || tail.strip_prefix(b"\r\n").is_some_and(|rest| dashed.starts_with(rest))
    };
    (1..=longest).rev().find(begins).unwrap_or(0)
}

/// The head of a part.
#[derive(Debug, Default)]
pub(crate) struct PartHead<'h> {
    /// Name of each line, and all that is between its colon and its end.
    pub(crate) lines: Vec<(&'h [u8], &'h [u8])>,
}

impl<'h> PartHead<'h> {
    /// Reads a head, up to and with its blank line. None if it is malformed.
    pub(crate) fn read(head: &'h [u8]) -> Option<PartHead<'h>> {
        let mut lines = Vec::new();
        let mut rest = head;
        loop {
            let end = memchr(b'\r', rest)?;
            let (line, after) = rest.split_at_checked(end)?;
            rest = after.strip_prefix(b"\r\n")?;
            if line.is_empty() {
                return rest.is_empty().then_some(PartHead { lines });
            }
            let colon = memchr(b':', line)?;
            let (name, value) = line.split_at_checked(colon)?;
            let value = value.get(1..)?;
            let name = std::str::from_utf8(name).ok().filter(|name| is_token(name))?.as_bytes();
            let hidden = value.windows(2).any(|pair| pair == b"=?");
            if hidden || value.iter().any(|byte| matches!(byte, 0 | b'\n')) {
                return None;
            }
            lines.push((name, value));
        }
    }

    /// The value of a header that is there at most once. None if it is repeated.
    pub(crate) fn single(&self, name: &[u8]) -> Option<Option<&'h [u8]>> {
        let mut same = self.lines.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = same.next().map(|(_, value)| value.trim_ascii());
        same.next().is_none().then_some(first)
    }
}

/// Names in lower case, and values without their quotes.
pub(crate) type Parameters = Vec<(String, Vec<u8>)>;

/// The parameters behind the first word of a value such as `form-data; name="a"`. None if they are malformed.
pub(crate) fn parameters(value: &[u8]) -> Option<(&[u8], Parameters)> {
    let end = memchr(b';', value).unwrap_or(value.len());
    let (kind, mut rest) = value.split_at_checked(end)?;
    let mut list = Parameters::new();
    while let Some(after) = rest.trim_ascii_start().strip_prefix(b";") {
        let after = after.trim_ascii_start();
        if after.is_empty() {
            rest = after;
            break;
        }
        let equals = memchr(b'=', after)?;
        let (name, after) = after.split_at_checked(equals)?;
        let name = std::str::from_utf8(name.trim_ascii()).ok().filter(|name| is_token(name))?;
        let name = name.to_ascii_lowercase();
        let (text, after) = value_of(after.get(1..)?.trim_ascii_start())?;
        if list.iter().any(|(known, _)| *known == name) {
            return None;
        }
        list.push((name, text));
        rest = after;
    }
    rest.trim_ascii().is_empty().then_some((kind.trim_ascii(), list))
}

/// A token or quoted string, and what follows it.
fn value_of(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr(b';', text).unwrap_or(text.len());
        let (token, rest) = text.split_at_checked(end)?;
        let token = token.trim_ascii();
        let plain = !token.is_empty() && !token.iter().any(|byte| b"\"\\ \t".contains(byte));
        return plain.then(|| (token.to_vec(), rest));
    };
    let mut out = Vec::new();
    let mut rest = quoted;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((out, rest)),
            // SECURITY: of an escaped `@` some readers keep the backslash and some do not.
            b'\\' => {
                let (&escaped, after) = rest.split_first().filter(|(byte, _)| b"\"\\".contains(byte))?;
                out.push(escaped);
                rest = after;
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_those_of_the_rfc() {
        for (text, legal) in [
            ("simple boundary", true),
            ("----WebKitFormBoundary7MA4YWxkTrZu0gW", true),
            ("a'()+_,-./:=?", true),
            ("", false),
            ("a ", false),
            ("a\"b", false),
            ("a\\b", false),
            ("a;b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(Boundary::new(text.as_bytes()).is_some(), legal, "{text}");
        }
        assert!(Boundary::new(&[b'a'; 70]).is_some() && Boundary::new(&[b'a'; 71]).is_none());
        assert_eq!(Boundary::new(b"ab").unwrap().dashed(), b"--ab");
    }

    #[test]
    fn delimiters_are_found_and_their_beginnings_held() {
        assert_eq!(find(b"a--b--bc", b"--bc"), Some(4));
        assert_eq!(find(b"---bc", b"--bc"), Some(1));
        assert_eq!(find(b"--b", b"--bc"), None);
        for (text, held) in [
            ("", 0),
            ("a", 0),
            ("a-", 1),
            ("a--b", 3),
            ("a--x", 0),
            ("a\r", 1),
            ("a\r\n", 2),
            ("a\r\n-", 3),
            ("\r\n--b", 5),
            ("a\n-", 1),
            ("--\r", 1),
            ("a\r\r\n--", 4),
        ] {
            assert_eq!(undecided(text.as_bytes(), b"--bc"), held, "{text:?}");
        }
    }

    #[test]
    fn heads_are_read_strictly() {
        let lines = |head: &str| {
            PartHead::read(head.as_bytes())
                .map(|head| head.lines.iter().map(|(name, _)| name.len()).sum::<usize>())
        };
        assert_eq!(lines("\r\n"), Some(0));
        assert_eq!(lines("A: b\r\nCc:d\r\n\r\n"), Some(3));
        for bad in [
            "",
            "A: b\r\n",
            "A: b\n\r\n",
            "A\r\n\r\n",
            " A: b\r\n\r\n",
            "A: b\r\n c\r\n\r\n",
            "A : b\r\n\r\n",
            "A: =?x?=\r\n\r\n",
            "A: b\0\r\n\r\n",
            "A: b\rc\r\n\r\n",
        ] {
            assert_eq!(lines(bad), None, "{bad:?}");
        }
        let head = PartHead::read(b"A: b\r\na: c\r\nD: e\r\n\r\n").unwrap();
        assert_eq!(
            (head.single(b"a"), head.single(b"d"), head.single(b"f")),
            (None, Some(Some(&b"e"[..])), Some(None))
        );
    }

    #[test]
    fn parameters_are_read_strictly() {
        let name = |value: &str| {
            let (_, list) = parameters(value.as_bytes())?;
            list.into_iter()
                .find(|(name, _)| name == "name")
                .map(|(_, text)| String::from_utf8(text).unwrap())
        };
        assert_eq!(name("form-data; name=\"a b;c\"; filename=x").as_deref(), Some("a b;c"));
        assert_eq!(name("form-data ;NAME = a;").as_deref(), Some("a"));
        assert_eq!(name("form-data; name=\"a\\\"b\\\\\"").as_deref(), Some("a\"b\\"));
        for bad in [
            "form-data; name=\"a",
            "form-data; name=\"a\\@b\"",
            "form-data; name=a; name=b",
            "form-data; name",
            "form-data; name=a b",
            "form-data; name=\"a\"b",
            "form-data; name=",
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
