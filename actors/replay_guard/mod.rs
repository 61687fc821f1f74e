//! The replay guard: at most one event per replay key and window.
//!
//! Deliveries pass through it on their way into the journal. It holds back copies of what is in flight and answers copies
//! of what it saw lately. It is a convenience in front of the journal, not the authority: the journal takes each key in
//! the transaction of its row, so a guard that has forgotten opens no window.

mod error;
mod handle;
pub(crate) mod lease;
pub(crate) mod leases;
mod messages;
mod recent;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, ArbiterHandle, AsyncContext as _, Context, Handler,
    MessageResult, fut,
};

pub use error::ReplayError;
pub use handle::ReplayHandle;
pub use messages::*;
pub use recent::Seen;

use crate::clock::{SharedClock, UnixMs};
use crate::journal::{Append, JournalHandle};
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::replies::Wakes;
use crate::supervision::{Close, Ended, WatchGuard};
use lease::{EndedLeases, LeaseEnds};
use leases::Leases;

/// The actor around the table of leases.
pub struct ReplayGuardActor {
    leases: Leases,
    ended: EndedLeases,
    /// Whom answers were laid down for since the mailbox was empty last.
    wakes: Wakes,
    journal: JournalHandle,
    clock: SharedClock,
    watch: WatchGuard,
}

impl ReplayGuardActor {
    /// Starts a guard on `arbiter`, which publishes what it hears in `seen`. Best on that of `journal`: what it hands on
    /// then crosses no thread, and what came while a group was committed makes the next one.
    pub fn start(
        arbiter: &ArbiterHandle,
        journal: JournalHandle,
        seen: Seen,
        clock: SharedClock,
        watch: WatchGuard,
    ) -> Addr<Self> {
        Self::start_in_arbiter(arbiter, move |ctx| {
            let ended = EndedLeases::default();
            let leases = Leases::new(tell_of_ends(ctx.address(), ended.clone()), seen);
            Self { leases, ended, wakes: Wakes::default(), journal, clock, watch }
        })
    }

    /// Does `work`, after which somebody may have to be woken. Spawned futures run when the mailbox is empty: whoever waits
    /// for several answers is woken once.
    fn work(
        &mut self,
        ctx: &mut Context<Self>,
        work: impl FnOnce(&mut Leases, UnixMs, &mut Wakes) -> Vec<Append>,
    ) {
        let was_empty = self.wakes.is_empty();
        let appends = work(&mut self.leases, self.clock.now_unix_ms(), &mut self.wakes);
        for append in appends {
            self.hand_on(append);
        }
        if was_empty && !self.wakes.is_empty() {
            ctx.spawn(fut::ready(()).map(|(), guard: &mut Self, _| drop(std::mem::take(&mut guard.wakes))));
        }
    }

    /// What the journal does not take is answered in its stead, and the lease ends with the answer.
    fn hand_on(&mut self, append: Append) {
        if let Err((error, append)) = self.journal.door.hand_over(append) {
            append.reply.answer(Err(error.into()), &mut self.wakes);
        }
    }
}

/// The leases of a group end together: one message tells of them. It is sent through a fresh clone of the address, for a
/// full mailbox still has a place for the first message of a sender. A guard that is gone has no lease to end.
fn tell_of_ends(guard: Addr<ReplayGuardActor>, ended: EndedLeases) -> LeaseEnds {
    Arc::new(move |grant, end| {
        if ended.add(grant, end) {
            drop(guard.clone().try_send(LeasesEnded));
        }
    })
}

impl Actor for ReplayGuardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
    }
}

impl Handler<Submit> for ReplayGuardActor {
    type Result = ();

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) {
        fail::fail_point!("replay_guard::submit");
        self.work(ctx, |leases, now, wakes| leases.submit(submit, now, wakes).into_iter().collect());
    }
}

impl Handler<LeasesEnded> for ReplayGuardActor {
    type Result = ();

    fn handle(&mut self, LeasesEnded: LeasesEnded, ctx: &mut Self::Context) {
        let ended = self.ended.take();
        self.work(ctx, |leases, now, wakes| {
            ended.into_iter().flat_map(|(grant, end)| leases.end(grant, end, now, wakes)).collect()
        });
    }
}

impl Handler<Observe> for ReplayGuardActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, Observe: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.leases.observe())
    }
}

impl Handler<Close> for ReplayGuardActor {
    type Result = Ended;

    /// Whoever still waits is told, as the table goes, that the outcome is not known.
    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) -> Ended {
        ctx.stop();
        self.watch.ends_as_asked()
    }
}
