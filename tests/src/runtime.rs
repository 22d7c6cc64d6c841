//! One small tokio runtime per test process; every peer of the harness runs on it, tests stay blocking code.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime of this process.
///
/// # Errors
/// When its threads cannot be started.
pub fn shared() -> Result<&'static Runtime> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("harness")
        .enable_all()
        .build()
        .context("cannot start the harness runtime")?;
    Ok(RUNTIME.get_or_init(|| built))
}

/// Runs `future` to its end, at most `limit`; `what` names the wait in the error.
///
/// # Errors
/// When the limit is over, or when the future fails.
pub fn wait<T>(what: &str, limit: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    let outcome = shared()?.block_on(async { tokio::time::timeout(limit, future).await });
    match outcome {
        Ok(result) => result.with_context(|| format!("{what} failed")),
        Err(_) => bail!("{what}: nothing within {} s", limit.as_secs()),
    }
}
