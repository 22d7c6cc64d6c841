//! Arithmetic of check digits, shared by all schemes.

/// The digits of a match, in order; other bytes are separators and fall away.
pub(super) struct Digits {
    values: [u8; Digits::MOST],
    count: usize,
}

impl Digits {
    /// More digits than any scheme here has.
    const MOST: usize = 24;

    /// `None` if there are more than any scheme has.
    pub(super) fn of(matched: &[u8]) -> Option<Digits> {
        let mut digits = Digits { values: [0; Digits::MOST], count: 0 };
        for byte in matched.iter().filter(|byte| byte.is_ascii_digit()) {
            *digits.values.get_mut(digits.count)? = byte - b'0';
            digits.count += 1;
        }
        Some(digits)
    }

    pub(super) fn all(&self) -> &[u8] {
        self.values.get(..self.count).unwrap_or_default()
    }
}

/// Exactly `N` digits.
pub(super) fn exactly<const N: usize>(matched: &[u8]) -> Option<[u8; N]> {
    Digits::of(matched)?.all().try_into().ok()
}

/// The number that these digits spell, modulo `modulus`.
pub(super) fn remainder(digits: &[u8], modulus: u32) -> u32 {
    digits.iter().fold(0, |rest, &digit| (rest * 10 + u32::from(digit)) % modulus)
}

/// The number that a few digits spell.
pub(super) fn number(digits: &[u8]) -> u32 {
    remainder(digits, 1_000_000)
}

/// Sum of products; what has no weight does not count.
pub(super) fn weighted(digits: &[u8], weights: &[u8]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, &weight)| u32::from(digit) * u32::from(weight)).sum()
}

/// Luhn's sum (ISO/IEC 7812-1 annex B), a multiple of ten for a valid number.
pub(super) fn luhn(digits: &[u8]) -> u32 {
    let double = |digit: u8| u32::from(if digit > 4 { 2 * digit - 9 } else { 2 * digit });
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| if at % 2 == 0 { u32::from(digit) } else { double(digit) })
        .sum()
}

/// ISO/IEC 7064 MOD 11,10 over digits, of which the last is the check digit.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((&check, digits)) = digits.split_last() else { return false };
    let product = digits.iter().fold(10, |product, &digit| {
        let sum = (product + u32::from(digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (product + u32::from(check)) % 10 == 1
}

/// Verhoeff's scheme (dihedral group of order ten; Verhoeff 1969) over digits, of which the last is the check digit.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    // The permutation is applied as often as the place from the right says, and has order eight.
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let times = |digit: u8, count: usize| {
        (0..count % 8).fold(digit, |digit, _| PERMUTATION.get(usize::from(digit)).copied().unwrap_or(0))
    };
    // Rotations are 0 to 4, reflections 5 to 9.
    let product = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    digits.iter().rev().enumerate().fold(0, |sum, (at, &digit)| product(sum, times(digit, at))) == 0
}

/// Day and month that exist, in some year.
pub(super) fn is_date(day: u32, month: u32) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Are all digits the same?
pub(super) fn is_constant(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}
