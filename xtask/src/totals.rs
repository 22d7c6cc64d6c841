//! Totals of test runs, read from what `cargo test` and `cargo nextest` print.

use std::fmt;
use std::ops::AddAssign;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Totals {
    pub(crate) const fn one_failure() -> Self {
        Self { passed: 0, failed: 1, skipped: 0 }
    }

    /// Adds what `line` says, if it is a runner's summary.
    pub(crate) fn read_line(&mut self, line: &str) {
        if let Some(totals) = libtest(line).or_else(|| nextest(line)) {
            *self += totals;
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// `N passed, N failed`, the closing line that other programs read.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s`
fn libtest(line: &str) -> Option<Totals> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    Some(Totals {
        passed: count(counts, "passed"),
        failed: count(counts, "failed"),
        skipped: count(counts, "ignored"),
    })
}

/// `Summary [   1.2s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped`
fn nextest(line: &str) -> Option<Totals> {
    let rest = line.trim().strip_prefix("Summary [")?;
    let (_, counts) = rest.split_once("run: ")?;
    let failed = ["failed", "timed out", "exec failed"].iter().map(|what| count(counts, what)).sum();
    Some(Totals { passed: count(counts, "passed"), failed, skipped: count(counts, "skipped") })
}

/// The number before `what` in a list of `<number> <what>` items.
fn count(counts: &str, what: &str) -> usize {
    counts
        .split([',', ';'])
        .filter_map(|item| item.trim().split_once(' '))
        .filter(|(_, name)| name.split(" (").next().is_some_and(|n| n.trim() == what))
        .filter_map(|(number, _)| number.parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Totals {
        let mut totals = Totals::default();
        totals.read_line(line);
        totals
    }

    #[test]
    fn cargo_test_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s";
        assert_eq!(of(line), Totals { passed: 12, failed: 2, skipped: 1 });
        assert_eq!(of("running 3 tests"), Totals::default());
    }

    #[test]
    fn nextest_lines_are_read() {
        let line = "     Summary [   1.234s] 15 tests run: 9 passed (1 slow, 2 leaky), 4 failed, 2 timed out, 3 skipped";
        assert_eq!(of(line), Totals { passed: 9, failed: 6, skipped: 3 });
    }

    #[test]
    fn the_closing_line_has_the_plain_form() {
        let totals = Totals { passed: 3, failed: 0, skipped: 0 };
        assert_eq!(totals.to_string(), "3 passed, 0 failed");
    }
}
