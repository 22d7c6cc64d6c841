//! `spec.streaming`, `spec.audit` and `spec.limits`.

use super::choice;
use super::reader::{Fields, boolean, number, size};
use super::yaml::Node;
use crate::diagnostic::{Diagnostics, Spanned};

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
    /// `limits.inflateRatio`.
    pub inflate_ratio: Option<Spanned<u64>>,
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
        self.inflate_ratio = fields.take("inflateRatio").and_then(|node| number(node, 1, 1032, out));
        if let Some(node) = fields.take("unknownContent") {
            choice(node, "treatment of unknown content", &[("deny", ())], &["pass"], out);
        }
        for key in ["inspectBody", "oversize"] {
            fields.not_yet(key, out);
        }
        fields.close(out);
    }
}
