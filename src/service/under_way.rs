//! Work that is completed even if its client disconnects.
//!
//! The future of a handler is dropped when the client resets its connection. That could leave a change half done: a row that
//! says it was made, without the change and without a row that takes it back. So a change runs in a task of its own, on the
//! thread of the daemon, which outlives the threads of the listeners. No work begins once the daemon has stopped waiting for
//! it, so that the last row of the daemon is the last one in the journal.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Tasks in progress at a time. Another one waits, and is cancelled if its client disconnects.
const UNDER_WAY_MAX: u32 = 256;

/// Why work was not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It was not started.
    #[error("the daemon is stopping; nothing was changed")]
    Stopping,
    /// It panicked, or the daemon ended first. How much of it was done is not known.
    #[error("it was interrupted, and it is not known how far it came; check before you try again")]
    Off,
}

/// Runs changes, and appends of rows, that a client asked for.
pub struct UnderWay {
    places: Arc<Semaphore>,
    thread: ArbiterHandle,
}

impl UnderWay {
    /// Creates it empty. The work will run on this thread, which must run an actix system.
    pub fn on_this_thread() -> Self {
        Self { places: Arc::new(Semaphore::new(UNDER_WAY_MAX as usize)), thread: Arbiter::current() }
    }

    /// Waits for a place. Work that holds a place is waited for at a stop.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Broken> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| Broken::Stopping)
    }

    /// Runs `work` in a task of its own, which continues when this future is dropped.
    ///
    /// # Errors
    /// Why the work was not completed.
    pub async fn to_the_end<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> Result<T, Broken>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let place = self.place().await?;
        let (done, outcome) = oneshot::channel();
        self.thread.spawn_fn(move || {
            actix_rt::spawn(async move {
                let outcome = work().await;
                drop(place);
                // The receiver may have been dropped.
                drop(done.send(outcome));
            });
        });
        outcome.await.map_err(|_| Broken::Off)
    }

    /// Waits until all work is done, and lets none begin after that.
    pub async fn ended(&self) {
        let all = self.places.acquire_many(UNDER_WAY_MAX).await;
        self.begin_nothing();
        drop(all);
    }

    /// As [`UnderWay::ended`], for at most `patience`. Returns whether all work was done.
    pub async fn ended_within(&self, patience: Duration) -> bool {
        let is_ended = timeout(patience, self.ended()).await.is_ok();
        self.begin_nothing();
        is_ended
    }

    /// Lets no work begin from here on.
    pub fn begin_nothing(&self) {
        self.places.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn what_is_under_way_is_waited_for_though_nobody_waits_for_its_outcome() {
        let under_way = UnderWay::on_this_thread();
        let ((go, gone), (done, was_done)) = (oneshot::channel::<()>(), oneshot::channel());
        let work = under_way.to_the_end(|| async {
            gone.await.unwrap();
            done.send(()).unwrap();
        });
        assert!(timeout(Duration::from_millis(10), work).await.is_err(), "who asked goes away");
        assert!(timeout(Duration::from_millis(10), under_way.ended()).await.is_err());
        go.send(()).unwrap();
        under_way.ended().await;
        was_done.await.unwrap();
        assert_eq!(under_way.to_the_end(|| async {}).await, Err(Broken::Stopping));
    }

    #[actix_web::test]
    async fn what_does_not_end_is_waited_for_no_longer_than_there_is_patience() {
        let under_way = UnderWay::on_this_thread();
        let hangs = under_way.to_the_end(std::future::pending::<()>);
        assert!(timeout(Duration::from_millis(10), hangs).await.is_err(), "who asked goes away");
        assert!(!under_way.ended_within(Duration::from_millis(10)).await);
        assert_eq!(under_way.to_the_end(|| async {}).await, Err(Broken::Stopping));
        assert!(UnderWay::on_this_thread().ended_within(Duration::ZERO).await, "nothing is under way");
    }

    #[actix_web::test]
    async fn what_panics_is_told_as_broken_off_and_keeps_no_place() {
        let under_way = UnderWay::on_this_thread();
        let broken = under_way.to_the_end(|| async { panic!("a planted panic") }).await;
        assert_eq!(broken, Err::<(), _>(Broken::Off));
        under_way.ended().await;
    }
}
