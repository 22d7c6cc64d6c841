//! `jwks`, `discovery` and `secret` of a provider: where its keys are.

use super::keys::{From, read_from};
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
    /// `secret: {from}`.
    Secret(SharedSecret),
}

/// A secret that the issuer shares (RFC 7518 section 3.2).
#[derive(Clone, Debug)]
pub struct SharedSecret {
    /// `kid` of its tokens.
    pub key_id: Option<Text>,
    /// `from`.
    pub from: Option<From>,
    /// Where it is written.
    pub span: Span,
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

/// Reads one of the places where keys can be.
type Reader = fn(&Node, &mut Diagnostics) -> Option<Keys>;

/// Reads `jwks`, `discovery` or `secret`, of which a provider has one.
pub fn read(jwt: &mut Fields<'_>, out: &mut Diagnostics) -> Option<Keys> {
    let places: [(_, Reader); 3] =
        [("jwks", read_jwks), ("discovery", read_discovery), ("secret", read_secret)];
    let written: Vec<_> =
        places.into_iter().filter_map(|(key, read)| Some((jwt.entry(key)?, read))).collect();
    match written.as_slice() {
        [] => {
            jwt.require("jwks");
            None
        }
        [(entry, read)] => read(&entry.value, out),
        [_, (second, _), ..] => {
            let message = "the keys of a provider are in one place: `jwks`, `discovery` or `secret`";
            let help = match second.key.value.as_str() {
                "discovery" => "with `discovery` the metadata of the issuer say where the key set is",
                _ => "with `secret` there is no key set: what verifies a token can make one",
            };
            out.push(Diagnostic::at(Code::E0341, second.key.span, message).help(help));
            None
        }
    }
}

fn read_secret(node: &Node, out: &mut Diagnostics) -> Option<Keys> {
    let mut fields = Fields::open(node, "`secret`", out)?;
    let key_id = fields.take("kid").and_then(|node| text(node, out)).filter(|id| is_key_id(id, out));
    let from = fields.require("from").and_then(|node| read_from(node, out));
    fields.close(out);
    Some(Keys::Secret(SharedSecret { key_id, from, span: node.span }))
}

/// As ids of published keys may be.
fn is_key_id(id: &Text, out: &mut Diagnostics) -> bool {
    let usable = (1..=256).contains(&id.value.len());
    if !usable {
        out.push(Diagnostic::at(Code::E0205, id.span, "a `kid` has 1 to 256 bytes"));
    }
    usable
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
