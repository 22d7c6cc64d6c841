//! Bodies that are made to be slow: text that keeps as many candidates alive as it can, and JSON of the worst shapes.
//!
//! Shared with the test that counts the steps of a scan and with the benchmarks through Envoy, which include this file.

use veilwire_engine::format::Format;

/// A body of the size that is asked for, made of one thing again and again.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// A word for tables and files.
    pub name: &'static str,
    /// What the body is.
    pub format: Format,
    before: &'static str,
    unit: &'static str,
    after: &'static str,
}

/// Text whose every period begins candidates that live long, or that a validator has to judge.
pub const TEXTS: [(&str, &str); 18] = [
    ("sk-sk-", "sk-sk-"),
    ("sk-ant-a1b-", "sk-ant-a1b-"),
    ("sk-proj-", "sk-proj-"),
    ("a-a-", "a-a-"),
    ("a@", "a@"),
    ("a@a.", "a@a."),
    ("a.a", "a.a@a.a.a."),
    ("GB82", "GB82 "),
    ("00:11:22:", "00:11:22:"),
    ("1.1.1.", "1.1.1."),
    ("4111-", "4111-"),
    ("4111", "4111 "),
    ("card", "4111 1111 1111 1111 "),
    ("2222222", "2 2222 "),
    ("222-22-2222-", "222-22-2222-"),
    ("2222", "2"),
    ("2-", "2-"),
    ("aaaa", "a"),
];

/// Shapes of JSON and of event streams.
const SHAPES: [Family; 8] = [
    Family { name: "deep", format: Format::Json, before: "[0", unit: DEEP, after: "]" },
    Family { name: "keys", format: Format::Json, before: "{\"\":0", unit: ",\"user_000\":1", after: "}" },
    Family { name: "strings", format: Format::Json, before: "[0", unit: ",\"\"", after: "]" },
    Family { name: "numbers", format: Format::Json, before: "[0", unit: ",4", after: "]" },
    Family { name: "escapes", format: Format::Json, before: "[\"", unit: "\\u0034\\u002d", after: "\"]" },
    Family {
        name: "nested",
        format: Format::Json,
        before: "[0",
        unit: ",\"{\\\"a\\\":[\\\"b\\\"]}\"",
        after: "]",
    },
    Family { name: "one_string", format: Format::Json, before: "{\"text\":\"", unit: "4111-", after: "\"}" },
    Family { name: "events", format: Format::Sse, before: "", unit: "data: {}\n\n", after: "" },
];

/// As deep as the default limit allows, inside an array.
const DEEP: &str = concat!(
    ",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
);

/// All families.
pub fn families() -> impl Iterator<Item = Family> {
    let text = |(name, unit)| Family { name, format: Format::Text, before: "", unit, after: "" };
    TEXTS.into_iter().map(text).chain(SHAPES)
}

impl Family {
    /// About `size` bytes of it, at least one period.
    #[must_use]
    pub fn body(&self, size: usize) -> Vec<u8> {
        let periods = (size / self.unit.len()).max(1);
        [self.before, &self.unit.repeat(periods), self.after].concat().into_bytes()
    }
}

/// A stream without an end: model text, event by event, line by line, as one string, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Events of a chat.
    Events,
    /// JSON documents, one a line.
    Lines,
    /// One JSON string.
    OneString,
    /// Plain text.
    Text,
}

impl Stream {
    /// All of them.
    pub const ALL: [Stream; 4] = [Stream::Events, Stream::Lines, Stream::OneString, Stream::Text];

    /// A word for tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Events => "sse",
            Stream::Lines => "ndjson",
            Stream::OneString => "one_string",
            Stream::Text => "text",
        }
    }

    /// What the body is.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Stream::Events => Format::Sse,
            Stream::Lines => Format::Lines,
            Stream::OneString => Format::Json,
            Stream::Text => Format::Text,
        }
    }

    /// About `size` bytes, in pieces as they might come; none of them is kept.
    pub fn pieces(self, size: usize) -> impl Iterator<Item = Vec<u8>> {
        /// Ends in the middle of what may become an address or a card.
        const WORDS: &str = "the customer ada.lovelace@example.com paid with 4111 1111 1111 1111 and 4000 12";
        let (before, piece, after) = match self {
            Stream::Events => (
                String::new(),
                format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{WORDS}\"}}}}]}}\n\n"),
                String::new(),
            ),
            Stream::Lines => (String::new(), format!("{{\"text\":\"{WORDS}\"}}\n"), String::new()),
            Stream::OneString => ("{\"text\":\"".to_owned(), WORDS.to_owned(), "\"}".to_owned()),
            Stream::Text => (String::new(), WORDS.to_owned(), String::new()),
        };
        let count = size / piece.len();
        let pieces = std::iter::repeat_n(piece.into_bytes(), count);
        std::iter::once(before.into_bytes()).chain(pieces).chain([after.into_bytes()])
    }
}
