//! `spec.streaming`, `spec.audit` and `spec.limits`.

use super::choice;
use super::reader::{Fields, boolean, number, size, texts};
use super::yaml::{Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};

/// The three small sections; what is not written has the engine's default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `streaming.window` in bytes: the longest indecision of a detector.
    pub window: Option<Spanned<u64>>,
    /// `audit.headers.response`.
    pub response_headers: Option<bool>,
    /// `limits.state` in bytes.
    pub state: Option<Spanned<u64>>,
    /// `limits.message` in bytes.
    pub message: Option<Spanned<u64>>,
    /// `limits.jsonDepth`.
    pub json_depth: Option<Spanned<u64>>,
    /// `limits.pseudonyms`.
    pub pseudonyms: Option<Spanned<u64>>,
    /// `limits.inspectBody`.
    pub inspect_body: Option<Spanned<u64>>,
    /// `limits.inflateRatio`.
    pub inflate_ratio: Option<Spanned<u64>>,
    /// `limits.unknownContent`: the media types that pass without a look, in lower case; `*/*` for all of them.
    pub passing: Option<Spanned<Vec<String>>>,
}

impl Settings {
    /// Reads `spec.streaming`.
    pub(super) fn read_streaming(&mut self, node: Option<&Node>, out: &mut Diagnostics) {
        let Some(mut fields) = node.and_then(|node| Fields::open(node, "`streaming`", out)) else { return };
        self.window = fields.take("window").and_then(|node| size(node, 64, 4096, out));
        if let Some(node) = fields.take("channelEnd") {
            choice(node, "end of a channel", &[("flush", ())], &[], out);
        }
        if let Some(node) = fields.take("aborted") {
            choice(node, "end of an aborted stream", &[("discard", ())], &[], out);
        }
        fields.close(out);
    }

    /// Reads `spec.audit`.
    pub(super) fn read_audit(&mut self, node: Option<&Node>, out: &mut Diagnostics) {
        let Some(mut fields) = node.and_then(|node| Fields::open(node, "`audit`", out)) else { return };
        if let Some(node) = fields.take("headers")
            && let Some(mut headers) = Fields::open(node, "`headers`", out)
        {
            self.response_headers = headers.require("response").and_then(|node| boolean(node, out));
            headers.close(out);
        }
        fields.not_yet("sink", out);
        fields.not_yet("sinkDown", out);
        fields.close(out);
    }

    /// Reads `spec.limits`.
    pub(super) fn read_limits(&mut self, node: Option<&Node>, out: &mut Diagnostics) {
        let Some(mut fields) = node.and_then(|node| Fields::open(node, "`limits`", out)) else { return };
        self.state = fields.take("state").and_then(|node| size(node, 4 << 10, 1 << 20, out));
        self.message = fields.take("message").and_then(|node| size(node, 4 << 10, 16 << 20, out));
        self.json_depth = fields.take("jsonDepth").and_then(|node| number(node, 1, 256, out));
        self.pseudonyms = fields.take("pseudonyms").and_then(|node| number(node, 0, 9_999, out));
        self.inflate_ratio = fields.take("inflateRatio").and_then(|node| number(node, 1, 1032, out));
        self.passing = fields.take("unknownContent").and_then(|node| read_unknown_content(node, out));
        if let Some(node) = fields.take("oversize") {
            choice(node, "treatment of what is beyond a limit", &[("deny", ())], &[], out);
        }
        self.inspect_body = fields.take("inspectBody").and_then(|node| size(node, 4 << 10, 16 << 20, out));
        fields.close(out);
    }
}

/// Reads `deny`, `pass` or `{pass: [image/png, audio/*]}`; none means that nothing passes.
fn read_unknown_content(node: &Node, out: &mut Diagnostics) -> Option<Spanned<Vec<String>>> {
    if !matches!(node.kind, Kind::Map(_)) {
        let known = [("deny", false), ("pass", true)];
        let passes = choice(node, "treatment of unknown content", &known, &[], out)?;
        return passes.value.then(|| Spanned::new(vec!["*/*".to_owned()], passes.span));
    }
    let mut fields = Fields::open(node, "`unknownContent`", out)?;
    let types = fields.require("pass").map(|node| texts(node, out)).unwrap_or_default();
    fields.close(out);
    let mut names: Vec<String> =
        types.iter().filter(|text| is_media_type(text, out)).map(|text| text.value.clone()).collect();
    names.sort();
    (!names.is_empty()).then(|| Spanned::new(names, node.span))
}

fn is_media_type(text: &Text, out: &mut Diagnostics) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$&^_.+-".contains(&byte);
    let token = |part: &str| !part.is_empty() && part.bytes().all(plain);
    let parts = text.value.split_once('/');
    // What holds other messages is never passed as a whole.
    if let Some(("multipart" | "message", _)) = parts {
        let message = format!("`{}` holds other messages and never passes as a whole", text.value);
        out.push(Diagnostic::at(Code::E0205, text.span, message).help("name the types of its parts"));
        return false;
    }
    let usable = parts.is_some_and(|(kind, subtype)| token(kind) && (subtype == "*" || token(subtype)));
    if !usable {
        let message = format!("`{}` is not a media type", text.value);
        let help = "write a type in lower case and without parameters, as in `image/png`, or all of a kind, as in `image/*`";
        out.push(Diagnostic::at(Code::E0205, text.span, message).help(help));
    }
    usable
}
