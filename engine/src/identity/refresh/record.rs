//! What all workers know of the keys of one provider: one record in the store they share.
//!
//! Guarantees: a record is replaced as a whole, so its parts never contradict each other; anything that is not a record is
//! taken for none. Attempts are numbered: whoever began the latest one is the only one who may end it, and an attempt that nobody
//! ends is over after [`LEASE_MS`]. The rules of when to fetch are here and nowhere else.

use crate::policy::model::RemoteKeys;
use crate::time::Timestamp;

/// An attempt that lasts longer was given up by its worker; more than two answers may take.
pub(super) const LEASE_MS: u64 = 2 * super::ANSWER_MS + 2_000;
/// Keys are fetched for a key id that nobody knows at most once in this time, over all workers.
pub(super) const UNKNOWN_KEY_MS: u64 = 10_000;
/// Longest pause after failures.
const MOST_PAUSE_MS: u64 = 60_000;

const FORMAT: u8 = 1;
const NUMBERS: usize = 7;
const HEAD: usize = 1 + NUMBERS * 8;

/// The record without its key set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Number of the attempt that brought the key set; 0: there is none yet.
    pub(super) set: u64,
    /// When that key set was last seen to be the current one.
    pub(super) fetched: Timestamp,
    /// Number of the latest attempt that was begun; 0: none.
    pub(super) begun: u64,
    /// When it was begun.
    pub(super) begun_at: Timestamp,
    /// Number of the latest attempt that ended.
    pub(super) ended: u64,
    /// When keys were last fetched for an unknown key id.
    pub(super) asked_at: Timestamp,
    /// Attempts that failed since one did not.
    pub(super) failures: u64,
}

impl Record {
    /// Reads a record and the key set with it; `None` if it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<(Record, &[u8])> {
        let (head, set) = bytes.split_at_checked(HEAD)?;
        let (&format, numbers) = head.split_first()?;
        if format != FORMAT {
            return None;
        }
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut next = || numbers.next();
        let record = Record {
            set: next()?,
            fetched: Timestamp(next()?),
            begun: next()?,
            begun_at: Timestamp(next()?),
            ended: next()?,
            asked_at: Timestamp(next()?),
            failures: next()?,
        };
        Some((record, set))
    }

    /// The record with this key set, as bytes.
    pub(super) fn write(&self, set: &[u8]) -> Vec<u8> {
        let numbers: [u64; NUMBERS] = [
            self.set,
            self.fetched.0,
            self.begun,
            self.begun_at.0,
            self.ended,
            self.asked_at.0,
            self.failures,
        ];
        let mut bytes = Vec::with_capacity(HEAD + set.len());
        bytes.push(FORMAT);
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(set);
        bytes
    }

    /// Whether a worker fetches now.
    pub(super) fn in_flight(&self, now: Timestamp) -> bool {
        self.begun > self.ended && within(self.begun_at, LEASE_MS, now)
    }

    /// Whether keys may be fetched now; `unknown`: somebody showed a key id that is not in the set.
    pub(super) fn may_begin(&self, remote: &RemoteKeys, now: Timestamp, unknown: bool) -> bool {
        if self.in_flight(now) || self.pauses(now) {
            return false;
        }
        if self.set == 0 || !within(self.fetched, seconds(remote.refresh_seconds), now) {
            return true;
        }
        unknown && !within(self.asked_at, UNKNOWN_KEY_MS, now)
    }

    /// The record after an attempt was begun.
    pub(super) fn begin(self, now: Timestamp, unknown: bool) -> Record {
        Record {
            begun: self.begun.saturating_add(1),
            begun_at: now,
            failures: self.all_failures(),
            asked_at: if unknown && self.set != 0 { now } else { self.asked_at },
            ..self
        }
    }

    /// The first moment at which the keys no longer count.
    pub(super) fn good_until(&self, remote: &RemoteKeys) -> Timestamp {
        let most = seconds(remote.refresh_seconds).saturating_add(seconds(remote.stale_seconds));
        self.fetched.saturating_add_millis(most)
    }

    fn pauses(&self, now: Timestamp) -> bool {
        let failures = self.all_failures();
        let doubled = u32::try_from(failures.saturating_sub(1))
            .ok()
            .and_then(|shift| 1_000_u64.checked_shl(shift.min(16)));
        let pause = doubled.unwrap_or(MOST_PAUSE_MS).min(MOST_PAUSE_MS);
        failures > 0 && within(self.begun_at, pause, now)
    }

    /// Failures, with that of an attempt that nobody ended.
    fn all_failures(&self) -> u64 {
        self.failures.saturating_add(u64::from(self.begun > self.ended))
    }
}

/// Whether `now` is in the time of this length that began at `start`. A clock that was set back is in none: what would wait
/// for it to catch up is done at once instead.
fn within(start: Timestamp, millis: u64, now: Timestamp) -> bool {
    start <= now && now < start.saturating_add_millis(millis)
}

fn seconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000
}
