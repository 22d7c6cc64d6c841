//! Escapes of JSON strings, cut anywhere, surrogate pairs included.

/// Length of `\uXXXX`.
pub(super) const UNIT: usize = 6;

/// An escape that began: up to two `\uXXXX`, decoded bytes with the way an outer layer wrote each.
#[derive(Clone, Default)]
pub(super) struct Escape {
    text: [u8; 2 * UNIT],
    length: usize,
    raw: Vec<u8>,
    /// Where each byte of `text` ends in `raw`.
    ends: [usize; 2 * UNIT],
}

/// What an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Character {
    bytes: [u8; 4],
    length: usize,
}

/// How far an escape is decoded.
pub(super) enum Decoded {
    Incomplete,
    /// The first unit is a high surrogate without a partner; the rest of the escape goes on.
    Lone(Character),
    Whole(Character),
}

impl Character {
    fn ascii(byte: u8) -> Character {
        Character { bytes: [byte, 0, 0, 0], length: 1 }
    }

    /// UTF-8 of a code point; a surrogate in the same form (WTF-8).
    fn encode(code: u32) -> Character {
        let byte = |shift: u32, mask: u32, lead: u32| {
            let [.., low] = (lead | (code >> shift & mask)).to_be_bytes();
            low
        };
        match code {
            0..0x80 => Character::ascii(byte(0, 0x7F, 0)),
            0x80..0x800 => Character { bytes: [byte(6, 0x1F, 0xC0), byte(0, 0x3F, 0x80), 0, 0], length: 2 },
            0x800..0x1_0000 => {
                let bytes = [byte(12, 0x0F, 0xE0), byte(6, 0x3F, 0x80), byte(0, 0x3F, 0x80), 0];
                Character { bytes, length: 3 }
            }
            _ => {
                let bytes =
                    [byte(18, 0x07, 0xF0), byte(12, 0x3F, 0x80), byte(6, 0x3F, 0x80), byte(0, 0x3F, 0x80)];
                Character { bytes, length: 4 }
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

/// An escape at the start of `input` that is there as a whole and needs no look-ahead: `\n`, `\u0041`, not a surrogate.
#[inline]
pub(super) fn whole(input: &[u8]) -> Option<(&[u8], Character)> {
    let (&[mark, kind], _) = input.split_first_chunk::<2>()?;
    if mark != b'\\' {
        return None;
    }
    if kind != b'u' {
        return Some((input.get(..2)?, Character::ascii(simple(kind)?)));
    }
    let raw = input.get(..UNIT)?;
    let code = unit(raw)?;
    (!(0xD800..0xE000).contains(&code)).then(|| (raw, Character::encode(code)))
}

/// What `\x` stands for.
fn simple(kind: u8) -> Option<u8> {
    Some(match kind {
        b'"' | b'\\' | b'/' => kind,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// The code unit of `\uXXXX`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.get(2..UNIT)?;
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

fn is_high(code: u32) -> bool {
    (0xD800..0xDC00).contains(&code)
}

impl Escape {
    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.raw.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn held(&self) -> usize {
        self.raw.len()
    }

    pub(super) fn push(&mut self, byte: u8, raw: &[u8]) {
        self.raw.extend_from_slice(raw);
        if let (Some(text), Some(end)) = (self.text.get_mut(self.length), self.ends.get_mut(self.length)) {
            *text = byte;
            *end = self.raw.len();
            self.length += 1;
        }
    }

    /// The first `length` bytes as they were written.
    pub(super) fn raw(&self, length: usize) -> &[u8] {
        self.raw.get(..self.raw_length(length)).unwrap_or(&self.raw)
    }

    /// Forgets the first `length` bytes.
    pub(super) fn shift(&mut self, length: usize) {
        let (gone, raw) = (length.min(self.length), self.raw_length(length));
        self.raw.drain(..raw);
        self.text.copy_within(gone.., 0);
        self.ends.copy_within(gone.., 0);
        self.length -= gone;
        for end in &mut self.ends {
            *end = end.saturating_sub(raw);
        }
    }

    /// Decoded bytes with the way each was written.
    pub(super) fn bytes(&self) -> impl Iterator<Item = (&[u8], u8)> {
        let starts = std::iter::once(0).chain(self.ends);
        let parts = self.text.into_iter().zip(starts.zip(self.ends)).take(self.length);
        parts.map(|(byte, (start, end))| (self.raw.get(start..end).unwrap_or_default(), byte))
    }

    /// Is `byte` possible here?
    pub(super) fn accepts(&self, byte: u8) -> bool {
        match self.length {
            0 | UNIT => byte == b'\\',
            1 => byte == b'u' || simple(byte).is_some(),
            7 => byte == b'u',
            _ => byte.is_ascii_hexdigit(),
        }
    }

    /// A high surrogate and nothing else.
    pub(super) fn is_lone(&self) -> bool {
        self.length == UNIT
    }

    /// Is the high surrogate alone if `byte` comes next?
    pub(super) fn is_lone_before(&self, byte: u8) -> bool {
        match self.length {
            UNIT => byte != b'\\',
            7 => byte != b'u',
            _ => false,
        }
    }

    /// The first unit on its own.
    pub(super) fn lone(&self) -> Character {
        Character::encode(unit(&self.text).unwrap_or(0))
    }

    pub(super) fn decoded(&self) -> Decoded {
        let first = unit(&self.text);
        match (self.length, first) {
            (2, _) => self
                .text
                .get(1)
                .and_then(|&kind| simple(kind))
                .map_or(Decoded::Incomplete, |byte| Decoded::Whole(Character::ascii(byte))),
            (UNIT, Some(code)) if !is_high(code) => Decoded::Whole(Character::encode(code)),
            (12, Some(high)) => match self.text.get(UNIT..).and_then(unit) {
                Some(low @ 0xDC00..0xE000) => {
                    Decoded::Whole(Character::encode(0x1_0000 + ((high & 0x3FF) << 10) + (low & 0x3FF)))
                }
                _ => Decoded::Lone(Character::encode(high)),
            },
            _ => Decoded::Incomplete,
        }
    }

    fn raw_length(&self, length: usize) -> usize {
        match length.min(self.length).checked_sub(1) {
            Some(last) => self.ends.get(last).copied().unwrap_or(0),
            None => 0,
        }
    }
}
