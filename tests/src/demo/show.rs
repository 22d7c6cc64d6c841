//! What the demo prints: steps, checks, tables. Colours on a terminal only.

use std::io::{self, Write};

use anyhow::Result;

const GREEN: &str = "32";
const RED: &str = "31";
const BOLD: &str = "1";
const DIM: &str = "2";
/// Width of a column of a side-by-side table, in characters.
const COLUMN: usize = 44;

/// One thing that was asked, and whether the answer was the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Step of the story, from 1.
    pub step: usize,
    /// What was done.
    pub asked: String,
    /// What had to come.
    pub expected: String,
    /// What came.
    pub got: String,
    /// Whether it was as expected.
    pub passed: bool,
}

/// Tells the story and remembers its checks.
pub struct Teller<'w> {
    out: &'w mut dyn Write,
    color: bool,
    step: usize,
    checks: Vec<Check>,
}

impl std::fmt::Debug for Teller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("step", &self.step).field("checks", &self.checks.len()).finish()
    }
}

impl<'w> Teller<'w> {
    /// A teller that writes to `out`.
    pub fn new(out: &'w mut dyn Write, color: bool) -> Self {
        Self { out, color, step: 0, checks: Vec::new() }
    }

    /// A line as it is.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A line of the set-up.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(DIM, text);
        self.line(&format!("  {text}"))
    }

    /// Begins the next step.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn step(&mut self, title: &str) -> io::Result<()> {
        self.step += 1;
        let head = self.paint(BOLD, &format!("{}. {title}", self.step));
        self.line(&head)
    }

    /// Does something and tells how it went. `act` answers with what it got and whether that was expected; its error
    /// is a failed check, not the end of the story.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn check(
        &mut self,
        asked: &str,
        expected: &str,
        act: impl FnOnce() -> Result<(String, bool)>,
    ) -> io::Result<()> {
        let (got, passed) = act().unwrap_or_else(|error| (format!("{error:#}"), false));
        let mark = if passed { self.paint(GREEN, "✓") } else { self.paint(RED, "✗") };
        self.line(&format!("   asked     {asked}\n   expected  {expected}\n   got       {got}  {mark}"))?;
        self.line("")?;
        let (asked, expected) = (asked.to_owned(), expected.to_owned());
        self.checks.push(Check { step: self.step, asked, expected, got, passed });
        Ok(())
    }

    /// A removed and an added line, as `diff` shows them.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn change(&mut self, before: &str, after: &str) -> io::Result<()> {
        let before = self.paint(RED, &format!("- {before}"));
        let after = self.paint(GREEN, &format!("+ {after}"));
        self.line(&format!("     {before}\n     {after}"))
    }

    /// A line of a table with two columns, each cut to its width.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn row(&mut self, left: &str, right: &str) -> io::Result<()> {
        let left = fit(left, COLUMN);
        let padding = " ".repeat(COLUMN.saturating_sub(left.chars().count()));
        self.line(&format!("     {left}{padding} │ {}", fit(right, COLUMN)))
    }

    /// What was checked so far.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Gives the checks out.
    #[must_use]
    pub fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The text in at most `width` characters, on one line.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    let line: String = text.chars().flat_map(shown).collect();
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Line ends as `\n`: a table stays a table.
fn shown(character: char) -> impl Iterator<Item = char> {
    let escape = matches!(character, '\n' | '\r' | '\t');
    let escaped = escape.then(|| character.escape_default()).into_iter().flatten();
    escaped.chain((!escape).then_some(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_failed_check_and_the_story_goes_on() {
        let mut out = Vec::new();
        let mut teller = Teller::new(&mut out, false);
        teller.step("first").unwrap();
        teller.check("a", "b", || anyhow::bail!("no answer")).unwrap();
        teller.check("a", "b", || Ok(("b".to_owned(), true))).unwrap();
        let checks = teller.into_checks();
        assert_eq!(checks.iter().map(|check| check.passed).collect::<Vec<_>>(), [false, true]);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("got       no answer  ✗") && text.contains("got       b  ✓"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn columns_are_one_line_of_bounded_width() {
        assert_eq!(fit("a\nb", 10), "a\\nb");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("äöü", 3), "äöü");
    }
}
