//! Validators: pure checks of matched bytes that a pattern cannot express.
//!
//! Guarantees: bounded time, no allocation, and `false` for anything that is too long or of the wrong shape. They do not
//! look at the neighbourhood of a match.

use crate::policy::model::Validator;

mod address;
mod digits;
mod letters;
mod national;
mod phone;
mod secret;

/// Longest input that any validator accepts, in bytes.
pub const MAX_INPUT: usize = 128;

/// Do the matched bytes satisfy the validator? Input of more than [`MAX_INPUT`] bytes never does.
#[must_use]
pub fn holds(validator: Validator, matched: &[u8]) -> bool {
    matched.len() <= MAX_INPUT
        && match validator {
            Validator::Luhn => luhn(matched),
            Validator::UsSsn => us_ssn(matched),
            Validator::Entropy(tenths) => secret::has_entropy(matched, tenths),
            Validator::Secret(tenths) => {
                secret::has_entropy(matched, tenths) && !secret::is_placeholder(matched)
            }
            Validator::Mod97 => letters::mod_97(matched),
            Validator::PhoneInternational => phone::international(matched),
            Validator::PhoneNational => phone::national(matched),
            Validator::PhoneNear => phone::near(matched),
            Validator::PhoneGrouped => phone::grouped(matched),
            Validator::Ipv6 => address::ipv6(matched),
            Validator::Base58check => address::base58check(matched),
            Validator::Bech32 => address::bech32(matched),
            Validator::Eip55 => address::eip_55(matched),
            Validator::Number(scheme) => national::holds(scheme, matched),
        }
}

/// ISO/IEC 7812-1 annex B: from the right, every second digit counts double; the sum of all digits is a multiple of ten.
/// 12 to 19 digits; other bytes are separators.
fn luhn(matched: &[u8]) -> bool {
    // From the left it is not known yet which digits count double: both sums are kept, one in each half, and swapped at
    // every digit. A sum of at most 128 digits fits.
    let (mut count, mut sums) = (0u32, 0u32);
    for byte in matched {
        let digit = byte.wrapping_sub(b'0');
        if let Some(&both) = DIGITS.get(usize::from(digit)) {
            sums = sums.rotate_left(16).wrapping_add(both);
            count += 1;
        }
    }
    (12..=19).contains(&count) && (sums & 0xFFFF).is_multiple_of(10)
}

/// What each digit adds: itself to the lower half, its double (less nine if that has two digits) to the upper.
const DIGITS: [u32; 10] =
    [0, 0x2_0001, 0x4_0002, 0x6_0003, 0x8_0004, 0x1_0005, 0x3_0006, 0x5_0007, 0x7_0008, 0x9_0009];

/// Nine digits, other bytes are separators. The SSA never assigns area 000, 666 or 900 to 999, group 00, serial 0000
/// (20 CFR 422.103; SSA, "Social Security Number Randomization").
fn us_ssn(matched: &[u8]) -> bool {
    let mut digits = matched.iter().copied().filter(u8::is_ascii_digit);
    let mut take = |count: u32| {
        (0..count).try_fold(0u32, |number, _| Some(number * 10 + u32::from(digits.next()? - b'0')))
    };
    let (Some(area), Some(group), Some(serial)) = (take(3), take(2), take(4)) else { return false };
    let complete = take(1).is_none();
    complete && area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that payment networks publish for tests, one or more per length.
    const CARDS: [&str; 12] = [
        "4111 1111 1111 1111",
        "4012888888881881",
        "4222222222222",
        "5555-5555-5555-4444",
        "2223 0031 2200 3222",
        "378282246310005",
        "3714 496353 98431",
        "30569309025904",
        "6011 1111 1111 1117",
        "3530111333300000",
        "6304000000000000",
        "6759649826438453",
    ];

    #[test]
    fn published_card_numbers_hold() {
        for card in CARDS {
            assert!(holds(Validator::Luhn, card.as_bytes()), "{card}");
        }
        // The shortest and the longest number that counts.
        assert!(holds(Validator::Luhn, b"501800000009"));
        assert!(holds(Validator::Luhn, b"6033426000000000001"), "19 digits");
    }

    #[test]
    fn every_changed_digit_of_a_card_is_noticed() {
        for card in CARDS {
            let mut bytes = card.as_bytes().to_vec();
            for at in 0..bytes.len() {
                if !bytes[at].is_ascii_digit() {
                    continue;
                }
                let right = bytes[at];
                for wrong in (b'0'..=b'9').filter(|&digit| digit != right) {
                    bytes[at] = wrong;
                    assert!(!holds(Validator::Luhn, &bytes), "{card} with {wrong} at {at}");
                }
                bytes[at] = right;
            }
        }
    }

    #[test]
    fn luhn_counts_only_twelve_to_nineteen_digits() {
        for length in 0..=MAX_INPUT + 8 {
            let zeros = vec![b'0'; length];
            assert_eq!(holds(Validator::Luhn, &zeros), (12..=19).contains(&length), "{length}");
        }
        assert!(!holds(Validator::Luhn, b""));
        assert!(!holds(Validator::Luhn, &[b'-'; MAX_INPUT]));
    }

    #[test]
    fn social_security_numbers_follow_the_published_rules() {
        for good in [
            "001-01-0001",
            "123-45-6789",
            "665-99-9999",
            "667-01-0001",
            "899-99-9999",
            "123 45 6789",
            "123456789",
        ] {
            assert!(holds(Validator::UsSsn, good.as_bytes()), "{good}");
        }
        for bad in ["000-12-3456", "666-12-3456", "900-12-3456", "999-99-9999", "123-00-4567", "123-45-0000"]
        {
            assert!(!holds(Validator::UsSsn, bad.as_bytes()), "{bad}");
        }
        for shape in ["", "123", "123-45-678", "123-45-67890", "abc-de-fghi"] {
            assert!(!holds(Validator::UsSsn, shape.as_bytes()), "{shape}");
        }
    }
}
