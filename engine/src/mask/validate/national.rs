//! Numbers that states and industries give to people, firms and vehicles, with check digits.
//!
//! Each scheme is that of the authority named beside it. A number passes if its length, check digits and date are right; whether
//! it was ever given to anybody nobody can know from it.

use super::digits::{exactly, is_constant, is_date, luhn, mod_11_10, number, remainder, verhoeff, weighted};
use super::letters;
use crate::policy::model::Scheme;

/// Does the match satisfy the scheme?
pub(super) fn holds(scheme: Scheme, matched: &[u8]) -> bool {
    check(scheme, matched).unwrap_or(false)
}

/// `None` if there are too few or too many digits.
fn check(scheme: Scheme, matched: &[u8]) -> Option<bool> {
    Some(match scheme {
        Scheme::UsAba => us_aba(exactly(matched)?),
        Scheme::UsNpi => us_npi(exactly(matched)?),
        Scheme::UkNhs => {
            weighted(&exactly::<10>(matched)?, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
                && !is_constant(&exactly::<10>(matched)?)
        }
        Scheme::DeTaxId => de_tax_id(exactly(matched)?),
        Scheme::FrNir => fr_nir(matched)?,
        Scheme::PlPesel => pl_pesel(exactly(matched)?),
        Scheme::PlNip => pl_nip(exactly(matched)?),
        Scheme::NlBsn => nl_bsn(exactly(matched)?),
        Scheme::BeNn => be_nn(exactly(matched)?),
        Scheme::PtNif => pt_nif(exactly(matched)?),
        Scheme::ChAhv => ch_ahv(exactly(matched)?),
        Scheme::NoFnr => no_fnr(exactly(matched)?),
        Scheme::DkCpr => dk_cpr(exactly(matched)?),
        Scheme::RoCnp => ro_cnp(exactly(matched)?),
        Scheme::CzRc => cz_rc(exactly(matched)?),
        Scheme::SePnr => se_pnr(matched)?,
        Scheme::BrCpf => br_cpf(exactly(matched)?),
        Scheme::BrCnpj => br_cnpj(exactly(matched)?),
        Scheme::InAadhaar => in_aadhaar(exactly(matched)?),
        Scheme::AuTfn => au_tfn(exactly(matched)?),
        Scheme::AuAbn => au_abn(exactly(matched)?),
        Scheme::CaSin => ca_sin(exactly(matched)?),
        Scheme::KrRrn => kr_rrn(exactly(matched)?),
        Scheme::JpMyNumber => jp_my_number(exactly(matched)?),
        Scheme::ZaId => za_id(exactly(matched)?),
        Scheme::TrId => tr_id(exactly(matched)?),
        Scheme::ThId => th_id(exactly(matched)?),
        Scheme::CnId => cn_id(matched)?,
        Scheme::DeIdCard => letters::icao(matched)?,
        Scheme::EsNif => letters::es_nif(matched)?,
        Scheme::ItFiscalCode => letters::it_fiscal_code(matched)?,
        Scheme::SgNric => letters::sg_nric(matched)?,
        Scheme::FiHetu => letters::fi_hetu(matched)?,
        Scheme::MxCurp => letters::mx_curp(matched)?,
        Scheme::HkId => letters::hk_id(matched)?,
        Scheme::TwId => letters::tw_id(matched)?,
        Scheme::Vin => letters::vin(matched)?,
    })
}

/// American Bankers Association: weights 3, 7, 1; the first two digits name a Federal Reserve district or a use.
fn us_aba(digits: [u8; 9]) -> bool {
    let [a, b, ..] = digits;
    let prefix = 10 * a + b;
    weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && matches!(prefix, 1..=12 | 21..=32 | 61..=72 | 80)
}

/// CMS, National Provider Identifier: Luhn with 80840 before it, which adds 24.
fn us_npi(digits: [u8; 10]) -> bool {
    matches!(digits, [1 | 2, ..]) && (luhn(&digits) + 24).is_multiple_of(10)
}

/// Bundeszentralamt fuer Steuern: ISO 7064 MOD 11,10; of the first ten digits one comes twice or three times, the others once at most.
fn de_tax_id(digits: [u8; 11]) -> bool {
    let [first, ..] = digits;
    let body = digits.iter().take(10);
    let count = |wanted: u8| body.clone().filter(|&&digit| digit == wanted).count();
    let repeated = (0..10).filter(|&digit| count(digit) > 1).count();
    let most = (0..10).map(count).max().unwrap_or(0);
    first != 0 && repeated == 1 && most <= 3 && mod_11_10(&digits)
}

/// INSEE, numero d'inscription au repertoire: 97 less the number modulo 97; of the Corsican departments 2A and 2B the letter counts
/// as a zero, less one or two million.
fn fr_nir(matched: &[u8]) -> Option<bool> {
    let mut letter = matched.iter().map(u8::to_ascii_uppercase).filter(u8::is_ascii_alphabetic);
    let (digits, less) = match letter.next() {
        None => (exactly::<15>(matched)?, 0),
        Some(corsica @ (b'A' | b'B')) => {
            let [a, b, c, d, e, f, rest @ ..] = exactly::<14>(matched)?;
            let [g, h, i, j, k, l, m, n] = rest;
            let digits = [a, b, c, d, e, f, 0, g, h, i, j, k, l, m, n];
            (digits, if corsica == b'A' { 1_000_000 } else { 2_000_000 })
        }
        Some(_) => return None,
    };
    let (body, key) = digits.split_at_checked(13)?;
    let rest = (remainder(body, 97) + 97 - less % 97) % 97;
    let month = number(digits.get(3..5)?);
    let sex = matches!(digits, [1 | 2 | 3 | 4 | 7 | 8, ..]);
    Some(sex && matches!(month, 1..=12 | 20..=42 | 50..=99) && 97 - rest == number(key))
}

/// MSWiA, PESEL: the month carries the century.
fn pl_pesel(digits: [u8; 11]) -> bool {
    let [_, _, a, b, c, d, ..] = digits;
    weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
        && is_date(number(&[c, d]), number(&[a, b]) % 20)
}

/// Ministerstwo Finansow, NIP.
fn pl_nip(digits: [u8; 10]) -> bool {
    let [.., check] = digits;
    weighted(&digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == u32::from(check) && !is_constant(&digits)
}

/// Rijksdienst voor Identiteitsgegevens, burgerservicenummer: the "eleven test", in which the last digit counts negative.
fn nl_bsn(digits: [u8; 9]) -> bool {
    weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2, 10]).is_multiple_of(11) && !is_constant(&digits)
}

