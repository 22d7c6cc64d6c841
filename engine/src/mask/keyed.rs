//! What a key makes of a value: a token that is the same wherever the value is, or a value of the same shape.
//!
//! Both are made with HMAC-SHA256 (RFC 2104, FIPS 198-1) over the name of the tag, a zero and the value in its canonical
//! form. Nobody without the key can tell a value from them, not even by trying all values; nobody with it can turn one back
//! but by trying. They do not hide that two values are equal: that is what they are for.

use crate::policy::model::{Canonical, Keyed};
use sha2::{Digest as _, Sha256};

/// Characters that a token says a value with: 5 bits each (RFC 4648, section 6).
const TOKEN: usize = 16;

/// Fewest letters and digits of a value that has a shape: fewer are guessed too easily.
const LEAST_SHAPED: usize = 4;

/// The token of a value; none if there is no key, or nothing to be compared.
pub(super) fn token_of(keyed: &Keyed, tag: &str, value: &[u8]) -> Option<String> {
    let token = token(keyed.secret.bytes()?, tag, keyed.canonical, value)?;
    Some(format!("{}{token}", keyed.prefix))
}

/// A value of the same shape; none if there is no key, or nothing that could be hidden.
pub(super) fn shape_of(keyed: &Keyed, tag: &str, value: &[u8]) -> Option<String> {
    shape(keyed.secret.bytes()?, tag, value)
}

/// The first 80 bits, in base32.
fn token(key: &[u8], tag: &str, canonical: Canonical, value: &[u8]) -> Option<String> {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let value = apply(canonical, value)?;
    let mac = hmac(key, &[tag.as_bytes(), &[0], &value]);
    let bits = mac.iter().take(TOKEN * 5 / 8).fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte));
    let digit = |place: usize| {
        let index = usize::try_from(bits >> ((TOKEN - 1 - place) * 5) & 31).unwrap_or_default();
        DIGITS.get(index).copied().map(char::from)
    };
    (0..TOKEN).map(digit).collect()
}

/// A value with letters, digits and all else at the same places. It is never a payment card: where the value could be one,
/// its check digit is wrong (ISO/IEC 7812-1). None for values that are no ASCII, or too short to hide.
fn shape(key: &[u8], tag: &str, value: &[u8]) -> Option<String> {
    let shaped = value.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    if !value.is_ascii() || shaped < LEAST_SHAPED {
        return None;
    }
    let mut stream =
        (0_u32..).flat_map(|block| hmac(key, &[tag.as_bytes(), &[0], value, &block.to_be_bytes()]));
    let mut pick = |first: u8, count: u16| {
        let high = u16::from(stream.next()?);
        let number = (high << 8 | u16::from(stream.next()?)) % count;
        u8::try_from(number).ok()?.checked_add(first)
    };
    let mut out = Vec::with_capacity(value.len());
    for &byte in value {
        out.push(match byte {
            b'0'..=b'9' => pick(b'0', 10)?,
            b'a'..=b'z' => pick(b'a', 26)?,
            b'A'..=b'Z' => pick(b'A', 26)?,
            other => other,
        });
    }
    if is_luhn(&out)
        && let Some(last) = out.iter_mut().rev().find(|byte| byte.is_ascii_digit())
    {
        *last = if *last == b'9' { b'0' } else { *last + 1 };
    }
    // A value is never its own replacement.
    if out == value { None } else { String::from_utf8(out).ok() }
}

/// The value as it is compared; none if nothing is left of it.
fn apply(canonical: Canonical, value: &[u8]) -> Option<Vec<u8>> {
    let value = match canonical {
        Canonical::Exact => value.to_vec(),
        Canonical::Lowercase => value.trim_ascii().to_ascii_lowercase(),
        Canonical::Digits => value.iter().copied().filter(u8::is_ascii_digit).collect(),
    };
    (!value.is_empty()).then_some(value)
}

