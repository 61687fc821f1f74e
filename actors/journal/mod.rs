//! The journal writer: the append-only, tamper-evident record.
//!
//! | file | idea |
//! |---|---|
//! | `schema.sql` | the tables, the indices, the triggers that keep them append-only |
//! | `leaf.rs`, `row.rs` | what an event is as bytes in the file and as a hash (`docs/journal-format.md`) |
//! | `connection.rs`, `open.rs`, `identity.rs` | how the file is opened, and refused |
//! | `anchor.rs` | outside the database: how far it had come when somebody was last answered |
//! | `writer.rs`, `keys.rs`, `group.rs` | groups of events, committed together with their replay keys |
//! | `reader.rs`, `page.rs` | reads, on connections of their own |
//! | `chain.rs`, `verify.rs` | whether it is still what was written |
//!
//! The writer runs on an arbiter of its own, for a commit blocks its thread. It gathers the appends that wait in its
//! mailbox and commits them when no more are waiting: the busier it is, the larger the groups. The first failed write
//! poisons it: it answers what it has with [`JournalError::Poisoned`] and ends. A tree over the leaves, signed
//! checkpoints and the anchor outside the database have their place in `Writer`, between COMMIT and the answers.

mod anchor;
mod chain;
mod connection;
mod error;
mod event;
mod group;
mod handle;
mod identity;
mod keys;
mod leaf;
mod messages;
mod open;
mod page;
mod reader;
mod row;
#[cfg(test)]
mod tests;
mod verify;
mod words;
mod writer;

use std::path::{Path, PathBuf};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, MessageResult, fut,
};
use tokio::sync::watch;

pub use anchor::Anchored;
pub use error::{Cause, JournalError};
pub use event::{EventIssue, OPERATOR_PREFIX, operator_event};
pub use handle::JournalHandle;
pub use messages::*;
pub use reader::JournalReader;
pub use row::Head;
pub use verify::{Problem, VerifyReport, verify};
pub use writer::{NewRow, RandomBits, RowOutcome, Writer};

use crate::clock::SharedClock;
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::supervision::{Close, Exit, WatchGuard};
use group::Group;

/// Where a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFiles {
    /// The database.
    pub database: PathBuf,
    /// The anchor; best on another disk than the database.
    pub anchor: PathBuf,
}

impl JournalFiles {
    /// Where they are in a state root: `journal.db` and `anchor/journal`.
    pub fn in_folder(root: &Path) -> Self {
        Self { database: root.join("journal.db"), anchor: root.join("anchor/journal") }
    }
}

/// What a journal writer is made of. A writer that is reopened gets the same.
#[derive(Clone)]
pub struct JournalConfig {
    /// Where it is.
    pub files: JournalFiles,
    /// Whether a database that is behind its anchor is taken as it is; the loss is journaled.
    pub accept_rollback: bool,
    /// Gives `recorded_at`.
    pub clock: SharedClock,
    /// Gives the random bits of event ids.
    pub random: RandomBits,
    /// Told the head's `seq` after every commit, before the answers. It wakes who waits for new events.
    pub head: watch::Sender<u64>,
}

/// The actor around the [`Writer`].
pub struct JournalActor {
    writer: Writer,
    config: JournalConfig,
    group: Group,
    /// Whether a drain of the group is under way.
    armed: bool,
    watch: WatchGuard,
}

impl JournalActor {
    /// Opens the journal. It blocks; start the actor with `start_in_arbiter` on an arbiter of its own.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open(config: JournalConfig, watch: WatchGuard) -> Result<Self, JournalError> {
        let mut writer = Writer::open(&config.files, config.random, config.accept_rollback)?;
        writer.record_rollback(config.clock.now_unix_ms())?;
        config.head.send_replace(writer.head().seq);
        Ok(Self { writer, config, group: Group::default(), armed: false, watch })
    }

    /// Spawned futures run when the mailbox is empty, so the group holds all that was waiting.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.armed, true) {
            ctx.spawn(fut::ready(()).map(|(), actor: &mut Self, ctx| {
                actor.armed = false;
                actor.commit(ctx);
            }));
        }
    }

    fn commit(&mut self, ctx: &mut Context<Self>) {
        if self.group.is_empty() {
            return;
        }
        let (rows, replies) = std::mem::take(&mut self.group).split();
        let result = self.writer.append(rows, self.config.clock.now_unix_ms());
        self.config.head.send_replace(self.writer.head().seq);
        replies.answer(result);
        self.stop_if_poisoned(ctx);
    }

    fn stop_if_poisoned(&mut self, ctx: &mut Context<Self>) {
        if let Some(reason) = self.writer.poisoned() {
            self.watch.ends_with(Exit::Poisoned(reason.to_owned()));
            ctx.stop();
        }
    }
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
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
        self.stop_if_poisoned(ctx);
        result
    }
}

impl Handler<Observe> for JournalActor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, Observe: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.writer.observe())
    }
}

impl Handler<Close> for JournalActor {
    type Result = ();

    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) {
        self.commit(ctx);
        if self.writer.poisoned().is_none() {
            self.watch.ends_with(Exit::Asked);
        }
        if let Err(error) = self.writer.checkpoint() {
            tracing::warn!(%error, "the write-ahead log stays beside the journal; the next start reads it");
        }
        ctx.stop();
    }
}
