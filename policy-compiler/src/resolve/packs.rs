//! `spec.packs`: every import names a pack that ships, with its version.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean, listing};
use crate::pack::{self, BrokenPack, Pack};
use crate::source::Policy;

/// The imported packs, ordered by reference, and whether these are all the policy means.
pub(crate) fn resolve(policy: &Policy, out: &mut Diagnostics) -> Result<(Vec<Pack>, bool), BrokenPack> {
    let mut packs = Vec::new();
    let mut complete = !policy.packs_unreadable;
    for import in &policy.packs {
        if let Some(pack) = Pack::load(&import.value) {
            packs.push(pack?);
            continue;
        }
        complete = false;
        let name = import.value.split('@').next().unwrap_or("");
        let versioned = pack::references().find(|reference| reference.split('@').next() == Some(name));
        let diagnostic =
            Diagnostic::at(Code::E0301, import.span, format!("pack `{}` does not exist", import.value));
        out.push(match versioned.or_else(|| did_you_mean(&import.value, pack::references())) {
            Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
            None => diagnostic.help(format!("packs: {}", listing(pack::references()))),
        });
    }
    packs.sort_by_key(|pack| pack.reference);
    Ok((packs, complete))
}
