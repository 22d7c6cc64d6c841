//! Masks that change requests whose signature covers the body (AWS Signature Version 4).

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Policy;
use crate::source::masks::{Mask, Place};
use crate::source::rules::Effect;

/// Contents of APIs whose callers sign bodies.
const SIGNED: &str = "bedrock.";

/// Reports every mask of requests that a `may` rule puts on such a route.
pub(super) fn run(policy: &Policy, out: &mut Diagnostics) {
    let changes_requests = |mask: &Mask| {
        mask.places.iter().any(|place| place.value == Place::RequestBody) || !mask.fields.is_empty()
    };
    for rule in &policy.rules {
        let Some(Effect::May(routes)) = &rule.body.effect else { continue };
        let signed = policy.routes.iter().find(|route| {
            let content =
                route.body.content.as_ref().is_some_and(|content| content.value.starts_with(SIGNED));
            content && routes.iter().any(|named| named.value == route.name.value)
        });
        let Some(route) = signed else { continue };
        for named in &rule.body.masks {
            let mask = policy.masks.iter().find(|mask| mask.name.value == named.value);
            if mask.is_some_and(|mask| changes_requests(&mask.body)) {
                let message = format!(
                    "mask `{}` changes requests to `{}`, which may be signed",
                    named.value, route.name.value
                );
                let note = "a signature of AWS covers the body: a request that is masked must be signed again behind Veilwire";
                let help = "mask `responseBody` only, use an API key of Bedrock, or sign there (`aws_request_signing`)";
                out.push(
                    Diagnostic::at(Code::W0712, named.span, message)
                        .also(route.name.span, "its route")
                        .note(note)
                        .help(help),
                );
            }
        }
    }
}
