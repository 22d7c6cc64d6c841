//! The protobuf wire format, byte-exact: one message as the fields it is written as.
//!
//! Guarantees: the heads and bodies of the fields, in order, are the message; nothing malformed is accepted. It knows no
//! schema, so it neither looks into bodies nor pairs the marks of groups: who walks a message does.
//!
//! Readers disagree about what is too long or too large (some truncate to 32 bits). Such spellings are refused; varints
//! that are merely longer than needed are not.

use super::Malformed;

/// One field, or one mark of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'m> {
    pub(crate) number: u32,
    pub(crate) wire: Wire,
    /// The tag as it is written.
    pub(crate) tag: &'m [u8],
    /// The length as it is written; empty unless the field has one.
    pub(crate) length: &'m [u8],
    pub(crate) body: &'m [u8],
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Varint or fixed size: a number.
    Number,
    /// With its length in front: text, bytes, a message, packed numbers.
    Sized,
    GroupStart,
    GroupEnd,
}

/// The fields of a message.
pub(crate) struct Fields<'m> {
    rest: &'m [u8],
}

impl Field<'_> {
    /// The value, if it is a varint.
    pub(crate) fn varint(&self) -> Option<u64> {
        let is_varint = self.tag.first().is_some_and(|first| first & 7 == 0);
        let (_, value) = is_varint.then(|| Fields::new(self.body).varint().ok())??;
        Some(value)
    }
}

impl<'m> Fields<'m> {
    pub(crate) fn new(message: &'m [u8]) -> Fields<'m> {
        Fields { rest: message }
    }

    /// The next field; none at the end of the message.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'m>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, value) = self.varint()?;
        let tag_value = u32::try_from(value).map_err(|_| Malformed)?;
        let mut length: &[u8] = &[];
        let (wire, size) = match tag_value & 7 {
            0 => {
                let (body, _) = self.varint()?;
                return field(tag_value, Wire::Number, tag, length, body);
            }
            1 => (Wire::Number, 8),
            2 => {
                let (written, value) = self.varint()?;
                length = written;
                (
                    Wire::Sized,
                    i32::try_from(value).ok().and_then(|size| usize::try_from(size).ok()).ok_or(Malformed)?,
                )
            }
            3 => (Wire::GroupStart, 0),
            4 => (Wire::GroupEnd, 0),
            5 => (Wire::Number, 4),
            _ => return Err(Malformed),
        };
        let body = self.take(size)?;
        field(tag_value, wire, tag, length, body)
    }

    fn take(&mut self, size: usize) -> Result<&'m [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// As it is written, and its value.
    fn varint(&mut self) -> Result<(&'m [u8], u64), Malformed> {
        let mut value = 0_u64;
        for (place, &byte) in (0_u32..10).zip(self.rest) {
            // The tenth byte has room for one bit.
            if place == 9 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte < 0x80 {
                let size = usize::try_from(place + 1).map_err(|_| Malformed)?;
                return Ok((self.take(size)?, value));
            }
        }
        Err(Malformed)
    }
}

fn field<'m>(
    tag_value: u32,
    wire: Wire,
    tag: &'m [u8],
    length: &'m [u8],
    body: &'m [u8],
) -> Result<Option<Field<'m>>, Malformed> {
    match tag_value >> 3 {
        0 => Err(Malformed),
        number => Ok(Some(Field { number, wire, tag, length, body })),
    }
}

/// Appends a varint in its shortest form.
pub(crate) fn push_varint(mut value: usize, out: &mut Vec<u8>) {
    loop {
        // INVARIANT: seven bits fit.
        let low = u8::try_from(value & 0x7F).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, Wire, Vec<u8>)>, Malformed> {
        let mut fields = Fields::new(message);
        let mut found = Vec::new();
        let mut written = Vec::new();
        while let Some(field) = fields.next()? {
            written.extend([field.tag, field.length, field.body].concat());
            found.push((field.number, field.wire, field.body.to_vec()));
        }
        assert_eq!(written, message);
        Ok(found)
    }

    #[test]
    fn every_wire_type_is_read_as_it_is_written() {
        let message = b"\x08\x96\x01\x11ABCDEFGH\x1a\x03abc\x23\x08\x01\x24\x2dWXYZ\xfa\xff\xff\xff\x0f\x00";
        let expected = [
            (1, Wire::Number, &b"\x96\x01"[..]),
            (2, Wire::Number, b"ABCDEFGH"),
            (3, Wire::Sized, b"abc"),
            (4, Wire::GroupStart, b""),
            (1, Wire::Number, b"\x01"),
            (4, Wire::GroupEnd, b""),
            (5, Wire::Number, b"WXYZ"),
            (0x1FFF_FFFF, Wire::Sized, b""),
        ];
        let expected: Vec<_> = expected.map(|(number, wire, body)| (number, wire, body.to_vec())).into();
        assert_eq!(all(message).unwrap(), expected);
        assert_eq!(all(b"").unwrap(), []);
    }

    #[test]
    fn only_varints_have_a_value() {
        let first = |message: &[u8]| Fields::new(message).next().unwrap().unwrap().varint();
        assert_eq!(first(b"\x08\x96\x01"), Some(150));
        assert_eq!(first(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Some(u64::MAX));
        for other in [&b"\x11ABCDEFGH"[..], b"\x1a\x01\x01", b"\x23", b"\x2d\x01\0\0\0"] {
            assert_eq!(first(other), None);
        }
    }

    #[test]
    fn long_varints_are_kept_and_oversized_ones_refused() {
        // A tag, a length and a value of more bytes than needed.
        assert_eq!(all(b"\x8a\x80\x00\x83\x80\x00abc").unwrap(), [(1, Wire::Sized, b"abc".to_vec())]);
        assert!(all(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_ok());
        for malformed in [
            &b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"[..], // 65 bits
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",  // eleven bytes
            b"\x8a\x80\x80\x80\x80\x01\x00",                      // a tag of 36 bits
            b"\x0a\x83\x80\x80\x80\x10abc",                       // a length of 3 + 2^32
            b"\x0a\xff\xff\xff\xff\x0f",                          // a length of 2^32 - 1
            b"\x02\x00",                                          // field number 0
            b"\x0e",                                              // wire type 6
            b"\x0f",                                              // wire type 7
            b"\x0a\x04abc",
            b"\x0a",
            b"\x08",
            b"\x08\x80",
            b"\x09ABCDEFG",
            b"\x0dABC",
        ] {
            assert_eq!(all(malformed), Err(Malformed), "{malformed:x?}");
        }
    }

    #[test]
    fn varints_are_written_short() {
        for (value, written) in [
            (0, &b"\x00"[..]),
            (127, b"\x7f"),
            (128, b"\x80\x01"),
            (16_383, b"\xff\x7f"),
            (16_384, b"\x80\x80\x01"),
        ] {
            let mut out = Vec::new();
            push_varint(value, &mut out);
            assert_eq!(out, written);
        }
    }
}
