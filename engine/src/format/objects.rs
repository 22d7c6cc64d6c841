//! Where an object ends, by its quotes and brackets alone. Whether it is JSON is the business of the walker.

use memchr::memchr2;

/// Finds the end of an object in a stream of chunks. Begins at its `{`.
#[derive(Debug, Default)]
pub(crate) struct ObjectFinder {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl ObjectFinder {
    /// Goes on to the end of the object; returns how many bytes that takes, and whether it was there.
    pub(crate) fn next(&mut self, input: &[u8]) -> (usize, bool) {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if std::mem::take(&mut self.escaped) {
                continue;
            }
            match (self.in_string, byte) {
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (true, _) => {
                    let at = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    rest = rest.get(at..).unwrap_or_default();
                }
                (false, b'{' | b'[') => self.depth += 1,
                (false, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return (input.len() - rest.len(), true);
                    }
                }
                (false, _) => {}
            }
        }
        (input.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_ends_at_its_own_bracket_however_it_is_cut() {
        let text = br#"{"a":["}",{"\"]}\\":{}}],"b\u007d":"\\"}{"#;
        let end = text.len() - 1;
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            let mut finder = ObjectFinder::default();
            let mut found = finder.next(head);
            if !found.1 {
                assert_eq!(found.0, head.len());
                let (taken, ended) = finder.next(tail);
                found = (head.len() + taken, ended);
            }
            assert_eq!(found, (end, true), "cut at {cut}");
            assert_eq!(finder.next(b"{}"), (2, true), "ready for the next one");
        }
    }
}
