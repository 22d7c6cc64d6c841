//! `spec.rules`: who may do what. Default deny, `mayNot` beats `may`, order never matters.

use super::predicates::{self, Predicate};
use super::reader::{Fields, boolean, check_name, text, texts};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};

/// One rule.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// `who.groups`.
    pub groups: Vec<Text>,
    /// `may` or `mayNot`, and the routes it names.
    pub effect: Option<Effect>,
    /// `mask`.
    pub masks: Vec<Text>,
    /// `message`, shown to a denied caller.
    pub message: Option<Text>,
    /// `who.claims`, `who.scopes` and `where`: all must hold.
    pub predicates: Vec<Predicate>,
    /// `observe: true`.
    pub observe: bool,
}

/// What a rule does to its routes.
#[derive(Clone, Debug)]
pub enum Effect {
    /// `may: […]`.
    May(Vec<Text>),
    /// `mayNot: […]`.
    MayNot(Vec<Text>),
}

impl Effect {
    /// The routes, either way.
    #[must_use]
    pub fn routes(&self) -> &[Text] {
        match self {
            Effect::May(routes) | Effect::MayNot(routes) => routes,
        }
    }
}

/// Reads one rule.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Rule {
    check_name(name, false, out);
    let mut rule = Rule::default();
    let what = format!("rule `{}`", name.value);
    let Some(mut fields) = Fields::open(node, &what, out) else { return rule };
    if let Some(node) = fields.require("who")
        && let Some(mut who) = Fields::open(node, "`who`", out)
    {
        // Whoever has the claims or scopes, in whatever group; without any of them everybody would be meant.
        let narrowed = who.has("claims") || who.has("scopes");
        let groups = if narrowed { who.take("groups") } else { who.require("groups") };
        rule.groups = groups.map(|node| texts(node, out)).unwrap_or_default();
        rule.predicates = who.take("claims").map(|node| predicates::claims(node, out)).unwrap_or_default();
        rule.predicates
            .extend(who.take("scopes").map(|node| predicates::scopes(node, out)).unwrap_or_default());
        who.close(out);
    }
    let may = fields.entry("may");
    let may_not = fields.entry("mayNot");
    rule.effect = match (may, may_not) {
        (Some(may), None) => Some(Effect::May(texts(&may.value, out))),
        (None, Some(may_not)) => Some(Effect::MayNot(texts(&may_not.value, out))),
        (Some(may), Some(may_not)) => {
            let message = format!("{what} both allows and denies");
            out.push(
                Diagnostic::at(Code::E0209, may_not.key.span, message)
                    .also(may.key.span, "allowed here")
                    .help("make it two rules"),
            );
            None
        }
        (None, None) => {
            let message = format!("{what} needs `may` or `mayNot`");
            out.push(Diagnostic::at(Code::E0202, name.span, message));
            None
        }
    };
    if let Some(entry) = fields.entry("mask") {
        rule.masks = texts(&entry.value, out);
        if matches!(rule.effect, Some(Effect::MayNot(_))) {
            let message = format!("{what} denies, so there is nothing to mask");
            out.push(Diagnostic::at(Code::E0209, entry.key.span, message).help("remove `mask`"));
        }
    }
    rule.message =
        fields.take("message").and_then(|node| text(node, out)).filter(|text| check_message(text, out));
    rule.predicates
        .extend(fields.take("where").map(|node| predicates::conditions(node, out)).unwrap_or_default());
    if let Some(entry) = fields.entry("observe") {
        rule.observe = boolean(&entry.value, out).unwrap_or(false);
        if rule.observe && matches!(rule.effect, Some(Effect::May(_))) {
            let message = format!("{what} allows, and what is only observed allows nothing");
            out.push(
                Diagnostic::at(Code::E0209, entry.key.span, message)
                    .help("observe a `mayNot` rule, or remove `observe`"),
            );
        }
    }
    for key in ["reveal", "approval", "record"] {
        fields.not_yet(key, out);
    }
    fields.close(out);
    rule
}

/// The message travels in a JSON answer and is one line for a human.
fn check_message(text: &Text, out: &mut Diagnostics) -> bool {
    let usable = text.value.len() <= 256 && !text.value.chars().any(char::is_control);
    if !usable {
        out.push(Diagnostic::at(Code::E0205, text.span, "a message is one line of at most 256 bytes"));
    }
    usable
}
