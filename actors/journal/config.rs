//! Configuration of a journal writer: where its files are, and what it is given.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::writing::writer::RandomBits;
use crate::clock::SharedClock;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFiles {
    pub database: PathBuf,
    /// The anchor; preferably on another disk than the database.
    pub anchor: PathBuf,
}

impl JournalFiles {
    /// The file of the newest signed checkpoint, beside the anchor.
    pub fn checkpoint(&self) -> PathBuf {
        self.anchor.with_file_name("checkpoint")
    }

    /// The files in a state root: `journal.db` and `anchor/journal`.
    pub fn in_folder(root: &Path) -> Self {
        Self { database: root.join("journal.db"), anchor: root.join("anchor/journal") }
    }
}

/// The configuration of a journal writer. A reopened writer gets the same, except that an accepted loss applies only
/// once.
#[derive(Clone)]
pub struct JournalConfig {
    pub files: JournalFiles,
    /// Whether a journal that lost something ([`is_a_loss`](super::JournalError::is_a_loss)) is opened nevertheless. The
    /// loss is journaled.
    pub accept_rollback: bool,
    /// Source of `recorded_at`.
    pub clock: SharedClock,
    /// Source of the random bits of event ids.
    pub random: RandomBits,
    /// Receives the head's `seq` once it is anchored, before the answers are sent. It wakes readers that wait for new
    /// events.
    pub head: watch::Sender<u64>,
}

/// Publishes the head's `seq`.
pub(super) type HeadSender = watch::Sender<u64>;

/// Publishes `seq` unless a later one is published already.
pub(super) fn tell_of(head: &HeadSender, seq: u64) {
    head.send_if_modified(|told| {
        let is_news = seq > *told;
        *told = seq.max(*told);
        is_news
    });
}
