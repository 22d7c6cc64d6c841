//! Routes that claim the same requests.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Policy;
use crate::source::routes::Route;

/// Two routes of equal host and path must differ in their methods: else which one decides would be a matter of luck.
pub(super) fn overlaps(policy: &Policy, out: &mut Diagnostics) {
    for (index, later) in policy.routes.iter().enumerate() {
        let earlier = policy.routes.iter().take(index).find(|earlier| overlap(&earlier.body, &later.body));
        if let Some(earlier) = earlier {
            let message = format!("routes `{}` and `{}` overlap", earlier.name.value, later.name.value);
            out.push(
                Diagnostic::at(Code::E0706, later.name.span, message)
                    .label("same host, path and method")
                    .also(earlier.name.span, "as here")
                    .help("give them different paths or methods, or make them one route"),
            );
        }
    }
}

fn overlap(a: &Route, b: &Route) -> bool {
    let (Some(host), Some(path)) = (&a.host, &a.path) else { return false };
    let same_host = b.host.as_ref().is_some_and(|other| other.value == host.value);
    let same_path = b.path.as_ref().is_some_and(|other| other.value == path.value);
    let every = |route: &Route| route.methods.is_empty() && !route.narrowed;
    let shared = a.methods.iter().any(|method| b.methods.iter().any(|other| other.value == method.value));
    same_host && same_path && (every(a) || every(b) || shared)
}
