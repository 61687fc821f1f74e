//! The vault resolver: secrets by reference, encrypted at rest, journaled when they are read.

mod age_identity;
mod cache;
mod env_and_file;
mod error;
mod looked;
mod messages;
mod pins;
mod record;
mod reference;
mod resolver;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::{Actor, ActorContext as _, Context, Handler, MessageResult, ResponseFuture};

pub use cache::SecretCache;
pub use error::VaultError;
pub use looked::Looked;
pub use messages::*;
pub use reference::{InvalidRef, Keeper, VaultRef};
pub use resolver::{Audit, Resolver};
pub use store::{Store, VaultConfig};

use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::secret::SecretVersions;
use crate::supervision::{Close, Ended, WatchGuard};

pub struct VaultActor {
    resolver: Arc<Resolver>,
    watch: WatchGuard,
}

impl VaultActor {
    pub fn new(resolver: Arc<Resolver>, watch: WatchGuard) -> Self {
        Self { resolver, watch }
    }

    fn change<T: Send + 'static>(
        &self,
        vault_ref: VaultRef,
        change: impl FnOnce(&Store, &VaultRef) -> Result<T, VaultError> + Send + 'static,
    ) -> ResponseFuture<Result<T, VaultError>> {
        Box::pin(Arc::clone(&self.resolver).change(vault_ref, change))
    }
}

impl Actor for VaultActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<Resolve> for VaultActor {
    type Result = ResponseFuture<Result<Arc<SecretVersions>, VaultError>>;

    fn handle(&mut self, Resolve(vault_ref): Resolve, _: &mut Self::Context) -> Self::Result {
        fail::fail_point!("vault::resolve");
        Box::pin(Arc::clone(&self.resolver).resolve(vault_ref))
    }
}

impl Handler<Probe> for VaultActor {
    type Result = ResponseFuture<SecretStatus>;

    fn handle(&mut self, probe: Probe, _: &mut Self::Context) -> Self::Result {
        Box::pin(Arc::clone(&self.resolver).probe(probe.vault_ref, probe.profile))
    }
}

impl Handler<Put> for VaultActor {
    type Result = ResponseFuture<Result<SecretEntry, VaultError>>;

    fn handle(&mut self, Put { vault_ref, value }: Put, _: &mut Self::Context) -> Self::Result {
        self.change(vault_ref, |store, vault_ref| store.put(vault_ref, value))
    }
}

impl Handler<Rotate> for VaultActor {
    type Result = ResponseFuture<Result<SecretEntry, VaultError>>;

    fn handle(&mut self, Rotate { vault_ref, value, users }: Rotate, _: &mut Self::Context) -> Self::Result {
        self.change(vault_ref, move |store, vault_ref| store.rotate(vault_ref, value, &users))
    }
}

impl Handler<Retire> for VaultActor {
    type Result = ResponseFuture<Result<SecretEntry, VaultError>>;

    fn handle(&mut self, Retire(vault_ref): Retire, _: &mut Self::Context) -> Self::Result {
        self.change(vault_ref, Store::retire)
    }
}

impl Handler<Delete> for VaultActor {
    type Result = ResponseFuture<Result<(), VaultError>>;

    fn handle(&mut self, Delete(vault_ref): Delete, _: &mut Self::Context) -> Self::Result {
        self.change(vault_ref, Store::delete)
    }
}

impl Handler<List> for VaultActor {
    type Result = ResponseFuture<Result<Vec<Listed>, VaultError>>;

    fn handle(&mut self, _: List, _: &mut Self::Context) -> Self::Result {
        Box::pin(Arc::clone(&self.resolver).list())
    }
}

impl Handler<Observe> for VaultActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.resolver.snapshot())
    }
}

impl Handler<Close> for VaultActor {
    type Result = Ended;

    fn handle(&mut self, _: Close, context: &mut Self::Context) -> Ended {
        // A running change is completed: it does not run in the actor.
        self.resolver.forget_all();
        context.stop();
        self.watch.ends_as_asked()
    }
}
