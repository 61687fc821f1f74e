//! Death watch: an actor contains a [`WatchGuard`]; when the actor ends, for whatever reason, its supervisor is notified.

use std::fmt;

use actix::MessageResponse;
use tokio::sync::mpsc;

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq, MessageResponse)]
pub enum Ended {
    /// It was asked to close, and did.
    Asked,
    /// It stopped without having been asked to.
    Stopped,
    /// A handler panicked.
    Panicked,
    /// It cannot go on and must not be restarted in this process; the text says why.
    Poisoned(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("closed"),
            Self::Stopped => f.write_str("stopped without being asked"),
            Self::Panicked => f.write_str("panicked"),
            Self::Poisoned(reason) => write!(f, "poisoned: {reason}"),
        }
    }
}

/// The notification that an incarnation of the actor `name` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exited {
    /// Name of the actor, as given to the guard.
    pub name: String,
    /// Number of the incarnation, as given to the guard.
    pub incarnation: u64,
    pub ended: Ended,
}

/// Kept in an actor's struct; when it is dropped with the actor, it reports the end.
#[derive(Debug)]
pub struct WatchGuard {
    name: String,
    incarnation: u64,
    ended: Ended,
    report_to: mpsc::UnboundedSender<Exited>,
}

impl WatchGuard {
    /// A guard for one incarnation of the actor `name`. Each guard sends at most one report, so the channel is bounded by
    /// the number of actors alive.
    pub fn new(name: impl Into<String>, incarnation: u64, report_to: mpsc::UnboundedSender<Exited>) -> Self {
        Self { name: name.into(), incarnation, ended: Ended::Stopped, report_to }
    }

    /// A guard without a supervisor.
    pub fn unwatched() -> Self {
        Self::new("unwatched", 1, mpsc::unbounded_channel().0)
    }

    /// Sets how the actor ends, before it does.
    pub fn ends_with(&mut self, ended: Ended) {
        self.ended = ended;
    }

    /// Declares that the following end was requested.
    #[must_use = "it answers `Close`"]
    pub fn ends_as_asked(&mut self) -> Ended {
        self.ends_with(Ended::Asked);
        Ended::Asked
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let ended = if std::thread::panicking() { Ended::Panicked } else { self.ended.clone() };
        let name = std::mem::take(&mut self.name);
        let news = Exited { name, incarnation: self.incarnation, ended };
        // While the daemon is shutting down, nobody receives it any more.
        drop(self.report_to.send(news));
    }
}
