//! Recorded traffic with planted values, and the check that none of them comes out.
//!
//! Shared with the benchmarks through Envoy, which include this file: both measure the same bodies.

/// What is planted: made up, one value for each family of the default packs. No six bytes in a row of any of them are in
/// the recordings, which [`Body::check_clean`] proves before anything is measured.
pub const VALUES: [&str; 5] = [
    "zoqvix.qumbra@plovzet.test",
    "4111 1111 1111 1111",
    "519-12-1204",
    "AKIAQZXJVBWMKPLTYHGD",
    "sk-ant-api03-qZxJvBwMkPlTyHgD_0246813579",
];

/// Six bytes of a value are a leak.
const PIECE: usize = 6;
/// One planted value for about this many bytes of a document, and for this many events of a stream.
const BYTES_PER_VALUE: usize = 4_096;
const EVENTS_PER_VALUE: usize = 20;
/// Members that hold model text in the recorded streams.
const TEXTS: [&str; 3] = ["\"content\":\"", "\"reasoning_content\":\"", "\"reasoning\":\""];

const STREAMS: [&str; 2] = [
    include_str!("../../tests/data/llm/openai-chat.deepseek.sse"),
    include_str!("../../tests/data/llm/openai-chat.groq.sse"),
];
const DOCUMENTS: [&str; 2] = [
    include_str!("../../tests/data/llm/openai-chat.json"),
    include_str!("../../tests/data/llm/anthropic-messages.json"),
];

/// Something in the recordings is not as the benchmarks need it, or a value came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static str);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Fault {}

/// A body with planted values.
#[derive(Clone, Debug)]
pub struct Body {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many values are in it.
    pub planted: usize,
}

impl Body {
    fn new(text: &str, planted: usize) -> Result<Body, Fault> {
        if planted == 0 {
            return Err(Fault("nothing was planted"));
        }
        Ok(Body { bytes: text.as_bytes().to_vec(), planted })
    }

    /// The recordings alone hold no piece of a value, so whatever is found later was planted.
    pub fn check_clean(text: &str) -> Result<(), Fault> {
        if is_leaking(text.as_bytes()) {
            Err(Fault("a recording holds a piece of a planted value"))
        } else {
            Ok(())
        }
    }
}

/// Is a piece of a planted value in these bytes?
#[must_use]
pub fn is_leaking(bytes: &[u8]) -> bool {
    let mut pieces = VALUES.iter().flat_map(|value| value.as_bytes().windows(PIECE));
    pieces.any(|piece| memchr::memmem::find(bytes, piece).is_some())
}

/// Two recorded chat streams; planted values are cut in two by an event border.
pub fn streams() -> Result<Vec<Body>, Fault> {
    STREAMS.iter().map(|recorded| stream(recorded)).collect()
}

fn stream(recorded: &str) -> Result<Body, Fault> {
    Body::check_clean(recorded)?;
    let (mut out, mut planted, mut events) = (String::new(), 0, 0);
    // The rest of a value, for the next fragment of the same member.
    let mut rest: Option<(&str, &str)> = None;
    for line in recorded.split_inclusive('\n') {
        let Some((member, [before, text, after])) =
            TEXTS.iter().find_map(|member| Some((*member, around(line, member)?)))
        else {
            out.push_str(line);
            continue;
        };
        events += 1;
        let (mut head, mut tail) = ("", "");
        if let Some((wanted, piece)) = rest
            && wanted == member
        {
            head = piece;
            rest = None;
        } else if rest.is_none() && events % EVENTS_PER_VALUE == EVENTS_PER_VALUE / 2 {
            let value = VALUES.get(planted % VALUES.len()).copied().unwrap_or_default();
            let (first, second) = value.split_at_checked(value.len() / 2).ok_or(Fault("values are ASCII"))?;
            tail = first;
            rest = Some((member, second));
            planted += 1;
        }
        let space = |piece: &str| if piece.is_empty() { "" } else { " " };
        out.extend([before, head, space(head), text, space(tail), tail, after]);
    }
    // A value that never got its second half would be no value.
    if rest.is_some() {
        return Err(Fault("a planted value was not completed"));
    }
    Body::new(&out, planted)
}

/// What is before the text of a member, the text, and what is after it.
fn around<'l>(line: &'l str, member: &str) -> Option<[&'l str; 3]> {
    let (before, rest) = line.split_at_checked(line.find(member)? + member.len())?;
    let (text, after) = rest.split_at_checked(string_end(rest)?)?;
    Some([before, text, after])
}

/// Length of the string that begins here, up to its closing quote.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// Two recorded answers, with values planted into their strings.
pub fn documents() -> Result<Vec<Body>, Fault> {
    DOCUMENTS.iter().map(|recorded| document(recorded)).collect()
}

/// At the end of strings that are values, one for about every four KiB.
fn document(recorded: &str) -> Result<Body, Fault> {
    const CUT: Fault = Fault("a string is cut inside a character");
    Body::check_clean(recorded)?;
    let (mut out, mut planted, mut since, mut rest) = (String::new(), 0, 0, recorded);
    while let Some(quote) = rest.find('"') {
        let begin = quote + 1;
        let end = begin + rest.get(begin..).and_then(string_end).ok_or(Fault("a string without an end"))?;
        out.push_str(rest.get(..end).ok_or(CUT)?);
        let after = rest.get(end..).ok_or(CUT)?;
        since += end;
        let is_key = after.get(1..).is_some_and(|text| text.trim_start().starts_with(':'));
        if !is_key && since >= BYTES_PER_VALUE {
            out.push(' ');
            out.push_str(VALUES.get(planted % VALUES.len()).copied().unwrap_or_default());
            planted += 1;
            since = 0;
        }
        let (closing, next) = after.split_at_checked(1).ok_or(CUT)?;
        out.push_str(closing);
        rest = next;
    }
    out.push_str(rest);
    Body::new(&out, planted)
}

/// One long string: the longest recorded answer as text, again and again, in a document of about `size` bytes.
pub fn long_text(size: usize) -> Result<Body, Fault> {
    let answer = prose()?;
    let (mut text, mut planted) = (String::new(), 0);
    while text.len() < size {
        text.push_str(&answer);
        text.push(' ');
        text.push_str(VALUES.get(planted % VALUES.len()).copied().unwrap_or_default());
        text.push(' ');
        planted += 1;
    }
    Body::new(&serde_json::json!({ "text": text }).to_string(), planted)
}

/// The text of the longest recorded answer.
pub fn prose() -> Result<String, Fault> {
    let recorded = DOCUMENTS.first().ok_or(Fault("no document"))?;
    Body::check_clean(recorded)?;
    let document: serde_json::Value =
        serde_json::from_str(recorded).map_err(|_| Fault("a recording is not JSON"))?;
    let text = document.pointer("/choices/0/message/reasoning").and_then(serde_json::Value::as_str);
    text.map(str::to_owned).ok_or(Fault("no answer in the recording"))
}
