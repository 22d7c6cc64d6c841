//! Addresses of machines and of money: IP version 6, Base58Check, Bech32, EIP-55.

use keccak::Keccak;
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;

/// RFC 4291 section 2.2: an address as it is written. At least two groups (or one of four characters before `::`), and a digit in one of
/// them: paths of programs such as `ab::cd` have the same form.
// Hostile text asks for every few bytes, so this looks at each byte once, where the standard library tries several readings.
pub(super) fn ipv6(matched: &[u8]) -> bool {
    // The zone (RFC 4007) and the length of the prefix are no part of the address.
    let end = matched.iter().position(|byte| matches!(byte, b'%' | b'/')).unwrap_or(matched.len());
    let (address, _) = matched.split_at_checked(end).unwrap_or((matched, &[]));
    let (mut groups, mut length, mut is_compressed, mut before) = (0, 0, false, None);
    for (at, &byte) in address.iter().enumerate() {
        match byte {
            b':' if length > 0 => {
                groups += 1;
                length = 0;
            }
            b':' if before == Some(b':') && !is_compressed => is_compressed = true,
            b':' if at == 0 && address.get(1) == Some(&b':') => {}
            b'.' => {
                // The last four bytes of the address, in decimal.
                let decimal = at.checked_sub(length).and_then(|from| address.get(from..)).unwrap_or_default();
                let is_decimal = str::from_utf8(decimal).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok());
                return is_decimal && if is_compressed { groups <= 5 } else { groups == 6 };
            }
            _ if byte.is_ascii_hexdigit() && length < 4 => length += 1,
            _ => return false,
        }
        before = Some(byte);
    }
    if length > 0 {
        groups += 1;
    } else if !address.ends_with(b"::") {
        return false;
    }
    // A net of one group is told from a path by its four characters, of which the first is a digit.
    let is_net =
        address.len() == 6 && address.ends_with(b"::") && address.first().is_some_and(u8::is_ascii_digit);
    let is_whole = if is_compressed { groups <= 7 } else { groups == 8 };
    is_whole && (groups >= 2 || is_net) && address.iter().any(u8::is_ascii_digit)
}

/// Base58Check: a version byte, 20 bytes or more, and the begin of their doubled SHA-256.
pub(super) fn base58check(matched: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    // The number, lowest byte first.
    let mut number = [0u8; MAX_BASE58];
    let mut used = 0;
    for byte in matched {
        let Some(digit) = ALPHABET.iter().position(|known| known == byte) else { return false };
        let mut carry = u32::try_from(digit).unwrap_or(0);
        for place in number.iter_mut().take(used) {
            carry += u32::from(*place) * 58;
            *place = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if carry > 0 {
            let Some(place) = number.get_mut(used) else { return false };
            *place = carry.to_le_bytes()[0];
            used += 1;
        }
    }
    let zeros = matched.iter().take_while(|&&byte| byte == b'1').count();
    let Some(bytes) = number.get_mut(..used + zeros) else { return false };
    bytes.reverse();
    let Some((body, check)) = bytes.split_last_chunk::<4>() else { return false };
    let digest = Sha256::digest(Sha256::digest(body));
    body.len() > 20 && digest.starts_with(check)
}

/// A version, a key or a hash with its flags, and the check: more than any address has.
const MAX_BASE58: usize = 96;

/// BIP 173 and BIP 350: Bech32 and Bech32m.
pub(super) fn bech32(matched: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3];
    let Some(separator) = matched.iter().rposition(|&byte| byte == b'1') else { return false };
    let (prefix, data) = matched.split_at_checked(separator).unwrap_or((matched, &[]));
    let data = data.get(1..).unwrap_or_default();
    let lower = matched.iter().any(u8::is_ascii_lowercase);
    if prefix.is_empty() || data.len() < 6 || (lower && matched.iter().any(u8::is_ascii_uppercase)) {
        return false;
    }
    let mut checksum = 1u32;
    let mut add = |value: u32| {
        let top = checksum >> 25;
        checksum = (checksum & 0x01FF_FFFF) << 5 ^ value;
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                checksum ^= generator;
            }
        }
    };
    let prefix = || prefix.iter().map(|byte| u32::from(byte.to_ascii_lowercase()));
    prefix().for_each(|byte| add(byte >> 5));
    add(0);
    prefix().for_each(|byte| add(byte & 31));
    for byte in data {
        let byte = byte.to_ascii_lowercase();
        let Some(value) = ALPHABET.iter().position(|&known| known == byte) else { return false };
        add(u32::try_from(value).unwrap_or(0));
    }
    matches!(checksum, 1 | 0x2BC8_30A3)
}

/// EIP-55: `0x` and 20 bytes in hexadecimal. Letters of both cases are a checksum: those are large whose place in the Keccak-256 of
/// the small ones has a digit of 8 or more. Letters of one case have none, and hold.
pub(super) fn eip_55(matched: &[u8]) -> bool {
    let digits = matched.strip_prefix(b"0x").and_then(|digits| <&[u8; 40]>::try_from(digits).ok());
    let Some(digits) = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)) else { return false };
    let is_mixed = digits.iter().any(u8::is_ascii_lowercase) && digits.iter().any(u8::is_ascii_uppercase);
    if !is_mixed {
        return true;
    }
    let digest = keccak_256(&digits.to_ascii_lowercase());
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.iter().zip(nibbles).all(|(digit, nibble)| match digit {
        b'0'..=b'9' => true,
        _ => digit.is_ascii_uppercase() == (nibble >= 8),
    })
}

