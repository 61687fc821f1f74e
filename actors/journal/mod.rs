//! The journal writer: the append-only, tamper-evident record.
//!
//! | folder | contents |
//! |---|---|
//! | `format/` | an event as a row and as a hash; touches no file |
//! | `opening/` | how the files are opened, and when they are refused |
//! | `writing/` | groups of events, committed and anchored; nothing else writes events |
//! | `index/` | which event took a replay key, which events match a filter |
//! | `signing/` | signed checkpoints, and the key that signs them |
//! | `reading/` | pages, proofs and a copy, on read-only connections |
//! | `verify/` | whether the journal still is what was written |
//!
//! Beside them: `messages.rs`, the messages; `handle.rs`, how the rest of the daemon appends; `event.rs`, the events, and
//! `bounds.rs`, their bounds; `claim.rs`, which delivery holds a replay key; `config.rs`, `error.rs`.
//!
//! The writer runs on an arbiter of its own, because a commit blocks its thread. It collects the appends waiting in its
//! mailbox and commits them when no more are waiting, so the groups grow with the load. The first failed write poisons
//! it: it answers what it has tried to write with [`JournalError::Poisoned`] and ends. Appends it has not tried to write by
//! then are dropped, so their callers learn [`JournalError::Unknown`] although nothing was stored. Checkpoints are signed
//! on a thread for blocking work, over the leaf hashes the writer hands over; the writer stores them.

mod bounds;
mod claim;
mod config;
mod error;
mod event;
mod format;
mod handle;
mod index;
mod messages;
mod opening;
mod reading;
mod signing;
#[cfg(test)]
mod tests;
mod verify;
mod writing;

use std::time::Duration;

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, MessageResult,
    ResponseFuture, fut,
};
use tokio::sync::oneshot;

pub use bounds::{OPERATOR_PREFIX, operator_event};
pub use claim::{HeldBecause, KeyHolder, ReplayClaim, Verdict};
pub use config::{JournalConfig, JournalFiles};
pub use error::{Cause, JournalError};
pub use event::{BodyFormat, EventKind, NewEvent, Severity, StoredEvent, SystemEvent, WebhookEvent};
pub use format::entry::ProvenEvent;
pub use format::row::Head;
pub use handle::JournalHandle;
pub use messages::*;
pub use reading::backup::backup;
pub use reading::prove::SignedCheckpoint;
pub use reading::query::{Cursor, EventFilter, Page};
pub use reading::reader::JournalReader;
pub use reading::salvage::{Gap, Salvaged, salvage};
pub use verify::{
    Discrepancy, OnProgress, Progress, Scope, VerifyReport, Witness, lost, verify, verify_copy, verify_with,
};
pub use writing::anchor::Anchored;
pub use writing::delivery_names::EVENT_DETAIL;
pub use writing::writer::{NewRow, RandomBits, RowOutcome, Writer};

use crate::limits::{CHECKPOINT_SECONDS, MAILBOX_MESSAGES_MAX, OPEN_DOUBT_SECONDS};
use crate::supervision::{Close, Ended, WatchGuard, send_away};
use config::{HeadSender, tell_of};
use opening::{failing_disk, other_log};
use signing::schedule::SealSchedule;
use signing::sealer::{SealOutcome, Sealer};
use signing::store::open_sealer;
use writing::anchoring::{Anchoring, anchor};
use writing::group::Group;
use writing::wal::{WalGrowth, WalMover};

/// The actor around the [`Writer`].
pub struct JournalActor {
    writer: Writer,
    config: JournalConfig,
    group: Group,
    /// Whether committing the group is scheduled already.
    armed: bool,
    /// `None` before the actor has started and while it closes.
    anchoring: Option<Anchoring>,
    wal: WalGrowth,
    seals: SealSchedule,
    /// Receivers that wait for the actor to end.
    closing: Vec<oneshot::Sender<Ended>>,
    watch: WatchGuard,
}

/// An open journal whose actor is not started yet.
pub struct OpenJournal {
    writer: Writer,
    config: JournalConfig,
    wal: WalGrowth,
    seals: SealSchedule,
}

impl OpenJournal {
    /// Opens the journal and signs a checkpoint of what it holds. It blocks: briefly to check the newest part of the
    /// journal; for seconds if another process holds the signing lock, or to find out whether the disk is at fault for
    /// what looks like damage.
    ///
    /// # Errors
    /// As [`Writer::open`], and when the journal disagrees with its checkpoints.
    pub fn open(config: JournalConfig) -> Result<Self, JournalError> {
        let database = config.files.database.clone();
        let (time, now) = (Duration::from_secs(OPEN_DOUBT_SECONDS), config.clock.now_unix_ms());
        Self::open_at_its_word(config).map_err(|error| {
            other_log::doubt(&database, failing_disk::doubt_within(&database, error, time), now, time)
        })
    }

