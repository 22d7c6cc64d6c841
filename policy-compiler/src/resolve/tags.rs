//! Tags: what the policy declares, over what imported packs suggest.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Text};
use crate::pack::Pack;
use crate::source::Policy;
use crate::source::keys::Key;
use crate::source::reader::Named;
use crate::source::tags::{How, Tag};
use std::collections::BTreeMap;
use veilwire_engine::policy::id::KeyId;
use veilwire_engine::policy::model::{Canonical, Keyed, Numbers, Partial, Pseudonym, Replacement, Severity};
use veilwire_engine::policy::secret::Secret;

/// Longest placeholder in bytes.
const MAX_PLACEHOLDER: usize = 64;

/// A tag with its effective replacement.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// Severity; unreadable ones count as critical until their error is mended.
    pub severity: Severity,
    /// What is written, with `{tag}` filled in; `None` when the tag has no usable replacement.
    pub replacement: Option<Replacement>,
    /// What stands for numbers.
    pub numbers: Option<Numbers>,
    /// Declared by the policy: where its name is, and where its placeholder.
    pub own: Option<(Span, Option<Span>)>,
    /// `replace` was written, so its absence is not the problem.
    pub replaced: bool,
}

/// All tags by name.
pub(super) fn resolve(policy: &Policy, packs: &[Pack], out: &mut Diagnostics) -> BTreeMap<String, Replaced> {
    check_ids(&policy.keys, out);
    let mut tags = BTreeMap::new();
    for entry in packs.iter().flat_map(|pack| &pack.tags) {
        tags.entry(entry.name.value.clone())
            .or_insert_with(|| effective(&entry.name, &entry.body, None, &policy.keys, out));
    }
    for entry in &policy.tags {
        let mut tag = effective(&entry.name, &entry.body, Some(entry.name.span), &policy.keys, out);
        if let (false, Some(suggested)) = (tag.replaced, tags.get(&entry.name.value)) {
            // A policy may change the severity only: the pack's replacement stays.
            let suggested: &Replaced = suggested;
            tag.replacement = tag.replacement.or_else(|| suggested.replacement.clone());
            tag.numbers = tag.numbers.or(suggested.numbers);
        }
        tags.insert(entry.name.value.clone(), tag);
    }
    tags
}

fn effective(
    name: &Text,
    tag: &Tag,
    own: Option<Span>,
    keys: &[Named<Key>],
    out: &mut Diagnostics,
) -> Replaced {
    let text = tag.placeholder.as_ref().map(|text| fill(name, text, out));
    // What a tag that has no text of its own is called where one is needed.
    let text = || text.clone().unwrap_or_else(|| Some(format!("[{}]", name.value.to_uppercase())));
    let replacement = match &tag.how {
        None if tag.placeholder.is_none() => None,
        None => text().map(Replacement::Placeholder),
        Some(How::Drop) => Some(Replacement::Drop),
        Some(How::Partial { first, last, mask }) => text().map(|otherwise| {
            let (keep_first, keep_last, mask_length) = (*first, *last, *mask);
            Replacement::Partial(Partial { keep_first, keep_last, mask_length, otherwise })
        }),
        Some(How::Tokenize { key, prefix, canonical }) => {
            let (place, id) = key_of(key, keys, out);
            text().map(|otherwise| {
                let prefix = format!("{prefix}{id}_");
                let canonical = *canonical;
                Replacement::Tokenize(Keyed {
                    key: place,
                    prefix,
                    canonical,
                    otherwise,
                    secret: Secret::default(),
                })
            })
        }
        Some(How::Shape { key }) => {
            let (place, _) = key_of(key, keys, out);
            text().map(|otherwise| {
                let (prefix, canonical) = (String::new(), Canonical::Exact);
                Replacement::Shape(Keyed {
                    key: place,
                    prefix,
                    canonical,
                    otherwise,
                    secret: Secret::default(),
                })
            })
        }
        Some(How::Pseudonym(token)) => {
            text().map(|otherwise| Replacement::Pseudonym(Pseudonym { name: token.clone(), otherwise }))
        }
    };
    Replaced {
        severity: tag.severity.as_ref().map_or(Severity::Critical, |severity| severity.value),
        replacement,
        numbers: tag.numbers,
        own: own.map(|span| (span, tag.placeholder.as_ref().map(|text| text.span))),
        replaced: tag.replaced,
    }
}

