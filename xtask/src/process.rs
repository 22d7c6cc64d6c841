//! Starting programs: found on PATH or not, quiet with a heartbeat and a log, or streamed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::console::{self, Stopwatch};
use crate::workspace;

const POLL: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Lines of a failed step's log that are shown.
const TAIL_LINES: usize = 60;

/// Full path of `program` if PATH has it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The cargo that started us, so that the toolchain stays the active one.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

/// Standard output of a command that must succeed.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}):\n{}", output.status, tail(&stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the command starts and exits with 0; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Runs with the terminal's own output; fails on a non-zero exit.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a long step: one line at its begin, a heartbeat with the elapsed seconds, output in a log file whose
/// tail is part of the error. `limit` bounds it; the child is ended when it is over.
pub(crate) fn quiet(label: &str, command: &mut Command, limit: Duration) -> Result<()> {
    console::step(label);
    let slug: String =
        label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let log = workspace::log_dir()?.join(format!("{slug}.log"));
    let watch = Stopwatch::start();
    let Some(status) = wait_logged(command, &log, limit)? else {
        bail!("{label}: not finished after {} s; log: {}", limit.as_secs(), log.display());
    };
    if !status.success() {
        let text = std::fs::read(&log).unwrap_or_default();
        bail!("{label}: failed ({status})\n{}", tail(&String::from_utf8_lossy(&text)));
    }
    console::note(&format!("done in {:.1} s", watch.seconds()));
    Ok(())
}

fn wait_logged(command: &mut Command, log: &Path, limit: Duration) -> Result<Option<ExitStatus>> {
    let file = File::create(log).with_context(|| format!("cannot write `{}`", log.display()))?;
    let shown = show(command);
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let watch = Stopwatch::start();
    let mut next = HEARTBEAT;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if watch.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        if watch.elapsed() >= next {
            console::note(&format!("... {} s", watch.elapsed().as_secs()));
            next += HEARTBEAT;
        }
        std::thread::sleep(POLL);
    }
}

pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// The command line as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines() {
        let text: String = (0..100).map(|i| format!("{i}\n")).collect();
        let kept = tail(&text);
        assert!(kept.starts_with("40\n") && kept.ends_with("99"));
    }

    #[test]
    fn a_step_over_its_limit_is_ended_and_named() {
        let log = std::env::temp_dir().join(format!("xtask-limit-{}.log", std::process::id()));
        let outcome = wait_logged(Command::new("sleep").arg("30"), &log, Duration::from_millis(1)).unwrap();
        assert!(outcome.is_none());
        std::fs::remove_file(log).unwrap();
    }
}
