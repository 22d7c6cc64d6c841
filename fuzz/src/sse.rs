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

/// What a browser makes of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Every event that it would dispatch.
    pub events: Vec<Event>,
    /// The values that its last event id takes, one after the other: a block without data sets it as well.
    pub ids: Vec<Vec<u8>>,
}

/// Every event that a browser would dispatch.
pub fn events(stream: &[u8]) -> Vec<Event> {
    read(stream).events
}

/// Reads a stream.
pub fn read(stream: &[u8]) -> Reading {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let (mut reading, mut event, mut id) = (Reading::default(), Event::default(), Vec::new());
    for line in lines(stream) {
        if line.is_empty() {
            if reading.ids.last() != Some(&id) {
                reading.ids.push(id.clone());
            }
            if !event.data.is_empty() {
                event.data.pop();
                event.id = id.clone();
                reading.events.push(std::mem::take(&mut event));
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
    reading
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
