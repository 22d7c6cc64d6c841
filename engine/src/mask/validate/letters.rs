//! Numbers with letters: their check characters.
//!
//! As in [`super::national`], each scheme is that of the authority named beside it.

use super::digits::{exactly, is_date, number, remainder, weighted};

/// The letters and digits of a match in upper case, exactly `N`; other bytes are separators.
fn characters<const N: usize>(matched: &[u8]) -> Option<[u8; N]> {
    let mut found = [0; N];
    let mut places = found.iter_mut();
    for byte in matched.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *places.next()? = byte.to_ascii_uppercase();
    }
    places.next().is_none().then_some(found)
}

/// 0 to 9 for digits, 10 to 35 for letters.
fn value(byte: u8) -> u8 {
    if byte.is_ascii_digit() {
        byte - b'0'
    } else {
        byte.to_ascii_uppercase().wrapping_sub(b'A').wrapping_add(10)
    }
}

/// ISO 13616: length by country, and ISO/IEC 7064 MOD 97-10 with the first four characters at the end.
pub(super) fn mod_97(matched: &[u8]) -> bool {
    let mut text = [0; 34];
    let mut count = 0;
    for byte in matched.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        let Some(place) = text.get_mut(count) else { return false };
        *place = byte.to_ascii_uppercase();
        count += 1;
    }
    let Some(([a, b, head @ ..], rest)) = text.get(..count).and_then(|text| text.split_first_chunk::<4>())
    else {
        return false;
    };
    let known = IBAN_LENGTHS.iter().find(|(countries, _)| countries.as_chunks::<2>().0.contains(&[*a, *b]));
    if known.is_none_or(|&(_, length)| usize::from(length) != count) {
        return false;
    }
    let all = rest.iter().chain([a, b]).chain(head);
    let rest = all.fold(0u32, |rest, &byte| {
        let value = u32::from(value(byte));
        (rest * if value < 10 { 10 } else { 100 } + value) % 97
    });
    rest == 1
}

/// Countries by the length of their numbers: the SWIFT IBAN registry, and countries that use IBANs without an entry.
const IBAN_LENGTHS: [(&[u8], u8); 18] = [
    (b"NO", 15),
    (b"BE", 16),
    (b"DKFIFKFOGLNLSD", 18),
    (b"MKSI", 19),
    (b"ATBAEEKZLTLUMNXK", 20),
    (b"CHHRLILV", 21),
    (b"BGBHCRDEGBGEIEMERSVA", 22),
    (b"AEGIILIQOMSOTL", 23),
    (b"ADCZESMDPKROSASESKTNVG", 24),
    (b"LYPTSTAOCVGWMZ", 25),
    (b"ISTRDZIR", 26),
    (b"BIDJFRGRITMCMRSMCFCGCMGAGQKMMGTD", 27),
    (b"ALAZBYCYDOGTHNHULBNIPLSVBFBJCIMAMLNESNTG", 28),
    (b"BREGPSQAUA", 29),
    (b"JOKWMUYE", 30),
    (b"MTSC", 31),
    (b"LC", 32),
    (b"RU", 33),
];

/// Direccion General de la Policia, NIF and NIE: a letter for the number modulo 23; X, Y and Z stand for 0, 1 and 2.
pub(super) fn es_nif(matched: &[u8]) -> Option<bool> {
    let [first, body @ .., letter] = characters::<9>(matched).or_else(|| {
        // A zero in front may be left out.
        let [a, b, c, d, e, f, g, letter] = characters::<8>(matched)?;
        Some([b'0', a, b, c, d, e, f, g, letter])
    })?;
    let first = match first {
        b'X' | b'K' | b'L' | b'M' => 0,
        b'Y' => 1,
        b'Z' => 2,
        digit => value(digit),
    };
    let rest = (u32::from(first) * 10_000_000 + remainder(&exactly::<7>(&body)?, 10_000_000)) % 23;
    Some(first < 10 && b"TRWAGMYFPDXBNJZSQVHLCKE".get(usize::try_from(rest).ok()?) == Some(&letter))
}

