//! The signals that ask the daemon for something.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The request that a signal makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT: stop.
    Stop,
    /// SIGHUP: reload the registry.
    Reload,
}

/// Receives the signals, from [`Signals::listen`] on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Installs handlers, so that none of the signals ends the process by itself.
    ///
    /// # Errors
    /// When the operating system accepts no handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next request.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits for the next request to stop; a request to reload stays pending.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The result of `work`; `None` if `stop` resolves before, and then `work` is dropped unfinished. Work that is done by then
/// counts: a start that has failed has to be closed, and has an exit code of its own.
pub async fn finished_before<T>(stop: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = work => Some(result),
        () = stop => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_is_done_by_the_time_of_the_signal_counts_and_what_is_not_is_left() {
        for _ in 0..50 {
            assert_eq!(finished_before(ready(()), ready(1)).await, Some(1));
        }
        assert_eq!(finished_before(pending(), ready(1)).await, Some(1));
        assert_eq!(finished_before(ready(()), pending::<u8>()).await, None);
    }
}
