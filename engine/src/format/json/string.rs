//! Strings and keys of the walker: long runs in one go, escapes cut anywhere.

use super::escape::{self, Decoded};
use super::{Fault, NameId, Paths, Place, State, Unescaper, Visit, Walker};

impl Walker {
    pub(super) fn string_run<V: Visit>(
        &mut self,
        rest: &[u8],
        unescaper: &mut Unescaper,
        paths: &Paths,
        visit: &mut V,
    ) -> Result<usize, Fault<V::Error>> {
        let block = unescaper.block(rest);
        if !block.raw.is_empty() {
            self.note_key(block.text, paths);
            visit.block(self.place(), block)?;
            return Ok(block.raw.len());
        }
        let Some(&byte) = rest.first() else { return Ok(0) };
        self.step(byte, &[byte], paths, visit).map(|()| 1)
    }

    /// A character of a string, written as `raw`.
    pub(super) fn character<V: Visit>(
        &mut self,
        raw: &[u8],
        text: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        self.note_key(text, paths);
        if raw == text {
            visit.text(self.place(), text)?;
        } else {
            visit.cell(self.place(), raw, text)?;
        }
        Ok(())
    }

    pub(super) fn escape_step<V: Visit>(
        &mut self,
        byte: u8,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        if self.escape.is_lone_before(byte) {
            self.flush_lone(paths, visit)?;
            return self.step(byte, raw, paths, visit);
        }
        if !self.escape.accepts(byte) {
            return Err(Fault::Syntax);
        }
        self.escape.push(byte, raw);
        loop {
            match self.escape.decoded() {
                Decoded::Incomplete => return Ok(()),
                Decoded::Lone(text) => self.emit_escape(text.as_bytes(), escape::UNIT, paths, visit)?,
                Decoded::Whole(text) => {
                    self.emit_escape(text.as_bytes(), usize::MAX, paths, visit)?;
                    self.state = State::String;
                    return Ok(());
                }
            }
        }
    }

    /// A high surrogate that turned out to have no partner.
    pub(super) fn flush_lone<V: Visit>(
        &mut self,
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        let text = self.escape.lone();
        self.emit_escape(text.as_bytes(), escape::UNIT, paths, visit)?;
        if self.escape.is_empty() {
            self.state = State::String;
        }
        Ok(())
    }

    /// Hands on the first `length` bytes of the escape.
    pub(super) fn emit_escape<V: Visit>(
        &mut self,
        text: &[u8],
        length: usize,
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        self.note_key(text, paths);
        let place = Place { frames: &self.frames, state: self.at, offset: self.taken };
        visit.cell(place, self.escape.raw(length), text)?;
        self.escape.shift(length);
        Ok(())
    }

    pub(super) fn string_end<V: Visit>(
        &mut self,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        if !self.in_key {
            self.after_value();
            return Ok(visit.string_end(self.place(), raw)?);
        }
        let name = if self.key.len() > paths.longest() { NameId::OTHER } else { paths.name(&self.key) };
        // The visitor sees the key as nameless: its own text is no place.
        visit.string_end(self.place(), raw)?;
        self.enter_member(name, paths);
        Ok(())
    }

    pub(super) fn whole_key<V: Visit>(
        &mut self,
        name: NameId,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<bool, Fault<V::Error>> {
        let whole = visit.known_key(self.place(), name, raw)?;
        if whole {
            self.enter_member(name, paths);
        }
        Ok(whole)
    }

    pub(super) fn enter_member(&mut self, name: NameId, paths: &Paths) {
        self.in_key = false;
        if let Some(frame) = self.frames.last_mut() {
            frame.name = name;
            self.at = paths.member(frame.state, name);
        }
        self.state = State::Colon;
    }

    /// Keeps as much of a key as is needed to compare it.
    pub(super) fn note_key(&mut self, text: &[u8], paths: &Paths) {
        if self.in_key {
            let room = (paths.longest() + 1).saturating_sub(self.key.len());
            self.key.extend(text.iter().take(room));
        }
    }
}

/// A key at the start of `rest` that is there as a whole, without escapes, and that the paths name; with its quotes.
pub(super) fn known_key<'i>(rest: &'i [u8], paths: &Paths) -> Option<(NameId, &'i [u8])> {
    let longest = rest.get(1..rest.len().min(paths.longest() + 2))?;
    let length = longest.iter().position(|&byte| matches!(byte, b'"' | b'\\') || byte < 0x20)?;
    let name = paths.name(longest.get(..length)?);
    let raw = rest.get(..length + 2)?;
    (name != NameId::OTHER && raw.last() == Some(&b'"')).then_some((name, raw))
}
