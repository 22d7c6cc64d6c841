//! `spec.keys`, and the secrets of providers: where they are. A policy never holds one.

use super::Policy;
use super::key_sets::{Keys, SharedSecret};
use super::reader::{Fields, Named, check_name, text};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use veilwire_engine::policy::secret::Secret;

/// One key of replacements.
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
    /// `sds`: in a resource that Envoy is told of, and told again when it changes.
    Sds(Discovered),
}

/// A secret that Envoy discovers (xDS: `envoy.extensions.transport_sockets.tls.v3.Secret`).
#[derive(Clone, Debug)]
pub struct Discovered {
    /// `name` of the resource.
    pub name: Text,
    /// `file`: the discovery response, which Envoy watches.
    pub file: Text,
}

/// What the filter is handed over: a key or a secret.
#[derive(Clone, Copy, Debug)]
pub enum Handed<'p> {
    /// A key of replacements.
    Key(&'p Named<Key>),
    /// The secret of the provider of this name.
    Secret(&'p Text, &'p SharedSecret),
}

/// What the names of secrets begin with, and those of keys cannot.
const SECRET: &str = "identity.";

/// Is this the name of a secret, not of a key?
#[must_use]
pub fn is_secret(name: &str) -> bool {
    name.starts_with(SECRET)
}

/// All of it, in the order of names, keys first: ids of the artifact are places in this list.
#[must_use]
pub fn handed(policy: &Policy) -> Vec<Handed<'_>> {
    let mut keys: Vec<_> = policy.keys.iter().collect();
    keys.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let secrets = policy.identity.iter().filter_map(|provider| match &provider.body.keys {
        Some(Keys::Secret(secret)) => Some((&provider.name, secret)),
        _ => None,
    });
    let mut secrets: Vec<_> = secrets.collect();
    secrets.sort_by(|(a, _), (b, _)| a.value.cmp(&b.value));
    let secrets = secrets.into_iter().map(|(provider, secret)| Handed::Secret(provider, secret));
    keys.into_iter().map(Handed::Key).chain(secrets).collect()
}

impl<'p> Handed<'p> {
    /// Its name: that of the key, or one that no key can have.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Handed::Key(key) => key.name.value.clone(),
            Handed::Secret(provider, _) => format!("{SECRET}{}", provider.value),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn from(&self) -> Option<&'p From> {
        match self {
            Handed::Key(key) => key.body.from.as_ref(),
            Handed::Secret(_, secret) => secret.from.as_ref(),
        }
    }
}

/// What filter state of keys, and secrets of Envoy, begin with.
const PREFIX: &str = "veilwire.key.";

/// The filter state in which the filter finds a key that Envoy reads, and the secret in a file from which Envoy fills it.
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

/// Reads where a key is.
pub fn read_from(node: &Node, out: &mut Diagnostics) -> Option<From> {
    let mut from = Fields::open(node, "`from`", out)?;
    let elsewhere = from.has("file") || from.has("sds");
    let several = elsewhere && from.has("environment") || from.has("file") && from.has("sds");
    let variable = if elsewhere { from.take("environment") } else { from.require("environment") };
    let variable = variable.and_then(|node| text(node, out)).filter(|name| is_variable(name, out));
    let file = from.take("file").and_then(|node| text(node, out)).filter(|name| is_file(name, out));
    let discovered = from.take("sds").and_then(|node| read_discovered(node, out));
    from.close(out);
    if several {
        let message = "a key is in one place: `environment`, `file` or `sds`";
        out.push(Diagnostic::at(Code::E0205, node.span, message));
    }
    file.map(From::File).or(discovered.map(From::Sds)).or(variable.map(From::Environment))
}

fn read_discovered(node: &Node, out: &mut Diagnostics) -> Option<Discovered> {
    let mut fields = Fields::open(node, "`sds`", out)?;
    let name = fields.require("name").and_then(|node| text(node, out)).filter(|name| is_resource(name, out));
    let is_served = fields.has("service");
    fields.not_yet("service", out);
    let file = if is_served { fields.take("file") } else { fields.require("file") };
    let file = file.and_then(|node| text(node, out)).filter(|name| is_file(name, out));
    fields.close(out);
    Some(Discovered { name: name?, file: file? })
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

/// Does it name something, and is no key?
fn is_name(name: &Text) -> bool {
    !name.value.is_empty() && Secret::read(name.value.as_bytes()).is_none()
}

fn is_resource(name: &Text, out: &mut Diagnostics) -> bool {
    let fine = is_name(name);
    if !fine {
        // A key that was written here by mistake is not repeated.
        let help = "the name of the resource, as in `pseudonym-key`; the key itself stays out of the policy";
        out.push(Diagnostic::at(Code::E0205, name.span, "not the name of a secret").help(help));
    }
    fine
}

fn is_file(name: &Text, out: &mut Diagnostics) -> bool {
    let fine = is_name(name);
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
