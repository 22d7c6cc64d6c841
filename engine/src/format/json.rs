//! A strict, byte-exact push walker over JSON (RFC 8259).
//!
//! Guarantees: every byte taken is handed to the visitor exactly once and in order, as it was written; what the visitor
//! sees does not depend on how the input is cut, except that runs of text, blanks and digits may come in more pieces;
//! nothing that is not JSON is accepted; memory is bounded by the depth limit and the longest name of the paths.
//!
//! Beyond the grammar it takes a byte order mark in front, strings with invalid UTF-8 and lone surrogates (handed on in
//! their generalised UTF-8 form), and, if asked, further documents. It keeps no values and compares no keys but those
//! that the paths name.
//!
//! Input comes as *runs*, in which every byte stands for itself, or as *cells*: one or more decoded bytes that an outer
//! layer wrote in some other way. So a document inside a string is walked without being unwrapped first.

mod block;
mod escape;
mod glide;
mod number;
mod string;

pub(crate) use super::paths::NameId;
use super::paths::{Paths, StateId};
pub(crate) use block::{Block, Mark, Unescaper, plain_run, string_length};
use escape::Escape;
pub(crate) use glide::{Plain, number};
use number::Number;
use string::known_key;

/// Receives the pieces of a document.
pub(crate) trait Visit {
    /// Why the visitor stops.
    type Error;

