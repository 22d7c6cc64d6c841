//! Placeholders that a detector finds: the text would be masked again by the next hop, and the finding says nothing.

use crate::detect::Probe;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::resolve::Resolved;
use veilwire_engine::policy::model::Model;

/// Runs every detector of the policy over the placeholders it declares itself.
pub fn run(resolved: &Resolved<'_>, model: &Model, out: &mut Diagnostics) {
    // An unusable set is refused by the filter's own check right after.
    let Ok(probe) = Probe::from_model(model) else { return };
    for (name, tag) in &resolved.tags {
        let text = tag.replacement.as_ref().and_then(|replacement| replacement.text());
        let (Some(text), Some((_, Some(span)))) = (text, tag.own) else { continue };
        let hits = probe.find(text.as_bytes()).unwrap_or_default();
        if let Some(hit) = hits.first() {
            let detector = hit.detectors.first().map_or("a detector", String::as_str);
            out.push(
                Diagnostic::at(
                    Code::W0510,
                    span,
                    format!("placeholder of `{name}` is itself found by `{detector}`"),
                )
                .help("write one that looks like nothing else, as in `[CARD]`"),
            );
        }
    }
}
