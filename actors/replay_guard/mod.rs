//! The replay guard: at most one event per replay key and window.
//!
//! It hands out leases and remembers what was seen lately. It is a convenience in front of the journal, not the
//! authority: the journal takes each key in the transaction of its row, so a guard that is rebuilt empty opens no window.

mod error;
pub(crate) mod lease;
pub(crate) mod leases;
mod messages;
mod recent;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::{
    Actor, ActorContext as _, Addr, ArbiterHandle, AsyncContext as _, Context, Handler, MessageResult,
    ResponseFuture,
};
use tokio::sync::oneshot;

pub use error::ReplayError;
pub use lease::Lease;
pub use leases::KeyIndex;
pub use messages::*;

use crate::clock::SharedClock;
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::supervision::{Close, Exit, WatchGuard};
use lease::{Grant, LeaseEnd, LeaseEnds};
use leases::Leases;

/// The actor around the table of leases.
pub struct ReplayGuardActor {
    leases: Leases,
    clock: SharedClock,
    watch: WatchGuard,
}

impl ReplayGuardActor {
    /// Starts a guard that remembers nothing yet on `arbiter`, which should be its own: a look into the index, some
    /// microseconds, blocks it. Give it an index nobody else reads, so that it waits for no one.
    pub fn start(
        arbiter: &ArbiterHandle,
        index: impl KeyIndex + 'static,
        clock: SharedClock,
        watch: WatchGuard,
    ) -> Addr<Self> {
        Self::start_in_arbiter(arbiter, move |ctx| Self {
            leases: Leases::new(Box::new(index), tell_of_ends(ctx.address())),
            clock,
            watch,
        })
    }

    fn end(&mut self, grant: Grant, end: LeaseEnd) {
        self.leases.end(grant, end, self.clock.now_unix_ms());
    }
}

/// Each end is sent through a fresh clone of the address: a full mailbox still has a place for the first message of a
/// sender. A guard that is gone has no lease to end.
fn tell_of_ends(guard: Addr<ReplayGuardActor>) -> LeaseEnds {
    Arc::new(move |Grant { key, ticket }, end| match end {
        LeaseEnd::Settled(holder) => drop(guard.clone().try_send(Settle { key, ticket, holder })),
        LeaseEnd::Released => drop(guard.clone().try_send(Release { key, ticket })),
    })
}

impl Actor for ReplayGuardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<Reserve> for ReplayGuardActor {
    type Result = ResponseFuture<Result<Reservation, ReplayError>>;

    fn handle(&mut self, reserve: Reserve, _: &mut Self::Context) -> Self::Result {
        fail::fail_point!("replay_guard::reserve");
        let (reply, answer) = oneshot::channel();
        self.leases.reserve(reserve, reply, self.clock.now_unix_ms());
        Box::pin(async { answer.await.unwrap_or(Err(ReplayError::Stopped)) })
    }
}

impl Handler<Settle> for ReplayGuardActor {
    type Result = ();

    fn handle(&mut self, Settle { key, ticket, holder }: Settle, _: &mut Self::Context) {
        self.end(Grant { key, ticket }, LeaseEnd::Settled(holder));
    }
}

impl Handler<Release> for ReplayGuardActor {
    type Result = ();

    fn handle(&mut self, Release { key, ticket }: Release, _: &mut Self::Context) {
        self.end(Grant { key, ticket }, LeaseEnd::Released);
    }
}

impl Handler<Observe> for ReplayGuardActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, Observe: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.leases.observe())
    }
}

impl Handler<Close> for ReplayGuardActor {
    type Result = ();

    /// Who still waits for a lease is answered [`ReplayError::Stopped`] as the table goes.
    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) {
        self.watch.ends_with(Exit::Asked);
        ctx.stop();
    }
}
