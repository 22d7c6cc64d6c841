//! Bounded waits. The only place of the harness that looks at a clock.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Longest wait for something that another process does at once when all is well; two busy cores need slack.
pub const LIMIT: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(10);

/// A point in time after which a wait is given up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `limit` from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "bounding a wait on another process needs a real clock")]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// Time until the deadline, zero when it has passed.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "bounding a wait on another process needs a real clock")]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// Asks `probe` again and again until it answers `Some`, fails, or `limit` is over (`None`).
///
/// # Errors
/// What `probe` fails with.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(found) = probe()? {
            return Ok(Some(found));
        }
        if deadline.is_over() {
            return Ok(None);
        }
        std::thread::sleep(INTERVAL.min(deadline.left()));
    }
}

/// Seconds since 1970 of the real clock: tokens that a real Envoy shall accept need it.
///
/// # Errors
/// When the clock stands before 1970.
#[expect(clippy::disallowed_methods, reason = "a real Envoy checks tokens against the real clock")]
pub fn unix_seconds() -> Result<u64> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())
}
