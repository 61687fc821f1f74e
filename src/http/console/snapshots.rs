//! The snapshots of the five actors: the single source of `system insights` and of the metrics.

use palyra_actors::connectors::{self, ConnectorsSnapshot};
use palyra_actors::journal::{self, JournalSnapshot};
use palyra_actors::registry::{self, RegistrySnapshot};
use palyra_actors::replay_guard::{self, ReplaySnapshot};
use palyra_actors::vault::{self, VaultSnapshot};

use crate::service::actors::Actors;
use crate::service::probe::{Unanswered, answer_of};

/// A snapshot of each actor, or why there is none.
pub struct Snapshots {
    pub registry: Result<RegistrySnapshot, Unanswered>,
    pub vault: Result<VaultSnapshot, Unanswered>,
    pub replay_guard: Result<ReplaySnapshot, Unanswered>,
    pub journal: Result<JournalSnapshot, Unanswered>,
    pub connectors: Result<ConnectorsSnapshot, Unanswered>,
}

impl Snapshots {
    /// Asks all actors at once. Takes at most two seconds, even if some hang.
    pub async fn take(actors: &Actors) -> Self {
        let (registry, vault, replay_guard, journal, connectors) = tokio::join!(
            answer_of(actors.registry.ask(registry::Observe)),
            answer_of(actors.vault.ask(vault::Observe)),
            answer_of(actors.replay_guard.door.ask(replay_guard::Observe)),
            answer_of(actors.journal.door.ask(journal::Observe)),
            answer_of(actors.connectors.ask(connectors::Observe)),
        );
        Self { registry, vault, replay_guard, journal, connectors }
    }
}
