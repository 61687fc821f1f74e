//! The journal's doors: the messages it takes, and their answers.

use actix::Message;
use serde::Serialize;

use super::JournalError;
use super::claim::{HeldBecause, KeyHolder, ReplayClaim};
use super::event::NewEvent;
use crate::clock::UnixMs;
use crate::ids::{Digest, Receipt};
use crate::replies::Wakes;

/// How an append ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// Committed with `synchronous=FULL`.
    Stored(Receipt),
    /// Another delivery holds the key, unexpired; nothing was written.
    Held {
        /// The row that holds it.
        holder: KeyHolder,
        /// Why it stays there.
        because: HeldBecause,
    },
}

/// What is done with the answer to an append. When it is dropped uncalled, the outcome is not known.
pub struct AppendReply(OnAnswer);

type OnAnswer = Box<dyn FnOnce(Result<Appended, JournalError>, &mut Wakes) + Send>;

impl AppendReply {
    /// Does `reply` with the answer, on the thread of the journal: it must not take long. Whom it lays an answer down for
    /// is woken once the whole group is answered.
    pub fn new(reply: impl FnOnce(Result<Appended, JournalError>, &mut Wakes) + Send + 'static) -> Self {
        Self(Box::new(reply))
    }

    pub(crate) fn answer(self, outcome: Result<Appended, JournalError>, wakes: &mut Wakes) {
        (self.0)(outcome, wakes);
    }
}

/// Appends one event. It runs to its end even when the caller has gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Append {
    /// What to append.
    pub event: NewEvent,
    /// The key it takes, for deliveries.
    pub claim: Option<ReplayClaim>,
    /// Answered after the COMMIT of the group that holds the row.
    pub reply: AppendReply,
}

/// Checks that the journal can commit right now: by a commit of the last second, or else by one that changes nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct ProbeCommit;

/// Tells the journal that nothing is anchored any more: why, or that the thread panicked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct AnchoringEnded(pub(super) Option<String>);

/// Asks for the [`JournalSnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "JournalSnapshot")]
pub struct Observe;

/// What the journal writer shows of itself.
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
    /// Appends answered with the holder of the key.
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
    /// Why nothing is written any more, if so.
    pub poisoned: Option<String>,
    /// Events that the newest signed checkpoint covers.
    pub checkpoint_size: u64,
    /// The epoch of the key that signs.
    pub epoch: u64,
}

/// Signs a checkpoint that covers every event appended so far, unless the newest one does; answers once it is stored.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct Seal;
