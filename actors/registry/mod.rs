//! The registry actor: the integrations of `webhooks.toml`.
//!
//! | file | contents |
//! |---|---|
//! | `record.rs`, `amendment.rs`, `rules.rs` | one integration, its changes, and its rules |
//! | `document.rs` | the text of the file |
//! | `store.rs` | the registry as a plain value |
//! | `shared.rs` | the registry as shared by its readers and by one change at a time |
//! | `own_profiles.rs` | the built-in profiles and the operator's own |
//! | `in_force.rs` | the integrations in force, for the threads that receive deliveries |
//! | `secrets.rs` | which secrets an integration uses, and what for |
//! | `readiness.rs`, `lending.rs` | whether an integration can verify, and has a secret of its own |

mod amendment;
mod document;
mod error;
mod in_force;
mod lending;
mod messages;
mod once;
mod own_profiles;
mod readiness;
mod record;
mod rules;
mod secrets;
mod shared;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::prelude::*;

pub use amendment::Amendment;
pub use document::begin_file;
pub use error::RegistryError;
pub use in_force::InForce;
pub use messages::*;
pub use readiness::{Readiness, ReadinessReport, readiness};
pub use record::IntegrationRecord;
pub use secrets::{MadeUseless, SecretUse, made_useless, profiles_of, users_of, verified_with};
pub use shared::SharedRegistry;
pub use store::{Registry, RegistryConfig};

use crate::clock::{SharedClock, UnixMs};
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::provider::Catalogue;
use crate::supervision::{Close, Ended, WatchGuard};

/// The actor around the [`SharedRegistry`].
pub struct RegistryActor {
    registry: Arc<SharedRegistry>,
    clock: SharedClock,
    watch: WatchGuard,
}

impl RegistryActor {
    /// An actor for `registry`, which outlives it: after a restart the actor continues with the state in force, even if
    /// the files have changed meanwhile.
    pub fn new(registry: Arc<SharedRegistry>, clock: SharedClock, watch: WatchGuard) -> Self {
        Self { registry, clock, watch }
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Registry, UnixMs) -> Result<T, RegistryError> + Send + 'static,
    ) -> ResponseFuture<Result<T, RegistryError>> {
        let clock = Arc::clone(&self.clock);
        let change = move |registry: &mut Registry| change(registry, clock.now_unix_ms());
        Box::pin(Arc::clone(&self.registry).change(change))
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
        self.registry.now().get(&id)
    }
}

impl Handler<List> for RegistryActor {
    type Result = Vec<Arc<Integration>>;

    fn handle(&mut self, _: List, _: &mut Self::Context) -> Self::Result {
        self.registry.now().list()
    }
}

impl Handler<Add> for RegistryActor {
    type Result = ResponseFuture<Result<Arc<Integration>, RegistryError>>;

    fn handle(&mut self, Add { draft, secret }: Add, _: &mut Self::Context) -> Self::Result {
        self.change(move |registry, now| registry.add(draft, &secret, now))
    }
}

impl Handler<Amend> for RegistryActor {
    type Result = ResponseFuture<Result<Arc<Integration>, RegistryError>>;

    fn handle(&mut self, order: Amend, _: &mut Self::Context) -> Self::Result {
        let Amend { integration_id, amendment, secret } = order;
        self.change(move |registry, now| registry.amend(&integration_id, amendment, &secret, now))
    }
}

impl Handler<SetEnabled> for RegistryActor {
    type Result = ResponseFuture<Result<Arc<Integration>, RegistryError>>;

    fn handle(&mut self, order: SetEnabled, _: &mut Self::Context) -> Self::Result {
        let SetEnabled { integration_id, enabled, secret } = order;
        self.change(move |registry, now| registry.set_enabled(&integration_id, enabled, &secret, now))
    }
}

impl Handler<Remove> for RegistryActor {
    type Result = ResponseFuture<Result<Arc<Integration>, RegistryError>>;

    fn handle(&mut self, Remove(id): Remove, _: &mut Self::Context) -> Self::Result {
        self.change(move |registry, now| registry.remove(&id, now))
    }
}

impl Handler<RecordTest> for RegistryActor {
    type Result = ResponseFuture<Result<(), RegistryError>>;

    fn handle(&mut self, test: RecordTest, _: &mut Self::Context) -> Self::Result {
        let RecordTest { integration_id, passed, message } = test;
        self.change(move |registry, now| {
            registry.record_test(&integration_id, passed, &message, now).map(drop)
        })
    }
}

impl Handler<Reload> for RegistryActor {
    type Result = ResponseFuture<Result<Changes, RegistryError>>;

    fn handle(&mut self, _: Reload, _: &mut Self::Context) -> Self::Result {
        self.change(Registry::reload)
    }
}

impl Handler<Profiles> for RegistryActor {
    type Result = Arc<Catalogue>;

    fn handle(&mut self, _: Profiles, _: &mut Self::Context) -> Self::Result {
        self.registry.now().catalogue()
    }
}

impl Handler<Observe> for RegistryActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.registry.now().snapshot())
    }
}

impl Handler<Close> for RegistryActor {
    type Result = ResponseActFuture<Self, Ended>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Self::Result {
        // Changes requested before are completed first.
        let idle = self.registry.idle().into_actor(self);
        Box::pin(idle.map(|(), actor, ctx| {
            ctx.stop();
            actor.watch.ends_as_asked()
        }))
    }
}
