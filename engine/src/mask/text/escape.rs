//! How text is written where not every byte means itself.

/// Inside of a JSON string (RFC 8259, section 7).
pub(in super::super) fn json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits(byte, b"0123456789abcdef"));
            }
            _ => out.push(byte),
        }
    }
    out
}

/// As a form writes it (WHATWG URL, section 5.2); what is left means itself in any part of a URL.
pub(super) fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend_from_slice(&digits(byte, b"0123456789ABCDEF"));
        }
    }
    out
}

/// In text and attributes of HTML.
pub(super) fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            _ => out.push(byte),
        }
    }
    out
}

fn digits(byte: u8, all: &[u8; 16]) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| all.get(usize::from(digit)).copied().unwrap_or(b'0'))
}
