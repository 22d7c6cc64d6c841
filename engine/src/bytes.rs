//! Comparing bytes, where that is done for every one that passes.
//!
//! Sixteen at a time, as numbers: in wasm a comparison of slices is a call that goes byte by byte.

/// The length of what both begin with.
pub(crate) fn shared_prefix(one: &[u8], other: &[u8]) -> usize {
    let same =
        |(one, other): &(&[u8; 16], &[u8; 16])| u128::from_ne_bytes(**one) == u128::from_ne_bytes(**other);
    let blocks = one.as_chunks().0.iter().zip(other.as_chunks().0).take_while(same).count() * 16;
    let (Some(one), Some(other)) = (one.get(blocks..), other.get(blocks..)) else { return 0 };
    blocks + one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Are they the same bytes?
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && shared_prefix(one, other) == one.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_every_difference() {
        let text: Vec<u8> = (0..70).collect();
        for length in 0..text.len() {
            let one = &text[..length];
            assert!(equal(one, one));
            assert!(!equal(one, &text), "{length}");
            assert_eq!(shared_prefix(one, &text), length);
            for differs in 0..length {
                let mut other = one.to_vec();
                other[differs] ^= 0x80;
                assert!(!equal(one, &other));
                assert_eq!(shared_prefix(one, &other), differs, "of {length}");
            }
        }
    }
}
