//! Validators over any bytes: they end, agree with plain readings of their standards, and where a check notices every single wrong
//! digit, no number with one holds. Numbers that hold are made, for random ones seldom do.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha3::{Digest, Keccak256};
use veilwire_engine::mask::validate::{MAX_INPUT, holds};
use veilwire_engine::policy::model::{Scheme, Validator};
use veilwire_fuzz::input::Input;

const PLAIN: [Validator; 11] = [
    Validator::Luhn,
    Validator::UsSsn,
    Validator::Mod97,
    Validator::PhoneInternational,
    Validator::PhoneNational,
    Validator::Ipv6,
    Validator::Base58check,
    Validator::Bech32,
    Validator::Eip55,
    Validator::Entropy(35),
    Validator::Secret(35),
];

const SCHEMES: [Scheme; 35] = [
    Scheme::UsAba,
    Scheme::UsNpi,
    Scheme::UkNhs,
    Scheme::DeTaxId,
    Scheme::DeIdCard,
    Scheme::FrNir,
    Scheme::EsNif,
    Scheme::ItFiscalCode,
    Scheme::PlPesel,
    Scheme::PlNip,
    Scheme::NlBsn,
    Scheme::BeNn,
    Scheme::PtNif,
    Scheme::ChAhv,
    Scheme::NoFnr,
    Scheme::DkCpr,
    Scheme::RoCnp,
    Scheme::CzRc,
    Scheme::SePnr,
    Scheme::FiHetu,
    Scheme::BrCpf,
    Scheme::BrCnpj,
    Scheme::MxCurp,
    Scheme::InAadhaar,
    Scheme::AuTfn,
    Scheme::AuAbn,
    Scheme::CaSin,
    Scheme::KrRrn,
    Scheme::JpMyNumber,
    Scheme::CnId,
    Scheme::SgNric,
    Scheme::ThId,
    Scheme::ZaId,
    Scheme::TrId,
    Scheme::Vin,
];

/// Check digits that notice every single wrong digit, and how many digits a number has.
const NOTICING: [(Validator, usize); 8] = [
    (Validator::Luhn, 16),
    (Validator::Number(Scheme::UsAba), 9),
    (Validator::Number(Scheme::UsNpi), 10),
    (Validator::Number(Scheme::CaSin), 9),
    (Validator::Number(Scheme::ChAhv), 13),
    (Validator::Number(Scheme::InAadhaar), 12),
    (Validator::Number(Scheme::ZaId), 13),
    (Validator::Number(Scheme::DeTaxId), 11),
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    match input.byte() % 5 {
        0 => any(input.rest()),
        1 => {
            let (validator, count) = input.pick(&NOTICING);
            noticing(validator, count, input);
        }
        2 => iban(input),
        4 => ethereum(input),
        _ => {
            let count = 12 + usize::from(input.byte() % 8);
            noticing(Validator::Luhn, count, input);
        }
    }
});

/// Every validator says something about any bytes, and the same again.
fn any(matched: &[u8]) {
    let schemes = SCHEMES.map(Validator::Number);
    for validator in PLAIN.into_iter().chain(schemes) {
        let said = holds(validator, matched);
        assert!(!said || matched.len() <= MAX_INPUT, "{validator:?} holds for more than it may read");
        assert_eq!(holds(validator, matched), said, "{validator:?} says two things");
    }
    if matched.len() <= MAX_INPUT {
        assert_eq!(holds(Validator::Luhn, matched), luhn(matched), "Luhn");
        assert!(!holds(Validator::Mod97, matched) || mod_97(matched), "MOD 97-10");
        assert!(!holds(Validator::Number(Scheme::InAadhaar), matched) || verhoeff(matched), "Verhoeff");
        assert!(!holds(Validator::Ipv6, matched) || is_ipv6(matched), "IPv6");
    }
}

/// A number with every last digit: those that hold do not with another digit anywhere.
fn noticing(validator: Validator, count: usize, mut input: Input<'_>) {
    let head = match validator {
        Validator::Number(Scheme::ChAhv) => "756",
        _ => "",
    };
    let mut number: Vec<u8> = head.bytes().collect();
    while number.len() < count {
        number.push(b'0' + input.byte() % 10);
    }
    for last in b'0'..=b'9' {
        number[count - 1] = last;
        if holds(validator, &number) {
            changed(validator, &number);
            any(&number);
        }
    }
}