    fn open_at_its_word(config: JournalConfig) -> Result<Self, JournalError> {
        let now = config.clock.now_unix_ms();
        let mut writer = Writer::open(&config.files, config.random, config.accept_rollback, now)?;
        let sealer = open_sealer(&config, &mut writer)?;
        config.head.send_replace(writer.head().seq);
        let (wal, seals) =
            (WalGrowth::new(WalMover::open(&config.files.database)?), SealSchedule::new(sealer));
        Ok(Self { writer, config, wal, seals })
    }

    /// The actor that writes it. Start it with `start_in_arbiter` on an arbiter of its own.
    pub fn into_actor(self, watch: WatchGuard) -> JournalActor {
        let Self { writer, config, wal, seals } = self;
        let (group, armed, anchoring, closing) = (Group::default(), false, None, Vec::new());
        JournalActor { writer, config, group, armed, anchoring, wal, seals, closing, watch }
    }
}

impl JournalActor {
    /// Opens the journal and makes its actor; it blocks as [`OpenJournal::open`] does.
    ///
    /// # Errors
    /// As [`OpenJournal::open`].
    pub fn open(config: JournalConfig, watch: WatchGuard) -> Result<Self, JournalError> {
        Ok(OpenJournal::open(config)?.into_actor(watch))
    }

    /// Schedules the commit. Spawned futures run when the mailbox is empty, so the group holds everything that was
    /// waiting.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.armed, true) {
            ctx.spawn(fut::ready(()).map(|(), actor: &mut Self, ctx| {
                actor.armed = false;
                actor.commit(ctx);
            }));
        }
    }

    /// Commits the group, and begins the work on the log and the checkpoints that is due then.
    fn commit(&mut self, ctx: &mut Context<Self>) {
        if self.group.is_empty() {
            return;
        }
        let stored_bytes = self.group.stored_bytes();
        self.commit_group(ctx);
        if self.writer.poisoned().is_some() {
            return;
        }
        self.grow_wal(stored_bytes, ctx);
        if self.seals.is_due(self.writer.head().seq) {
            self.seal(ctx);
        }
    }

    fn commit_group(&mut self, ctx: &mut Context<Self>) {
        if self.group.is_empty() {
            return;
        }
        self.seals.count(self.group.body_bytes() as u64);
        let (rows, replies) = std::mem::take(&mut self.group).split();
        match (self.writer.commit(rows, self.config.clock.now_unix_ms()), &self.anchoring) {
            (Ok(committed), Some(anchoring)) => anchoring.hand_over(committed, replies),
            (Ok(_), None) => replies.answer(Err(JournalError::Unknown)),
            (Err(error), _) => replies.answer(Err(error)),
        }
        self.stop_if_poisoned(ctx);
    }

    /// Counts `bytes` of written groups, and what probes and checkpoints wrote besides.
    fn grow_wal(&mut self, bytes: u64, ctx: &mut Context<Self>) {
        if self.writer.poisoned().is_some() {
            return;
        }
        let bytes = bytes + self.writer.take_written_beside();
        if let Some(mover) = self.wal.grow(bytes) {
            send_away(ctx, mover, |mover| mover.run(), Self::take_back_mover);
        }
    }

    fn take_back_mover(
        &mut self,
        mover: WalMover,
        moved: rusqlite::Result<Duration>,
        ctx: &mut Context<Self>,
    ) {
        match moved.map(|took| self.wal.moved(mover, took)) {
            // If it fails, the journal is poisoned.
            Ok(true) => drop(self.writer.move_rest_of_wal()),
            Ok(false) => {}
            Err(error) => self.writer.poison(error.to_string()),
        }
        self.stop_if_poisoned(ctx);
    }

    /// Signs a checkpoint on another thread, unless one is being signed.
    fn seal(&mut self, ctx: &mut Context<Self>) {
        let Some(sealer) = self.seals.take_sealer().filter(|_| self.writer.poisoned().is_none()) else {
            return;
        };
        let (leaves, now) = (self.writer.take_leaves(), self.config.clock.now_unix_ms());
        send_away(ctx, sealer, move |sealer| sealer.seal(&leaves, now), Self::take_back_sealer);
    }

    fn take_back_sealer(&mut self, sealer: Sealer, sealed: SealOutcome, ctx: &mut Context<Self>) {
        self.seals.returned(sealer);
        let now = self.config.clock.now_unix_ms();
        self.seals.take_in(sealed, &mut self.writer, &self.config.head, now);
        self.stop_if_poisoned(ctx);
        if self.closing.is_empty() {
            self.grow_wal(0, ctx);
            self.answer_those_who_wait(ctx);
        } else {
            self.close(ctx);
        }
    }

    /// Stores a signed checkpoint that is not stored yet.
    fn store(&mut self) {
        let now = self.config.clock.now_unix_ms();
        self.seals.store(&mut self.writer, &self.config.head, now);
    }

    /// Answers those whose events are covered; starts another checkpoint if others still wait.
    fn answer_those_who_wait(&mut self, ctx: &mut Context<Self>) {
        if self.seals.answer(&self.writer.refuse_if_poisoned()) {
            self.seal(ctx);
        }
    }

    /// Periodic work: uncovered events, checkpoints that are not stored yet, and keys at the end of their lifetime.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.store();
        self.stop_if_poisoned(ctx);
        self.grow_wal(0, ctx);
        if self.seals.has_anything_to_sign(self.writer.head().seq, self.config.clock.now_unix_ms()) {
            self.seal(ctx);
        }
        self.answer_those_who_wait(ctx);
    }

    /// Commits what has come in, sends the last answers, signs the last checkpoint, and ends. The sealer must be here.
    fn close(&mut self, ctx: &mut Context<Self>) {
        fail::fail_point!("journal::close");
        self.commit_group(ctx);
        self.anchoring = None;
        // If the last record failed, the notice of it would still be in the mailbox.
        self.anchor_head();
        let now = self.config.clock.now_unix_ms();
        self.seals.seal_at_last(&mut self.writer, &self.config.head, now);
        self.seals.answer(&self.writer.refuse_if_poisoned());
        let ended = self.writer.poisoned().map_or(Ended::Asked, |reason| Ended::Poisoned(reason.to_owned()));
        self.watch.ends_with(ended.clone());
        if let Err(error) = self.writer.empty_wal() {
            tracing::warn!(%error, "the write-ahead log could not be removed; the next start reads it");
        }
        ctx.stop();
        self.tell_of_end(&ended);
    }

    /// Tells everybody who waits for the end how it ended.
    fn tell_of_end(&mut self, ended: &Ended) {
        // A receiver may have given up.
        self.closing.drain(..).for_each(|reply| drop(reply.send(ended.clone())));
    }

    /// Does nothing if the head is anchored; waits for a record that is being written.
    fn anchor_head(&mut self) {
        if let Err(reason) = anchor(&self.writer.anchor(), self.writer.head()) {
            self.writer.poison(reason);
        }
    }

    fn stop_if_poisoned(&mut self, ctx: &mut Context<Self>) {
        if let Some(reason) = self.writer.poisoned() {
            let ended = Ended::Poisoned(reason.to_owned());
            self.tell_of_end(&ended);
            self.watch.ends_with(ended);
            ctx.stop();
        }
    }
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
        let (anchor, published) = (self.writer.anchor(), self.config.head.clone());
        match Anchoring::start(anchor, published, ctx.address().recipient()) {
            Ok(anchoring) => self.anchoring = Some(anchoring),
            Err(error) => {
                self.writer.poison(format!("the thread that writes the anchor could not be started: {error}"))
            }
        }
        self.stop_if_poisoned(ctx);
        ctx.run_interval(Duration::from_secs(CHECKPOINT_SECONDS), Self::tick);
    }
}

