//! CPU time, as the scheduler counts it: nanoseconds on a processor, whatever else the machine does meanwhile.

use anyhow::{Context as _, Result};

/// CPU time of all threads of a process, in nanoseconds.
///
/// # Errors
/// When the process is gone or the kernel keeps no such count (Linux with `CONFIG_SCHED_INFO` does).
pub(crate) fn of_process(id: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task")).context("the process is gone")? {
        // A thread may end between the listing and the reading.
        if let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) {
            sum += parse(&text)?;
        }
    }
    Ok(sum)
}

/// CPU time of this thread, in nanoseconds.
///
/// # Errors
/// As [`of_process`].
pub(crate) fn of_this_thread() -> Result<u64> {
    parse(&std::fs::read_to_string("/proc/thread-self/schedstat").context("no /proc/thread-self/schedstat")?)
}

fn parse(schedstat: &str) -> Result<u64> {
    let first = schedstat.split_whitespace().next().context("an empty schedstat")?;
    first.parse().context("schedstat has no number")
}
