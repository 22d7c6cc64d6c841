//! The policy as its author wrote it: one struct per section, every value with its place.
//!
//! Reading never stops at the first problem: whatever cannot be read is reported and left out (`None`), so that later
//! stages say nothing about its consequences. Names are kept even when their body is unreadable: what refers to them is right.
//!
//! Nothing here knows what a name means; that is [`crate::resolve`]. What the language has but this compiler has not
//! is refused as `E0901`, never skipped.

pub mod detectors;
pub mod groups;
pub mod identity;
pub mod key_sets;
pub mod keys;
pub mod listeners;
pub mod masks;
mod names;
pub mod packs;
pub mod predicates;
pub mod reader;
pub mod routes;
pub mod rules;
pub mod services;
pub mod settings;
pub mod tags;
pub mod tls;
pub mod upstreams;
pub mod yaml;

use crate::diagnostic::redact::looks_like_secret;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use reader::{Fields, Named, name, number, text, word};
use yaml::{Kind, Node};

/// The apiVersion this compiler reads.
pub const API_VERSION: &str = "veilwire.dev/v1";

/// A policy file in memory: what diagnostics quote from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that diagnostics print, usually a path.
    pub name: String,
    /// The text.
    pub text: String,
}

/// `kind: Policy`, section by section.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `metadata.name`.
    pub name: Option<Text>,
    /// `metadata.owner`.
    pub owner: Option<Text>,
    /// `metadata.revision`.
    pub revision: Option<Spanned<u64>>,
    /// `spec.packs`.
    pub packs: Vec<Text>,
    /// `spec.packs` could not be read completely: names may be missing through no fault of their own.
    pub packs_unreadable: bool,
    /// `spec.tags`.
    pub tags: Vec<Named<tags::Tag>>,
    /// `spec.keys`.
    pub keys: Vec<Named<keys::Key>>,
    /// `spec.detectors`.
    pub detectors: Vec<Named<detectors::Detector>>,
    /// `spec.identity`.
    pub identity: Vec<Named<identity::Provider>>,
    /// `spec.groups`.
    pub groups: Vec<Named<groups::Group>>,
    /// `spec.tls`.
    pub tls: tls::Tls,
    /// `spec.listeners.http`.
    pub listener: listeners::Listener,
    /// `spec.services`.
    pub services: Vec<Named<services::Service>>,
    /// `spec.upstreams`.
    pub upstreams: Vec<Named<upstreams::Upstream>>,
    /// `spec.routes`.
    pub routes: Vec<Named<routes::Route>>,
    /// `spec.masks`.
    pub masks: Vec<Named<masks::Mask>>,
    /// `spec.rules`.
    pub rules: Vec<Named<rules::Rule>>,
    /// `spec.streaming`, `spec.audit` and `spec.limits`.
    pub settings: settings::Settings,
}

impl Source {
    /// A source with this name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Source { name: name.into(), text: text.into() }
    }
}

impl Policy {
    /// Reads a policy; `None` when the text is not a policy at all. Every problem is in `out`.
    pub fn read(source: &Source, out: &mut Diagnostics) -> Option<Policy> {
        let root = yaml::parse(&source.text, out)?;
        let mut top = Fields::open(&root, "a policy", out)?;
        if document_head(&mut top, "Policy", out).is_none() {
            top.abandon(out);
            return None;
        }
        let mut policy = Policy::default();
        if let Some(node) = top.require("metadata") {
            policy.read_metadata(node, out);
        }
        if let Some(node) = top.require("spec") {
            policy.read_spec(node, out);
        }
        top.close(out);
        secrets(&root, out);
        Some(policy)
    }

    fn read_metadata(&mut self, node: &Node, out: &mut Diagnostics) {
        let Some(mut fields) = Fields::open(node, "`metadata`", out) else { return };
        self.name = fields.require("name").and_then(|node| name(node, out));
        self.owner = fields.take("owner").and_then(|node| text(node, out));
        self.revision = fields.require("revision").and_then(|node| number(node, 1, u64::MAX, out));
        fields.close(out);
    }