/// Do the digits end in their check digit, if there are as many as a card has or more?
fn is_luhn(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    let (mut count, mut sum) = (0_u32, 0_u32);
    for digit in digits {
        let doubled = if count % 2 == 1 { digit * 2 } else { digit };
        sum = sum.wrapping_add(if doubled > 9 { doubled - 9 } else { doubled });
        count = count.wrapping_add(1);
    }
    count >= 12 && sum.is_multiple_of(10)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    let hashed: [u8; 32];
    let short = if key.len() > BLOCK {
        hashed = Sha256::digest(key).into();
        hashed.as_slice()
    } else {
        key
    };
    padded.iter_mut().zip(short).for_each(|(byte, key)| *byte = *key);
    let mut inner = Sha256::new();
    inner.update(padded.map(|byte| byte ^ 0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(padded.map(|byte| byte ^ 0x5C));
    outer.update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_vectors_of_rfc_4231() {
        let cases: [(Vec<u8>, &[u8], &str); 5] = [
            (vec![0x0B; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (vec![0xAA; 20], &[0xDD; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (
                vec![0xAA; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                (1..=25).collect(),
                &[0xCD; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
        ];
        for (key, text, expected) in cases {
            assert_eq!(hex(&hmac(&key, &[text])), expected);
            let (head, tail) = text.split_at(3);
            assert_eq!(hex(&hmac(&key, &[head, &[], tail])), expected, "in parts");
        }
    }

    #[test]
    fn a_token_says_the_canonical_value_the_tag_and_the_key() {
        let key = [1; 32];
        let of = |canonical, value: &str| token(&key, "t", canonical, value.as_bytes());
        let lower = of(Canonical::Lowercase, "Ada@Example.com ").unwrap();
        assert_eq!(of(Canonical::Lowercase, "ada@example.com").unwrap(), lower);
        assert_eq!(of(Canonical::Exact, "ada@example.com").unwrap(), lower);
        assert_ne!(of(Canonical::Exact, "Ada@example.com").unwrap(), lower);
        assert_eq!(of(Canonical::Digits, "+49 (30) 12").unwrap(), of(Canonical::Exact, "493012").unwrap());
        assert_eq!(of(Canonical::Digits, "none"), None);
        assert!(lower.len() == 16 && lower.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
        let plain = |key: &[u8], tag| token(key, tag, Canonical::Exact, b"ada@example.com").unwrap();
        assert!(plain(&key, "t") != plain(&key, "u") && plain(&key, "t") != plain(&[2; 32], "t"));
        // The first ten bytes of the MAC, by another way.
        let mac = hmac(&key, &[b"t\0ada@example.com"]);
        let bits: String = mac[..10].iter().map(|byte| format!("{byte:08b}")).collect();
        let five = |digits: &[u8]| digits.iter().fold(0, |sum, &digit| sum * 2 + usize::from(digit - b'0'));
        let digits = bits.as_bytes().chunks(5).map(five);
        let expected: String = digits.map(|at| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[at])).collect();
        assert_eq!(lower, expected);
    }

    #[test]
    fn a_shape_keeps_places_and_is_no_card() {
        let key = [3; 32];
        let kind = |text: &str| -> String {
            let of = |char: char| match char {
                '0'..='9' => '9',
                'a'..='z' => 'a',
                'A'..='Z' => 'A',
                other => other,
            };
            text.chars().map(of).collect()
        };
        for value in ["EMP-004217", "ada.Lovelace+x@example.com", "\"a\\b\"12", "4111 1111 1111 1111"] {
            let made = shape(&key, "t", value.as_bytes()).unwrap();
            assert_eq!(kind(&made), kind(value));
            assert_ne!(made, value);
            assert_eq!(shape(&key, "t", value.as_bytes()).unwrap(), made, "the same again");
            assert_ne!(shape(&[4; 32], "t", value.as_bytes()).unwrap(), made);
        }
        for number in 0..2000 {
            let value = format!("4{number:015}");
            assert!(!is_luhn(shape(&key, "t", value.as_bytes()).unwrap().as_bytes()));
        }
        assert!(is_luhn(b"4111-1111-1111-1111") && !is_luhn(b"4111-1111-1111-1112") && !is_luhn(b"0"));
        for none in ["abc", "--1-2-3--", "na\u{ef}ve", ""] {
            assert_eq!(shape(&key, "t", none.as_bytes()), None);
        }
    }
}
