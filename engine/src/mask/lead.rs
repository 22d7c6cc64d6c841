//! What stands in front of a value: a comma, a key, its colon. It is held while the value may have to go.
//!
//! Where members or elements are dropped, each goes with the comma before it, and the first ones with the comma behind
//! them: what is left is written as it came. Nothing is held, and nothing is written here, where nothing is dropped.

/// The lead of the next value.
#[derive(Clone, Default)]
pub(crate) struct Lead {
    on: bool,
    held: Vec<u8>,
    /// How long the comma is with which it begins; none after a bracket.
    comma: usize,
    /// Bytes in it that are no part of the document and stay in any case.
    beside: Vec<u8>,
    /// By open container: a value was written in it.
    written: Vec<bool>,
}

impl Lead {
    pub(crate) fn clear(&mut self) {
        self.close();
        self.written.clear();
    }

    /// Is there one?
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Is anything held?
    pub(crate) fn waits(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len() + self.beside.len() + self.written.len()
    }

    /// What is written of the lead goes here.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.held
    }

    /// Bytes of the syntax around the document come in it.
    pub(crate) fn beside(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.beside.extend_from_slice(bytes);
    }

    /// A container was opened.
    pub(crate) fn enter(&mut self) {
        self.written.push(false);
        self.on = true;
    }

    /// A container is closed: what was held are blanks.
    pub(crate) fn leave(&mut self, out: &mut Vec<u8>) {
        self.written.pop();
        self.release(out);
    }

    /// A comma, as it is written.
    pub(crate) fn separate(&mut self, comma: &[u8]) {
        self.on = true;
        self.comma = comma.len();
        self.held.extend_from_slice(comma);
    }

    /// The value is written.
    pub(crate) fn pass(&mut self, out: &mut Vec<u8>) {
        let first = self.written.last_mut().is_some_and(|written| !std::mem::replace(written, true));
        let comma = if first { self.comma } else { 0 };
        out.extend_from_slice(self.held.get(comma..).unwrap_or_default());
        self.close();
    }

    /// The value goes.
    pub(crate) fn discard(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.beside);
        self.close();
    }

    /// It was no lead after all.
    pub(crate) fn release(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.held);
        self.close();
    }

    fn close(&mut self) {
        self.on = false;
        self.comma = 0;
        self.held.clear();
        self.beside.clear();
    }
}
