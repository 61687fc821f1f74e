//! The registry actor: the integrations of `webhooks.toml`.
//!
//! | file | idea |
//! |---|---|
//! | `record.rs`, `amendment.rs`, `rules.rs` | one integration, how it is changed, and what it is held to |
//! | `document.rs` | the text of the file |
//! | `store.rs` | the registry as a plain value |
//! | `published.rs` | the integrations in force, for those who only read |
//! | `readiness.rs`, `lending.rs` | whether an integration can verify, with a secret that is its own |

mod amendment;
mod document;
mod error;
mod lending;
mod messages;
mod once;
mod published;
mod readiness;
mod record;
mod rules;
mod store;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;

pub use amendment::Amendment;
pub use error::{Fault, RegistryError};
pub use messages::*;
pub use published::InForce;
pub use readiness::{Readiness, ReadinessReport, readiness};
pub use record::IntegrationRecord;
pub use store::{Registry, RegistryConfig};

use crate::clock::{SharedClock, UnixMs};
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::provider::Catalogue;
use crate::supervision::{Close, Exit, WatchGuard};

/// The actor around the [`Registry`].
pub struct RegistryActor {
    registry: Arc<Mutex<Registry>>,
    clock: SharedClock,
    watch: WatchGuard,
}

impl RegistryActor {
    /// An actor around `registry`, which outlives it: one that is rebuilt goes on with what was in force, whatever the files
    /// say meanwhile.
    pub fn new(registry: Arc<Mutex<Registry>>, clock: SharedClock, watch: WatchGuard) -> Self {
        Self { registry, clock, watch }
    }

    /// One that a panic left behind is whole: it takes over what it read or wrote when that is complete.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixMs {
        self.clock.now_unix_ms()
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<Get> for RegistryActor {
    type Result = Option<Arc<Integration>>;

    fn handle(&mut self, Get(id): Get, _: &mut Self::Context) -> Self::Result {
        fail::fail_point!("registry::get");
        self.registry().get(&id)
    }
}

impl Handler<List> for RegistryActor {
    type Result = Vec<Arc<Integration>>;

    fn handle(&mut self, _: List, _: &mut Self::Context) -> Self::Result {
        self.registry().list()
    }
}

impl Handler<Add> for RegistryActor {
    type Result = Result<Arc<Integration>, RegistryError>;

    fn handle(&mut self, Add { draft, secret }: Add, _: &mut Self::Context) -> Self::Result {
        self.registry().add(draft, &secret, self.now())
    }
}

impl Handler<Amend> for RegistryActor {
    type Result = Result<Arc<Integration>, RegistryError>;

    fn handle(&mut self, order: Amend, _: &mut Self::Context) -> Self::Result {
        self.registry().amend(&order.integration_id, order.amendment, &order.secret, self.now())
    }
}

impl Handler<SetEnabled> for RegistryActor {
    type Result = Result<Arc<Integration>, RegistryError>;

    fn handle(&mut self, order: SetEnabled, _: &mut Self::Context) -> Self::Result {
        let switched =
            self.registry().set_enabled(&order.integration_id, order.enabled, &order.secret, self.now());
        fail::fail_point!("registry::switched");
        switched
    }
}

impl Handler<Remove> for RegistryActor {
    type Result = Result<Arc<Integration>, RegistryError>;

    fn handle(&mut self, Remove(id): Remove, _: &mut Self::Context) -> Self::Result {
        self.registry().remove(&id, self.now())
    }
}

impl Handler<RecordTest> for RegistryActor {
    type Result = Result<(), RegistryError>;

    fn handle(&mut self, test: RecordTest, _: &mut Self::Context) -> Self::Result {
        self.registry().record_test(&test.integration_id, test.passed, &test.message, self.now()).map(drop)
    }
}

impl Handler<Reload> for RegistryActor {
    type Result = Result<Changes, RegistryError>;

    fn handle(&mut self, _: Reload, _: &mut Self::Context) -> Self::Result {
        self.registry().reload(self.now())
    }
}

impl Handler<Profiles> for RegistryActor {
    type Result = Arc<Catalogue>;

    fn handle(&mut self, _: Profiles, _: &mut Self::Context) -> Self::Result {
        self.registry().catalogue()
    }
}

impl Handler<Observe> for RegistryActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.registry().snapshot())
    }
}

impl Handler<Close> for RegistryActor {
    type Result = Exit;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Exit {
        ctx.stop();
        self.watch.ends_as_asked()
    }
}
