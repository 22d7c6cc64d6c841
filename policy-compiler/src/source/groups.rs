//! `spec.groups`: every group a rule may name, and the provider groups that map to it.
//!
//! Groups are declared because a misspelt group in a `mayNot` rule would let everybody in.

use super::reader::{check_name, text, texts, wrong_type};
use super::yaml::{Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};

/// One group: provider and the provider's group, once per mapping.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Pairs of provider name and provider group.
    pub from: Vec<(Text, Text)>,
}

/// Reads one group.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Group {
    check_name(name, false, out);
    let mut group = Group::default();
    let Kind::Map(entries) = &node.kind else {
        out.push(wrong_type(node, "a provider and its group, as in `{okta: eng-all}`"));
        return group;
    };
    if entries.is_empty() {
        let message = format!("group `{}` has no members", name.value);
        out.push(
            Diagnostic::at(Code::E0209, node.span, message)
                .help("name a provider and its group, as in `{okta: eng-all}`"),
        );
    }
    for entry in entries {
        let values = match &entry.value.kind {
            Kind::List(_) => texts(&entry.value, out),
            _ => text(&entry.value, out).into_iter().collect(),
        };
        group.from.extend(values.into_iter().map(|value| (entry.key.clone(), value)));
    }
    group
}
