//! `jwks` and `discovery` of a provider: where its keys are.

use super::reader::{Fields, duration, text};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Spanned, Text};
use veilwire_engine::policy::model::Document;

/// `refresh` when a policy names none: five minutes.
pub const REFRESH: u64 = 300;
/// `serveStaleFor` when a policy names none: an hour.
pub const SERVE_STALE: u64 = 3_600;

/// What says that a key set is fetched, and how.
const FETCHED: [&str; 4] = ["service", "path", "refresh", "serveStaleFor"];

/// Where the keys of a provider are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// `jwks: {inline: {file}}`.
    File(Text),
    /// `jwks: {service, path}` or `discovery: {service}`.
    Fetched(Fetched),
}

/// Keys that a service answers with.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What is asked first.
    pub document: Document,
    /// `service`.
    pub service: Text,
    /// `path`; of metadata it follows from the issuer.
    pub path: Option<Text>,
    /// `refresh` in seconds.
    pub refresh: Option<Spanned<u64>>,
    /// `serveStaleFor` in seconds.
    pub serve_stale: Option<Spanned<u64>>,
    /// Where it is written.
    pub span: Span,
}

/// Reads `jwks` or `discovery`, of which a provider has one.
pub fn read(jwt: &mut Fields<'_>, out: &mut Diagnostics) -> Option<Keys> {
    let discovery = jwt.entry("discovery");
    let jwks =
        if discovery.is_some() { jwt.entry("jwks").map(|entry| &entry.value) } else { jwt.require("jwks") };
    match (jwks, discovery) {
        (Some(_), Some(discovery)) => {
            let message = "the keys of a provider are in one place: `jwks` or `discovery`";
            out.push(
                Diagnostic::at(Code::E0341, discovery.key.span, message)
                    .help("with `discovery` the metadata of the issuer say where the key set is"),
            );
            None
        }
        (None, Some(discovery)) => read_discovery(&discovery.value, out),
        (Some(node), None) => read_jwks(node, out),
        (None, None) => None,
    }
}

fn read_discovery(node: &Node, out: &mut Diagnostics) -> Option<Keys> {
    let mut fields = Fields::open(node, "`discovery`", out)?;
    let fetched = read_fetched(&mut fields, Document::Discovery, node.span, out);
    fields.close(out);
    fetched
}

fn read_jwks(node: &Node, out: &mut Diagnostics) -> Option<Keys> {
    let mut fields = Fields::open(node, "`jwks`", out)?;
    fields.not_yet("cluster", out);
    let fetched = FETCHED.iter().any(|key| fields.has(key));
    let keys = match fields.entry("inline") {
        Some(inline) if fetched => {
            let message = "a key set is in the policy or at a service";
            out.push(Diagnostic::at(Code::E0341, inline.key.span, message).help("leave one of them out"));
            pass_over(&mut fields);
            None
        }
        Some(inline) => read_inline(&inline.value, out).map(Keys::File),
        None if fields.has("cluster") => {
            pass_over(&mut fields);
            None
        }
        None if fetched => read_fetched(&mut fields, Document::KeySet, node.span, out),
        None => {
            fields.require("inline");
            None
        }
    };
    fields.close(out);
    keys
}

/// Keys of a fetched set beside what makes them wrong: they are known, and judged once that is gone.
fn pass_over(fields: &mut Fields<'_>) {
    for key in FETCHED {
        fields.take(key);
    }
}

fn read_inline(node: &Node, out: &mut Diagnostics) -> Option<Text> {
    let mut inline = Fields::open(node, "`inline`", out)?;
    let file = inline.require("file").and_then(|node| text(node, out));
    inline.close(out);
    file
}

fn read_fetched(
    fields: &mut Fields<'_>,
    document: Document,
    span: Span,
    out: &mut Diagnostics,
) -> Option<Keys> {
    let service = fields.require("service").and_then(|node| text(node, out));
    let path = match document {
        Document::KeySet => fields.require("path"),
        Document::Discovery => fields.take("path"),
    };
    let written = path.is_some();
    let path = path.and_then(|node| text(node, out)).filter(|path| check_path(path, out));
    let refresh = fields.take("refresh").and_then(|node| duration(node, 10, 7 * 86_400, out));
    let serve_stale = fields.take("serveStaleFor").and_then(|node| duration(node, 0, 30 * 86_400, out));
    if path.is_none() && (written || document == Document::KeySet) {
        return None;
    }
    Some(Keys::Fetched(Fetched { document, service: service?, path, refresh, serve_stale, span }))
}

/// A path that a request can be made with as it is.
fn check_path(path: &Text, out: &mut Diagnostics) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    let usable = path.value.starts_with('/') && path.value.len() <= 2_048 && path.value.bytes().all(plain);
    if !usable {
        let message = format!("`{}` is not a path of a service", path.value);
        out.push(
            Diagnostic::at(Code::E0205, path.span, message)
                .help("write it as in URLs, from the first `/` on and without the host"),
        );
    }
    usable
}
