//! Moves the write-ahead log into the database beside the writer, so that no group waits for it.
//!
//! SQLite begins the log anew once all of it was moved and the next group comes. Most of it is moved here while groups go
//! on; the few pages that came meanwhile the writer moves itself, in between two groups.

use std::path::Path;

use rusqlite::Connection;

use super::connection::{self, MOVE_LOG};
use super::error::JournalError;

/// A connection that moves the log, on a thread for blocking work.
#[derive(Debug)]
pub(super) struct LogMover(Connection);

impl LogMover {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let db = connection::for_writing(path)?;
        connection::make_durable(&db, path)?;
        Ok(Self(db))
    }

    /// Moves what is in the log when it begins, and syncs the database.
    pub(super) fn run(&self) -> rusqlite::Result<()> {
        self.0.query_row(MOVE_LOG, [], |_| Ok(()))
    }
}

/// How far the log has grown.
#[derive(Debug, Default)]
pub(super) struct LogGrowth {
    bytes: u64,
    /// Away while it moves the log.
    pub(super) mover: Option<LogMover>,
}

impl LogGrowth {
    pub(super) fn new(mover: LogMover) -> Self {
        Self { bytes: 0, mover: Some(mover) }
    }

    /// A group of so many bytes was written. Gives the mover when the log is to be moved.
    pub(super) fn grow(&mut self, bytes: u64) -> Option<LogMover> {
        self.bytes += bytes;
        if self.bytes < crate::limits::JOURNAL_LOG_BYTES {
            return None;
        }
        let mover = self.mover.take()?;
        self.bytes = 0;
        Some(mover)
    }
}
