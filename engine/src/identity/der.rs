//! ECDSA signatures in the form that most libraries ask for: ASN.1 DER instead of the raw pair of a JWS.

/// DER tags (ITU-T X.690).
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// `ECDSA-Sig-Value` (RFC 3279 section 2.2.3) of a raw `r || s` (RFC 7518 section 3.4); `None` if the halves are not of equal length or too
/// long for a short form.
#[must_use]
pub fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(raw.len() / 2).filter(|(r, s)| r.len() == s.len())?;
    let body = [integer(r)?, integer(s)?].concat();
    let mut der = vec![SEQUENCE];
    length(body.len(), &mut der)?;
    der.extend_from_slice(&body);
    Some(der)
}

/// A non-negative integer: no leading zeros but the one that keeps the sign.
fn integer(bytes: &[u8]) -> Option<Vec<u8>> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..)?;
    let sign = digits.first().is_none_or(|top| *top >= 0x80);
    let mut der = vec![INTEGER];
    length(digits.len() + usize::from(sign), &mut der)?;
    der.extend(sign.then_some(0));
    der.extend_from_slice(digits);
    Some(der)
}

/// Up to 255: what two halves of P-521 need.
fn length(length: usize, der: &mut Vec<u8>) -> Option<()> {
    let byte = u8::try_from(length).ok()?;
    der.extend((byte >= 0x80).then_some(0x81));
    der.push(byte);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_integers() {
        assert_eq!(ecdsa_signature(&[1, 2]).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 2]);
        // A set top bit gets a sign byte, leading zeros go, zero is one byte.
        assert_eq!(ecdsa_signature(&[0x80, 0x7f]).unwrap(), [0x30, 7, 2, 2, 0, 0x80, 2, 1, 0x7f]);
        assert_eq!(ecdsa_signature(&[0, 5, 0, 0]).unwrap(), [0x30, 6, 2, 1, 5, 2, 1, 0]);
        assert_eq!(ecdsa_signature(&[1, 2, 3]), None);
    }

    #[test]
    fn long_ones_have_a_long_length() {
        let der = ecdsa_signature(&[0xff; 132]).unwrap();
        assert_eq!(der.get(..4).unwrap(), [0x30, 0x81, 138, 2]);
        assert_eq!(ecdsa_signature(&[0xff; 600]), None);
    }
}
