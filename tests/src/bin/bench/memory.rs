//! Resident memory of a process.

use anyhow::{Context as _, Result};

/// `VmRSS` of a process, in bytes (proc(5)).
///
/// # Errors
/// When the process is gone or the kernel does not say.
pub(crate) fn resident(id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("the process is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")?;
    Ok(kib * 1024.0)
}
