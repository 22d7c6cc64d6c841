//! A small YAML writer: ordered keys, one style, no surprises.
//!
//! Every string that is not obviously a plain word is written with double quotes and escapes.

use std::fmt::Write as _;

/// A value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yaml {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// Text.
    Text(String),
    /// A sequence; short ones of scalars are written on one line.
    List(Vec<Yaml>),
    /// A mapping, in this order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// A mapping from pairs.
    #[must_use]
    pub fn map<const N: usize>(pairs: [(&str, Yaml); N]) -> Yaml {
        Yaml::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// A sequence.
    pub fn list(items: impl IntoIterator<Item = Yaml>) -> Yaml {
        Yaml::List(items.into_iter().collect())
    }

    /// A sequence of texts.
    #[must_use]
    pub fn texts(items: &[&str]) -> Yaml {
        Yaml::list(items.iter().map(|item| Yaml::from(*item)))
    }

    /// An empty message.
    #[must_use]
    pub fn empty() -> Yaml {
        Yaml::Map(Vec::new())
    }

    /// Adds a key to a mapping; anything else stays as it is.
    #[must_use]
    pub fn with(mut self, key: &str, value: Yaml) -> Yaml {
        if let Yaml::Map(pairs) = &mut self {
            pairs.push((key.to_owned(), value));
        }
        self
    }

    /// Adds a key if there is a value.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<Yaml>) -> Yaml {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> String {
        let mut out = String::new();
        self.block(&mut out, 0);
        out
    }

    fn block(&self, out: &mut String, depth: usize) {
        match self {
            Yaml::Map(pairs) if !pairs.is_empty() => {
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 || out.ends_with('\n') {
                        indent(out, depth);
                    }
                    scalar(out, key);
                    out.push(':');
                    value.after_key(out, depth);
                }
            }
            Yaml::List(items) if !self.inline() => {
                for item in items {
                    indent(out, depth);
                    out.push_str("- ");
                    item.block(out, depth + 1);
                }
            }
            _ => {
                self.flow(out);
                out.push('\n');
            }
        }
    }

    fn after_key(&self, out: &mut String, depth: usize) {
        match self {
            Yaml::Map(pairs) if !pairs.is_empty() => {
                out.push('\n');
                self.block(out, depth + 1);
            }
            Yaml::List(_) if !self.inline() => {
                out.push('\n');
                self.block(out, depth);
            }
            _ => {
                out.push(' ');
                self.flow(out);
                out.push('\n');
            }
        }
    }

    /// Sequences of scalars stay on their line.
    fn inline(&self) -> bool {
        match self {
            Yaml::List(items) => items.iter().all(|item| !matches!(item, Yaml::List(_) | Yaml::Map(_))),
            _ => false,
        }
    }

    fn flow(&self, out: &mut String) {
        match self {
            Yaml::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Yaml::Number(value) => {
                let _ = write!(out, "{value}");
            }
            Yaml::Text(text) => scalar(out, text),
            Yaml::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.flow(out);
                }
                out.push(']');
            }
            Yaml::Map(_) => out.push_str("{}"),
        }
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Yaml {
        Yaml::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Yaml {
        Yaml::Text(text)
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Yaml {
        Yaml::Bool(value)
    }
}

impl From<u64> for Yaml {
    fn from(value: u64) -> Yaml {
        Yaml::Number(value)
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Plain only when no YAML reader could take it for anything but this text.
fn scalar(out: &mut String, text: &str) {
    const WORDS: &[&str] = &["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let first =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'/');
    let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte));
    if first && rest && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        out.push_str(text);
    } else {
        out.push('"');
        text.chars().for_each(|char| escape(out, char));
        out.push('"');
    }
}

/// Printable ASCII as it is; everything else as YAML's `\u` and `\U`, so that no reader meets a byte it may not accept.
fn escape(out: &mut String, char: char) {
    let code = u32::from(char);
    let _ = match char {
        '"' | '\\' => write!(out, "\\{char}"),
        ' '..='~' => write!(out, "{char}"),
        _ if code <= 0xFFFF => write!(out, "\\u{code:04X}"),
        _ => write!(out, "\\U{code:08X}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_a_yaml_reader_reads_back() {
        let document = Yaml::map([
            ("name", Yaml::from("a-b/c.d")),
            ("empty", Yaml::empty()),
            ("none", Yaml::list([])),
            (
                "words",
                Yaml::texts(&[
                    "h2",
                    "http/1.1",
                    "no",
                    "",
                    "0s",
                    "a: b",
                    "x\ny",
                    "ü\u{7f}\u{1F511}",
                    "a\"b\\c",
                    "*",
                ]),
            ),
            ("on", Yaml::from(true)),
            (
                "items",
                Yaml::list([Yaml::map([
                    ("a", Yaml::from(1_u64)),
                    ("b", Yaml::map([("c", Yaml::from(2_u64))])),
                ])]),
            ),
            ("nested", Yaml::list([Yaml::list([Yaml::map([("d", Yaml::from(3_u64))])])])),
        ]);
        let text = document.document();
        let read: serde_json::Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let expected = serde_json::json!({
            "name": "a-b/c.d", "empty": {}, "none": [],
            "words": ["h2", "http/1.1", "no", "", "0s", "a: b", "x\ny", "ü\u{7f}\u{1F511}", "a\"b\\c", "*"],
            "on": true,
            "items": [{"a": 1, "b": {"c": 2}}],
            "nested": [[{"d": 3}]],
        });
        assert_eq!(read, expected, "{text}");
    }
}
