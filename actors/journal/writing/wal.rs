//! Moves the write-ahead log into the database beside the writer, so that groups go on meanwhile.
//!
//! It is moved in small parts, for a group that is committed meanwhile waits until the disk has taken the part; a disk that is
//! slow to sync is given larger ones. SQLite begins the log anew once all of it was moved and the next group comes; the few
//! pages that came during the last part the writer moves itself then, in between two groups.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::journal::error::JournalError;
use crate::journal::opening::connection::{self, MOVE_WAL};
use crate::limits::{JOURNAL_LOG_BYTES, JOURNAL_MOVE_BYTES_MIN, JOURNAL_MOVE_MS, JOURNAL_PAGE_BYTES};

/// Bytes a probe writes to the log: a page.
pub(in crate::journal) const PROBE_BYTES: u64 = JOURNAL_PAGE_BYTES.unsigned_abs();
/// Bytes a stored checkpoint writes to it, about: a page of its table, one of an index, one of the subtrees.
pub(in crate::journal) const STORED_CHECKPOINT_BYTES: u64 = 3 * PROBE_BYTES;

/// A connection that moves the log, on a thread for blocking work.
#[derive(Debug)]
pub(in crate::journal) struct WalMover(Connection);

impl WalMover {
    pub(in crate::journal) fn open(path: &Path) -> Result<Self, JournalError> {
        let db = connection::for_writing(path)?;
        connection::make_durable(&db, path)?;
        Ok(Self(db))
    }

    /// Moves what is in the log when it begins. SQLite syncs the database too unless a group came meanwhile; then the writer
    /// has it all synced when it moves the rest. Gives how long that took.
    pub(in crate::journal) fn run(&self) -> rusqlite::Result<Duration> {
        let begun = Instant::now();
        self.0.query_row(MOVE_WAL, [], |_| Ok(()))?;
        Ok(begun.elapsed())
    }
}

/// How far the log has grown.
#[derive(Debug)]
pub(in crate::journal) struct WalGrowth {
    /// Bytes since the writer moved the rest of it last.
    written: u64,
    /// Bytes that neither the mover, when it was sent out, nor the writer found in it.
    unmoved: u64,
    /// Bytes the mover was sent out for last.
    sent: u64,
    /// Bytes it is to be sent out for next.
    part: u64,
    /// Away while it moves the log.
    mover: Option<WalMover>,
}

impl WalGrowth {
    pub(in crate::journal) fn new(mover: WalMover) -> Self {
        Self { written: 0, unmoved: 0, sent: 0, part: JOURNAL_MOVE_BYTES_MIN, mover: Some(mover) }
    }

    /// A group of so many bytes was written. Gives the mover when a part of the log is to be moved.
    pub(in crate::journal) fn grow(&mut self, bytes: u64) -> Option<WalMover> {
        self.written += bytes;
        self.unmoved += bytes;
        if self.unmoved < self.part {
            return None;
        }
        let mover = self.mover.take()?;
        self.sent = std::mem::take(&mut self.unmoved);
        Some(mover)
    }

    /// The mover is back, after so long. Gives whether the writer is to move the rest.
    pub(in crate::journal) fn moved(&mut self, mover: WalMover, took: Duration) -> bool {
        self.mover = Some(mover);
        self.part = next_part(self.part, self.sent, took);
        let is_long = self.written >= JOURNAL_LOG_BYTES;
        if is_long {
            (self.written, self.unmoved) = (0, 0);
        }
        is_long
    }
}

/// Bytes of the next part, when `sent` bytes took so long: what a sync costs beside its bytes weighs less in a larger one.
fn next_part(part: u64, sent: u64, took: Duration) -> u64 {
    let allowed = Duration::from_millis(JOURNAL_MOVE_MS * sent / JOURNAL_MOVE_BYTES_MIN);
    let next = if took > allowed {
        part * 2
    } else if took <= allowed / 2 {
        part / 2
    } else {
        part
    };
    next.clamp(JOURNAL_MOVE_BYTES_MIN, JOURNAL_LOG_BYTES)
}
