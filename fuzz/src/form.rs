//! A reader of forms (WHATWG URL, section 5.1).

/// The fields: names, and values where there is a `=`. Nothing is decoded.
pub fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    form.split(|byte| *byte == b'&').map(|field| match field.iter().position(|byte| *byte == b'=') {
        Some(at) => (&field[..at], Some(&field[at + 1..])),
        None => (field, None),
    })
}

/// What is written in percent-encoding, with `+` for a blank.
pub fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match (byte, digit(at), digit(at + 1)) {
            (b'+', ..) => out.push(b' '),
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two digits"));
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    out
}
