//! Threads for what blocks and is not to hold up a stop.

use anyhow::Context as _;
use tokio::sync::oneshot;

/// Does `work` on a thread of its own. One that is not waited for to its end goes with the process, which would wait for
/// what the runtime's own threads do.
///
/// # Errors
/// When the system gives no thread, or the work panicked.
pub async fn on_its_own<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (done, outcome) = oneshot::channel();
    // Who waited may have given up.
    let work = move || drop(done.send(work()));
    std::thread::Builder::new().spawn(work).context("the operating system refused the daemon a thread")?;
    outcome.await.ok().context("a thread of the daemon panicked")
}
