//! [`Room`]: how much the exchanges of a policy hold together, so that many that wait cannot exhaust the memory of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are held for the exchanges of a policy, on one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

impl Room {
    /// Most bytes at one time: an instance of the filter has 4 GiB.
    pub(crate) const MOST: usize = 256 * 1024 * 1024;

    /// Counts more bytes; `false`, and nothing is counted, if they do not fit.
    #[must_use]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fits = self.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= Self::MOST;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// Bytes that are held no longer.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let room = Room::default();
        let other = room.clone();
        assert!(room.take(Room::MOST - 1) && other.take(1));
        assert!(!room.take(1) && !other.take(1));
        other.give_back(2);
        assert!(room.take(2) && !room.take(1));
    }
}
