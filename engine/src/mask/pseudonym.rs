//! Pseudonyms: the tokens that stand for values while they are with the upstream.
//!
//! A value has the same token wherever it occurs in a request, and the response has it back wherever the token occurs.
//! Text of the client that looks like a token is such a value itself, so it comes back as it was written, and never as
//! something else.
//!
//! SECURITY: the table lives as long as its exchange and is wiped at its end. Nothing but its size is ever printed; it goes
//! into no log and no audit event. What does not fit into it has no token, and so is hidden for good.

use crate::decision::Direction;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

/// The pseudonyms of one exchange; clones share them.
#[derive(Clone, Default)]
pub struct Pseudonyms(Rc<RefCell<Table>>);

/// One side of an exchange: requests are given tokens, responses values.
#[derive(Clone)]
pub(crate) struct Party {
    table: Pseudonyms,
    direction: Direction,
}

/// How a token was written, so that its value can be written in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// `&lt;…&gt;`.
    Html,
    /// `%3C…%3E`.
    Percent,
    /// `\u003c…\u003e`.
    Json,
}

#[derive(Default)]
struct Table {
    /// By name; a value is numbered by its place there, beginning with 1.
    names: BTreeMap<String, Values>,
    count: usize,
    bytes: usize,
}

/// The values of one name.
#[derive(Default)]
struct Values {
    /// SECURITY: keyed at random, so that nobody can make values meet.
    hasher: RandomState,
    list: Vec<Value>,
    /// Places in `list`, by hash.
    places: BTreeMap<u64, Vec<usize>>,
}

struct Value(Vec<u8>);

/// Most bytes of values in one table.
const MAX_BYTES: usize = 64 * 1024;

impl Form {
    /// Every form, with what opens and closes a token in it.
    pub(crate) const ALL: [(Form, &'static str, &'static str); 4] = [
        (Form::Plain, "<", ">"),
        (Form::Html, "&lt;", "&gt;"),
        (Form::Percent, "%3c", "%3e"),
        (Form::Json, "\\u003c", "\\u003e"),
    ];
}

impl Pseudonyms {
    /// How many values have a token.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.try_borrow().map_or(0, |table| table.count)
    }

    /// Has nothing a token?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn party(&self, direction: Direction) -> Party {
        Party { table: self.clone(), direction }
    }
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pseudonyms({})", self.len())
    }
}

impl Party {
    /// Does it give tokens, rather than take them back?
    pub(crate) fn issues(&self) -> bool {
        self.direction == Direction::Request
    }

    /// The token of a value; none if it cannot have one.
    pub(crate) fn token(&self, name: &str, value: &[u8], limit: usize) -> Option<String> {
        if !self.issues() || std::str::from_utf8(value).is_err() {
            return None;
        }
        let mut table = self.table.0.try_borrow_mut().ok()?;
        let number = table.number(name, value, limit)?;
        Some(format!("<{name}_{number}>"))
    }

    /// The value that a token stands for, and how the token is written.
    pub(crate) fn value(&self, token: &[u8]) -> Option<(Vec<u8>, Form)> {
        let (name, number, form) = read(token)?;
        let table = self.table.0.try_borrow().ok()?;
        let known = table.names.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        let Value(value) = known?.1.list.get(place)?;
        Some((value.clone(), form))
    }
}

impl Table {
    fn number(&mut self, name: &str, value: &[u8], limit: usize) -> Option<u32> {
        if let Some(known) = self.names.get(name).and_then(|values| values.number(value)) {
            return Some(known);
        }
        let bytes = self.bytes.checked_add(value.len()).filter(|&bytes| bytes <= MAX_BYTES)?;
        if self.count >= limit {
            return None;
        }
        let number = self.names.entry(name.to_owned()).or_default().add(value)?;
        (self.bytes, self.count) = (bytes, self.count.saturating_add(1));
        Some(number)
    }
}

impl Values {
    fn number(&self, value: &[u8]) -> Option<u32> {
        let mut places = self.places.get(&self.hasher.hash_one(value))?.iter();
        let place = places.find(|&&place| self.list.get(place).is_some_and(|Value(known)| known == value))?;
        u32::try_from(*place).ok()?.checked_add(1)
    }

    fn add(&mut self, value: &[u8]) -> Option<u32> {
        let place = self.list.len();
        let number = u32::try_from(place).ok()?.checked_add(1)?;
        self.places.entry(self.hasher.hash_one(value)).or_default().push(place);
        self.list.push(Value(value.to_vec()));
        Some(number)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

/// Name, number and form of a token.
fn read(token: &[u8]) -> Option<(&[u8], u32, Form)> {
    Form::ALL.iter().find_map(|(form, open, close)| {
        let start =
            token.get(..open.len()).filter(|start| start.eq_ignore_ascii_case(open.as_bytes()))?.len();
        let end = token.len().checked_sub(close.len())?;
        token.get(end..).filter(|end| end.eq_ignore_ascii_case(close.as_bytes()))?;
        let inside = token.get(start..end)?;
        let bar = inside.iter().rposition(|&byte| byte == b'_')?;
        let (name, number) = inside.split_at_checked(bar)?;
        let number = std::str::from_utf8(number.get(1..)?).ok()?.parse().ok()?;
        Some((name, number, *form))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_token_and_the_token_its_value() {
        let table = Pseudonyms::default();
        let (request, response) = (table.party(Direction::Request), table.party(Direction::Response));
        let token = |name, value: &[u8]| request.token(name, value, 3);
        assert_eq!(token("EMAIL", b"a@example.com").as_deref(), Some("<EMAIL_1>"));
        assert_eq!(token("EMAIL", b"b@example.com").as_deref(), Some("<EMAIL_2>"));
        assert_eq!(token("EMAIL", b"a@example.com").as_deref(), Some("<EMAIL_1>"));
        assert_eq!(token("HOME_IP", b"192.0.2.1").as_deref(), Some("<HOME_IP_1>"));
        assert_eq!(token("EMAIL", b"c@example.com"), None, "the table is full");
        assert_eq!(token("EMAIL", b"\xFF"), None, "no text");
        assert_eq!(response.token("EMAIL", b"a@example.com", 3), None, "responses get none");
        let value = |token: &[u8]| response.value(token);
        assert_eq!(value(b"<email_2>"), Some((b"b@example.com".to_vec(), Form::Plain)));
        assert_eq!(value(b"&LT;EMAIL_1&gt;"), Some((b"a@example.com".to_vec(), Form::Html)));
        assert_eq!(value(b"%3CHome_IP_1%3e"), Some((b"192.0.2.1".to_vec(), Form::Percent)));
        assert_eq!(value(br"\u003CEMAIL_1\u003e"), Some((b"a@example.com".to_vec(), Form::Json)));
        for unknown in [b"<EMAIL_3>".as_slice(), b"<PHONE_1>", b"EMAIL_1", b"<EMAIL_1", b"<_1>", b"<>", b""] {
            assert_eq!(value(unknown), None);
        }
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn the_bytes_of_all_values_are_bounded() {
        let table = Pseudonyms::default();
        let request = table.party(Direction::Request);
        let fits = (0..100u8).filter(|&byte| request.token("T", &[byte; 4096], 1000).is_some()).count();
        assert_eq!(fits, MAX_BYTES / 4096);
    }
}
