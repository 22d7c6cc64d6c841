//! JSON in a body that calls itself a form: read as JSON, since its receiver may do so, and refused where a receiver who
//! believes the type would read another text.
//!
//! SECURITY: readers of forms decode `%XX` and `+` and cut at `&`. A value that is written with the first two, or a field whose
//! name is masked, would pass as JSON in which nothing is to be found. `=` is no danger: what stands before it begins with a
//! bracket, so it is the name of no field, and what is behind it is the same text.

use super::MaskError;
use super::framer::{Framer, Run};
use super::plan::MaskPlan;
use memchr::memchr3;

/// A document that must be no other text to a reader of forms.
pub(crate) struct MistypedJson {
    document: Box<dyn Framer>,
    escape: Escape,
}

/// How much of `%XX` stands at the end of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Percent,
    Digit,
}

impl MistypedJson {
    pub(crate) fn new(document: Box<dyn Framer>) -> MistypedJson {
        MistypedJson { document, escape: Escape::None }
    }

    /// The byte with which something is complete that readers of forms read in another way.
    fn ambiguous(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            self.escape = match self.escape {
                Escape::None => {
                    at += memchr3(b'%', b'+', b'&', chunk.get(at..)?)?;
                    if chunk.get(at) != Some(&b'%') {
                        return Some(at);
                    }
                    Escape::Percent
                }
                Escape::Percent if byte.is_ascii_hexdigit() => Escape::Digit,
                Escape::Digit if byte.is_ascii_hexdigit() => return Some(at),
                _ => {
                    self.escape = Escape::None;
                    continue;
                }
            };
            at += 1;
        }
        None
    }
}

impl Framer for MistypedJson {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let Some(at) = self.ambiguous(chunk) else { return self.document.write(chunk, run) };
        // What stands before it is handled as if it came alone, so that it does not matter how the body is cut.
        self.document.write(chunk.get(..at).unwrap_or_default(), run)?;
        Err(MaskError::AmbiguousForm)
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        self.document.end(run)
    }

    fn held(&self) -> usize {
        self.document.held()
    }

    fn waits(&self) -> bool {
        self.document.waits()
    }

    fn error_event<'f>(&'f self, plan: &'f MaskPlan) -> Option<&'f [u8]> {
        self.document.error_event(plan)
    }
}
