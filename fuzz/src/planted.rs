//! Values that must never be put out, and the search for their pieces.

/// Values of every detector family, by the control character that stands for each in an input: control characters are
/// never valid inside JSON, so they are free for this. Some have blanks: outside strings, these are no JSON.
const VALUES: [(u8, &str); 6] = [
    (0x01, "ada.lovelace@example.com"),
    (0x02, "4111 1111 1111 1111"),
    (0x03, "519-12-1204"),
    (0x04, "AKIAIOSFODNN7EXAMPLE"),
    (0x05, "sk-ant-api03-abcdefghijklmnopqrst_-0123"),
    (0x06, "5555-5555-5555-4444"),
];

/// Six bytes of a value are a leak.
const PIECE: usize = 6;

/// A body with values planted into it.
#[derive(Clone, Debug, Default)]
pub struct Planted {
    /// The body.
    pub body: Vec<u8>,
    /// The values that are in it.
    values: Vec<&'static str>,
    /// The body without them.
    rest: Vec<u8>,
}

/// Replaces control characters by values, with spaces around: so nothing beside a value can hide it.
pub fn plant(input: &[u8]) -> Planted {
    let mut planted = Planted::default();
    for &byte in input {
        let Some(&(_, value)) = VALUES.iter().find(|(mark, _)| *mark == byte) else {
            planted.body.push(byte);
            planted.rest.push(byte);
            continue;
        };
        planted.body.push(b' ');
        planted.body.extend_from_slice(value.as_bytes());
        planted.body.push(b' ');
        // With the spaces: beside digits of the input they make pieces that no value left.
        planted.rest.extend_from_slice(b" \0 ");
        if !planted.values.contains(&value) {
            planted.values.push(value);
        }
    }
    planted
}

/// The value that a choice stands for.
pub fn value(choice: u8) -> &'static str {
    VALUES[usize::from(choice) % VALUES.len()].1
}

impl Planted {
    /// A body in which nothing is planted.
    pub fn nothing_in(body: Vec<u8>) -> Planted {
        Planted { rest: body.clone(), body, values: Vec::new() }
    }

    /// Appends another body.
    pub fn append(&mut self, other: &Planted) {
        self.body.extend_from_slice(&other.body);
        self.note(other);
    }

    /// Notes what is in another body, which stands somewhere else or is written in another way.
    pub fn note(&mut self, other: &Planted) {
        self.rest.extend_from_slice(&other.rest);
        self.values.extend_from_slice(&other.values);
        self.values.sort_unstable();
        self.values.dedup();
    }

    /// Appends another body in another way of writing.
    pub fn append_encoded(&mut self, other: &Planted, encode: impl Fn(&[u8]) -> Vec<u8>) {
        self.body.extend(encode(&other.body));
        self.note(other);
    }

    /// Notes bytes that may be seen.
    pub fn note_shown(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        self.rest.push(0);
    }

    /// Appends bytes in which nothing is planted.
    pub fn push(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
        self.rest.extend_from_slice(bytes);
    }

    /// No piece of a planted value is in `out`, unless the input had that piece by itself.
    pub fn check_masked(&self, out: &[u8]) {
        for value in &self.values {
            check_piece_free(value, out, &self.rest);
        }
    }

    /// The same for an output that was decoded: the input may have had a piece in that form by itself.
    pub fn check_decoded(&self, out: &[u8], decode: impl Fn(&[u8]) -> Vec<u8>) {
        let rest = [self.rest.as_slice(), &decode(&self.rest)].concat();
        for value in &self.values {
            check_piece_free(value, out, &rest);
        }
    }
}

/// No piece of `value` is in `out`, unless it is in `elsewhere` too.
pub fn check_piece_free(value: &str, out: &[u8], elsewhere: &[u8]) {
    for piece in value.as_bytes().windows(PIECE) {
        let leaked = contains(out, piece) && !contains(elsewhere, piece);
        assert!(!leaked, "a piece of a planted value was put out");
    }
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}
