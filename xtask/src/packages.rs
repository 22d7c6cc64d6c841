//! Debian packages: installed with apt where the user may, named in an instruction where not.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process;

const APT_LIMIT: Duration = Duration::from_secs(600);

/// Installs `packages` with apt, or fails with what a person has to install.
///
/// `elsewhere` is the instruction for systems without apt (other distributions, macOS).
pub(crate) fn install(packages: &[&str], why: &str, elsewhere: &str) -> Result<()> {
    if process::find("apt-get").is_none() {
        bail!("{why}, and this system has no apt. {elsewhere}");
    }
    let Some(prefix) = privilege() else {
        bail!(
            "{why}. Run `sudo apt-get install --no-install-recommends {}` once, then repeat this command \
             (neither root nor password-less sudo is available here)",
            packages.join(" ")
        );
    };
    let label = format!("installing {}", packages.join(", "));
    if process::quiet(&label, apt(prefix).args(packages), APT_LIMIT).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package list yet.
    process::quiet("refreshing apt's package list", sudo(prefix).args(["apt-get", "update"]), APT_LIMIT)?;
    process::quiet(&label, apt(prefix).args(packages), APT_LIMIT)
}

/// Words to put before a command that needs root; `None` when root cannot be had without a password.
fn privilege() -> Option<&'static [&'static str]> {
    let id = process::capture(Command::new("id").arg("-u")).ok()?;
    if id.trim() == "0" {
        return Some(&[]);
    }
    process::succeeds(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

fn sudo(prefix: &[&str]) -> Command {
    let mut command = Command::new("env");
    if let Some((first, rest)) = prefix.split_first() {
        command = Command::new(first);
        command.args(rest).arg("env");
    }
    command.arg("DEBIAN_FRONTEND=noninteractive");
    command
}

fn apt(prefix: &[&str]) -> Command {
    let mut command = sudo(prefix);
    command.args(["apt-get", "install", "-y", "--no-install-recommends"]);
    command
}
