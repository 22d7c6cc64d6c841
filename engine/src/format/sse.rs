//! Lines and fields of an event stream (WHATWG HTML, section 9.2.5 and 9.2.6).
//!
//! Line ends are LF, CRLF and CR, mixed as the sender likes; a CR at the end of a chunk is a line end at once, and an LF
//! that comes later belongs to it. Nothing is decoded and nothing is dropped.

use memchr::memchr2;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Ends an event.
    Blank,
    Comment,
    Data,
    Event,
    Id,
    Retry,
    /// A field that readers ignore.
    Other,
}

/// A line and the bytes that end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    pub(crate) text: &'l [u8],
    /// Empty for the last line of a stream that was cut.
    pub(crate) end: &'l [u8],
}

/// Finds line ends in a stream of chunks.
#[derive(Debug, Default)]
pub(crate) struct LineFinder {
    /// The current line has bytes.
    in_line: bool,
    after_return: bool,
}

/// What [`LineFinder::next`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The end of the input.
    Nothing,
    /// The LF of a CRLF whose CR was already a line end.
    LateFeed,
    /// The end of a line.
    Line { blank: bool },
}

impl LineFinder {
    /// Goes on to the next line end; returns how many bytes that takes.
    pub(crate) fn next(&mut self, input: &[u8]) -> (usize, Found) {
        if std::mem::take(&mut self.after_return) && input.first() == Some(&b'\n') {
            return (1, Found::LateFeed);
        }
        let Some(at) = memchr2(b'\n', b'\r', input) else {
            self.in_line |= !input.is_empty();
            return (input.len(), Found::Nothing);
        };
        let blank = !std::mem::take(&mut self.in_line) && at == 0;
        self.after_return = input.get(at) == Some(&b'\r');
        (at + 1, Found::Line { blank })
    }

    /// The bytes of a false byte order mark belong to the line.
    pub(crate) fn begin_line(&mut self) {
        self.in_line = true;
    }
}

impl<'l> Line<'l> {
    /// What the line is, and where its value begins.
    pub(crate) fn field(&self) -> (Field, usize) {
        let Some(colon) = memchr::memchr(b':', self.text) else {
            let field = if self.text.is_empty() { Field::Blank } else { Field::named(self.text) };
            return (field, self.text.len());
        };
        if colon == 0 {
            return (Field::Comment, 1);
        }
        let name = self.text.get(..colon).unwrap_or_default();
        let space = usize::from(self.text.get(colon + 1) == Some(&b' '));
        (Field::named(name), colon + 1 + space)
    }

    /// The line in two: up to the value, and the value.
    pub(crate) fn split(&self, value: usize) -> (&'l [u8], &'l [u8]) {
        self.text.split_at_checked(value).unwrap_or((self.text, &[]))
    }
}

impl Field {
    fn named(name: &[u8]) -> Field {
        match name {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"id" => Field::Id,
            b"retry" => Field::Retry,
            _ => Field::Other,
        }
    }
}

/// The lines of a block that is there as a whole.
pub(crate) fn lines(block: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (text, after) = rest.split_at_checked(at)?;
        let length = if after.starts_with(b"\r\n") { 2 } else { after.len().min(1) };
        let (end, after) = after.split_at_checked(length)?;
        rest = after;
        Some(Line { text, end })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_lf_crlf_and_cr() {
        let all: Vec<(&[u8], &[u8])> =
            lines(b"a\nb\r\nc\r\rd\n\r\ne").map(|line| (line.text, line.end)).collect();
        let expected: [(&[u8], &[u8]); 7] = [
            (b"a", b"\n"),
            (b"b", b"\r\n"),
            (b"c", b"\r"),
            (b"", b"\r"),
            (b"d", b"\n"),
            (b"", b"\r\n"),
            (b"e", b""),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn fields_are_named_as_the_specification_says() {
        for (text, field, value) in [
            ("", Field::Blank, ""),
            (":", Field::Comment, ""),
            (": x", Field::Comment, " x"),
            ("data", Field::Data, ""),
            ("data:", Field::Data, ""),
            ("data: ", Field::Data, ""),
            ("data:  a", Field::Data, " a"),
            ("data:a:b", Field::Data, "a:b"),
            ("event: ping", Field::Event, "ping"),
            ("id:7", Field::Id, "7"),
            ("retry: 10", Field::Retry, "10"),
            ("Data: x", Field::Other, "x"),
            (" data: x", Field::Other, "x"),
            ("whatever", Field::Other, ""),
        ] {
            let line = Line { text: text.as_bytes(), end: b"\n" };
            let (found, at) = line.field();
            assert_eq!((found, line.split(at).1), (field, value.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn line_ends_do_not_depend_on_chunks() {
        let text = b"a\r\n\r\n\n\r\rb\n\r\n";
        let whole = ends(&[text]);
        assert_eq!(whole, [(2, false), (4, true), (6, true), (7, true), (8, true), (10, false), (11, true)]);
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(ends(&[head, tail]), whole, "cut at {cut}");
        }
    }

    fn ends(chunks: &[&[u8]]) -> Vec<(usize, bool)> {
        let (mut finder, mut ends, mut at) = (LineFinder::default(), Vec::new(), 0);
        for chunk in chunks {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let (taken, found) = finder.next(rest);
                (at, rest) = (at + taken, &rest[taken..]);
                if let Found::Line { blank } = found {
                    ends.push((at, blank));
                }
            }
        }
        ends
    }
}
