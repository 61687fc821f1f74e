//! What goes on to its end, whoever asked for it.
//!
//! The future of a handler is dropped when the client resets its connection. What it was in the middle of would stay half
//! done: a row that says a change was made, and neither the change nor a row that it was not. So a change is made in a task
//! of its own, on the daemon's thread, which outlives those of the listeners. Nothing begins once the daemon has stopped
//! waiting for what is under way, so that its last row is the last one.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::http::problem::{Became, Problem};

/// What is under way at a time; one more waits, and is given up with its client.
const UNDER_WAY_MAX: u32 = 256;

/// Why something was not done to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It was not begun.
    #[error("the daemon is stopping; nothing was changed")]
    Stopping,
    /// It panicked, or the daemon ended first. How far it came is not known.
    #[error("it was interrupted, and it is not known how far it came; check before you try again")]
    Off,
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Stopping => Self::unavailable(&broken),
            Broken::Off => Self::unavailable(&broken).of_a_change(Became::Unknown),
        }
    }
}

/// What changes something, or appends a row, because somebody asked for it.
pub struct UnderWay {
    places: Arc<Semaphore>,
    thread: ArbiterHandle,
}

impl UnderWay {
    /// Nothing yet. It will be done on this thread, which runs an actix system.
    pub fn on_this_thread() -> Self {
        Self { places: Arc::new(Semaphore::new(UNDER_WAY_MAX as usize)), thread: Arbiter::current() }
    }

    /// Waits for a place. What has one is waited for.
    ///
    /// # Errors
    /// [`Broken::Stopping`].
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, Broken> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| Broken::Stopping)
    }

    /// Does `work` in a task of its own: it goes on when this future is dropped.
    ///
    /// # Errors
    /// Why it was not done to its end.
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
                // Who waited may have gone.
                drop(done.send(outcome));
            });
        });
        outcome.await.map_err(|_| Broken::Off)
    }

    /// Waits until nothing is under way. Nothing begins after that.
    pub async fn ended(&self) {
        let all = self.places.acquire_many(UNDER_WAY_MAX).await;
        self.begin_nothing();
        drop(all);
    }

    /// The same for so long at most. Says whether nothing was under way any more.
    pub async fn ended_within(&self, patience: Duration) -> bool {
        let is_ended = timeout(patience, self.ended()).await.is_ok();
        self.begin_nothing();
        is_ended
    }

    /// Nothing begins after this.
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
