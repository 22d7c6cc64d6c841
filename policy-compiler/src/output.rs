//! The only module that prints: results to stdout, everything about them to stderr.

use std::io::{self, IsTerminal, Write};

/// Writes to stdout. A reader that went away is no error.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes bytes to stdout, at once.
///
/// # Errors
/// They were not all written; of a reader that went away it is [`io::ErrorKind::BrokenPipe`].
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes to stderr.
pub fn report(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}

/// Whether diagnostics for people may be coloured: on a terminal, unless `NO_COLOR` says otherwise.
#[must_use]
pub fn color() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