/// Agenzia delle Entrate, codice fiscale: a letter for the sum of values, which differ in odd and even places.
pub(super) fn it_fiscal_code(matched: &[u8]) -> Option<bool> {
    const ODD: [u8; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let text = characters::<16>(matched)?;
    let (&check, body) = text.split_last()?;
    let sum = body.iter().zip([true, false].iter().cycle()).try_fold(0u32, |sum, (&byte, &odd)| {
        let place = if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
        let value = if odd { *ODD.get(usize::from(place))? } else { place };
        Some(sum + u32::from(value))
    })?;
    Some(sum % 26 == u32::from(check.checked_sub(b'A')?))
}

/// Immigration & Checkpoints Authority, NRIC and FIN; the letters are as reverse engineered, there is no publication.
pub(super) fn sg_nric(matched: &[u8]) -> Option<bool> {
    let [series, body @ .., letter] = characters::<9>(matched)?;
    let (offset, letters): (u32, &[u8; 11]) = match series {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return None,
    };
    let rest = (weighted(&exactly::<7>(&body)?, &[2, 7, 6, 5, 4, 3, 2]) + offset) % 11;
    let place = if series == b'M' { 10 - rest } else { rest };
    Some(letters.get(usize::try_from(place).ok()?) == Some(&letter))
}

/// Digi- ja vaestotietovirasto, henkilotunnus: date, century, number, and a character for the digits modulo 31.
pub(super) fn fi_hetu(matched: &[u8]) -> Option<bool> {
    let (&check, body) = matched.split_last()?;
    // The century is a sign or a letter, and no digit either way.
    let digits = exactly::<9>(body)?;
    let [a, b, c, d, ..] = digits;
    let rest = remainder(&digits, 31);
    let wanted = b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(usize::try_from(rest).ok()?)?;
    Some(is_date(number(&[a, b]), number(&[c, d])) && check.to_ascii_uppercase() == *wanted)
}

/// RENAPO, CURP: a digit for the sum of values by place, in an alphabet with N with tilde behind N.
pub(super) fn mx_curp(matched: &[u8]) -> Option<bool> {
    let text = characters::<18>(matched)?;
    let (&check, body) = text.split_last()?;
    let sum: u32 = body
        .iter()
        .zip((2..=18).rev())
        .map(|(&byte, weight)| {
            let value = value(byte);
            u32::from(if value > 23 { value + 1 } else { value }) * weight
        })
        .sum();
    Some((10 - sum % 10) % 10 == u32::from(check.checked_sub(b'0')?))
}

/// ICAO Doc 9303 part 3, 4.9: weights 7, 3, 1; the last character is the check digit.
pub(super) fn icao(matched: &[u8]) -> Option<bool> {
    let text = characters::<10>(matched)?;
    let (&check, body) = text.split_last()?;
    let sum: u32 = body
        .iter()
        .zip([7, 3, 1].iter().cycle())
        .map(|(&byte, &weight)| u32::from(value(byte)) * weight)
        .sum();
    Some(sum % 10 == u32::from(check.checked_sub(b'0')?))
}

/// Immigration Department of Hong Kong: weights 9 to 2 modulo 11 with A for ten; a second letter that is not there counts 36.
pub(super) fn hk_id(matched: &[u8]) -> Option<bool> {
    if !matched.ends_with(b")") {
        return None;
    }
    let two = characters::<9>(matched);
    let [first, second, digits @ ..] = two.or_else(|| {
        let [first, digits @ ..] = characters::<8>(matched)?;
        let [a, b, c, d, e, f, check] = digits;
        Some([0, first, a, b, c, d, e, f, check])
    })?;
    let [.., check] = digits;
    if !second.is_ascii_alphabetic() || first.is_ascii_digit() {
        return None;
    }
    let first = if first == 0 { 36 } else { value(first) };
    let sum = 9 * u32::from(first) + 8 * u32::from(value(second)) + u32::from(value(check));
    let body = digits.iter().zip([7, 6, 5, 4, 3, 2]).map(|(&digit, weight)| u32::from(value(digit)) * weight);
    Some((sum + body.sum::<u32>()).is_multiple_of(11))
}

/// Ministry of the Interior of Taiwan: a letter stands for two digits, weights 1, 9 to 1 and 1, modulo 10.
pub(super) fn tw_id(matched: &[u8]) -> Option<bool> {
    // By letter; the numbers follow the order in which cities were named.
    const CITIES: &[u8; 26] = b"\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11\x22\x12\x13\x14\x15\x16\x23\x17\x18\x19\x1A\x1B\x1C\x1D\x20\x1E\x1F\x21";
    let [first, rest @ ..] = characters::<10>(matched)?;
    let city = u32::from(*CITIES.get(usize::from(first.checked_sub(b'A')?))?);
    let sum = city / 10 + city % 10 * 9 + weighted(&exactly::<9>(&rest)?, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    Some(sum.is_multiple_of(10))
}

/// 49 CFR 565.15: letters have values, the ninth character is the sum modulo 11, X for ten.
pub(super) fn vin(matched: &[u8]) -> Option<bool> {
    const VALUES: &[u8; 26] = b"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x02\x03\x04\x05\x00\x07\x00\x09\x02\x03\x04\x05\x06\x07\x08\x09";
    const WEIGHTS: [u8; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let text = characters::<17>(matched)?;
    let values = text.map(|byte| {
        if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            VALUES.get(usize::from(byte - b'A')).copied().unwrap_or(0)
        }
    });
    let rest = weighted(&values, &WEIGHTS) % 11;
    let wanted = b"0123456789X".get(usize::try_from(rest).ok()?)?;
    let varied = text.iter().any(u8::is_ascii_alphabetic) && text.iter().any(u8::is_ascii_digit);
    Some(varied && text.get(8) == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_numbers_have_the_length_of_their_country() {
        for good in [
            "GB82 WEST 1234 5698 7654 32",
            "de89370400440532013000",
            "NL91-ABNA-0417-1643-00",
            "NO9386011117947",
        ] {
            assert!(mod_97(good.as_bytes()), "{good}");
        }
        for bad in
            ["GB82WEST12345698765433", "DE8937040044053201300", "XX8937040044053201300", "GB", "", "GB82"]
        {
            assert!(!mod_97(bad.as_bytes()), "{bad}");
        }
        let pairs = IBAN_LENGTHS.iter().flat_map(|(countries, _)| countries.as_chunks::<2>().0);
        let mut countries: Vec<_> = pairs.collect();
        countries.sort_unstable();
        assert!(countries.is_sorted_by(|a, b| a < b), "a country twice");
    }

    #[test]
    fn vehicles_have_their_check_character() {
        for good in ["1M8GDM9AXKP042788", "1HGCM82633A004352"] {
            assert_eq!(vin(good.as_bytes()), Some(true), "{good}");
        }
        for bad in ["1M8GDM9A1KP042788", "11111111111111111", "WVWZZZ1JZ3W386752"] {
            assert_ne!(vin(bad.as_bytes()), Some(true), "{bad}");
        }
    }
}
