//! The signals a daemon heeds, and one that must not end it.

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT: stop.
    Stop,
    /// SIGHUP: read the registry again.
    Reload,
}

/// The signals, from [`Signals::listen`] on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    _file_too_large: Signal,
}

impl Signals {
    /// Listens: none of the signals ends the process by itself any more. That goes for SIGXFSZ too, so that
    /// a file size limit shows as a failed write, which the journal answers by its rules. Rust ignores SIGPIPE.
    ///
    /// # Errors
    /// When the operating system takes no handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            _file_too_large: signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
        })
    }

    /// What is asked for next.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits until it is asked to stop; whatever else is asked for meanwhile is what comes next.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
