//! `spec.routes`: which requests there are, where they go, and what flows in them.

use super::choice;
use super::reader::{Fields, check_name, not_understood, not_yet, text, texts};
use super::upstreams::check_dns_name;
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use veilwire_engine::policy::model::{RoutePath, Thinking};

/// Contents of the language that no pack brings yet.
const CONTENTS_LATER: &[&str] = &["ndjson", "opaque", "postgres"];

/// One route.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// `match.host`, lower case.
    pub host: Option<Text>,
    /// `match.path`.
    pub path: Option<Spanned<RoutePath>>,
    /// `match.methods`; empty means every method.
    pub methods: Vec<Text>,
    /// `match.methods` was written, readable or not.
    pub narrowed: bool,
    /// `upstream`.
    pub upstream: Option<Text>,
    /// `content`.
    pub content: Option<Text>,
    /// `thinking`.
    pub thinking: Option<Spanned<Thinking>>,
}

/// Reads one route.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Route {
    check_name(name, false, out);
    let mut route = Route::default();
    let Some(mut fields) = Fields::open(node, &format!("route `{}`", name.value), out) else { return route };
    if let Some(node) = fields.require("match") {
        route.read_match(node, out);
    }
    route.upstream = fields.require("upstream").and_then(|node| text(node, out));
    route.content = fields.require("content").and_then(|node| text(node, out));
    if let Some(content) = route.content.take_if(|content| CONTENTS_LATER.contains(&content.value.as_str())) {
        out.push(not_yet(content.span, &format!("content `{}`", content.value)));
    }
    let thinking = [
        ("refuse", Thinking::Refuse),
        ("maskAndDropSignature", Thinking::MaskAndDropSignature),
        ("leave", Thinking::Leave),
    ];
    route.thinking = fields
        .take("thinking")
        .and_then(|node| choice(node, "treatment of thinking", &thinking, &["dropBlock"], out));
    fields.close(out);
    route
}

impl Route {
    fn read_match(&mut self, node: &Node, out: &mut Diagnostics) {
        let Some(mut fields) = Fields::open(node, "`match`", out) else { return };
        let other = fields.has("listener");
        fields.not_yet("listener", out);
        if other {
            for key in ["host", "path", "methods"] {
                fields.take(key);
            }
            fields.close(out);
            return;
        }
        self.host =
            fields.require("host").and_then(|node| text(node, out)).filter(|text| check_dns_name(text, out));
        self.path =
            fields.require("path").and_then(|node| text(node, out)).and_then(|text| read_path(&text, out));
        if let Some(node) = fields.take("methods") {
            self.narrowed = true;
            self.methods = texts(node, out).into_iter().filter(|method| check_method(method, out)).collect();
        }
        fields.close(out);
    }
}

/// Reads `/exact/path` or `/everything/below/**`.
///
/// SECURITY: Envoy matches the normalised path, so a pattern that normalisation would change could never match, or match
/// something else than was meant: dot segments, empty segments and escapes are refused here.
fn read_path(text: &Text, out: &mut Diagnostics) -> Option<Spanned<RoutePath>> {
    let (path, below) = match text.value.strip_suffix("/**") {
        Some(path) => (path, true),
        None => (text.value.as_str(), false),
    };
    let segment = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte);
        !["", ".", ".."].contains(&segment) && segment.bytes().all(plain)
    };
    let usable = match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.strip_suffix('/').filter(|_| !below).unwrap_or(rest).split('/').all(segment),
        None => path.is_empty() && below,
    };
    if !usable || path.len() > 1024 {
        out.push(
            Diagnostic::at(Code::E0210, text.span, format!("`{}` is not a path this compiler can match", text.value))
                .help("write the path without query and escapes, as in `/v1/messages`, or end it in `/**` for all below"),
        );
        return None;
    }
    let path = path.to_owned();
    Some(Spanned::new(if below { RoutePath::Below(path) } else { RoutePath::Exact(path) }, text.span))
}

fn check_method(method: &Text, out: &mut Diagnostics) -> bool {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if method.value == "CONNECT" {
        out.push(not_yet(method.span, &format!("method `{}`", method.value)));
        return false;
    }
    let usable = known.contains(&method.value.as_str());
    if !usable {
        out.push(not_understood(method, "method", known.into_iter()));
    }
    usable
}
