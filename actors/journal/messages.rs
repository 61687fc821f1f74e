//! The messages the journal accepts, and their answers.

use actix::Message;
use serde::Serialize;

use super::JournalError;
use super::claim::{HeldBecause, KeyHolder, ReplayClaim};
use super::event::NewEvent;
use crate::clock::UnixMs;
use crate::ids::{Digest, Receipt};
use crate::replies::Wakes;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// Committed with `synchronous=FULL`.
    Stored(Receipt),
    /// Another delivery holds the key and its window is open; nothing was written.
    Held {
        holder: KeyHolder,
        /// Why the holder keeps the key.
        because: HeldBecause,
    },
}

/// The callback for the answer to an append. If it is dropped uncalled, the outcome is unknown.
pub struct AppendReply(OnAnswer);

type OnAnswer = Box<dyn FnOnce(Result<Appended, JournalError>, &mut Wakes) + Send>;

impl AppendReply {
    /// `reply` is called with the answer on the journal's thread, so it must be quick. Receivers it puts into [`Wakes`]
    /// are woken once the whole group is answered.
    pub fn new(reply: impl FnOnce(Result<Appended, JournalError>, &mut Wakes) + Send + 'static) -> Self {
        Self(Box::new(reply))
    }

    pub(crate) fn answer(self, outcome: Result<Appended, JournalError>, wakes: &mut Wakes) {
        (self.0)(outcome, wakes);
    }
}

/// Appends one event. It is not cancelled when the caller goes away.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Append {
    pub event: NewEvent,
    /// The key it takes, for deliveries.
    pub claim: Option<ReplayClaim>,
    /// Called after the COMMIT of the group that holds the row.
    pub reply: AppendReply,
}

/// Checks that the journal can commit: a commit within the last second proves it, else one is made that changes nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct ProbeCommit;

/// Tells the journal that nothing more will be anchored: with the reason, or `None` if the thread panicked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct AnchoringEnded(pub(super) Option<String>);

/// Asks for the [`JournalSnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "JournalSnapshot")]
pub struct Observe;

/// The state the journal writer reports.
#[derive(Debug, Clone, Serialize)]
pub struct JournalSnapshot {
    /// `seq` of the newest event; 0 in an empty journal.
    pub head_seq: u64,
    /// Its leaf hash.
    pub head_hash: Digest,
    /// When it was appended; 0 in an empty journal.
    pub head_recorded_at_unix_ms: UnixMs,
    /// Events appended since this writer started.
    pub appended_total: u64,
    /// Groups committed since this writer started.
    pub groups_total: u64,
    /// Appends answered with another delivery that holds the key.
    pub held_total: u64,
    /// SQLite's version.
    pub sqlite_version: String,
    /// As read back: `wal`.
    pub journal_mode: String,
    /// As read back: 2 is FULL.
    pub synchronous: u8,
    /// Bytes of the database, without its write-ahead log.
    pub database_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Why nothing more is written, if so.
    pub poisoned: Option<String>,
    /// Events covered by the newest signed checkpoint.
    pub checkpoint_size: u64,
    /// The epoch of the current signing key.
    pub epoch: u64,
}

/// Signs a checkpoint that covers every event appended so far, unless one does already; answers once it is stored.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct Seal;