    /// White space, also a byte order mark: decoded and as written (equally long, or one byte decoded).
    fn blank(&mut self, text: &[u8], raw: &[u8]) -> Result<(), Self::Error>;
    /// A comma or colon.
    fn mark(&mut self, raw: &[u8]) -> Result<(), Self::Error>;
    /// `{` or `[` of the value at `place`.
    fn enter(&mut self, place: Place<'_>, array: bool, raw: &[u8]) -> Result<(), Self::Error>;
    /// `}` or `]` of the value at `place`.
    fn leave(&mut self, place: Place<'_>, raw: &[u8]) -> Result<(), Self::Error>;
    /// The opening quote of a string or key.
    fn string(&mut self, place: Place<'_>, key: bool, raw: &[u8]) -> Result<(), Self::Error>;
    /// Characters of a string that stand for themselves.
    fn text(&mut self, place: Place<'_>, run: &[u8]) -> Result<(), Self::Error>;
    /// One character of a string (or one byte) that is written differently: all of `raw` or nothing.
    fn cell(&mut self, place: Place<'_>, raw: &[u8], text: &[u8]) -> Result<(), Self::Error>;
    /// Several characters of a string at once.
    fn block(&mut self, place: Place<'_>, block: Block<'_>) -> Result<(), Self::Error> {
        block.pieces().try_for_each(|(raw, text)| {
            // An escape is longer than what it means.
            if raw.len() == text.len() { self.text(place, text) } else { self.cell(place, raw, text) }
        })
    }
    /// The closing quote.
    fn string_end(&mut self, place: Place<'_>, raw: &[u8]) -> Result<(), Self::Error>;
    /// A part of a number or literal: decoded and as written (equally long, or one byte decoded).
    fn scalar(
        &mut self,
        place: Place<'_>,
        part: ScalarPart,
        text: &[u8],
        raw: &[u8],
    ) -> Result<(), Self::Error>;
    /// The end of a number or literal.
    fn scalar_end(&mut self, place: Place<'_>, kind: Scalar) -> Result<(), Self::Error>;
    /// A line end after a document, where another may follow on the next line.
    fn line_end(&mut self) {}
    /// May tokens be asked for by [`Visit::plain`] now?
    fn may_glide(&self) -> bool {
        false
    }
    /// Is there nothing to do with this token, at this place, but to pass it on?
    fn plain(&mut self, _place: Place<'_>, _token: Plain<'_>) -> bool {
        false
    }
    /// Tokens to which [`Visit::plain`] said yes, with the blanks and marks around them.
    fn through(&mut self, _raw: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
    /// A whole key that the paths name, quotes included. Returns `false` to have it piece by piece instead.
    fn known_key(&mut self, place: Place<'_>, name: NameId, raw: &[u8]) -> Result<bool, Self::Error>;
}

/// Values that are neither strings nor containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Number,
    /// `true`, `false`, `null`.
    Literal,
}

/// A part of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScalarPart {
    pub(crate) kind: Scalar,
    /// The first part of this value.
    pub(crate) first: bool,
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'w> {
    /// The containers around it, outermost first.
    pub(crate) frames: &'w [Frame],
    /// What the paths say about it; of no meaning for a key.
    pub(crate) state: StateId,
    /// Bytes of the document before the token, where they come in runs.
    pub(crate) offset: usize,
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) array: bool,
    /// Name of the current member.
    pub(crate) name: NameId,
    /// Place of the current element.
    pub(crate) index: u32,
    state: StateId,
}

impl Frame {
    /// A place in something that is no document but has names as well.
    pub(crate) fn member(name: NameId) -> Frame {
        Frame { array: false, name, index: 0, state: StateId::ROOT }
    }

    /// A place in something that is no document but has elements as well.
    pub(crate) fn element() -> Frame {
        Frame { array: true, ..Frame::member(NameId::OTHER) }
    }
}

/// Why a walk stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop<E> {
    /// Not JSON from this byte of the input on; what came before it was handed on.
    Syntax {
        /// Bytes of this input that were taken.
        taken: usize,
    },
    /// Nested too deeply.
    TooDeep,
    /// The visitor stopped.
    Visit(E),
}

/// What may follow a complete document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Only white space.
    Nothing,
    /// Another document on a line of its own.
    Lines,
    /// Another object or array at once.
    Containers,
}

/// The state of a walk.
#[derive(Clone)]
pub(crate) struct Walker {
    state: State,
    frames: Vec<Frame>,
    /// What the paths say about the value that is read or expected now.
    at: StateId,
    root: StateId,
    key: Vec<u8>,
    in_key: bool,
    escape: Escape,
    depth: usize,
    follow: Follow,
    /// Bytes of runs taken since the start of the document.
    taken: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the document; so many bytes of a byte order mark were seen.
    Start(u8),
    /// After a byte order mark or before a further document: a value.
    Value,
    /// After `[`: an element or `]`.
    FirstElement,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After a comma in an object.
    Key,
    Colon,
    /// After a value in a container.
    After,
    /// After the document; a line end was seen.
    Done(bool),
    String,
    Escape,
    Number(Number),
    /// What is still to come.
    Literal(&'static [u8]),
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Walker {
    /// A walker before a document whose value has the state `root`; `depth` is the deepest nesting that is accepted.
    pub(crate) fn new(root: StateId, depth: usize, follow: Follow) -> Walker {
        let (frames, key) = (Vec::new(), Vec::new());
        let escape = Escape::default();
        Walker {
            state: State::Start(0),
            frames,
            at: root,
            root,
            key,
            in_key: false,
            escape,
            depth,
            follow,
            taken: 0,
        }
    }

    /// Goes back to the start of a new document; keeps the memory.
    pub(crate) fn reset(&mut self, root: StateId) {
        self.state = State::Start(0);
        self.frames.clear();
        self.at = root;
        self.root = root;
        self.key.clear();
        self.in_key = false;
        self.escape.clear();
        self.taken = 0;
    }

    /// The document is inside of one more container, which counts.
    pub(crate) fn lower_depth(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Has nothing been taken yet?
    pub(crate) fn is_untouched(&self) -> bool {
        self.state == State::Start(0) && self.frames.is_empty()
    }

    /// Is a byte order mark begun that is not complete?
    pub(crate) fn is_in_mark(&self) -> bool {
        matches!(self.state, State::Start(1..))
    }

    /// The value that is expected next, if one is; after a key it is the member's, though its colon is missing.
    pub(crate) fn expected(&self) -> Option<Place<'_>> {
        let expected =
            matches!(self.state, State::Start(_) | State::Value | State::FirstElement | State::Colon);
        expected.then_some(self.place())
    }

    /// Is a number at the top level being read that could end here?
    fn is_open_number(&self) -> bool {
        self.frames.is_empty() && matches!(self.state, State::Number(number) if number.is_complete())
    }

    /// Could the input end here?
    pub(crate) fn may_end(&self) -> bool {
        self.is_open_number() || matches!(self.state, State::Done(_))
    }

    /// Where the walk is.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { frames: &self.frames, state: self.at, offset: self.taken }
    }

    /// Hands out the bytes of an escape that began and is not complete: decoded bytes with the way each was written.
    pub(crate) fn take_escape<E>(
        &mut self,
        mut each: impl FnMut(&[u8], u8) -> Result<(), E>,
    ) -> Result<(), E> {
        let done = self.escape.bytes().try_for_each(|(raw, byte)| each(raw, byte));
        self.escape.clear();
        done
    }

    /// Did an escape begin that is not complete?
    pub(crate) fn has_escape(&self) -> bool {
        !self.escape.is_empty()
    }

    /// Heap bytes of a walk.
    pub(crate) fn held(&self) -> usize {
        self.frames.len() * size_of::<Frame>() + self.key.len() + self.escape.held()
    }

    /// Takes bytes that stand for themselves.
    pub(crate) fn run<V: Visit>(
        &mut self,
        input: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let mut rest = input;
        let mut unescaper = Unescaper::default();
        while !rest.is_empty() {
            match self.advance(rest, &mut unescaper, paths, visit) {
                Ok(taken) => {
                    rest = rest.get(taken..).unwrap_or_default();
                    self.taken = self.taken.saturating_add(taken);
                }
                Err(Fault::Syntax) => return Err(Stop::Syntax { taken: input.len() - rest.len() }),
                Err(Fault::TooDeep) => return Err(Stop::TooDeep),
                Err(Fault::Visit(error)) => return Err(Stop::Visit(error)),
            }
        }
        Ok(())
    }

    /// Takes what an outer layer wrote as `raw` and what means `text`.
    pub(crate) fn cell<V: Visit>(
        &mut self,
        raw: &[u8],
        text: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Stop<V::Error>> {
        let done = match (self.state, text) {
            (_, &[byte]) => self.step(byte, raw, paths, visit),
            (State::Escape, _) if self.escape.is_lone() => {
                self.flush_lone(paths, visit).and_then(|()| self.character(raw, text, paths, visit))
            }
            (State::String, _) => self.character(raw, text, paths, visit),
            _ => Err(Fault::Syntax),
        };
        done.map_err(|fault| match fault {
            Fault::Syntax => Stop::Syntax { taken: 0 },
            Fault::TooDeep => Stop::TooDeep,
            Fault::Visit(error) => Stop::Visit(error),
        })
    }

    /// The end of the input. An error unless a document is complete.
    pub(crate) fn end<V: Visit>(&mut self, visit: &mut V) -> Result<(), Stop<V::Error>> {
        if self.is_open_number() {
            self.scalar_end(Scalar::Number, visit).map_err(|_: Fault<V::Error>| Stop::Syntax { taken: 0 })?;
        }
        match self.state {
            State::Done(_) => Ok(()),
            _ => Err(Stop::Syntax { taken: 0 }),
        }
    }
}

/// Why a byte was not taken.
enum Fault<E> {
    Syntax,
    TooDeep,
    Visit(E),
}

impl<E> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Fault::Visit(error)
    }
}

impl Walker {
    /// Takes as much of `rest`, which is not empty, as can be taken in one go.
    #[inline]
    fn advance<V: Visit>(
        &mut self,
        rest: &[u8],
        unescaper: &mut Unescaper,
        paths: &Paths,
        visit: &mut V,
    ) -> Result<usize, Fault<V::Error>> {
        let taken = self.glide(rest, paths, visit)?;
        if taken > 0 {
            return Ok(taken);
        }
        let Some(&byte) = rest.first() else { return Ok(0) };
        match self.state {
            State::String => self.string_run(rest, unescaper, paths, visit),
            State::Number(number) => self.number_run(number, rest, paths, visit),
            State::FirstKey | State::Key if byte == b'"' => match known_key(rest, paths) {
                Some((name, raw)) if self.whole_key(name, raw, paths, visit)? => Ok(raw.len()),
                _ => self.step(byte, b"\"", paths, visit).map(|()| 1),
            },
            State::Escape | State::Literal(_) | State::Start(_) => {
                self.step(byte, &[byte], paths, visit).map(|()| 1)
            }
            _ if is_blank(byte) => {
                let length = rest.iter().position(|&byte| !is_blank(byte)).unwrap_or(rest.len());
                let (raw, _) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                self.blanks(raw, raw, visit)?;
                Ok(length)
            }
            _ => self.step(byte, &[byte], paths, visit).map(|()| 1),
        }
    }

    /// Takes one decoded byte, or nothing and an error.
    fn step<V: Visit>(
        &mut self,
        byte: u8,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        match self.state {
            State::String => match byte {
                b'"' => self.string_end(raw, paths, visit),
                b'\\' => {
                    self.escape.push(byte, raw);
                    self.state = State::Escape;
                    Ok(())
                }
                0..0x20 => Err(Fault::Syntax),
                _ => self.character(raw, &[byte], paths, visit),
            },
            State::Escape => self.escape_step(byte, raw, paths, visit),
            State::Number(number) => match number.next(byte) {
                Some(next) => {
                    self.state = State::Number(next);
                    let part = ScalarPart { kind: Scalar::Number, first: false };
                    Ok(visit.scalar(self.place(), part, &[byte], raw)?)
                }
                None if number.is_complete() => {
                    self.scalar_end(Scalar::Number, visit)?;
                    self.step(byte, raw, paths, visit)
                }
                None => Err(Fault::Syntax),
            },
            State::Literal(expected) => match expected.split_first() {
                Some((&next, later)) if next == byte => {
                    let part = ScalarPart { kind: Scalar::Literal, first: false };
                    visit.scalar(self.place(), part, &[byte], raw)?;
                    self.state = State::Literal(later);
                    if later.is_empty() { self.scalar_end(Scalar::Literal, visit) } else { Ok(()) }
                }
                _ => Err(Fault::Syntax),
            },
            State::Start(seen) if BYTE_ORDER_MARK.get(usize::from(seen)) == Some(&byte) => {
                let complete = usize::from(seen) + 1 == BYTE_ORDER_MARK.len();
                self.state = if complete { State::Value } else { State::Start(seen + 1) };
                Ok(visit.blank(&[byte], raw)?)
            }
            State::Start(1..) => Err(Fault::Syntax),
            _ if is_blank(byte) => self.blanks(&[byte], raw, visit),
            State::Start(0) | State::Value | State::Done(_) => self.value(byte, raw, paths, visit),
            State::FirstElement if byte == b']' => self.leave(raw, visit),
            State::FirstElement => self.value(byte, raw, paths, visit),
            State::FirstKey if byte == b'}' => self.leave(raw, visit),
            State::FirstKey | State::Key if byte == b'"' => {
                self.in_key = true;
                self.key.clear();
                if let Some(frame) = self.frames.last_mut() {
                    frame.name = NameId::OTHER;
                }
                self.state = State::String;
                Ok(visit.string(self.place(), true, raw)?)
            }
            State::FirstKey | State::Key => Err(Fault::Syntax),
            State::Colon if byte == b':' => {
                self.state = State::Value;
                Ok(visit.mark(raw)?)
            }
            State::Colon => Err(Fault::Syntax),
            State::After => self.after(byte, raw, paths, visit),
        }
    }

    fn blanks<V: Visit>(&mut self, text: &[u8], raw: &[u8], visit: &mut V) -> Result<(), Fault<V::Error>> {
        visit.blank(text, raw)?;
        match self.state {
            State::Done(false) if text.contains(&b'\n') => {
                self.state = State::Done(true);
                if self.follow == Follow::Lines {
                    visit.line_end();
                }
            }
            State::Start(0) => self.state = State::Value,
            _ => {}
        }
        Ok(())
    }

    /// The first byte of a value.
    fn value<V: Visit>(
        &mut self,
        byte: u8,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        if let State::Done(line_end) = self.state {
            let another = match self.follow {
                Follow::Nothing => false,
                Follow::Lines => line_end,
                Follow::Containers => matches!(byte, b'{' | b'['),
            };
            if !another {
                return Err(Fault::Syntax);
            }
            self.at = self.root;
        }
        let literal: &[u8] = match byte {
            b'{' | b'[' => return self.enter(byte == b'[', raw, paths, visit),
            b'"' => {
                self.in_key = false;
                self.state = State::String;
                return Ok(visit.string(self.place(), false, raw)?);
            }
            b't' => b"rue",
            b'f' => b"alse",
            b'n' => b"ull",
            _ => {
                self.state = State::Number(Number::first(byte).ok_or(Fault::Syntax)?);
                let part = ScalarPart { kind: Scalar::Number, first: true };
                return Ok(visit.scalar(self.place(), part, &[byte], raw)?);
            }
        };
        self.state = State::Literal(literal);
        let part = ScalarPart { kind: Scalar::Literal, first: true };
        Ok(visit.scalar(self.place(), part, &[byte], raw)?)
    }

    fn after<V: Visit>(
        &mut self,
        byte: u8,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        let Some(frame) = self.frames.last_mut() else { return Err(Fault::Syntax) };
        match (byte, frame.array) {
            (b',', true) => {
                frame.index = frame.index.saturating_add(1);
                self.at = paths.element(frame.state);
                self.state = State::Value;
                Ok(visit.mark(raw)?)
            }
            (b',', false) => {
                self.state = State::Key;
                Ok(visit.mark(raw)?)
            }
            (b']', true) | (b'}', false) => self.leave(raw, visit),
            _ => Err(Fault::Syntax),
        }
    }

    fn enter<V: Visit>(
        &mut self,
        array: bool,
        raw: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<(), Fault<V::Error>> {
        if self.frames.len() >= self.depth {
            return Err(Fault::TooDeep);
        }
        visit.enter(self.place(), array, raw)?;
        self.frames.push(Frame { array, name: NameId::OTHER, index: 0, state: self.at });
        if array {
            self.at = paths.element(self.at);
        }
        self.state = if array { State::FirstElement } else { State::FirstKey };
        Ok(())
    }

    fn leave<V: Visit>(&mut self, raw: &[u8], visit: &mut V) -> Result<(), Fault<V::Error>> {
        if let Some(frame) = self.frames.pop() {
            self.at = frame.state;
        }
        self.after_value();
        Ok(visit.leave(self.place(), raw)?)
    }

    fn after_value(&mut self) {
        self.state = if self.frames.is_empty() { State::Done(false) } else { State::After };
    }

    fn scalar_end<V: Visit>(&mut self, kind: Scalar, visit: &mut V) -> Result<(), Fault<V::Error>> {
        self.after_value();
        Ok(visit.scalar_end(self.place(), kind)?)
    }
}

impl Walker {
    fn number_run<V: Visit>(
        &mut self,
        number: Number,
        rest: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<usize, Fault<V::Error>> {
        let (mut now, mut length) = (number, 0);
        for &byte in rest {
            let Some(next) = now.next(byte) else { break };
            now = next;
            length += 1;
        }
        match rest.split_at_checked(length) {
            Some((digits, _)) if length > 0 => {
                self.state = State::Number(now);
                let part = ScalarPart { kind: Scalar::Number, first: false };
                visit.scalar(self.place(), part, digits, digits)?;
                Ok(length)
            }
            _ => {
                let Some(&byte) = rest.first() else { return Ok(0) };
                self.step(byte, &[byte], paths, visit).map(|()| 1)
            }
        }
    }
}

/// White space of RFC 8259.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
