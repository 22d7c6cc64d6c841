//! Checks over a resolved policy: what compiles, but is not what anybody means.
//!
//! One module per subject. A lint says nothing about what an error of an earlier stage explains.

pub mod access;
pub mod fallback;
pub mod placeholders;
pub mod routes;
pub mod signed;
pub mod unseen;
pub mod unused;

use crate::diagnostic::Diagnostics;
use crate::resolve::Resolved;

/// Runs all lints that need no compiled model.
pub fn run(resolved: &Resolved<'_>, out: &mut Diagnostics) {
    routes::overlaps(resolved.policy, out);
    if out.has_errors() {
        // Whether something is used or can ever match is unknown while names are wrong.
        return;
    }
    access::run(resolved.policy, out);
    fallback::run(resolved, out);
    signed::run(resolved.policy, out);
    unseen::run(resolved, out);
    unused::run(resolved, out);
}
