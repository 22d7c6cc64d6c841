//! The fast lane of a walk: tokens that are there as a whole and that the visitor has nothing to do with.
//!
//! A walk glides from one structural state to another over as many of them as it can, and hands on all their bytes at
//! once. What is cut, nested too deeply, written with escapes or not JSON is left to the steps of the walker, so a glide
//! changes neither what is accepted nor what the visitor learns: only the order of "look at it" and "pass it on".

use super::block::plain_run;
use super::{Frame, NameId, Number, Paths, Place, State, Visit, Walker, is_blank};

/// A token that may be passed on as it is.
#[derive(Clone, Copy)]
pub(crate) enum Plain<'t> {
    /// `{` or `[`.
    Enter,
    /// `}` or `]`.
    Leave,
    /// The text of a key.
    Key(NameId, &'t [u8]),
    /// The text of a string.
    String(&'t [u8]),
    Number(&'t [u8]),
    /// `true`, `false` or `null`.
    Literal(&'t [u8]),
}

/// Longest scalar, with the blanks behind it. So much is never too much for a visitor that has to hold it.
const MAX_SCALAR: usize = 128;

impl Walker {
    /// Takes plain tokens; gives the number of bytes that they have.
    pub(super) fn glide<V: Visit>(
        &mut self,
        input: &[u8],
        paths: &Paths,
        visit: &mut V,
    ) -> Result<usize, V::Error> {
        if self.frames.is_empty() || !visit.may_glide() {
            return Ok(0);
        }
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let Some((&byte, after)) = rest.split_first() else { break };
            let Some(frame) = self.frames.last_mut() else { break };
            let array = frame.array;
            at += match (self.state, byte) {
                (
                    State::Value
                    | State::FirstElement
                    | State::FirstKey
                    | State::Key
                    | State::Colon
                    | State::After,
                    b' ' | b'\n' | b'\r' | b'\t',
                ) => 1 + after.iter().take_while(|&&byte| is_blank(byte)).count(),
                (State::After, b',') => {
                    self.state = if array { State::Value } else { State::Key };
                    if array {
                        frame.index = frame.index.saturating_add(1);
                        self.at = paths.element(frame.state);
                    }
                    1
                }
                (State::Colon, b':') => {
                    self.state = State::Value;
                    1
                }
                (State::FirstKey | State::Key, b'"') => {
                    let Some(text) = whole(after) else { break };
                    let name = paths.name(text);
                    if !visit.plain(self.place(), Plain::Key(name, text)) {
                        break;
                    }
                    self.enter_member(name, paths);
                    text.len() + 2
                }
                (State::Value | State::FirstElement, b'"') => {
                    let Some(text) = whole(after) else { break };
                    if !visit.plain(self.place_at(at), Plain::String(text)) {
                        break;
                    }
                    self.state = State::After;
                    text.len() + 2
                }
                (State::Value | State::FirstElement, b'{' | b'[') => {
                    if self.frames.len() >= self.depth || !visit.plain(self.place(), Plain::Enter) {
                        break;
                    }
                    let array = byte == b'[';
                    self.frames.push(Frame { array, name: NameId::OTHER, index: 0, state: self.at });
                    self.state = State::FirstKey;
                    if array {
                        self.at = paths.element(self.at);
                        self.state = State::FirstElement;
                    }
                    1
                }
                (State::After, b'}' | b']') | (State::FirstKey, b'}') | (State::FirstElement, b']') => {
                    // The walker steps over the end of the document: what follows it is no matter of this lane.
                    if (byte == b']') != array || self.frames.len() < 2 || !self.leave_plainly(visit) {
                        break;
                    }
                    1
                }
                (State::Value | State::FirstElement, _) => {
                    let Some((text, number)) = scalar(rest, array) else { break };
                    let token = if number { Plain::Number(text) } else { Plain::Literal(text) };
                    if !visit.plain(self.place_at(at), token) {
                        break;
                    }
                    self.state = State::After;
                    text.len()
                }
                _ => break,
            };
        }
        if let (Some(taken), true) = (input.get(..at), at > 0) {
            visit.through(taken)?;
        }
        Ok(at)
    }

    /// The place of a token after so many bytes.
    fn place_at(&self, at: usize) -> Place<'_> {
        Place { offset: self.taken.saturating_add(at), ..self.place() }
    }

    /// Leaves the innermost container if the visitor has nothing to do with that.
    fn leave_plainly<V: Visit>(&mut self, visit: &mut V) -> bool {
        let Some(frame) = self.frames.pop() else { return false };
        let inside = std::mem::replace(&mut self.at, frame.state);
        let plain = visit.plain(self.place(), Plain::Leave);
        if plain {
            self.state = State::After;
        } else {
            self.frames.push(frame);
            self.at = inside;
        }
        plain
    }
}

/// The text of a string whose opening quote is before `input`, if it is there as a whole, without escapes.
fn whole(input: &[u8]) -> Option<&[u8]> {
    let text = plain_run(input);
    (input.get(text.len()) == Some(&b'"')).then_some(text)
}

/// A scalar at the start of `input`, if what follows it is there and may follow. Is it a number?
fn scalar(input: &[u8], array: bool) -> Option<(&[u8], bool)> {
    let near = input.get(..MAX_SCALAR).unwrap_or(input);
    let literal: &[u8] = match near.first()? {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => b"",
    };
    let length = if literal.is_empty() { number(near)? } else { literal.len() };
    let (text, after) = near.split_at_checked(length)?;
    let next = after.iter().copied().find(|&byte| !is_blank(byte))?;
    let ends = next == b',' || next == if array { b']' } else { b'}' };
    (ends && (literal.is_empty() || text == literal)).then_some((text, literal.is_empty()))
}

/// The length of a number.
pub(crate) fn number(input: &[u8]) -> Option<usize> {
    let (&first, later) = input.split_first()?;
    let mut number = Number::first(first)?;
    let mut length = 1;
    for &byte in later {
        let Some(next) = number.next(byte) else { break };
        number = next;
        length += 1;
    }
    number.is_complete().then_some(length)
}
