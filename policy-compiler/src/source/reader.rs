//! Reading nodes as fields, words, numbers with units and lists, with the diagnostics all sections share.

use super::yaml::{Entry, Kind, Node, Scalar};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Spanned, Text, did_you_mean, listing};

/// An entry of a section whose keys are names.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// The name.
    pub name: Text,
    /// What it names.
    pub body: T,
}

/// The keys of one closed object: whatever nobody takes is unknown.
#[derive(Debug)]
pub struct Fields<'n> {
    what: String,
    span: Span,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens `node` as the closed object that `what` describes.
    pub fn open(node: &'n Node, what: &str, out: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            Kind::Map(entries) => Some(Fields {
                what: what.to_owned(),
                span: node.span,
                entries,
                asked: Vec::new(),
                missing: Vec::new(),
            }),
            _ => {
                out.push(wrong_type(node, "keys and values"));
                None
            }
        }
    }

    /// The value of `key`, if it is written.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key`, with the place of the key.
    pub fn entry(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// The value of `key`, whose absence is an error. It is reported by [`Fields::close`], unless a misspelt key explains it.
    pub fn require(&mut self, key: &'static str) -> Option<&'n Node> {
        let found = self.take(key);
        if found.is_none() {
            self.missing.push(key);
        }
        found
    }

    /// A key of the language that this compiler does not build yet: refused, never ignored.
    pub fn not_yet(&mut self, key: &'static str, out: &mut Diagnostics) {
        if let Some(entry) = self.entry(key) {
            out.push(not_yet(entry.key.span, &format!("`{key}`")));
        }
    }

    /// A section whose keys are names.
    pub fn named<T>(
        &mut self,
        key: &'static str,
        read: fn(&Node, &Text, &mut Diagnostics) -> T,
        out: &mut Diagnostics,
    ) -> Vec<Named<T>> {
        self.take(key).map(|node| named(node, read, out)).unwrap_or_default()
    }

    /// As [`Fields::named`], with at least one entry.
    pub fn require_named<T>(
        &mut self,
        key: &'static str,
        read: fn(&Node, &Text, &mut Diagnostics) -> T,
        out: &mut Diagnostics,
    ) -> Vec<Named<T>> {
        self.require(key).map(|node| named(node, read, out)).unwrap_or_default()
    }

    /// Where the object begins: its first key.
    #[must_use]
    pub fn beginning(&self) -> Span {
        self.entries.first().map_or(self.span, |entry| entry.key.span)
    }

    /// Whether a key was written, without taking it.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key.value == key)
    }

    /// Reports every key that nobody asked for, and every required one that is absent.
    pub fn close(self, out: &mut Diagnostics) {
        let mut explained = Vec::new();
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.value.as_str())) {
            let key = &entry.key;
            let diagnostic = Diagnostic::at(Code::E0203, key.span, format!("unknown key `{}`", key.value));
            let meant = self.meant(key);
            explained.extend(meant);
            out.push(match meant {
                Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
                None => {
                    diagnostic.help(format!("{} has: {}", self.what, listing(self.asked.iter().copied())))
                }
            });
        }
        self.report_missing(&explained, out);
    }

    /// Gives up on an object whose other keys cannot be judged: only what is absent is reported.
    pub fn abandon(self, out: &mut Diagnostics) {
        self.report_missing(&[], out);
    }

    /// The key that was probably meant: one that exists and is not written.
    fn meant(&self, key: &Text) -> Option<&'static str> {
        did_you_mean(&key.value, self.asked.iter().copied().filter(|known| !self.has(known)))
    }

    fn report_missing(&self, explained: &[&str], out: &mut Diagnostics) {
        for key in self.missing.iter().filter(|key| !explained.contains(key)) {
            let message = format!("{} needs `{key}`", self.what);
            out.push(Diagnostic::at(Code::E0202, self.beginning(), message));
        }
    }
}

