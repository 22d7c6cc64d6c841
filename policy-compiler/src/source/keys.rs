//! `spec.keys`: where the keys of replacements are. A policy never holds one.

use super::reader::{Fields, check_name, text};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};

/// One key.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// `hmacSha256.id`.
    pub id: Option<Text>,
    /// `hmacSha256.from.environment`: a variable of Envoy's environment.
    pub environment: Option<Text>,
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
        if let Some(mut from) = hmac.require("from").and_then(|node| Fields::open(node, "`from`", out)) {
            let later = ["file", "sds"];
            let present = later.iter().any(|place| from.has(place));
            for place in later {
                from.not_yet(place, out);
            }
            let node = if present { from.take("environment") } else { from.require("environment") };
            key.environment = node.and_then(|node| text(node, out)).filter(|name| is_variable(name, out));
            from.close(out);
        }
        hmac.close(out);
    }
    fields.close(out);
    key
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
