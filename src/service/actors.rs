//! How the rest of the daemon reaches the actors.

use futures_util::future::join_all;
use palyra_actors::connectors::ConnectorSupervisor;
use palyra_actors::ids::Receipt;
use palyra_actors::journal::{JournalError, JournalFiles, JournalHandle, JournalReader, SystemEvent};
use palyra_actors::limits::GROUP_ROWS_MAX;
use palyra_actors::registry::{InForce, RegistryActor};
use palyra_actors::replay_guard::{ReplayHandle, Seen};
use palyra_actors::supervision::{Door, PresenceBoard};
use palyra_actors::vault::{SecretCache, VaultActor};
use tokio::sync::watch;

/// The doors of the five actors, and the state that they publish for reading without a message.
#[derive(Clone)]
pub struct Actors {
    /// The registry of integrations.
    pub registry: Door<RegistryActor>,
    /// The vault of secrets.
    pub vault: Door<VaultActor>,
    /// The integrations in force, published by the registry.
    pub integrations: InForce,
    /// Secrets that are already resolved, published by the vault.
    pub keys: SecretCache,
    /// Recently accepted deliveries, published by the replay guard.
    pub seen: Seen,
    /// Takes deliveries on their way into the journal.
    pub replay_guard: ReplayHandle,
    /// Appends all other events.
    pub journal: JournalHandle,
    /// The supervisor of the connectors.
    pub connectors: Door<ConnectorSupervisor>,
    /// The files of the journal, for a verification.
    pub journal_files: JournalFiles,
    /// Reads the journal; its calls block.
    pub reader: JournalReader,
    /// `seq` of the newest event.
    pub head: watch::Receiver<u64>,
    /// Which actors and connectors run.
    pub board: PresenceBoard,
}

impl Actors {
    /// Appends events in batches of at most one commit group of the journal, so that they share commits. Returns the result
    /// of each, in order.
    pub async fn append_together(
        &self,
        events: impl IntoIterator<Item = SystemEvent>,
    ) -> Vec<Result<Receipt, JournalError>> {
        let mut appends = events.into_iter().map(|event| self.journal.append_system(event));
        let mut appended = Vec::new();
        loop {
            let group = join_all(appends.by_ref().take(GROUP_ROWS_MAX)).await;
            if group.is_empty() {
                return appended;
            }
            appended.extend(group);
        }
    }
}