/// "… is not supported yet".
pub fn not_yet(span: Span, what: &str) -> Diagnostic {
    Diagnostic::at(Code::E0901, span, format!("{what} is not supported yet"))
        .note("it is part of the language, and ignoring it would change what the policy means")
}

/// A word outside its closed set.
pub fn not_understood<'a>(
    text: &Text,
    what: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let diagnostic =
        Diagnostic::at(Code::E0205, text.span, format!("{what} `{}` does not exist", text.value));
    match did_you_mean(&text.value, known.clone()) {
        Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
        None => diagnostic.help(format!("known: {}", listing(known))),
    }
}

/// A node of another shape than expected.
pub fn wrong_type(node: &Node, expected: &str) -> Diagnostic {
    let found = match &node.kind {
        Kind::Null => "nothing",
        Kind::Scalar(_) => "a single value",
        Kind::List(_) => "a list",
        Kind::Map(_) => "keys and values",
    };
    Diagnostic::at(Code::E0201, node.span, format!("expected {expected}, found {found}"))
}

/// A scalar.
pub fn scalar<'n>(node: &'n Node, expected: &str, out: &mut Diagnostics) -> Option<&'n Scalar> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar),
        _ => {
            out.push(wrong_type(node, expected));
            None
        }
    }
}

/// A text that is not empty.
pub fn text(node: &Node, out: &mut Diagnostics) -> Option<Text> {
    let scalar = scalar(node, "a text", out)?;
    if scalar.text.is_empty() {
        out.push(Diagnostic::at(Code::E0209, node.span, "an empty text says nothing"));
        return None;
    }
    Some(Text::new(scalar.text.clone(), node.span))
}

/// A word of a closed set.
pub fn word(node: &Node, out: &mut Diagnostics) -> Option<Text> {
    scalar(node, "a word", out).map(|scalar| Text::new(scalar.text.clone(), node.span))
}

/// A name: lower-case letters, digits, `-` and `_`, beginning with a letter.
pub fn name(node: &Node, out: &mut Diagnostics) -> Option<Text> {
    let text = text(node, out)?;
    check_name(&text, false, out).then_some(text)
}

/// Whether `text` can be a name; dots are for tags.
pub fn check_name(text: &Text, dots: bool, out: &mut Diagnostics) -> bool {
    let inner = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || byte == b'-'
            || byte == b'_'
            || (dots && byte == b'.')
    };
    let first = text.value.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let usable =
        first && text.value.len() <= 64 && text.value.bytes().all(inner) && !text.value.ends_with('.');
    if !usable {
        let also = if dots { ", `-`, `_` and `.`" } else { ", `-` and `_`" };
        out.push(Diagnostic::at(Code::E0208, text.span, format!("`{}` cannot be a name", text.value)).help(
            format!(
                "a name has lower-case letters, digits{also}, begins with a letter and has at most 64 bytes"
            ),
        ));
    }
    usable
}

/// A section whose keys are names; entries with unusable names are reported and kept, so that references to them are right.
pub fn named<T>(
    node: &Node,
    read: fn(&Node, &Text, &mut Diagnostics) -> T,
    out: &mut Diagnostics,
) -> Vec<Named<T>> {
    let Kind::Map(entries) = &node.kind else {
        out.push(wrong_type(node, "names and what they mean"));
        return Vec::new();
    };
    entries
        .iter()
        .map(|entry| Named { name: entry.key.clone(), body: read(&entry.value, &entry.key, out) })
        .collect()
}

/// A list of whatever `read` reads.
pub fn list<T>(
    node: &Node,
    mut read: impl FnMut(&Node, &mut Diagnostics) -> Option<T>,
    out: &mut Diagnostics,
) -> Vec<T> {
    match &node.kind {
        Kind::List(items) if items.is_empty() => {
            out.push(Diagnostic::at(Code::E0209, node.span, "an empty list says nothing"));
            Vec::new()
        }
        Kind::List(items) => items.iter().filter_map(|item| read(item, out)).collect(),
        _ => {
            out.push(wrong_type(node, "a list"));
            Vec::new()
        }
    }
}

