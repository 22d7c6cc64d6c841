//! Progress lines and elapsed time.

use std::time::{Duration, Instant};

/// Seconds since a step began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a build tool reports how long its steps took")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// One line for a step that begins.
pub(crate) fn step(text: &str) {
    println!("==> {text}");
}

/// One line about the step under way.
pub(crate) fn note(text: &str) {
    println!("    {text}");
}

/// Bound of a step that compiles a large dependency tree on two cores.
pub(crate) const LONG: Duration = Duration::from_secs(1800);