/// Rijksregister, numero national: 97 less the number modulo 97, with a 2 before it for those born since 2000.
fn be_nn(digits: [u8; 11]) -> bool {
    let [a, b, c, d, e, f, g, h, i, check @ ..] = digits;
    let body = [2, a, b, c, d, e, f, g, h, i];
    let old = body.get(1..).map_or(0, |body| remainder(body, 97));
    let check = number(&check);
    number(&[c, d]) % 20 <= 12
        && number(&[e, f]) <= 31
        && (97 - old == check || 97 - remainder(&body, 97) == check)
}

/// Autoridade Tributaria, NIF.
fn pt_nif(digits: [u8; 9]) -> bool {
    let [first, .., check] = digits;
    let rest = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let wanted = if rest < 2 { 0 } else { 11 - rest };
    !matches!(first, 0 | 4) && wanted == u32::from(check)
}

/// Zentrale Ausgleichsstelle, AHV number: an EAN-13 with the country code 756.
fn ch_ahv(digits: [u8; 13]) -> bool {
    matches!(digits, [7, 5, 6, ..])
        && weighted(&digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Skatteetaten, fodselsnummer: two check digits modulo 11; 40 is added to the day of those without citizenship.
fn no_fnr(digits: [u8; 11]) -> bool {
    let [a, b, c, d, ..] = digits;
    weighted(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
        && is_date(number(&[a, b]) % 40, number(&[c, d]) % 40)
}

/// CPR-kontoret: a date and four digits, without a check digit since 2007.
fn dk_cpr(digits: [u8; 10]) -> bool {
    let [a, b, c, d, ..] = digits;
    is_date(number(&[a, b]), number(&[c, d]))
}

/// Directia pentru Evidenta Persoanelor, CNP.
fn ro_cnp(digits: [u8; 13]) -> bool {
    let [first, _, _, a, b, c, d, .., check] = digits;
    let rest = weighted(&digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    first != 0
        && is_date(number(&[c, d]), number(&[a, b]))
        && (if rest == 10 { 1 } else { rest }) == u32::from(check)
}

/// Zakon 133/2000 Sb., rodne cislo: a multiple of 11; women have 50 added to the month, and 20 may be added to either.
fn cz_rc(digits: [u8; 10]) -> bool {
    let [_, _, a, b, c, d, ..] = digits;
    remainder(&digits, 11) == 0 && is_date(number(&[c, d]), number(&[a, b]) % 50 % 20)
}

/// Skatteverket, personnummer: Luhn over the last ten digits; 60 is added to the day of a coordination number.
fn se_pnr(matched: &[u8]) -> Option<bool> {
    let digits = exactly::<10>(matched).or_else(|| {
        let [_, _, digits @ ..] = exactly::<12>(matched)?;
        Some(digits)
    })?;
    let [_, _, a, b, c, d, ..] = digits;
    Some(luhn(&digits).is_multiple_of(10) && is_date(number(&[c, d]) % 60, number(&[a, b])))
}

/// Receita Federal, CPF: two check digits modulo 11.
fn br_cpf(digits: [u8; 11]) -> bool {
    let [.., first, second] = digits;
    let check = |sum: u32| sum * 10 % 11 % 10;
    !is_constant(&digits)
        && check(weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(first)
        && check(weighted(&digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(second)
}

/// Receita Federal, CNPJ: two check digits modulo 11.
fn br_cnpj(digits: [u8; 14]) -> bool {
    let [.., first, second] = digits;
    let check = |sum: u32| sum * 10 % 11 % 10;
    !is_constant(&digits)
        && check(weighted(&digits, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(first)
        && check(weighted(&digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(second)
}

/// UIDAI: Verhoeff; the first digit is 2 to 9, and none is a palindrome.
fn in_aadhaar(digits: [u8; 12]) -> bool {
    let [first, ..] = digits;
    first > 1 && !digits.iter().eq(digits.iter().rev()) && verhoeff(&digits)
}

/// Australian Taxation Office, tax file number.
fn au_tfn(digits: [u8; 9]) -> bool {
    weighted(&digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !is_constant(&digits)
}

/// Australian Business Register, ABN: modulo 89, after one is taken from the first digit.
fn au_abn(digits: [u8; 11]) -> bool {
    let [first, ..] = digits;
    let sum = weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    first != 0 && sum.saturating_sub(10).is_multiple_of(89)
}

/// Service Canada, social insurance number: Luhn; 0 and 8 begin none.
fn ca_sin(digits: [u8; 9]) -> bool {
    !matches!(digits, [0 | 8, ..]) && luhn(&digits).is_multiple_of(10)
}

/// Ministry of the Interior and Safety, resident registration number; without check digit for those registered since October 2020.
fn kr_rrn(digits: [u8; 13]) -> bool {
    let [y, z, a, b, c, d, sex, .., check] = digits;
    let sum = weighted(&digits, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    let unchecked = matches!(sex, 3 | 4 | 7 | 8) && number(&[y, z]) >= 20;
    (1..=8).contains(&sex)
        && is_date(number(&[c, d]), number(&[a, b]))
        && (unchecked || (11 - sum % 11) % 10 == u32::from(check) || (13 - sum % 11) % 10 == u32::from(check))
}

/// Ministry of Internal Affairs and Communications, individual number.
fn jp_my_number(digits: [u8; 12]) -> bool {
    let [.., check] = digits;
    let rest = weighted(&digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == u32::from(check) && !is_constant(&digits)
}

/// Department of Home Affairs: date, sequence, citizenship, Luhn.
fn za_id(digits: [u8; 13]) -> bool {
    let [_, _, a, b, c, d, _, _, _, _, citizen, ..] = digits;
    citizen < 3 && is_date(number(&[c, d]), number(&[a, b])) && luhn(&digits).is_multiple_of(10)
}

/// Nufus ve Vatandaslik Isleri: two check digits modulo 10.
fn tr_id(digits: [u8; 11]) -> bool {
    let [first, .., check, last] = digits;
    let (odd, even) =
        (weighted(&digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]), weighted(&digits, &[0, 1, 0, 1, 0, 1, 0, 1]));
    // A multiple of ten is added, so that the difference is not negative.
    first != 0
        && (odd * 7 + 90 - even) % 10 == u32::from(check)
        && (odd + even + u32::from(check)) % 10 == u32::from(last)
}

/// Department of Provincial Administration: modulo 11.
fn th_id(digits: [u8; 13]) -> bool {
    let [first, .., check] = digits;
    let sum = weighted(&digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    !matches!(first, 0 | 9) && (11 - sum % 11) % 10 == u32::from(check)
}

/// GB 11643-1999: ISO 7064 MOD 11-2 with X for ten, and the date of birth.
fn cn_id(matched: &[u8]) -> Option<bool> {
    let (&last, body) = matched.split_last()?;
    let digits = exactly::<17>(body)?;
    let [_, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] = digits;
    let rest = weighted(&digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    let wanted = b"10X98765432".get(usize::try_from(rest).ok()?)?;
    Some(is_date(number(&[c, d]), number(&[a, b])) && last.to_ascii_uppercase() == *wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that authorities publish as examples, or made up to their rules; none was given to anybody.
    const VALID: [(Scheme, &str); 38] = [
        (Scheme::UsAba, "021000021"),
        (Scheme::UsNpi, "1234567893"),
        (Scheme::UkNhs, "943 476 5919"),
        (Scheme::DeTaxId, "86 095 742 719"),
        (Scheme::DeIdCard, "T220001293"),
        (Scheme::FrNir, "2 55 08 14 168 025 38"),
        (Scheme::EsNif, "12345678Z"),
        (Scheme::EsNif, "X-1234567-L"),
        (Scheme::EsNif, "1111111-G"),
        (Scheme::ItFiscalCode, "RSSMRA85T10A562S"),
        (Scheme::PlPesel, "44051401458"),
        (Scheme::PlNip, "123-456-32-18"),
        (Scheme::NlBsn, "111222333"),
        (Scheme::BeNn, "85.07.30-033.28"),
        (Scheme::PtNif, "501964843"),
        (Scheme::ChAhv, "756.9217.0769.85"),
        (Scheme::NoFnr, "15078500007"),
        (Scheme::RoCnp, "1800101221144"),
        (Scheme::CzRc, "736028/1005"),
        (Scheme::SePnr, "19811228-9874"),
        (Scheme::FiHetu, "131052-308T"),
        (Scheme::BrCpf, "529.982.247-25"),
        (Scheme::BrCnpj, "11.222.333/0001-81"),
        (Scheme::MxCurp, "HEGG560427MVZRRL04"),
        (Scheme::InAadhaar, "2341 2341 2346"),
        (Scheme::AuTfn, "123 456 782"),
        (Scheme::AuAbn, "51 824 753 556"),
        (Scheme::CaSin, "130 692 544"),
        (Scheme::KrRrn, "900101-1234568"),
        (Scheme::JpMyNumber, "1234 5678 9018"),
        (Scheme::CnId, "11010519491231002X"),
        (Scheme::SgNric, "S1234567D"),
        (Scheme::ThId, "1-1017-00230-70-8"),
        (Scheme::ZaId, "8001015009087"),
        (Scheme::TrId, "10000000146"),
        (Scheme::HkId, "A123456(3)"),
        (Scheme::HkId, "AB987654(3)"),
        (Scheme::TwId, "A123456789"),
    ];

    #[test]
    fn published_numbers_hold_and_hardly_any_changed_one_does() {
        for (scheme, text) in VALID {
            assert!(holds(scheme, text.as_bytes()), "{scheme:?}");
            let (mut changed, mut passed) = (0, 0);
            for at in (0..text.len()).filter(|&at| text.as_bytes()[at].is_ascii_digit()) {
                for digit in b'0'..=b'9' {
                    let mut other = text.as_bytes().to_vec();
                    if std::mem::replace(&mut other[at], digit) != digit {
                        changed += 1;
                        passed += u32::from(holds(scheme, &other));
                    }
                }
            }
            // Fields that are left out of a sum, and new centuries, let a few through.
            assert!(passed * 6 <= changed, "{scheme:?}: {passed} of {changed}");
        }
    }

    #[test]
    fn numbers_of_another_length_never_hold() {
        for (scheme, text) in VALID {
            let bytes = text.as_bytes();
            let longer = [bytes, b"1"].concat();
            for other in [b"", b"1".as_slice(), &bytes[1..], &bytes[..bytes.len() - 1], &longer, &[b'1'; 128]]
            {
                // Of twelve digits of a personnummer, or thirteen characters with its sign, ten decide; a NIF may be written
                // without its first zero.
                let is_shorter = matches!(scheme, Scheme::SePnr | Scheme::EsNif);
                assert!(!holds(scheme, other) || is_shorter, "{scheme:?}");
            }
        }
    }

    #[test]
    fn births_have_dates() {
        for (scheme, good, bad) in [
            (Scheme::DkCpr, "010203-1234", "320203-1234"),
            (Scheme::KrRrn, "210101-3000000", "211301-3000000"),
            (Scheme::NoFnr, "15078500007", "15138500007"),
        ] {
            assert!(holds(scheme, good.as_bytes()) && !holds(scheme, bad.as_bytes()), "{scheme:?}");
        }
    }
}