    fn read_spec(&mut self, node: &Node, out: &mut Diagnostics) {
        let Some(mut spec) = Fields::open(node, "`spec`", out) else { return };
        let before = out.items().len();
        self.packs = spec.take("packs").map(|node| packs::read(node, out)).unwrap_or_default();
        self.packs_unreadable = out.items().len() > before;
        self.tags = spec.named("tags", tags::read, out);
        self.keys = spec.named("keys", keys::read, out);
        self.detectors = spec.named("detectors", detectors::read, out);
        self.identity = spec.require_named("identity", identity::read, out);
        self.groups = spec.require_named("groups", groups::read, out);
        if let Some(node) = spec.require("tls") {
            self.tls = tls::read(node, out);
        }
        if let Some(node) = spec.require("listeners") {
            self.listener = listeners::read(node, out);
        }
        self.services = spec.named("services", services::read, out);
        self.upstreams = spec.require_named("upstreams", upstreams::read, out);
        self.routes = spec.require_named("routes", routes::read, out);
        self.masks = spec.named("masks", masks::read, out);
        self.settings.read_streaming(spec.take("streaming"), out);
        self.rules = spec.require_named("rules", rules::read, out);
        spec.not_yet("approvals", out);
        self.settings.read_audit(spec.take("audit"), out);
        spec.not_yet("recording", out);
        self.settings.read_limits(spec.take("limits"), out);
        spec.close(out);
    }
}

/// Checks `apiVersion` and `kind`; `None` when the rest of the document would be misread.
pub(crate) fn document_head(top: &mut Fields<'_>, expected: &str, out: &mut Diagnostics) -> Option<()> {
    let version = top.require("apiVersion").and_then(|node| text(node, out));
    let kind = top.require("kind").and_then(|node| text(node, out));
    if let Some(version) = &version
        && version.value != API_VERSION
    {
        out.push(
            Diagnostic::at(
                Code::E0207,
                version.span,
                format!("`{}` is not a version this compiler reads", version.value),
            )
            .help(format!("write `{API_VERSION}`")),
        );
        return None;
    }
    match kind {
        Some(kind) if kind.value == expected => Some(()),
        Some(kind) if ["Policy", "PolicyPart", "PolicyTest", "Pack"].contains(&kind.value.as_str()) => {
            let message = format!("a document of kind `{}` is not supported yet", kind.value);
            out.push(
                Diagnostic::at(Code::E0901, kind.span, message).help(format!("write `kind: {expected}`")),
            );
            None
        }
        Some(kind) => {
            let message = format!("`{}` is not a kind of document", kind.value);
            out.push(
                Diagnostic::at(Code::E0207, kind.span, message).help(format!("write `kind: {expected}`")),
            );
            None
        }
        None => None,
    }
}

/// SECURITY: a credential in a policy ends up in version control, in artifacts and in `/config_dump`.
/// Detector examples are exempt: they must look like secrets.
fn secrets(node: &Node, out: &mut Diagnostics) {
    match &node.kind {
        Kind::Scalar(scalar) if looks_like_secret(&scalar.text) => out.push(
            Diagnostic::at(Code::E0408, node.span, "a secret is written into the policy")
                .label("this looks like a live credential")
                .note("policies are committed, and what they hold is readable in Envoy's configuration dump")
                .help("refer to a file instead, and replace the credential: it is no longer secret"),
        ),
        Kind::Scalar(_) | Kind::Null => {}
        Kind::List(items) => items.iter().for_each(|item| secrets(item, out)),
        Kind::Map(entries) => entries
            .iter()
            .filter(|entry| !["examples", "pattern"].contains(&entry.key.value.as_str()))
            .for_each(|entry| secrets(&entry.value, out)),
    }
}

/// Reads a word out of a closed set, where some words are of the language but not built yet.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    what: &str,
    known: &[(&str, T)],
    later: &[&str],
    out: &mut Diagnostics,
) -> Option<Spanned<T>> {
    let text = word(node, out)?;
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text.value) {
        return Some(Spanned::new(*value, text.span));
    }
    if later.contains(&text.value.as_str()) {
        out.push(reader::not_yet(text.span, &format!("{what} `{}`", text.value)));
        return None;
    }
    out.push(reader::not_understood(&text, what, known.iter().map(|(name, _)| *name)));
    None
}
