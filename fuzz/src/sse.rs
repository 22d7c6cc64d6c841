//! A reader of event streams (WHATWG HTML, section 9.2.6), written for clarity and from the standard alone.

/// A dispatched event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `event:`.
    pub name: Vec<u8>,
    /// The joined `data:` lines.
    pub data: Vec<u8>,
    /// The last event id when it was dispatched.
    pub id: Vec<u8>,
}

/// Every event that a browser would dispatch.
pub fn events(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let (mut events, mut event, mut id) = (Vec::new(), Event::default(), Vec::new());
    for line in lines(stream) {
        if line.is_empty() {
            if !event.data.is_empty() {
                event.data.pop();
                event.id = id.clone();
                events.push(std::mem::take(&mut event));
            }
            event = Event::default();
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (field, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => event.name = value.to_vec(),
            b"data" => {
                event.data.extend_from_slice(value);
                event.data.push(b'\n');
            }
            b"id" if !value.contains(&0) => id = value.to_vec(),
            _ => {}
        }
    }
    events
}

/// Complete lines; what follows the last line end is not a line yet.
fn lines(mut text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = text.iter().position(|&byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&text[..end]);
        let length = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        text = &text[end + length..];
    }
    lines
}
