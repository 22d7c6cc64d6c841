//! `spec.masks`: what is hidden, and where.

use super::choice;
use super::names::names_of;
use super::reader::{Fields, check_name, list, not_yet, text, texts};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Spanned, Text};
use veilwire_engine::exchange::is_never_masked;
use veilwire_engine::policy::path::{PathError, PathPattern};

/// One mask.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// `scan.detectors`: names and globs such as `secrets.*`.
    pub detectors: Vec<Text>,
    /// `scan.in`.
    pub places: Vec<Spanned<Place>>,
    /// `fields`.
    pub fields: Vec<Field>,
    /// Something of the mask could not be read, so that it may look emptier than it is.
    pub unreadable: bool,
}

/// Where a mask scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `requestBody`.
    RequestBody,
    /// `responseBody`.
    ResponseBody,
    /// `path`.
    Path,
    /// `query`.
    Query,
    /// `headers`.
    Headers,
}

/// Values masked by their place, whatever they hold.
#[derive(Clone, Debug)]
pub struct Field {
    /// `tag`.
    pub tag: Text,
    /// `at`.
    pub at: Vec<Spanned<At>>,
}

/// The place of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// `json.$.a.b`.
    Json(PathPattern),
    /// `jsonKey.name` and `jsonKey./^(a|b)$/`, as one `$..name` for each name.
    Keys(Vec<PathPattern>),
    /// `form.user[mail]`, as `$.user.mail`.
    Form(PathPattern),
    /// `otel.attribute.key`.
    Attribute(String),
    /// `query.name`, as `$.name`.
    Query(PathPattern),
    /// `header.name`, as `$.name` in lower case.
    Header(PathPattern),
}

/// Reads one mask.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Mask {
    check_name(name, false, out);
    let mut mask = Mask::default();
    let before = out.items().len();
    let Some(mut fields) = Fields::open(node, &format!("mask `{}`", name.value), out) else { return mask };
    if let Some(node) = fields.take("scan")
        && let Some(mut scan) = Fields::open(node, "`scan`", out)
    {
        mask.detectors = scan.require("detectors").map(|node| texts(node, out)).unwrap_or_default();
        mask.places = scan.require("in").map(|node| list(node, read_place, out)).unwrap_or_default();
        scan.close(out);
    }
    if let Some(node) = fields.take("fields") {
        mask.fields = list(node, read_field, out);
    }
    fields.not_yet("skip", out);
    fields.close(out);
    mask.unreadable = out.items().len() > before;
    mask
}

fn read_place(node: &Node, out: &mut Diagnostics) -> Option<Spanned<Place>> {
    let known = [
        ("requestBody", Place::RequestBody),
        ("responseBody", Place::ResponseBody),
        ("path", Place::Path),
        ("query", Place::Query),
        ("headers", Place::Headers),
    ];
    choice(node, "place", &known, &["trailers"], out)
}

fn read_field(node: &Node, out: &mut Diagnostics) -> Option<Field> {
    let mut fields = Fields::open(node, "a field rule", out)?;
    let tag = fields.require("tag").and_then(|node| text(node, out));
    let at = fields.require("at").map(|node| list(node, read_at, out)).unwrap_or_default();
    fields.close(out);
    Some(Field { tag: tag?, at })
}

/// Reads `json.$.a.b`, `query.name` and their kin. The other places of the language are refused as not built.
fn read_at(node: &Node, out: &mut Diagnostics) -> Option<Spanned<At>> {
    const LATER: &[&str] = &["otel.", "column.", "channel."];
    let text = text(node, out)?;
    let read = |at: Option<At>| at.map(|at| Spanned::new(at, text.span));
    if let Some(name) = text.value.strip_prefix("jsonKey.") {
        return read(read_keys(&text, name, out));
    }
    if let Some(name) = text.value.strip_prefix("form.") {
        return read(read_form(&text, name, out));
    }
    if let Some(key) = text.value.strip_prefix("otel.attribute.") {
        return read(read_attribute(&text, key, out));
    }
    if let Some(name) = text.value.strip_prefix("query.") {
        return Some(Spanned::new(At::Query(read_name(&text, name, out)?), text.span));
    }
    if let Some(name) = text.value.strip_prefix("header.") {
        let name = name.to_ascii_lowercase();
        if is_never_masked(&name) {
            let message = format!("header `{name}` is never masked");
            out.push(Diagnostic::at(Code::E0210, text.span, message).help(
                "what frames a message, names its parties or is the caller's credential stays as it is",
            ));
            return None;
        }
        return Some(Spanned::new(At::Header(read_name(&text, &name, out)?), text.span));
    }
    if let Some(kind) = LATER.iter().find(|kind| text.value.starts_with(*kind)) {
        out.push(not_yet(text.span, &format!("place `{kind}…`")));
        return None;
    }
    let Some(path) = text.value.strip_prefix("json.") else {
        let message = format!("`{}` is not a place", text.value);
        out.push(
            Diagnostic::at(Code::E0210, text.span, message)
                .help("write `json.` and a path, as in `json.$.user.email`, `jsonKey.NAME`, `form.NAME`, `query.NAME`, `header.NAME` or `otel.attribute.KEY`"),
        );
        return None;
    };
    match path.parse::<PathPattern>() {
        Ok(pattern) if pattern.steps().is_empty() => {
            out.push(Diagnostic::at(Code::E0210, text.span, "`json.$` would replace the whole body"));
            None
        }
        Ok(pattern) => Some(Spanned::new(At::Json(pattern), text.span)),
        Err(error) => {
            out.push(
                Diagnostic::at(Code::E0210, step_span(&text, path, &error), format!("path not understood: {error}"))
                    .help("a path has `.name`, `..name`, `['name']`, `.*` and `[*]`; a stream cannot wait for filters and indices"),
            );
            None
        }
    }
}

