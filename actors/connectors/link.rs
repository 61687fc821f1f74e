//! The connection of a connector to its supervisor.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::{ConnectorError, ConnectorSupervisor, Emit};
use crate::ids::Receipt;
use crate::journal::SystemEvent;
use crate::supervision::{Door, DoorError, Ended, WatchGuard};

/// Connects one incarnation of a connector to its supervisor. The connector keeps it in its actor: when the actor ends,
/// the link is dropped with it, and the supervisor starts the next incarnation.
pub struct ConnectorLink {
    emitter: Emitter,
    guard: WatchGuard,
    /// Its drop tells a later supervisor that this incarnation has ended.
    _life: watch::Sender<()>,
}

impl ConnectorLink {
    pub(super) fn new(emitter: Emitter, guard: WatchGuard, life: watch::Sender<()>) -> Self {
        Self { emitter, guard, _life: life }
    }

    /// An emitter that can be moved into a future.
    pub fn emitter(&self) -> Emitter {
        self.emitter.clone()
    }

    /// Declares that the following end is intended. A connector that stops without it is restarted.
    #[must_use = "it answers `Close`"]
    pub fn closing(&mut self) -> Ended {
        self.guard.ends_as_asked()
    }
}

/// Emits events on behalf of one connector, of whichever incarnation: it remains valid when the one that had it has ended.
#[derive(Clone)]
pub struct Emitter {
    name: String,
    supervisor: Door<ConnectorSupervisor>,
    places: Arc<Semaphore>,
}

impl Emitter {
    pub(super) fn new(name: String, supervisor: Door<ConnectorSupervisor>, places: Arc<Semaphore>) -> Self {
        Self { name, supervisor, places }
    }

    /// Writes `event` to the journal as `connector.<its name>` and waits until it is committed. The connector's name becomes
    /// its principal and source. If this future is dropped before it is ready, the event may be written or not.
    ///
    /// # Errors
    /// [`ConnectorError::NotTaken`] when [`EMITS_IN_FLIGHT_MAX`](crate::limits::EMITS_IN_FLIGHT_MAX) events are in
    /// flight, including those nobody waits for any more. With [`ConnectorError::Lost`], and with
    /// [`ConnectorError::Journal`] of [`JournalError::Unknown`] or [`JournalError::Poisoned`], it is unknown whether the
    /// event was written; with all other errors it was not.
    ///
    /// [`JournalError::Unknown`]: crate::journal::JournalError::Unknown
    /// [`JournalError::Poisoned`]: crate::journal::JournalError::Poisoned
    pub async fn emit(&self, event: SystemEvent) -> Result<Receipt, ConnectorError> {
        let answer = self.ask(event).await;
        if matches!(answer, Err(ConnectorError::NotTaken(_))) {
            // Otherwise a connector that tries again at once would keep its thread from the work that makes room.
            tokio::task::yield_now().await;
        }
        answer
    }

    async fn ask(&self, event: SystemEvent) -> Result<Receipt, ConnectorError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| ConnectorError::NotTaken(DoorError::Full))?;
        let emit = Emit { connector: self.name.clone(), event, place };
        self.supervisor.ask(emit).await.map_err(not_taken)?
    }
}

fn not_taken(error: DoorError) -> ConnectorError {
    match error {
        DoorError::Lost => ConnectorError::Lost,
        DoorError::NotRunning | DoorError::Full => ConnectorError::NotTaken(error),
    }
}
