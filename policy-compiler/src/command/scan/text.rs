//! Places in a text, and values reduced to their form.

/// Lines and columns, both from 1; columns count bytes.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    pub(super) text: &'t [u8],
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        (line, at - start + 1)
    }

    /// First byte of the line that byte `at` is in, and one past its last without the line's end.
    pub(super) fn around(&self, at: usize) -> (usize, usize) {
        let next = self.starts.partition_point(|start| *start <= at);
        let start = next.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        let end = self.starts.get(next).map_or(self.text.len(), |next| next.saturating_sub(1));
        (start, end)
    }
}

/// One byte of a value as it is shown: a letter as `a`, a digit as `0`.
pub(super) fn form(byte: u8) -> char {
    match byte {
        b'0'..=b'9' => '0',
        b'a'..=b'z' | b'A'..=b'Z' => 'a',
        b' '..=b'~' => char::from(byte),
        _ => '?',
    }
}

/// The form of a value without the value, at most 24 characters.
pub(super) fn preview(value: &[u8]) -> String {
    let mut text: String = value.iter().take(24).map(|byte| form(*byte)).collect();
    if value.len() > 24 {
        text.push('…');
    }
    format!("{text} ({} bytes)", value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_has_the_form_and_not_the_value() {
        assert_eq!(preview(b"519-12-1204"), "000-00-0000 (11 bytes)");
        assert_eq!(preview(b"Ada.L@example.com"), "aaa.a@aaaaaaa.aaa (17 bytes)");
        assert_eq!(preview(&[b'x'; 30]), format!("{}… (30 bytes)", "a".repeat(24)));
    }

    #[test]
    fn positions_are_lines_and_byte_columns() {
        let lines = Lines::new(b"ab\ncd\n");
        assert_eq!([0, 1, 3, 4].map(|at| lines.position(at)), [(1, 1), (1, 2), (2, 1), (2, 2)]);
        assert_eq!([0, 2, 3, 5, 6].map(|at| lines.around(at)), [(0, 2), (0, 2), (3, 5), (3, 5), (6, 6)]);
    }
}