/// Keys of JSON at any depth: one name, or a pattern that stands for a few.
fn read_keys(text: &Text, name: &str, out: &mut Diagnostics) -> Option<At> {
    let names = match name.strip_prefix('/').and_then(|name| name.strip_suffix('/')) {
        None => vec![name.to_owned()],
        Some(pattern) => match names_of(pattern) {
            Ok(names) => names,
            Err(error) => {
                let help =
                    "a key is compared with names: write all of them, as in `jsonKey./^(ssn|tax_?id)$/`";
                let message = format!("`{}` is not understood: {error}", text.value);
                out.push(Diagnostic::at(Code::E0210, text.span, message).help(help));
                return None;
            }
        },
    };
    let paths = names.iter().map(|name| format!("$..['{name}']").parse().ok());
    // A name with `']` in it would end too early.
    let usable = names.iter().all(|name| !name.contains("']"));
    let paths = paths.collect::<Option<Vec<PathPattern>>>().filter(|_| usable);
    if paths.is_none() {
        let message = format!("`{}` does not name a key", text.value);
        out.push(Diagnostic::at(Code::E0210, text.span, message));
    }
    paths.map(At::Keys)
}

/// The field of a form: a name, and what is in brackets behind it.
fn read_form(text: &Text, name: &str, out: &mut Diagnostics) -> Option<At> {
    let (first, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut path = format!("$['{first}']");
    let inner = rest.strip_prefix('[').map(|rest| rest.strip_suffix(']').unwrap_or("]"));
    for segment in inner.into_iter().flat_map(|inner| inner.split("][")) {
        if segment.bytes().all(|byte| byte.is_ascii_digit()) || segment == "*" {
            path.push_str("[*]");
        } else {
            path.push_str(&format!("['{segment}']"));
        }
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"'\"".contains(&byte);
    let nested = inner.unwrap_or_default().split("][").any(|segment| segment.contains(['[', ']']));
    let usable = !nested && !first.contains(']') && name.bytes().all(plain);
    let path = path.parse().ok().filter(|_| usable);
    if path.is_none() {
        let message = format!("`{}` does not name a field of a form", text.value);
        out.push(
            Diagnostic::at(Code::E0210, text.span, message)
                .help("write it as in `form.ssn` or `form.user[mail]`"),
        );
    }
    path.map(At::Form)
}

/// The key of an attribute, or the beginning of many keys.
fn read_attribute(text: &Text, key: &str, out: &mut Diagnostics) -> Option<At> {
    let name = key.strip_suffix(".*").unwrap_or(key);
    if name.is_empty() || name.contains('*') || key.len() > 256 {
        let message = format!("`{}` does not name an attribute", text.value);
        let help = "write its key, as in `otel.attribute.user.email`, or the beginning of keys, as in `otel.attribute.user.*`";
        out.push(Diagnostic::at(Code::E0210, text.span, message).help(help));
        return None;
    }
    Some(At::Attribute(key.to_owned()))
}

/// The name of a parameter or header, as a path of one step.
fn read_name(text: &Text, name: &str, out: &mut Diagnostics) -> Option<PathPattern> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let pattern = format!("$.{name}").parse::<PathPattern>().ok();
    let pattern = pattern.filter(|_| !name.is_empty() && name.bytes().all(is_plain));
    if pattern.is_none() {
        let message = format!("`{}` does not name a parameter or header", text.value);
        out.push(
            Diagnostic::at(Code::E0210, text.span, message).help("names have letters, digits, `-` and `_`"),
        );
    }
    pattern
}

/// The place of the wrong step, when the text is written without quotes and escapes; else the whole path.
fn step_span(text: &Text, path: &str, error: &PathError) -> Span {
    let PathError::BadStep(at) = error else { return text.span };
    let quote = usize::from(text.span.end - text.span.start == text.value.len() + 2);
    if text.span.end - text.span.start != text.value.len() + 2 * quote {
        return text.span;
    }
    let start = text.span.start + quote + (text.value.len() - path.len()) + at;
    Span::new(start.min(text.span.end), text.span.end - quote)
}
