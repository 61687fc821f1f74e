//! The replay guard: at most one event per replay key and window.
//!
//! Deliveries pass through it on their way into the journal. It holds copies back while a delivery is being appended, and
//! answers copies of deliveries it remembers. It is an optimisation, not the authority: the journal takes each key in the
//! transaction of its row, so a guard that has forgotten a key does not permit a replay.

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
    /// Receivers answered since the mailbox was last empty, not woken yet.
    wakes: Wakes,
    journal: JournalHandle,
    clock: SharedClock,
    watch: WatchGuard,
}

impl ReplayGuardActor {
    /// Starts a guard on `arbiter`, which records the journal's answers in `seen`. The arbiter of `journal` is best:
    /// deliveries then reach the journal without crossing threads, and those that arrive while a group is committed form
    /// the next group.
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

    /// Does `work` and wakes the receivers it answered. Spawned futures run when the mailbox is empty, so a receiver of
    /// several answers is woken once.
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

    /// Passes `append` on to the journal. If the journal cannot take it, it is answered here, and the answer ends the
    /// lease.
    fn hand_on(&mut self, append: Append) {
        if let Err((error, append)) = self.journal.door.hand_over(append) {
            append.reply.answer(Err(error.into()), &mut self.wakes);
        }
    }
}

/// One message announces all leases a group ended. A fresh clone of the address can always queue one message, even in a
/// full mailbox (actix gives each sender one place). If the guard is gone, so are its leases.
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

    /// When the table is dropped, the deliveries still waiting are answered with an unknown outcome.
    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) -> Ended {
        ctx.stop();
        self.watch.ends_as_asked()
    }
}
