//! Moves the write-ahead log into the database beside the writer, so that no group waits for it.
//!
//! It is moved in small parts, for a group that is committed meanwhile waits until the disk has taken the part. SQLite begins
//! the log anew once all of it was moved and the next group comes; the few pages that came during the last part the writer
//! moves itself then, in between two groups.

use std::path::Path;

use rusqlite::Connection;

use super::connection::{self, MOVE_LOG};
use super::error::JournalError;
use crate::limits::{JOURNAL_LOG_BYTES, JOURNAL_MOVE_BYTES};

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
    /// Bytes since it was begun.
    written: u64,
    /// Bytes since the mover was sent out last.
    unmoved: u64,
    /// Away while it moves the log.
    mover: Option<LogMover>,
}

impl LogGrowth {
    pub(super) fn new(mover: LogMover) -> Self {
        Self { written: 0, unmoved: 0, mover: Some(mover) }
    }

    /// A group of so many bytes was written. Gives the mover when a part of the log is to be moved.
    pub(super) fn grow(&mut self, bytes: u64) -> Option<LogMover> {
        self.written += bytes;
        self.unmoved += bytes;
        if self.unmoved < JOURNAL_MOVE_BYTES {
            return None;
        }
        let mover = self.mover.take()?;
        self.unmoved = 0;
        Some(mover)
    }

    /// The mover is back. Gives whether the log is to begin anew.
    pub(super) fn take_back(&mut self, mover: LogMover) -> bool {
        self.mover = Some(mover);
        let is_long = self.written >= JOURNAL_LOG_BYTES;
        if is_long {
            self.written = 0;
        }
        is_long
    }
}