/// Reports keys whose tokens could not be told apart.
fn check_ids(keys: &[Named<Key>], out: &mut Diagnostics) {
    let mut known: BTreeMap<&str, Span> = BTreeMap::new();
    for id in keys.iter().filter_map(|key| key.body.id.as_ref()) {
        if let Some(first) = known.get(id.value.as_str()) {
            let message = format!("two keys have the id `{}`", id.value);
            let help = "tokens say the id of their key: give every key its own, and a new one to a new key";
            out.push(Diagnostic::at(Code::E0316, id.span, message).also(*first, "first here").help(help));
        } else {
            known.insert(&id.value, id.span);
        }
    }
}

/// The place of a key in the order of their names, and its id; anything for one that is not declared, which is reported.
fn key_of(name: &Text, keys: &[Named<Key>], out: &mut Diagnostics) -> (KeyId, String) {
    super::refer(Code::E0313, "key", name, keys, out);
    let before = keys.iter().filter(|key| key.name.value < name.value).count();
    let known = keys.iter().find(|key| key.name.value == name.value);
    let id = known.and_then(|key| key.body.id.as_ref()).map(|id| id.value.clone()).unwrap_or_default();
    (KeyId(u16::try_from(before).unwrap_or(u16::MAX)), id)
}

/// Fills `{tag}` in and checks that the result can stand in a JSON string as it is.
///
/// SECURITY: a quote or a backslash would end the string it is written into, and with it the structure of the message.
fn fill(name: &Text, template: &Text, out: &mut Diagnostics) -> Option<String> {
    let text = template.value.replace("{tag}", &name.value);
    if let Some(bad) = text.chars().find(|&char| !matches!(char, ' '..='~') || matches!(char, '"' | '\\')) {
        out.push(
            Diagnostic::at(
                Code::E0508,
                template.span,
                format!("placeholder of `{}` is not safe inside JSON", name.value),
            )
            .label(format!("has {bad:?}"))
            .help("use printable ASCII without quote and backslash"),
        );
        return None;
    }
    let fixed = text.replace("{detector}", "");
    if fixed.contains('{') || fixed.contains('}') {
        let message = "the variables of a placeholder are `{tag}` and `{detector}`";
        out.push(Diagnostic::at(Code::E0205, template.span, message));
        return None;
    }
    if text.len() > MAX_PLACEHOLDER {
        let message = format!("placeholder of `{}` is longer than {MAX_PLACEHOLDER} bytes", name.value);
        out.push(Diagnostic::at(Code::E0206, template.span, message));
        return None;
    }
    Some(text)
}

/// Reports a use of `reference` as a tag unless it is declared and has a replacement.
pub(super) fn refer(reference: &Text, tags: &BTreeMap<String, Replaced>, out: &mut Diagnostics) -> bool {
    let Some(tag) = tags.get(&reference.value) else {
        out.push(super::undeclared(Code::E0302, "tag", reference, tags.keys().map(String::as_str)));
        return false;
    };
    if tag.replacement.is_none() && !tag.replaced {
        let message = format!("tag `{}` is used, but says not what is written instead", reference.value);
        let diagnostic = Diagnostic::at(Code::E0509, reference.span, message);
        let diagnostic = match tag.own {
            Some((span, _)) => diagnostic.also(span, "declared here without `replace`"),
            None => diagnostic,
        };
        out.push(
            diagnostic
                .help(format!("add `replace: {{placeholder: \"[{}]\"}}`", reference.value.to_uppercase())),
        );
    }
    true
}
