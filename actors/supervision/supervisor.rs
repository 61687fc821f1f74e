//! Keeps the five actors alive: hears of their ends, starts them again, gives up when that does not help.
//!
//! actix's own `Supervisor` does not survive a panic, so each actor is rebuilt by a factory instead.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::policy::{Decision, RestartPolicy};
use super::presence::{ActorState, PresenceBoard};
use super::watch::{Exit, Exited, WatchGuard};
use crate::clock::SharedClock;

/// Builds and starts a fresh incarnation of an actor and opens its door to it; what blocks is done on another thread. The error
/// is for a person; a panic is an error.
pub type ActorFactory = Box<dyn FnMut(WatchGuard) -> LocalBoxFuture<'static, Result<(), String>>>;

/// Told of every restart: the actor's name and how its last incarnation ended.
pub type RestartListener = Box<dyn Fn(&str, &str)>;

/// Why the process cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Escalation {
    /// An actor ended more often than restarts may help.
    #[error("actor `{actor}` ended too often: {how}")]
    RestartsExhausted {
        /// Which.
        actor: String,
        /// How it ended last.
        how: String,
    },
    /// An actor said that it must not be restarted in this process.
    #[error("actor `{actor}` cannot go on: {reason}")]
    Poisoned {
        /// Which.
        actor: String,
        /// Why.
        reason: String,
    },
}

struct Child {
    factory: ActorFactory,
    policy: RestartPolicy,
    /// The newest one, counted from 1.
    incarnation: u64,
}

/// The supervisor of the five actors.
pub struct Supervisor {
    children: BTreeMap<String, Child>,
    board: PresenceBoard,
    clock: SharedClock,
    exits: mpsc::UnboundedReceiver<Exited>,
    report_to: mpsc::UnboundedSender<Exited>,
    on_restart: RestartListener,
}

impl Supervisor {
    /// A supervisor without children.
    pub fn new(clock: SharedClock, board: PresenceBoard, on_restart: RestartListener) -> Self {
        let (report_to, exits) = mpsc::unbounded_channel();
        Self { children: BTreeMap::new(), board, clock, exits, report_to, on_restart }
    }

    /// Starts an actor and keeps it alive from now on.
    ///
    /// # Errors
    /// What the factory says: the first start is not tried again.
    pub async fn start(&mut self, name: &str, factory: ActorFactory) -> Result<(), String> {
        let child = Child { factory, policy: RestartPolicy::default(), incarnation: 0 };
        self.children.insert(name.to_owned(), child);
        self.launch(name).await?;
        self.board.started(name, self.clock.now_unix_ms());
        Ok(())
    }

    /// Restarts what ends, until restarting does not help.
    pub async fn run(mut self) -> Escalation {
        loop {
            let Some(exited) = self.exits.recv().await else {
                return Escalation::Poisoned {
                    actor: "supervisor".into(),
                    reason: "its channel closed".into(),
                };
            };
            if let Err(escalation) = self.handle(exited).await {
                return escalation;
            }
        }
    }

    async fn handle(&mut self, exited: Exited) -> Result<(), Escalation> {
        let Exited { name, incarnation, exit } = exited;
        if self.children.get(&name).is_none_or(|child| child.incarnation != incarnation) {
            // A factory that failed has dropped its guard; another incarnation lives.
            return Ok(());
        }
        match exit {
            Exit::Asked => self.board.ended(&name, exit.to_string(), ActorState::Stopped),
            Exit::Poisoned(reason) => {
                self.board.ended(&name, reason.clone(), ActorState::Stopped);
                return Err(Escalation::Poisoned { actor: name, reason });
            }
            Exit::Stopped | Exit::Panicked => self.revive(name, exit.to_string()).await?,
        }
        Ok(())
    }

    async fn revive(&mut self, name: String, mut how: String) -> Result<(), Escalation> {
        let mut decision = self.decide(&name, RestartPolicy::ended);
        loop {
            tracing::error!(actor = name, how, "an actor ended");
            self.board.ended(&name, how.clone(), ActorState::Restarting);
            let Decision::RestartAfter(pause) = decision else {
                self.board.ended(&name, how.clone(), ActorState::Stopped);
                return Err(Escalation::RestartsExhausted { actor: name, how });
            };
            sleep(pause).await;
            match self.launch(&name).await {
                Ok(()) => break,
                Err(reason) => how = format!("could not be started again: {reason}"),
            }
            decision = self.decide(&name, RestartPolicy::start_failed);
        }
        if let Some(child) = self.children.get_mut(&name) {
            child.policy.started();
        }
        self.board.started(&name, self.clock.now_unix_ms());
        (self.on_restart)(&name, &how);
        Ok(())
    }

    fn decide(&mut self, name: &str, about: fn(&mut RestartPolicy, Instant) -> Decision) -> Decision {
        self.children
            .get_mut(name)
            .map_or(Decision::Escalate, |child| about(&mut child.policy, Instant::now()))
    }

    async fn launch(&mut self, name: &str) -> Result<(), String> {
        let child = self.children.get_mut(name).ok_or("it was never started")?;
        child.incarnation += 1;
        let guard = WatchGuard::new(name, child.incarnation, self.report_to.clone());
        let launched = AssertUnwindSafe(async { (child.factory)(guard).await }).catch_unwind().await;
        launched.unwrap_or_else(|_| Err("its factory panicked".to_owned()))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("closed"),
            Self::Stopped => f.write_str("stopped unasked"),
            Self::Panicked => f.write_str("panicked"),
            Self::Poisoned(reason) => write!(f, "poisoned: {reason}"),
        }
    }
}
