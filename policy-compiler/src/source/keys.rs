//! `spec.keys`: where the keys of replacements are. A policy never holds one.

use super::reader::{Fields, check_name, text};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use veilwire_engine::policy::secret::Secret;

/// One key.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// `hmacSha256.id`.
    pub id: Option<Text>,
    /// `hmacSha256.from`.
    pub from: Option<From>,
}

/// Where a key is.
#[derive(Clone, Debug)]
pub enum From {
    /// `environment`: in a variable of Envoy's environment.
    Environment(Text),
    /// `file`: in a file that Envoy reads when it starts.
    File(Text),
}

/// What filter state of keys, and secrets of Envoy, begin with.
const PREFIX: &str = "veilwire.key.";

/// The filter state in which the filter finds a key that is in a file, and the secret from which Envoy fills it.
#[must_use]
pub fn state(key: &str) -> String {
    format!("{PREFIX}{key}")
}

/// Reads one key.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Key {
    check_name(name, false, out);
    let mut key = Key::default();
    let Some(mut fields) = Fields::open(node, &format!("key `{}`", name.value), out) else { return key };
    if let Some(mut hmac) =
        fields.require("hmacSha256").and_then(|node| Fields::open(node, "`hmacSha256`", out))
    {
        key.id = hmac.require("id").and_then(|node| text(node, out)).filter(|id| is_id(id, out));
        key.from = hmac.require("from").and_then(|node| read_from(node, out));
        hmac.close(out);
    }
    fields.close(out);
    key
}

fn read_from(node: &Node, out: &mut Diagnostics) -> Option<From> {
    let mut from = Fields::open(node, "`from`", out)?;
    let present = from.has("file") || from.has("sds");
    from.not_yet("sds", out);
    let both = from.has("file") && from.has("environment");
    let variable = if present { from.take("environment") } else { from.require("environment") };
    let variable = variable.and_then(|node| text(node, out)).filter(|name| is_variable(name, out));
    let file = from.take("file").and_then(|node| text(node, out)).filter(|name| is_file(name, out));
    from.close(out);
    if both {
        let message = "a key is in one place: `environment` or `file`";
        out.push(Diagnostic::at(Code::E0205, node.span, message));
    }
    file.map(From::File).or(variable.map(From::Environment))
}

/// It stands in every token, so it is short and means itself everywhere.
fn is_id(id: &Text, out: &mut Diagnostics) -> bool {
    let fine = id.value.len() <= 16 && id.value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !fine {
        let message = format!("`{}` is no id of a key", id.value);
        out.push(
            Diagnostic::at(Code::E0205, id.span, message).help("at most 16 letters and digits, as in `k1`"),
        );
    }
    fine
}

fn is_file(name: &Text, out: &mut Diagnostics) -> bool {
    let fine = !name.value.is_empty() && Secret::read(name.value.as_bytes()).is_none();
    if !fine {
        // A key that was written here by mistake is not repeated.
        let help = "a path, as in `/run/secrets/pseudonym.key`; the key itself stays out of the policy";
        out.push(Diagnostic::at(Code::E0205, name.span, "not the name of a file").help(help));
    }
    fine
}

fn is_variable(name: &Text, out: &mut Diagnostics) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fine = name.value.bytes().all(rest) && !name.value.starts_with(|first: char| first.is_ascii_digit());
    if !fine {
        // A key that was written here by mistake is not repeated.
        let help = "letters, digits and `_`, as in `PSEUDONYM_KEY`; the key itself stays out of the policy";
        out.push(Diagnostic::at(Code::E0205, name.span, "not a name of a variable").help(help));
    }
    fine
}
