//! Keeps the five actors alive: it is notified of their ends, restarts them, and gives up if that does not help.
//!
//! actix's own `Supervisor` does not survive a panic, so each actor is rebuilt by a factory instead.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::policy::{Decision, RestartPolicy};
use super::presence::{ActorState, PresenceBoard};
use super::watch::{Ended, Exited, WatchGuard};
use crate::clock::SharedClock;
use crate::limits::ACTOR_RESTART_SECONDS_MAX;

/// Builds and starts a new incarnation of an actor and opens its door; blocking work is done on another thread. The error
/// is for people; a panic counts as an error.
pub type ActorFactory = Box<dyn FnMut(WatchGuard) -> LocalBoxFuture<'static, Result<(), String>>>;

/// The method of a policy that decides about an end.
type Decide = fn(&mut RestartPolicy, Instant) -> Decision;

/// Called after every restart with the actor's name and how its previous incarnation ended.
pub type RestartListener = Box<dyn Fn(&str, &str)>;

/// Why the process cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Escalation {
    /// An actor ended more often than the policy allows.
    #[error("actor `{actor}` ended too often: {how}")]
    RestartsExhausted {
        /// Name of the actor.
        actor: String,
        /// How it last ended.
        how: String,
    },
    /// The factory of an actor did not finish in time. It may still be at work, so it is not called again.
    #[error("actor `{actor}` was not restarted within {ACTOR_RESTART_SECONDS_MAX} s")]
    RestartHangs {
        /// Name of the actor.
        actor: String,
    },
    /// An actor reported that it must not be restarted in this process.
    #[error("actor `{actor}` cannot continue: {reason}")]
    Poisoned {
        /// Name of the actor.
        actor: String,
        /// The reason it gave.
        reason: String,
    },
}

struct Child {
    /// `None` while it is starting an incarnation.
    factory: Option<ActorFactory>,
    policy: RestartPolicy,
    /// Number of the newest incarnation, from 1.
    incarnation: u64,
    /// How the newest incarnation ended, if it ended before its start was completed.
    early_end: Option<Ended>,
}

/// A completed start, successful or not.
struct Launched {
    name: String,
    factory: ActorFactory,
    /// How the previous incarnation ended.
    how: String,
    result: Result<(), String>,
}

/// Calls `factory` to start the incarnation that `guard` watches.
async fn launch(name: String, mut factory: ActorFactory, guard: WatchGuard, how: String) -> Launched {
    let launched = AssertUnwindSafe(async { factory(guard).await }).catch_unwind().await;
    let result = launched.unwrap_or_else(|_| Err("its factory panicked".to_owned()));
    Launched { name, factory, how, result }
}

/// Starts an incarnation after `pause`.
async fn relaunch(
    pause: Duration,
    name: String,
    factory: ActorFactory,
    guard: WatchGuard,
    how: String,
) -> Result<Launched, Escalation> {
    sleep(pause).await;
    let launched = launch(name.clone(), factory, guard, how);
    let in_time = timeout(Duration::from_secs(ACTOR_RESTART_SECONDS_MAX), launched).await;
    in_time.map_err(|_| Escalation::RestartHangs { actor: name })
}

