//! Detectors: `spec.detectors` of a policy, and the same section of a pack.

use super::choice;
use super::reader::{Fields, check_name, text, texts};
use super::yaml::Node;
use crate::diagnostic::{Diagnostics, Spanned, Text};
use veilwire_engine::policy::model::Validator;

/// One detector.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    /// `tag`.
    pub tag: Option<Text>,
    /// `pattern`, a regular expression.
    pub pattern: Option<Text>,
    /// `validate`.
    pub validate: Option<Spanned<Validator>>,
    /// `validate` was written, but is not understood: the pattern alone would not be what the author means.
    pub unvalidated: bool,
    /// `examples.match`.
    pub matches: Vec<Text>,
    /// `examples.ignore`.
    pub ignores: Vec<Text>,
}

/// Reads one detector.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Detector {
    check_name(name, false, out);
    let mut detector = Detector::default();
    let Some(mut fields) = Fields::open(node, &format!("detector `{}`", name.value), out) else {
        return detector;
    };
    detector.tag = fields.require("tag").and_then(|node| text(node, out));
    detector.pattern = fields.require("pattern").and_then(|node| text(node, out));
    if let Some(node) = fields.take("validate") {
        let validators = [("luhn", Validator::Luhn), ("us-ssn", Validator::UsSsn)];
        detector.validate = choice(node, "validator", &validators, &["mod-97"], out);
        detector.unvalidated = detector.validate.is_none();
    }
    if let Some(node) = fields.require("examples")
        && let Some(mut examples) = Fields::open(node, "`examples`", out)
    {
        detector.matches = examples.require("match").map(|node| texts(node, out)).unwrap_or_default();
        detector.ignores = examples.take("ignore").map(|node| texts(node, out)).unwrap_or_default();
        examples.close(out);
    }
    fields.not_yet("near", out);
    fields.not_yet("class", out);
    fields.close(out);
    detector
}
