//! Death watch: an actor carries a [`WatchGuard`]; when the actor ends, for whatever reason, its supervisor hears of it.

use std::fmt;

use actix::MessageResponse;
use tokio::sync::mpsc;

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq, MessageResponse)]
pub enum Ended {
    /// It was asked to close and did.
    Asked,
    /// It stopped although nobody asked it to.
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

/// The news that an incarnation of the actor called `name` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exited {
    /// The name the guard was made with.
    pub name: String,
    /// And the incarnation.
    pub incarnation: u64,
    /// How it ended.
    pub ended: Ended,
}

/// Kept in an actor's struct; reports the actor's end when it is dropped with it.
#[derive(Debug)]
pub struct WatchGuard {
    name: String,
    incarnation: u64,
    ended: Ended,
    report_to: mpsc::UnboundedSender<Exited>,
}

impl WatchGuard {
    /// A guard for one incarnation of the actor called `name`; the number tells it from those before. At most one report
    /// follows from each guard, so the channel is bounded by the actors alive.
    pub fn new(name: impl Into<String>, incarnation: u64, report_to: mpsc::UnboundedSender<Exited>) -> Self {
        Self { name: name.into(), incarnation, ended: Ended::Stopped, report_to }
    }

    /// A guard nobody listens to.
    pub fn unwatched() -> Self {
        Self::new("unwatched", 1, mpsc::unbounded_channel().0)
    }

    /// Says before the end how the actor ends.
    pub fn ends_with(&mut self, ended: Ended) {
        self.ended = ended;
    }

    /// Says before the end that it was asked for.
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
        // Nobody listens any more once the daemon itself is going down.
        drop(self.report_to.send(news));
    }
}
