//! A reader of multipart bodies (RFC 2046, section 5.1), for bodies that leave no doubt.

/// A part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Names and values of the lines of its head.
    pub head: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// The parts of a body; none if they are not where they should be.
pub fn read(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    if body.is_empty() {
        return Some(Vec::new());
    }
    let dashed = format!("--{boundary}");
    let line = format!("\r\n{dashed}");
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let mut rest = body.strip_prefix(dashed.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return end.trim_ascii().is_empty().then_some(parts);
        }
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let mut text = rest[blanks..].strip_prefix(b"\r\n")?;
        let mut head = Vec::new();
        loop {
            let end = find(text, b"\r\n")?;
            let (line, after) = (&text[..end], &text[end + 2..]);
            text = after;
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':')?;
            head.push((line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec()));
        }
        let end = find(text, line.as_bytes())?;
        parts.push(Part { head, body: text[..end].to_vec() });
        rest = &text[end + line.len()..];
    }
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    text.windows(piece.len()).position(|window| window == piece)
}
