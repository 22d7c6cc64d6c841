//! Points in time, handed in by the host.
//!
//! The engine reads no clock: whoever embeds it says what time it is. This module only compares, adds and prints.
//! It guarantees that no operation panics or wraps: additions saturate, every value has a printed form. It does
//! deliberately not parse dates, know time zones or leap seconds (Unix time has none).

use std::fmt;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// A point in time: nanoseconds since the Unix epoch, 1970-01-01T00:00:00Z. Reaches into the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The start of the second `seconds` after the epoch; a second past the end of the range saturates.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Timestamp(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// The start of the millisecond `millis` after the epoch; one past the end of the range saturates.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Timestamp(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 / NANOS_PER_MILLI
    }

    /// This time plus `millis` milliseconds; saturates at the end of the range.
    #[must_use]
    pub const fn saturating_add_millis(self, millis: u64) -> Self {
        Timestamp(self.0.saturating_add(millis.saturating_mul(NANOS_PER_MILLI)))
    }

    /// Milliseconds from `earlier` to this time, rounded down; zero if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0) / NANOS_PER_MILLI
    }

    /// RFC 3339 in UTC with milliseconds (rounded down): `2026-11-22T10:30:00.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }
}

/// The form of [`Timestamp::to_rfc3339`].
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.seconds() / SECONDS_PER_DAY);
        let second_of_day = self.seconds() % SECONDS_PER_DAY;
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let milli = self.millis() % 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Proleptic Gregorian date of the day `days` after 1970-01-01.
///
/// Years are counted from 1 March, so that the leap day is the last day of a year, in eras of 400 years (146,097 days).
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days from 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_print_as_rfc3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (68_169_599, "1972-02-28T23:59:59.000Z"),
            (68_169_600, "1972-02-29T00:00:00.000Z"),
            (68_256_000, "1972-03-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (1_795_343_400, "2026-11-22T10:30:00.000Z"),
            (4_000_000_000, "2096-10-02T07:06:40.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_unix_seconds(seconds).to_rfc3339(), expected);
        }
        assert_eq!(Timestamp(1_999_999).to_rfc3339(), "1970-01-01T00:00:00.001Z", "rounds down");
        assert_eq!(Timestamp(u64::MAX).to_rfc3339(), "2554-07-21T23:34:33.709Z");
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut previous = civil_date(0);
        for day in 1..=213_503 {
            let (year, month, date) = civil_date(day);
            let leap = previous.0.is_multiple_of(4)
                && (!previous.0.is_multiple_of(100) || previous.0.is_multiple_of(400));
            let length = match previous.1 {
                4 | 6 | 9 | 11 => 30,
                2 if leap => 29,
                2 => 28,
                _ => 31,
            };
            let expected = match previous {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if d == length => (y, m + 1, 1),
                (y, m, d) => (y, m, d + 1),
            };
            assert_eq!((year, month, date), expected);
            previous = (year, month, date);
        }
    }

    #[test]
    fn additions_saturate() {
        assert_eq!(Timestamp(u64::MAX - 1).saturating_add_millis(1), Timestamp(u64::MAX));
        assert_eq!(Timestamp(0).saturating_add_millis(u64::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp::from_unix_seconds(1).saturating_add_millis(1500).millis(), 2500);
        assert_eq!(Timestamp(0).millis_since(Timestamp(5)), 0);
    }
}
