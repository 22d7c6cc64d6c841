//! The grammar of numbers (RFC 8259, section 6), one byte at a time.

/// How much of a number was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    ExponentMark,
    ExponentSign,
    Exponent,
}

impl Number {
    /// The state after the first byte.
    pub(super) fn first(byte: u8) -> Option<Number> {
        match byte {
            b'-' => Some(Number::Minus),
            b'0' => Some(Number::Zero),
            b'1'..=b'9' => Some(Number::Integer),
            _ => None,
        }
    }

    /// The state after a further byte; none if it is not part of the number.
    #[inline]
    pub(super) fn next(self, byte: u8) -> Option<Number> {
        match (self, byte) {
            (Number::Minus, b'0') => Some(Number::Zero),
            (Number::Minus, b'1'..=b'9') | (Number::Integer, b'0'..=b'9') => Some(Number::Integer),
            (Number::Zero | Number::Integer, b'.') => Some(Number::Point),
            (Number::Point | Number::Fraction, b'0'..=b'9') => Some(Number::Fraction),
            (Number::Zero | Number::Integer | Number::Fraction, b'e' | b'E') => Some(Number::ExponentMark),
            (Number::ExponentMark, b'+' | b'-') => Some(Number::ExponentSign),
            (Number::ExponentMark | Number::ExponentSign | Number::Exponent, b'0'..=b'9') => {
                Some(Number::Exponent)
            }
            _ => None,
        }
    }

    /// May the number end here?
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Number::Zero | Number::Integer | Number::Fraction | Number::Exponent)
    }
}
