//! Threads for blocking work that must not delay a stop.

use std::io;
use std::sync::{Mutex, mpsc};
use std::thread::Builder;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;

/// The system did not start a thread.
#[derive(Debug, thiserror::Error)]
#[error("the operating system refused this process a thread")]
pub struct Refused(#[source] pub io::Error);

/// Refuses to go on where the system would not start so many threads at once. They are started, do nothing and end. This is
/// for libraries that cannot report that they lack a thread: they panic, or end after they began to serve.
///
/// # Errors
/// The refusal.
pub fn check(count: usize) -> Result<(), Refused> {
    let gate = Mutex::new(());
    std::thread::scope(|scope| {
        let closed = gate.lock();
        let start = |_| Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop);
        let started = (0..count).try_for_each(start);
        drop(closed);
        started.map_err(Refused)
    })
}

/// Runs `work` on a thread of its own. If it is not awaited to its end it dies with the process; the threads of the runtime,
/// in contrast, are waited for at a stop.
///
/// # Errors
/// When the system cannot start a thread, or the work panicked.
pub async fn on_its_own<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (done, outcome) = oneshot::channel();
    // The receiver may have been dropped.
    let work = move || drop(done.send(work()));
    Builder::new().spawn(work).map_err(Refused)?;
    outcome.await.ok().context("a thread of the daemon panicked")
}

/// Runs `work` on a thread of its own, for at most `limit`; after that it is left alone and dies with the process. If the
/// system cannot start a thread, the work is done here, however long it takes.
pub fn for_at_most(limit: Duration, work: impl FnOnce() + Clone + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let elsewhere = work.clone();
    let elsewhere = move || {
        elsewhere();
        // Nobody waits any more if the limit is over.
        done.send(()).unwrap_or_default();
    };
    match Builder::new().spawn(elsewhere) {
        Ok(_) => is_done.recv_timeout(limit).unwrap_or_default(),
        Err(_) => work(),
    }
}
