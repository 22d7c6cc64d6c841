//! What tells a credential from a word that stands where one could: entropy, and the words of examples.

/// Bits of entropy per character, at least; `tenths` of a bit.
///
/// Shannon's measure over the bytes as they are: `log2(n) - sum(c * log2(c)) / n` for counts `c` of `n` bytes.
pub(super) fn has_entropy(matched: &[u8], tenths: u8) -> bool {
    let mut counts = [0u8; 256];
    for &byte in matched {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let Ok(length) = u8::try_from(matched.len()) else { return false };
    let repeated: u32 = counts.iter().map(|&count| u32::from(count) * log2(count)).sum();
    let length = u32::from(length);
    // Both sides in 1/4096 bits, times the length.
    10 * (length * log2(u8::try_from(length).unwrap_or(u8::MAX))).saturating_sub(repeated)
        >= u32::from(tenths) * length * ONE
}

/// One bit.
const ONE: u32 = 1 << 12;

/// The binary logarithm of a number of bytes, in 1/4096, rounded down; 0 for 0.
///
/// In whole numbers: floats would have to agree on every machine. Digit by digit, by squaring.
fn log2(number: u8) -> u32 {
    let Some(whole) = number.checked_ilog2() else { return 0 };
    // In 1.31 fixed point, so that squares fit.
    let mut rest = u64::from(number) << (31 - whole);
    let mut result = whole;
    for _ in 0..12 {
        rest = (rest * rest) >> 31;
        let digit = u32::from(rest >> 32 != 0);
        rest >>= digit;
        result = result << 1 | digit;
    }
    result
}

/// Is this what stands in examples, templates and documentation in place of a credential?
///
/// References (`${NAME}`, `{{name}}`, `<name>`, `%NAME%`, `$(command)`), stretches of one character, a row of digits or letters in
/// order and nothing else, and anything with a word such as `example` in it. The words have six letters and more: in a random credential
/// of 40 letters and digits one of them is met once in a million.
pub(super) fn is_placeholder(matched: &[u8]) -> bool {
    let first = matched.first().copied().unwrap_or(0);
    let second = matched.get(1).copied().unwrap_or(0);
    let last = matched.last().copied().unwrap_or(0);
    matches!(
        (first, second, last),
        (b'$', b'{' | b'(', _) | (b'{', b'{', _) | (b'<', _, b'>') | (b'%', _, b'%') | (b'[', _, b']')
    ) || WORDS.iter().any(|word| contains(matched, word))
        || PUBLISHED.iter().any(|key| matched.windows(key.len()).any(|window| window == *key))
        || matched.iter().all(|&byte| byte == first)
        || matched.windows(2).all(|pair| matches!(pair, [one, next] if next.wrapping_sub(*one) == 1))
}

/// Beginnings of what examples say, in lower case.
const WORDS: [&[u8]; 20] = [
    b"example",
    b"changeme",
    b"change-me",
    b"change_me",
    b"placeholder",
    b"redacted",
    b"dummy-",
    b"dummy_",
    b"dummykey",
    b"your-",
    b"your_",
    b"yourkey",
    b"yoursecret",
    b"yourpassword",
    b"insert-",
    b"insert_",
    b"replace",
    b"xxxxxx",
    b"******",
    b"......",
];

/// Twelve characters of each key that is published: in samples and documents of Google, as gitleaks lists them (MIT). Who has such a
/// key has no secret; by chance twelve characters are the same once in 10^21 keys.
const PUBLISHED: [&[u8; 12]; 15] = [
    b"abcdefghijkl",
    b"AnLA7NfeLquW",
    b"CkEhVjf3pduR",
    b"DMAScliyLx7F",
    b"D3asb-2pEZVq",
    b"AdOS2zB6NCsk",
    b"ASWm6HmTMdYW",
    b"ANUvH9H9BsUc",
    b"A5_iVawFQ8AB",
    b"A4UrcGxgwQFT",
    b"DSb51JiIcB6O",
    b"BF2RrAIm4a0m",
    b"BcE-OOIbhjyR",
    b"B8qGxt4ec15v",
    b"A8vmApnrHNFE",
];

/// Does `text` have `word` in it, in any case?
fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close() {
        assert_eq!((log2(0), log2(1), log2(2), log2(128)), (0, 0, ONE, 7 * ONE));
        for number in 1..=u8::MAX {
            let exact = f64::from(number).log2() * f64::from(ONE);
            let error = exact - f64::from(log2(number));
            assert!((0.0..2.0).contains(&error), "{number}: {error}");
        }
    }

    /// The measure is that of floats, but where they round.
    #[test]
    fn entropy_is_that_of_the_definition() {
        let texts: [&[u8]; 9] = [
            b"a",
            b"aa",
            b"ab",
            b"aabb",
            b"abcabc",
            b"0123456789abcdef",
            b"aaaaaaab",
            b"hunter2hunter2",
            b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ];
        for text in texts {
            let length = text.len() as f64;
            let share = |byte: u8| text.iter().filter(|&&other| other == byte).count() as f64 / length;
            let bits: f64 = (0..=u8::MAX).map(share).filter(|&p| p > 0.0).map(|p| -p * p.log2()).sum();
            for tenths in 0..=80 {
                let wanted = f64::from(tenths) / 10.0;
                if (bits - wanted).abs() > 0.002 {
                    assert_eq!(has_entropy(text, tenths), bits > wanted, "{tenths} of {bits}");
                }
            }
        }
        assert!(has_entropy(b"abcd", 20) && !has_entropy(b"abcd", 21), "two bits exactly");
        assert!(has_entropy(b"aaaa", 0) && !has_entropy(b"aaaa", 1));
    }

    #[test]
    fn what_examples_say_is_no_secret() {
        for text in [
            "${TOKEN}",
            "$(cat token)",
            "{{ token }}",
            "<your-token>",
            "%TOKEN%",
            "[token]",
            "xxxxxxxxxxxx",
            "********",
            "my-example-key",
            "AKIAIOSFODNN7EXAMPLE",
            "ChangeMe!",
            "your_api_key",
            "sk-placeholder",
            "0000000000",
            "0123456789",
            "REDACTED",
            "zaSyAnLA7NfeLquW1tJFpx_eQCxoX-oo6YyIs",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
        for text in
            ["hunter2", "q7w2e9r4t1", "correct horse", "wJalrXUtnFEMI/K7MDENG", "$ecret", "<b", "100%x"]
        {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }
}
