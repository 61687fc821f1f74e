//! Closes the five actors in the reverse of the order in which they were started.

use std::time::Duration;

use actix_rt::Arbiter;
use palyra_actors::causes::in_full;
use palyra_actors::connectors::ConnectorSupervisor;
use palyra_actors::journal::{JournalError, JournalHandle, SystemEvent};
use palyra_actors::registry::RegistryActor;
use palyra_actors::replay_guard::ReplayHandle;
use palyra_actors::supervision::{Close, Door, Ended};
use palyra_actors::vault::VaultActor;

use super::held::Closed;
use crate::threads;

/// Time limit for closing one actor, after which the next one is closed, and for the last events to be journaled.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// Closes the actors, each one after those that send to it.
pub struct Stopper {
    pub(super) doors: Doors,
    pub(super) threads: Threads,
}

/// The doors of the five actors; one that was not started has a door that leads nowhere.
#[derive(Default)]
pub(super) struct Doors {
    pub registry: Door<RegistryActor>,
    pub vault: Door<VaultActor>,
    pub replay_guard: ReplayHandle,
    pub journal: JournalHandle,
    pub connectors: Door<ConnectorSupervisor>,
}

/// The threads of the actors. Commits block, so the journal has a thread of its own. The replay guard shares it, because
/// each of its deliveries goes on to the journal.
pub(super) struct Threads {
    pub control: Arbiter,
    pub journal: Arbiter,
}

impl Stopper {
    /// The stopper of actors that are yet to be started, and their threads.
    ///
    /// # Errors
    /// When the system refuses a thread, or the descriptors that it needs.
    pub fn new() -> Result<Self, threads::Refused> {
        let start = || Arbiter::try_new().map_err(threads::Refused);
        let threads = Threads { control: start()?, journal: start()? };
        Ok(Self { doors: Doors::default(), threads })
    }

    /// Closes the connectors, replay guard, registry and vault, then the journal with its last commit and checkpoint.
    /// `last_words` are journaled when nothing else writes any more.
    pub async fn close(self, last_words: Option<SystemEvent>) -> Closed {
        let Self { doors, threads } = self;
        let mut all_closed = close(&doors.connectors).await.is_some();
        all_closed &= close(&doors.replay_guard.door).await.is_some();
        all_closed &= close(&doors.registry).await.is_some();
        all_closed &= close(&doors.vault).await.is_some();
        if let Some(event) = last_words {
            last_event(&doors.journal, event).await;
        }
        let journal = close(&doors.journal.door).await;
        all_closed &= journal.is_some();
        for arbiter in [threads.control, threads.journal] {
            arbiter.stop();
            all_closed = all_closed && join(arbiter).await;
        }
        Closed { is_complete: all_closed, is_journal_well: journal == Some(Ended::Asked) }
    }
}

fn deadline() -> Duration {
    fail::fail_point!("stopper::closes_within", |ms| {
        Duration::from_millis(ms.and_then(|ms| ms.parse().ok()).unwrap_or(1_000))
    });
    CLOSE_DEADLINE
}

/// Waits for a thread to end, and returns whether it has. A thread that hangs, for example on a file of an unreachable share,
/// ends with the process.
async fn join(arbiter: Arbiter) -> bool {
    let joined = tokio::time::timeout(deadline(), threads::on_its_own(move || arbiter.join())).await;
    match &joined {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(_))) => tracing::warn!("an actor thread panicked"),
        Ok(Err(error)) => {
            tracing::warn!("cannot wait for an actor thread to end: {error:#}");
        }
        Err(_) => tracing::warn!("an actor thread did not end in time"),
    }
    matches!(joined, Ok(Ok(_)))
}

async fn last_event(journal: &JournalHandle, event: SystemEvent) {
    match tokio::time::timeout(deadline(), journal.append_system(event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(JournalError::Door(_))) => {
            tracing::warn!("the daemon's stop was not journaled: the journal has ended already");
        }
        Ok(Err(error)) => tracing::warn!(error = %in_full(&error), "the daemon's stop was not journaled"),
        Err(_) => tracing::warn!("the daemon's stop was not journaled in time"),
    }
}

/// How the actor ended, if it did in time. An actor that is already gone stopped by itself.
async fn close<A>(door: &Door<A>) -> Option<Ended>
where
    A: actix::Actor<Context = actix::Context<A>> + actix::Handler<Close>,
{
    let actor = std::any::type_name::<A>();
    match tokio::time::timeout(deadline(), door.ask(Close)).await {
        Ok(Ok(ended)) => {
            if ended != Ended::Asked {
                tracing::error!(actor, how = %ended, "an actor ended in another way than by closing");
            }
            Some(ended)
        }
        Ok(Err(_)) => Some(Ended::Stopped),
        Err(_) => {
            tracing::error!(actor, "an actor did not close in time");
            None
        }
    }
}
