//! Keeps the five actors alive: hears of their ends, starts them again, gives up when that does not help.
//!
//! actix's own `Supervisor` does not survive a panic, so each actor is rebuilt by a factory instead.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::policy::{Decision, RestartPolicy};
use super::presence::{ActorState, PresenceBoard};
use super::watch::{Ended, Exited, WatchGuard};
use crate::clock::SharedClock;

/// Builds and starts a fresh incarnation of an actor and opens its door to it; what blocks is done on another thread. The error
/// is for a person; a panic is an error.
pub type ActorFactory = Box<dyn FnMut(WatchGuard) -> LocalBoxFuture<'static, Result<(), String>>>;

/// What a policy decides about an end.
type Decide = fn(&mut RestartPolicy, Instant) -> Decision;

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
    #[error("actor `{actor}` cannot continue: {reason}")]
    Poisoned {
        /// Which.
        actor: String,
        /// Why.
        reason: String,
    },
}

struct Child {
    /// None while it starts an incarnation.
    factory: Option<ActorFactory>,
    policy: RestartPolicy,
    /// The newest one, counted from 1.
    incarnation: u64,
    /// How the newest one ended, if it did before its start was over.
    early_end: Option<Ended>,
}

/// A start that is over.
struct Launched {
    name: String,
    factory: ActorFactory,
    /// How the incarnation before ended.
    how: String,
    result: Result<(), String>,
}

/// Has `factory` start the incarnation that `guard` watches.
async fn launch(name: String, mut factory: ActorFactory, guard: WatchGuard, how: String) -> Launched {
    let launched = AssertUnwindSafe(async { factory(guard).await }).catch_unwind().await;
    let result = launched.unwrap_or_else(|_| Err("its factory panicked".to_owned()));
    Launched { name, factory, how, result }
}

/// The supervisor of the five actors.
pub struct Supervisor {
    children: BTreeMap<String, Child>,
    /// Those that are being started again. Another that ends meanwhile does not wait for them.
    starting: FuturesUnordered<LocalBoxFuture<'static, Launched>>,
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

    /// Starts an actor and keeps it alive from now on.
    ///
    /// # Errors
    /// What the factory says: the first start is not tried again.
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

    /// Restarts what ends, until restarting does not help.
    pub async fn run(mut self) -> Escalation {
        loop {
            let handled = tokio::select! {
                Some(launched) = self.starting.next() => self.launched(launched),
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
            // A factory that failed has dropped its guard; another incarnation lives.
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

    /// Begins the next start of an actor, after the pause that `decide` gives it.
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
        self.starting.push(sleep(pause).then(|()| launch(name, factory, guard, how)).boxed_local());
        Ok(())
    }

    /// Nobody is to wait for what is still being started.
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