/// An IBAN with the check digits that belong to it.
fn iban(mut input: Input<'_>) {
    let (country, length) =
        input.pick(&[("DE", 22), ("NO", 15), ("BE", 16), ("AT", 20), ("GB", 22), ("BG", 22)]);
    let letters = input.byte() % 2 == 0;
    let mut rest = Vec::new();
    while rest.len() < length - 4 {
        let byte = input.byte();
        rest.push(if letters && byte >= 0xC0 { b'A' + byte % 26 } else { b'0' + byte % 10 });
    }
    let body = String::from_utf8(rest).expect("ASCII");
    let check = 98 - remainder_97(format!("{body}{country}00").as_bytes());
    let number = format!("{country}{check:02}{body}");
    assert!(holds(Validator::Mod97, number.as_bytes()), "{country} with its own check digits");
    let spaced: Vec<&str> =
        number.as_bytes().chunks(4).map(|piece| std::str::from_utf8(piece).expect("ASCII")).collect();
    assert!(holds(Validator::Mod97, spaced.join(" ").as_bytes()), "{country} in groups");
    changed(Validator::Mod97, number.as_bytes());
}

/// An address of Ethereum with the case that belongs to it: it holds, and so do its letters in one case; with another case of some
/// letters it does only where they are all of one case then.
fn ethereum(mut input: Input<'_>) {
    let small: String = (0..20).map(|_| format!("{:02x}", input.byte())).collect();
    let address = eip_55(&small);
    for same in [&address, &small, &small.to_ascii_uppercase()] {
        assert!(holds(Validator::Eip55, format!("0x{same}").as_bytes()), "EIP-55 with its own case");
    }
    let mut other = address.clone().into_bytes();
    for place in 0..other.len() {
        if other[place].is_ascii_alphabetic() && input.byte() % 2 == 1 {
            other[place] ^= 0x20;
        }
    }
    let other = String::from_utf8(other).expect("ASCII");
    let expected = [address, other.to_ascii_lowercase(), other.to_ascii_uppercase()].contains(&other);
    assert_eq!(holds(Validator::Eip55, format!("0x{other}").as_bytes()), expected, "EIP-55");
}

/// The case of the digits of an address, as EIP-55 has it: by the hexadecimal digits of the Keccak-256 of the small ones.
fn eip_55(small: &str) -> String {
    let digest: String = Keccak256::digest(small).iter().map(|byte| format!("{byte:02x}")).collect();
    let large = |(digit, check): (char, char)| if check >= '8' { digit.to_ascii_uppercase() } else { digit };
    small.chars().zip(digest.chars()).map(large).collect()
}

/// No single wrong digit passes.
fn changed(validator: Validator, number: &[u8]) {
    let mut wrong = number.to_vec();
    for (place, &right) in number.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        for digit in (b'0'..=b'9').filter(|&digit| digit != right) {
            wrong[place] = digit;
            assert!(!holds(validator, &wrong), "{validator:?} does not notice a wrong digit at {place}");
        }
        wrong[place] = right;
    }
}

/// ISO/IEC 7812-1 annex B, from the right.
fn luhn(matched: &[u8]) -> bool {
    let digits: Vec<u32> = matched.iter().filter_map(|&byte| char::from(byte).to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    (12..=19).contains(&digits.len()) && sum % 10 == 0
}

/// ISO/IEC 7064 MOD 97-10, the first four characters at the end.
fn mod_97(matched: &[u8]) -> bool {
    let text: Vec<u8> = matched.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    text.len() > 4 && remainder_97(&[&text[4..], &text[..4]].concat()) == 1
}

fn remainder_97(text: &[u8]) -> u32 {
    let digits: String = text
        .iter()
        .map(|&byte| char::from(byte).to_digit(36).expect("a letter or digit").to_string())
        .collect();
    digits.bytes().fold(0, |rest, byte| (rest * 10 + u32::from(byte - b'0')) % 97)
}

/// Verhoeff: digits as elements of the dihedral group of a pentagon, each moved by a permutation as often as it is far from the end.
fn verhoeff(matched: &[u8]) -> bool {
    const MOVED: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let digits = matched.iter().rev().filter_map(|&byte| char::from(byte).to_digit(10));
    let moved =
        digits.enumerate().map(|(place, digit)| (0..place).fold(digit, |digit, _| MOVED[digit as usize]));
    moved.fold(0, multiplied) == 0
}

/// 0 to 4 are rotations, 5 to 9 reflections.
fn multiplied(one: u32, other: u32) -> u32 {
    match (one < 5, other < 5) {
        (true, true) => (one + other) % 5,
        (true, false) => 5 + (one + other) % 5,
        (false, true) => 5 + (one - other) % 5,
        (false, false) => (5 + one - other) % 5,
    }
}

/// The address, without its zone and the length of its prefix.
fn is_ipv6(matched: &[u8]) -> bool {
    let address = matched.split(|byte| matches!(byte, b'%' | b'/')).next().unwrap_or_default();
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}
