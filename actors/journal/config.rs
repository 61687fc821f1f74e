//! What a journal writer is made of.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::writing::writer::RandomBits;
use crate::clock::SharedClock;

/// Where a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFiles {
    /// The database.
    pub database: PathBuf,
    /// The anchor; best on another disk than the database.
    pub anchor: PathBuf,
}

impl JournalFiles {
    /// The newest signed checkpoint, beside the anchor.
    pub fn checkpoint(&self) -> PathBuf {
        self.anchor.with_file_name("checkpoint")
    }

    /// Where they are in a state root: `journal.db` and `anchor/journal`.
    pub fn in_folder(root: &Path) -> Self {
        Self { database: root.join("journal.db"), anchor: root.join("anchor/journal") }
    }
}

/// What a journal writer is made of. A writer that is reopened gets the same, but for an accepted loss, which holds once.
#[derive(Clone)]
pub struct JournalConfig {
    /// Where it is.
    pub files: JournalFiles,
    /// Whether a journal that lost something ([`is_a_loss`](super::JournalError::is_a_loss)) is taken as it is; the loss is
    /// journaled.
    pub accept_rollback: bool,
    /// Gives `recorded_at`.
    pub clock: SharedClock,
    /// Gives the random bits of event ids.
    pub random: RandomBits,
    /// Told the head's `seq` once it is anchored, before the answers. It wakes who waits for new events.
    pub head: watch::Sender<u64>,
}

/// Where the head's `seq` is told.
pub(super) type HeadSender = watch::Sender<u64>;

/// Tells of a head, unless a later one was told.
pub(super) fn tell_of(head: &HeadSender, seq: u64) {
    head.send_if_modified(|told| {
        let is_news = seq > *told;
        *told = seq.max(*told);
        is_news
    });
}
