//! Where a value ends, by its quotes and brackets alone. Whether it is JSON is the business of the walker.

use memchr::memchr2;

/// Finds the end of a value in a stream of chunks. Begins at its first byte, which is no blank.
#[derive(Debug, Default)]
pub(crate) struct ValueFinder {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl ValueFinder {
    /// Goes on to the end of the value; returns how many bytes that takes, and whether it was there. A number or literal ends
    /// before what may follow it in an array; blanks behind it are taken.
    pub(crate) fn next(&mut self, input: &[u8]) -> (usize, bool) {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            let before = rest;
            rest = after;
            if std::mem::take(&mut self.escaped) {
                continue;
            }
            let mut ends = false;
            match (self.in_string, byte) {
                (true, b'\\') => self.escaped = true,
                (true, b'"') => {
                    self.in_string = false;
                    ends = self.depth == 0;
                }
                (true, _) => {
                    let at = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    rest = rest.get(at..).unwrap_or_default();
                }
                (false, b'"') => self.in_string = true,
                (false, b'{' | b'[') => self.depth += 1,
                (false, b',' | b'}' | b']') if self.depth == 0 => return (input.len() - before.len(), true),
                (false, b'}' | b']') => {
                    self.depth -= 1;
                    ends = self.depth == 0;
                }
                (false, _) => {}
            }
            if ends {
                return (input.len() - rest.len(), true);
            }
        }
        (input.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_at_its_own_bracket_quote_or_before_a_mark_however_it_is_cut() {
        for (value, behind) in [
            (r#"{"a":["}",{"\"]}\\":{}}],"b\u007d":"\\"}"#, "{"),
            (r#"["]",[{}]]"#, "]"),
            (r#""a\"]\\""#, " ,"),
            ("-12.5e3 \r\n", ",1"),
            ("null", "]"),
        ] {
            let text = format!("{value}{behind}");
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                let mut finder = ValueFinder::default();
                let mut found = finder.next(head);
                if !found.1 {
                    assert_eq!(found.0, head.len());
                    let (taken, ended) = finder.next(tail);
                    found = (head.len() + taken, ended);
                }
                assert_eq!(found, (value.len(), true), "{text} cut at {cut}");
                assert_eq!(finder.next(b"{}"), (2, true), "ready for the next one");
            }
        }
    }
}
