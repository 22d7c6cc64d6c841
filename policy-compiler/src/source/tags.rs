//! `spec.tags`: what a finding means, how bad it is, and what is written instead.

use super::choice;
use super::reader::{Fields, check_name, text};
use super::yaml::Node;
use crate::diagnostic::{Diagnostics, Spanned, Text};
use veilwire_engine::policy::model::Severity;

/// One tag.
#[derive(Clone, Debug, Default)]
pub struct Tag {
    /// `severity`.
    pub severity: Option<Spanned<Severity>>,
    /// `replace: {placeholder}`, as written.
    pub placeholder: Option<Text>,
    /// `replace` was written, readable or not.
    pub replaced: bool,
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
        tag.placeholder = read_replacement(node, out);
    }
    fields.not_yet("numbers", out);
    fields.close(out);
    tag
}

fn read_replacement(node: &Node, out: &mut Diagnostics) -> Option<Text> {
    let mut fields = Fields::open(node, "`replace`", out)?;
    let later = ["partial", "tokenize", "shape", "drop"];
    let present = later.iter().any(|key| fields.has(key));
    for key in later {
        fields.not_yet(key, out);
    }
    let placeholder = if present { fields.take("placeholder") } else { fields.require("placeholder") };
    let placeholder = placeholder.and_then(|node| text(node, out));
    fields.close(out);
    placeholder
}
