//! Texts in deltas: however a text is cut into deltas and however the channels alternate, a client that joins them has the
//! same masked text, and no piece of a planted value, although no delta ever holds the whole value.

use crate::input::Input;
use crate::masking::{Case, run, run_every_way};
use crate::planted::{check_piece_free, value};
use veilwire_engine::format::Format;

/// A streaming API: how deltas are written, and how a client joins them.
pub trait Api {
    /// Route of a policy.
    fn route(&self) -> &'static str;

    fn format(&self) -> Format;

    /// How many texts an answer has.
    fn channels(&self) -> usize;

    /// A complete stream of these deltas. `style` chooses between ways to write the same.
    fn stream(&self, deltas: &[Delta], style: Input<'_>) -> Vec<u8>;

    /// The text of every channel. Panics where a client could not read the stream.
    fn joined(&self, stream: &[u8]) -> Vec<String>;
}

/// Some text of one channel.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Its place among the channels of the API.
    pub channel: usize,
    pub text: String,
}

const MAX_WORDS: usize = 24;
const WORDS: [&str; 20] = [
    "a",
    "ab ",
    "@",
    ".",
    "com",
    "4111",
    " ",
    "-",
    "\"",
    "\\",
    "\n",
    "é",
    "{",
    "}",
    "sk-",
    "12 ",
    "[1,",
    ":",
    "\u{1F511}",
    "\\u00",
];

/// Makes texts of the input, and cuts them as it says.
pub fn check(api: &dyn Api, mut input: Input<'_>) {
    let texts: Vec<Text> = (0..api.channels()).map(|_| Text::new(&mut input)).collect();
    let whole: Vec<Delta> =
        texts.iter().enumerate().map(|(channel, text)| Delta { channel, text: text.text.clone() }).collect();
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let dealt = deal(&texts, &mut input);
    let case = Case::response(api.route());

    let expected = run(&case.plan, api.format(), [api.stream(&whole, input).as_slice()]);
    let stream = api.stream(&dealt, input);
    let outcome = run_every_way(&case.plan, api.format(), &stream, cuts);
    assert_eq!(expected.result.is_ok(), outcome.result.is_ok(), "other deltas, another verdict");
    if !outcome.accepted() {
        return;
    }
    let (expected, found) = (api.joined(&expected.out), api.joined(&outcome.out));
    assert_eq!(expected, found, "other deltas, another masked text");
    for (text, shown) in texts.iter().zip(&found) {
        for value in &text.values {
            check_piece_free(value, shown.as_bytes(), text.rest.as_bytes());
        }
    }
}

/// A JSON string; some characters are written as escapes although they need not be.
pub fn literal(text: &str, style: &mut Input<'_>) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        let quoted = serde_json::Value::from(character.to_string()).to_string();
        match (style.byte() % 8, u16::try_from(u32::from(character))) {
            (1, Ok(unit)) => out += &format!("\\u{unit:04x}"),
            (2, Ok(unit)) => out += &format!("\\u{unit:04X}"),
            _ => out += &quoted[1..quoted.len() - 1],
        }
    }
    out + "\""
}

/// What is said on one channel.
struct Text {
    text: String,
    values: Vec<&'static str>,
    /// The text without the planted values.
    rest: String,
}

impl Text {
    fn new(input: &mut Input<'_>) -> Text {
        let mut made = Text { text: String::new(), values: Vec::new(), rest: String::new() };
        for _ in 0..usize::from(input.byte()) % MAX_WORDS {
            let choice = input.byte();
            if choice >= 0xE0 {
                let value = value(choice);
                made.text.push_str(&format!(" {value} "));
                made.rest.push('\0');
                made.values.push(value);
            } else {
                let word = WORDS[usize::from(choice) % WORDS.len()];
                made.text.push_str(word);
                made.rest.push_str(word);
            }
        }
        made
    }
}

/// The texts in pieces, the channels in any order.
fn deal(texts: &[Text], input: &mut Input<'_>) -> Vec<Delta> {
    let mut left: Vec<(usize, &str)> = texts.iter().map(|text| text.text.as_str()).enumerate().collect();
    let mut dealt = Vec::new();
    while !left.is_empty() {
        let index = usize::from(input.byte()) % left.len();
        // An input that has run out says everything at once.
        let length = if input.is_empty() { usize::MAX } else { usize::from(input.byte() % 12) };
        let (channel, text) = left[index];
        let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= length).unwrap_or(text.len());
        let (piece, rest) = text.split_at(end);
        dealt.push(Delta { channel, text: piece.to_owned() });
        if rest.is_empty() {
            left.remove(index);
        } else {
            left[index].1 = rest;
        }
    }
    dealt
}