/// A list of texts; the same text twice is an error.
pub fn texts(node: &Node, out: &mut Diagnostics) -> Vec<Text> {
    let items = list(node, text, out);
    let mut kept: Vec<Text> = Vec::with_capacity(items.len());
    for item in items {
        match kept.iter().find(|first| first.value == item.value) {
            Some(first) => out.push(
                Diagnostic::at(Code::E0204, item.span, format!("`{}` is written twice", item.value))
                    .also(first.span, "first written here"),
            ),
            None => kept.push(item),
        }
    }
    kept
}

/// `true` or `false`, and no other word for them.
pub fn boolean(node: &Node, out: &mut Diagnostics) -> Option<bool> {
    let scalar = scalar(node, "`true` or `false`", out)?;
    match (scalar.plain, scalar.text.as_str()) {
        (true, "true") => Some(true),
        (true, "false") => Some(false),
        _ => {
            let message = format!("expected `true` or `false`, found `{}`", scalar.text);
            out.push(Diagnostic::at(Code::E0201, node.span, message));
            None
        }
    }
}

/// A whole number without unit within `least..=most`.
pub fn number(node: &Node, least: u64, most: u64, out: &mut Diagnostics) -> Option<Spanned<u64>> {
    let scalar = scalar(node, "a number", out)?;
    let digits = scalar.plain && scalar.text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (scalar.text.len() == 1 || !scalar.text.starts_with('0'));
    let value = if canonical { scalar.text.parse::<u64>().ok() } else { None };
    ranged(node, value, &scalar.text, "a whole number", (least, most), "", out)
}

/// A size: digits and `B`, `KiB` or `MiB`; the value in bytes, within `least..=most`.
pub fn size(node: &Node, least: u64, most: u64, out: &mut Diagnostics) -> Option<Spanned<u64>> {
    let units = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("B", 1)];
    measure(node, &units, "a size with a unit, such as `512B` or `64KiB`", (least, most), "B", out)
}

/// A duration: digits and `s`, `m`, `h` or `d`; the value in seconds, within `least..=most`.
pub fn duration(node: &Node, least: u64, most: u64, out: &mut Diagnostics) -> Option<Spanned<u64>> {
    let units = [("s", 1_u64), ("m", 60), ("h", 3600), ("d", 86_400)];
    measure(node, &units, "a duration with a unit, such as `30s` or `15m`", (least, most), "s", out)
}

fn measure(
    node: &Node,
    units: &[(&str, u64)],
    expected: &str,
    range: (u64, u64),
    unit: &str,
    out: &mut Diagnostics,
) -> Option<Spanned<u64>> {
    let scalar = scalar(node, expected, out)?;
    let value = units.iter().find_map(|(suffix, factor)| {
        let digits = scalar.text.strip_suffix(suffix)?;
        let usable = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        usable.then(|| digits.parse::<u64>().ok())?.and_then(|count| count.checked_mul(*factor))
    });
    ranged(node, value, &scalar.text, expected, range, unit, out)
}

fn ranged(
    node: &Node,
    value: Option<u64>,
    written: &str,
    expected: &str,
    (least, most): (u64, u64),
    unit: &str,
    out: &mut Diagnostics,
) -> Option<Spanned<u64>> {
    match value {
        Some(value) if (least..=most).contains(&value) => Some(Spanned::new(value, node.span)),
        Some(_) => {
            let message = format!("`{written}` is outside {least}{unit} to {most}{unit}");
            out.push(Diagnostic::at(Code::E0206, node.span, message));
            None
        }
        None => {
            out.push(Diagnostic::at(
                Code::E0206,
                node.span,
                format!("expected {expected}, found `{written}`"),
            ));
            None
        }
    }
}
