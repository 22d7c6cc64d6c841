//! Masks that change requests whose signature covers the body (AWS Signature Version 4), where nobody signs them again.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Policy;
use crate::source::masks::{Mask, Place};
use crate::source::reader::Named;
use crate::source::routes::Route;
use crate::source::rules::Effect;
use crate::source::upstreams::Upstream;

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
            content
                && !is_signed_again(policy, &route.body)
                && routes.iter().any(|named| named.value == route.name.value)
        });
        let Some(route) = signed else { continue };
        for named in &rule.body.masks {
            let mask = policy.masks.iter().find(|mask| mask.name.value == named.value);
            if mask.is_some_and(|mask| changes_requests(&mask.body)) {
                let message = format!(
                    "mask `{}` changes requests to `{}`, whose signature covers the body",
                    named.value, route.name.value
                );
                let note = "a request that is masked must be signed again behind Veilwire, or the upstream refuses it";
                let help = "let Envoy sign: `credential: {awsSigV4: {service: bedrock, region: …}}` on its upstream; or mask `responseBody` only";
                out.push(
                    Diagnostic::at(Code::E0712, named.span, message)
                        .also(route.name.span, "its route")
                        .note(note)
                        .help(help),
                );
            }
        }
    }
}

/// Does Envoy sign what leaves on this route?
fn is_signed_again(policy: &Policy, route: &Route) -> bool {
    let named = |upstream: &&Named<Upstream>| {
        route.upstream.as_ref().is_some_and(|name| name.value == upstream.name.value)
    };
    policy.upstreams.iter().find(named).is_some_and(|upstream| upstream.body.signing.is_some())
}
