//! CRC-32 as in gzip (RFC 1952, section 8) and many a binary frame: polynomial 0xEDB88320, reflected.

/// A running checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let step = |crc: u32, &byte: &u8| {
            let place = usize::from(crc.to_le_bytes().first().copied().unwrap_or_default() ^ byte);
            TABLE.get(place).copied().unwrap_or_default() ^ (crc >> 8)
        };
        self.0 = !bytes.iter().fold(!self.0, step);
    }

    /// The checksum of all bytes so far.
    pub(crate) fn value(self) -> u32 {
        self.0
    }
}

static TABLE: [u32; 256] = table();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time only, where a slip is a compile error"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_checksums_in_any_number_of_pieces() {
        for (text, expected) in [("", 0), ("a", 0xE8B7_BE43), ("123456789", 0xCBF4_3926)] {
            for at in 0..=text.len() {
                let mut crc = Crc32::default();
                crc.update(&text.as_bytes()[..at]);
                crc.update(&text.as_bytes()[at..]);
                assert_eq!(crc.value(), expected, "{text} cut at {at}");
            }
        }
    }
}
