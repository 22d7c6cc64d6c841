//! `spec.tags`: what a finding means, how bad it is, and what is written instead.

use super::choice;
use super::reader::{Fields, check_name, number, text};
use super::yaml::{Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use veilwire_engine::policy::model::{Canonical, Numbers, Severity};

/// One tag.
#[derive(Clone, Debug, Default)]
pub struct Tag {
    /// `severity`.
    pub severity: Option<Spanned<Severity>>,
    /// `replace: {placeholder}`, as written.
    pub placeholder: Option<Text>,
    /// What `replace` says beside it.
    pub how: Option<How>,
    /// `numbers`.
    pub numbers: Option<Numbers>,
    /// `replace` was written, readable or not.
    pub replaced: bool,
}

/// A replacement that is no fixed text.
#[derive(Clone, Debug)]
pub enum How {
    /// `partial`: characters that stay at the beginning and at the end, and how many `*` stand for the others.
    Partial {
        /// `keepFirst`.
        first: u8,
        /// `keepLast`.
        last: u8,
        /// `maskLength`.
        mask: Option<u8>,
    },
    /// `drop: {}`.
    Drop,
    /// `pseudonym: NAME`.
    Pseudonym(String),
    /// `tokenize: {key, prefix, canonical}`.
    Tokenize {
        /// Name of the key.
        key: Text,
        /// What tokens begin with.
        prefix: String,
        /// In which form values are compared.
        canonical: Canonical,
    },
    /// `shape: {key}`.
    Shape {
        /// Name of the key.
        key: Text,
    },
}

/// Reads one tag.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Tag {
    check_name(name, true, out);
    let mut tag = Tag::default();
    let Some(mut fields) = Fields::open(node, &format!("tag `{}`", name.value), out) else { return tag };
    let severities = [
        ("low", Severity::Low),
        ("medium", Severity::Medium),
        ("high", Severity::High),
        ("critical", Severity::Critical),
    ];
    tag.severity =
        fields.require("severity").and_then(|node| choice(node, "severity", &severities, &[], out));
    if let Some(node) = fields.take("replace") {
        tag.replaced = true;
        (tag.placeholder, tag.how) = read_replacement(node, out);
    }
    tag.numbers = fields.take("numbers").and_then(|node| read_numbers(node, out));
    fields.close(out);
    tag
}

fn read_numbers(node: &Node, out: &mut Diagnostics) -> Option<Numbers> {
    // The word, and not that nothing is written there.
    if matches!(node.kind, Kind::Null) && node.span.end > node.span.start {
        return Some(Numbers::Null);
    }
    let known = [("string", Numbers::String), ("zero", Numbers::Zero), ("null", Numbers::Null)];
    choice(node, "replacement of numbers", &known, &[], out).map(|numbers| numbers.value)
}

fn read_replacement(node: &Node, out: &mut Diagnostics) -> (Option<Text>, Option<How>) {
    let Some(mut fields) = Fields::open(node, "`replace`", out) else { return (None, None) };
    let kinds = ["partial", "drop", "pseudonym", "tokenize", "shape"];
    let given = kinds.iter().filter(|key| fields.has(key)).count();
    let placeholder = if given > 0 { fields.take("placeholder") } else { fields.require("placeholder") };
    let placeholder = placeholder.and_then(|node| text(node, out));
    let partial = fields.take("partial").and_then(|node| read_partial(node, out));
    let dropped = fields.take("drop").and_then(|node| {
        let fields = Fields::open(node, "`drop`", out)?;
        fields.close(out);
        Some(How::Drop)
    });
    let pseudonym = fields.take("pseudonym").and_then(|node| read_name(node, out)).map(How::Pseudonym);
    let tokenize = fields.take("tokenize").and_then(|node| read_tokenize(node, out));
    let shape = fields.take("shape").and_then(|node| {
        let mut fields = Fields::open(node, "`shape`", out)?;
        let key = fields.require("key").and_then(|node| text(node, out));
        fields.close(out);
        Some(How::Shape { key: key? })
    });
    if given > 1 || (dropped.is_some() && placeholder.is_some()) {
        let message = "a value is replaced in one way: `partial`, `drop`, `pseudonym`, `tokenize` or `shape`";
        let help = "beside all but `drop`, `placeholder` is what stands where they cannot";
        out.push(Diagnostic::at(Code::E0205, node.span, message).help(help));
    }
    fields.close(out);
    (placeholder, partial.or(dropped).or(pseudonym).or(tokenize).or(shape))
}

fn read_tokenize(node: &Node, out: &mut Diagnostics) -> Option<How> {
    let mut fields = Fields::open(node, "`tokenize`", out)?;
    let key = fields.require("key").and_then(|node| text(node, out));
    let prefix = fields.take("prefix").and_then(|node| text(node, out)).filter(|prefix| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let fine = prefix.value.len() <= 32 && prefix.value.bytes().all(plain);
        if !fine {
            let message = format!("`{}` is no prefix of tokens", prefix.value);
            let help = "at most 32 letters, digits, `-`, `_`, `.` and `:`, as in `c_`";
            out.push(Diagnostic::at(Code::E0205, prefix.span, message).help(help));
        }
        fine
    });
    let forms =
        [("exact", Canonical::Exact), ("lowercase", Canonical::Lowercase), ("digits", Canonical::Digits)];
    let canonical =
        fields.take("canonical").and_then(|node| choice(node, "canonical form", &forms, &[], out));
    fields.close(out);
    let canonical = canonical.map_or(Canonical::Exact, |form| form.value);
    Some(How::Tokenize {
        key: key?,
        prefix: prefix.map(|prefix| prefix.value).unwrap_or_default(),
        canonical,
    })
}

fn read_partial(node: &Node, out: &mut Diagnostics) -> Option<How> {
    let mut fields = Fields::open(node, "`partial`", out)?;
    let mut count = |key, most| {
        let value = fields.take(key).and_then(|node| number(node, 0, most, out));
        value.and_then(|value| u8::try_from(value.value).ok())
    };
    let (first, last) = (count("keepFirst", 64), count("keepLast", 64));
    let mask = count("maskLength", 64);
    fields.close(out);
    Some(How::Partial { first: first.unwrap_or(0), last: last.unwrap_or(0), mask })
}

/// The name in a token: `EMAIL` makes `<EMAIL_1>`.
fn read_name(node: &Node, out: &mut Diagnostics) -> Option<String> {
    let name = text(node, out)?;
    let rest = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let first = name.value.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase());
    if first && name.value.len() <= 32 && name.value.bytes().all(rest) {
        return Some(name.value);
    }
    let help = "at most 32 upper-case letters, digits and `_`, beginning with a letter, as in `EMAIL`";
    let message = format!("`{}` is no name for pseudonyms", name.value);
    out.push(Diagnostic::at(Code::E0205, name.span, message).help(help));
    None
}
