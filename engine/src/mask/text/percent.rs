//! Text that is written with percent-encoding (RFC 3986, section 2.1) outside forms, where `+` stands for itself.

use super::{Location, Sink, TextUnit};
use crate::mask::MaskError;
use memchr::memchr;

impl TextUnit {
    /// Reads `%XX` as the byte it stands for; a percent sign that begins no escape stands for itself, as readers have it.
    pub(crate) fn percent_encoded(
        &mut self,
        text: &[u8],
        sink: &mut Sink<'_>,
        at: Location<'_>,
    ) -> Result<(), MaskError> {
        let mut rest = text;
        while let Some(start) = memchr(b'%', rest) {
            let (run, escape) = rest.split_at_checked(start).unwrap_or((rest, &[]));
            self.literal(run, sink, at)?;
            let digit = |place: usize| escape.get(place).and_then(|&digit| char::from(digit).to_digit(16));
            let byte = digit(1).zip(digit(2)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
            let length = if byte.is_some() { 3 } else { 1 };
            let (raw, after) = escape.split_at_checked(length).unwrap_or((escape, &[]));
            self.cell(raw, &[byte.unwrap_or(b'%')], sink, at)?;
            rest = after;
        }
        self.literal(rest, sink, at)
    }
}