/// The supervisor of the five actors.
pub struct Supervisor {
    children: BTreeMap<String, Child>,
    /// Restarts in progress. Other actors that end meanwhile do not wait for them.
    starting: FuturesUnordered<LocalBoxFuture<'static, Result<Launched, Escalation>>>,
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
        let (children, starting) = (BTreeMap::new(), FuturesUnordered::new());
        Self { children, starting, board, clock, exits, report_to, on_restart }
    }

    /// Starts an actor, and keeps it alive afterwards. Waits for this first start as long as it takes, because nothing is
    /// served yet; the caller may give up.
    ///
    /// # Errors
    /// The error of the factory: the first start is not retried.
    pub async fn start(&mut self, name: &str, factory: ActorFactory) -> Result<(), String> {
        let (incarnation, policy) = (1, RestartPolicy::default());
        let guard = WatchGuard::new(name, incarnation, self.report_to.clone());
        let Launched { factory, result, .. } = launch(name.to_owned(), factory, guard, String::new()).await;
        result?;
        let child = Child { factory: Some(factory), policy, incarnation, early_end: None };
        self.children.insert(name.to_owned(), child);
        self.board.started(name, self.clock.now_unix_ms());
        Ok(())
    }

    /// Restarts actors that end, until the policy escalates.
    pub async fn run(mut self) -> Escalation {
        loop {
            let handled = tokio::select! {
                Some(launched) = self.starting.next() => launched.and_then(|launched| self.launched(launched)),
                Some(exited) = self.exits.recv() => self.exited(exited),
                else => Err(Escalation::Poisoned {
                    actor: "supervisor".into(),
                    reason: "its channel closed".into(),
                }),
            };
            if let Err(escalation) = handled {
                self.leave_what_starts();
                return escalation;
            }
        }
    }

    fn exited(&mut self, Exited { name, incarnation, ended }: Exited) -> Result<(), Escalation> {
        match self.children.get_mut(&name) {
            Some(child) if child.incarnation == incarnation => match child.factory {
                Some(_) => self.ended(name, ended),
                None => {
                    child.early_end = Some(ended);
                    Ok(())
                }
            },
            // The report of a guard that a failed factory dropped; another incarnation is running.
            _ => Ok(()),
        }
    }

    fn ended(&mut self, name: String, ended: Ended) -> Result<(), Escalation> {
        match ended {
            Ended::Asked => self.board.ended(&name, ended.to_string(), ActorState::Stopped),
            Ended::Poisoned(reason) => {
                self.board.ended(&name, reason.clone(), ActorState::Stopped);
                return Err(Escalation::Poisoned { actor: name, reason });
            }
            Ended::Stopped | Ended::Panicked => self.revive(name, ended.to_string(), RestartPolicy::ended)?,
        }
        Ok(())
    }

    /// Schedules the next start of an actor, after the pause that `decide` returns.
    fn revive(&mut self, name: String, how: String, decide: Decide) -> Result<(), Escalation> {
        tracing::error!(actor = name, how, "an actor ended");
        let Some(child) = self.children.get_mut(&name) else { return Ok(()) };
        let Decision::RestartAfter(pause) = decide(&mut child.policy, Instant::now()) else {
            self.board.ended(&name, how.clone(), ActorState::Stopped);
            return Err(Escalation::RestartsExhausted { actor: name, how });
        };
        self.board.ended(&name, how.clone(), ActorState::Restarting);
        let Some(factory) = child.factory.take() else { return Ok(()) };
        child.incarnation += 1;
        let guard = WatchGuard::new(name.as_str(), child.incarnation, self.report_to.clone());
        self.starting.push(relaunch(pause, name, factory, guard, how).boxed_local());
        Ok(())
    }

    /// Marks the actors being started as stopped, so that nobody waits for them.
    fn leave_what_starts(&self) {
        for (name, _) in self.children.iter().filter(|(_, child)| child.factory.is_none()) {
            self.board.ended(name, "its start was interrupted".to_owned(), ActorState::Stopped);
        }
    }

    fn launched(&mut self, Launched { name, factory, how, result }: Launched) -> Result<(), Escalation> {
        let Some(child) = self.children.get_mut(&name) else { return Ok(()) };
        child.factory = Some(factory);
        let early_end = child.early_end.take();
        if let Err(reason) = result {
            let how = format!("could not be restarted: {reason}");
            return self.revive(name, how, RestartPolicy::start_failed);
        }
        child.policy.started();
        self.board.started(&name, self.clock.now_unix_ms());
        (self.on_restart)(&name, &how);
        early_end.map_or(Ok(()), |ended| self.ended(name, ended))
    }
}