/// Keccak-256 of the digits of an address: they and the padding are one block, so this is one permutation. The padding is that of the
/// submission, which Ethereum uses, and not that of FIPS 202.
fn keccak_256(digits: &[u8]) -> [u8; 32] {
    /// Bytes of a block: the state without twice the length of the digest.
    const RATE: usize = 200 - 2 * 32;
    let mut block = [0; RATE];
    let padded = digits.iter().chain(&[1]);
    block.iter_mut().zip(padded).for_each(|(place, &byte)| *place = byte);
    if let Some(last) = block.last_mut() {
        *last |= 0x80;
    }
    let mut state = [0; 25];
    let (lanes, _) = block.as_chunks();
    state.iter_mut().zip(lanes).for_each(|(lane, &bytes)| *lane = u64::from_le_bytes(bytes));
    Keccak::new().with_f1600(|permute| permute(&mut state));
    let mut digest = [0; 32];
    let (places, _) = digest.as_chunks_mut();
    places.iter_mut().zip(state).for_each(|(place, lane)| *place = lane.to_le_bytes());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn addresses_of_machines_are_told_from_paths_of_programs() {
        for good in [
            "2001:db8::1",
            "::ffff:192.0.2.33",
            "fe80::1%eth0/64",
            "2001:db8:0:1:1:1:1:1",
            "2001::",
            "1:2:3:4:5:6:7::",
        ] {
            assert!(ipv6(good.as_bytes()), "{good}");
        }
        for bad in [
            "ab::cd",
            "f064::",
            "12::",
            "::",
            "::1",
            "12:34:56",
            "1:2:3:4:5:6:7:8:9",
            "2001::db8::1",
            "",
            "g::1",
        ] {
            assert!(!ipv6(bad.as_bytes()), "{bad}");
        }
    }

    /// What the standard library reads, and with a digit and two groups: every text of up to seven characters of an address, and
    /// longer ones made of parts.
    #[test]
    fn addresses_are_those_that_the_standard_library_reads() {
        let expected = |text: &str| {
            let written = text.split([':', '.']).filter(|group| !group.is_empty()).count();
            let is_net =
                text.len() == 6 && text.ends_with("::") && text.starts_with(|c: char| c.is_ascii_digit());
            (written >= 2 || is_net)
                && text.contains(|c: char| c.is_ascii_digit())
                && text.parse::<Ipv6Addr>().is_ok()
        };
        let mut texts = vec![String::new()];
        for length in 1..=7 {
            let longer = texts.iter().filter(|text| text.len() == length - 1);
            let longer: Vec<String> =
                longer.flat_map(|text| ["1", "f", ":", "."].map(|part| format!("{text}{part}"))).collect();
            texts.extend(longer);
        }
        for left in 0..=9 {
            for right in 0..=9 {
                for end in
                    ["", ":7", ":1.2.3.4", ":256.1.1.1", "1.2.3.4", ":1.2.3", ":01.2.3.4", "::", ":", ":g"]
                {
                    for middle in ["::", ":", ":::", "::1::"] {
                        let [one, other] = [left, right].map(|count| vec!["2a"; count].join(":"));
                        texts.push(format!("{one}{middle}{other}{end}"));
                    }
                }
            }
        }
        let valid = texts.iter().filter(|text| expected(text)).count();
        assert!(valid > 200, "{valid} addresses among {}", texts.len());
        for text in texts {
            assert_eq!(ipv6(text.as_bytes()), expected(&text), "{text}");
        }
    }

    /// Addresses of BIP 173, BIP 350 and of the first block; each with one character changed.
    #[test]
    fn addresses_of_wallets_have_their_checksum() {
        for good in ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"] {
            assert!(base58check(good.as_bytes()), "{good}");
            for at in 0..good.len() {
                let mut other = good.as_bytes().to_vec();
                other[at] = if other[at] == b'z' { b'y' } else { b'z' };
                assert!(!base58check(&other), "{at} of {good}");
            }
        }
        for good in [
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ] {
            assert!(bech32(good.as_bytes()), "{good}");
            for at in 3..good.len() {
                let mut other = good.as_bytes().to_vec();
                other[at] = if other[at].eq_ignore_ascii_case(&b'q') { b'p' } else { b'q' };
                assert!(!bech32(&other), "{at} of {good}");
            }
        }
        for bad in ["", "1", "bc1", "abc", "bc1Qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"] {
            assert!(!base58check(bad.as_bytes()) && !bech32(bad.as_bytes()), "{bad}");
        }
        assert!(!base58check(&[b'z'; 128]) && !base58check(&[b'1'; 128]));
    }

    /// The addresses of EIP-55; each with the case of one letter changed, and in one case.
    #[test]
    fn addresses_of_ethereum_have_their_checksum_in_their_case() {
        for good in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert!(eip_55(good.as_bytes()), "{good}");
            for at in 2..good.len() {
                let mut other = good.as_bytes().to_vec();
                if other[at].is_ascii_alphabetic() {
                    other[at] ^= 0x20;
                    assert!(!eip_55(&other), "{at} of {good}");
                }
            }
            let digits = good.strip_prefix("0x").unwrap();
            assert!(eip_55(good.to_ascii_lowercase().as_bytes()), "{good}");
            assert!(eip_55(format!("0x{}", digits.to_ascii_uppercase()).as_bytes()), "{good}");
            for bad in [
                digits,
                good.split_at(41).0,
                &format!("{good}0"),
                &format!("0X{digits}"),
                &good.replace('9', "g"),
            ] {
                assert!(!eip_55(bad.as_bytes()), "{bad}");
            }
        }
        // All capitals and all small, as EIP-55 lists them, and digits without a letter.
        for good in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x0000000000000000000000000000000000000001",
        ] {
            assert!(eip_55(good.as_bytes()), "{good}");
        }
        assert!(!eip_55(b"") && !eip_55(b"0x"));
    }
}
