//! Keys of objects: masked like any text, but two of one object must not become one.
//!
//! The first key that is masked to some form keeps it; the next ones carry an ordinal (`[EMAIL:2]`). So a key with a
//! finding is held from its first replacement to its end. What is remembered is one hash per masked form and object, not
//! per key: a map with thousands of addresses as keys needs one entry, where they have one placeholder. A key that the sender wrote
//! like a form that was given out before stays as it is.

use super::MaskError;
use super::text::Sink;

/// The key being written, and the masked forms of the objects that are open.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    /// The key from its first replacement on.
    held: Vec<u8>,
    found: bool,
    /// Where in `held` the last replacement ends.
    last_end: usize,
    hash: u64,
    /// The key has a bracket, so it may look like a masked one.
    bracket: bool,
    forms: Vec<Form>,
}

/// A form that keys of one object were masked to.
#[derive(Clone, Copy, Debug)]
struct Form {
    depth: usize,
    hash: u64,
    count: u64,
}

impl Keys {
    /// Most unmasked keys that are remembered because they look like masked ones.
    const MAX_LOOKALIKES: usize = 64;

    pub(crate) fn begin(&mut self) {
        self.held.clear();
        self.found = false;
        self.last_end = 0;
        self.hash = HASH_START;
        self.bracket = false;
    }

    /// Runs `write` on the key's text, and passes on what need not be held.
    pub(crate) fn write(
        &mut self,
        sink: &mut Sink<'_>,
        write: impl FnOnce(&mut Sink<'_>) -> Result<(), MaskError>,
    ) -> Result<(), MaskError> {
        let before = sink.replaced;
        sink.first_start = None;
        std::mem::swap(sink.out, &mut self.held);
        let written = write(sink);
        std::mem::swap(sink.out, &mut self.held);
        written?;
        if sink.replaced > before {
            self.last_end = sink.last_end;
            if let (false, Some(start)) = (self.found, sink.first_start) {
                // What is before it leaves, so that what has left does not depend on how the key was cut.
                let rest = self.held.split_off(start.min(self.held.len()));
                self.pass(sink);
                self.held = rest;
                self.last_end = sink.last_end.saturating_sub(start);
            }
            self.found = true;
        }
        if self.found {
            return sink.fits_beside(self.held());
        }
        self.pass(sink);
        Ok(())
    }

    /// The end of a key at this depth: writes what is held, with an ordinal if need be.
    pub(crate) fn end(&mut self, depth: usize, sink: &mut Sink<'_>) -> Result<(), MaskError> {
        self.hash = hash(self.hash, &self.held);
        let hash = self.hash;
        match self.forms.iter_mut().find(|form| form.depth == depth && form.hash == hash) {
            Some(form) if self.found => {
                form.count = form.count.saturating_add(1);
                let ordinal = form.count;
                self.number(ordinal);
            }
            Some(_) => {}
            None => {
                let lookalike = self.bracket && self.forms.len() < Self::MAX_LOOKALIKES;
                if self.found || lookalike {
                    self.forms.push(Form { depth, hash, count: 1 });
                    sink.fits_beside(self.held())?;
                }
            }
        }
        self.pass(sink);
        Ok(())
    }

    /// The key turned out to be no key.
    pub(crate) fn abandon(&mut self, sink: &mut Sink<'_>) {
        self.pass(sink);
        self.found = false;
    }

    /// The end of an object at this depth (that of its value).
    pub(crate) fn leave(&mut self, depth: usize) {
        while self.forms.pop_if(|form| form.depth > depth).is_some() {}
    }

    pub(crate) fn reset(&mut self) {
        self.begin();
        self.forms.clear();
    }

    /// Are there masked forms that keys are compared with?
    pub(crate) fn remembers(&self) -> bool {
        !self.forms.is_empty()
    }

    /// Is a key without findings of no matter to the other keys?
    pub(crate) fn may_pass(&self, key: &[u8]) -> bool {
        self.forms.is_empty() && !key.contains(&b'[')
    }

    /// Is a part of a key still to be written?
    pub(crate) fn waits(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len() + self.forms.len() * size_of::<Form>()
    }

    fn pass(&mut self, sink: &mut Sink<'_>) {
        if !self.found {
            self.hash = hash(self.hash, &self.held);
            self.bracket |= self.held.contains(&b'[');
        }
        sink.out.extend_from_slice(&self.held);
        self.held.clear();
    }

    /// Puts an ordinal into the last replacement: before its closing bracket, or behind it.
    fn number(&mut self, ordinal: u64) {
        let text = format!(":{ordinal}");
        let bracket = self.last_end.checked_sub(1).filter(|&last| self.held.get(last) == Some(&b']'));
        let at = bracket.unwrap_or(self.last_end).min(self.held.len());
        self.held.splice(at..at, text.bytes());
    }
}

const HASH_START: u64 = 0xCBF2_9CE4_8422_2325;

/// FNV-1a. A collision costs a needless ordinal, nothing more.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