impl Handler<Append> for JournalActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Self::Context) {
        fail::fail_point!("journal::append");
        if !self.group.has_room_for(&append) {
            self.commit(ctx);
        }
        self.group.add(append);
        self.arm(ctx);
    }
}

impl Handler<ProbeCommit> for JournalActor {
    type Result = Result<(), JournalError>;

    fn handle(&mut self, ProbeCommit: ProbeCommit, ctx: &mut Self::Context) -> Self::Result {
        let result = self.writer.probe(self.config.clock.now_unix_ms());
        self.anchor_head();
        self.stop_if_poisoned(ctx);
        self.grow_wal(0, ctx);
        result.and_then(|()| self.writer.refuse_if_poisoned())
    }
}

impl Handler<AnchoringEnded> for JournalActor {
    type Result = ();

    fn handle(&mut self, AnchoringEnded(reason): AnchoringEnded, ctx: &mut Self::Context) {
        match reason {
            Some(reason) => self.writer.poison(reason),
            // The supervisor reopens the journal, as after any panic of its actor.
            None => std::panic::resume_unwind(Box::new("the thread that writes the anchor panicked")),
        }
        self.stop_if_poisoned(ctx);
    }
}

impl Handler<Observe> for JournalActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, Observe: Observe, _: &mut Self::Context) -> Self::Result {
        let (checkpoint_size, epoch) = self.seals.newest();
        MessageResult(JournalSnapshot { checkpoint_size, epoch, ..self.writer.observe() })
    }
}

impl Handler<Seal> for JournalActor {
    type Result = ResponseFuture<Result<(), JournalError>>;

    fn handle(&mut self, Seal: Seal, ctx: &mut Self::Context) -> Self::Result {
        self.commit(ctx);
        let (reply, answer) = oneshot::channel();
        self.seals.wait_for(self.writer.head().seq, reply);
        self.answer_those_who_wait(ctx);
        Box::pin(async { answer.await.unwrap_or(Err(JournalError::Unknown)) })
    }
}

impl Handler<Close> for JournalActor {
    type Result = ResponseFuture<Ended>;

    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) -> Self::Result {
        self.commit(ctx);
        let (reply, answer) = oneshot::channel();
        self.closing.push(reply);
        if !self.seals.is_signing() || self.writer.poisoned().is_some() {
            self.close(ctx);
        }
        // If the actor panics, this is never answered.
        Box::pin(async { answer.await.unwrap_or(Ended::Stopped) })
    }
}
