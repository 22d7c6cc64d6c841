//! `spec.routes`: upstreams and contents exist.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean, listing};
use crate::pack::{self, Pack};
use crate::source::Policy;

/// Plain JSON needs no pack.
pub(crate) const JSON: &str = "json";

/// Checks what routes refer to.
pub(super) fn resolve(policy: &Policy, packs: &[Pack], out: &mut Diagnostics) {
    for route in &policy.routes {
        if let Some(upstream) = &route.body.upstream {
            super::refer(Code::E0306, "upstream", upstream, &policy.upstreams, out);
        }
        let Some(content) = &route.body.content else { continue };
        let brought = packs.iter().flat_map(|pack| &pack.contents).any(|(name, _)| *name == content.value);
        if brought || content.value == JSON {
            continue;
        }
        if let Some((_, home)) = pack::homes().find(|(name, _)| *name == content.value) {
            let message =
                format!("content `{}` comes with pack `{home}`, which is not imported", content.value);
            out.push(
                Diagnostic::at(Code::E0312, content.span, message).help(format!("add `{home}` to `packs`")),
            );
            continue;
        }
        let known = pack::homes().map(|(name, _)| name).chain([JSON]);
        let diagnostic =
            Diagnostic::at(Code::E0309, content.span, format!("content `{}` does not exist", content.value));
        out.push(match did_you_mean(&content.value, known.clone()) {
            Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
            None => diagnostic.help(format!("known: {}", listing(known))),
        });
    }
}
