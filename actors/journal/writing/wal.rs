//! Copies the write-ahead log into the database while the writer goes on committing.
//!
//! It is copied in small parts, because a commit has to wait until the disk has synced the part; on a disk with slow
//! syncs the parts are larger. SQLite restarts the log at its beginning once all of it was copied and the next group is
//! written. The few pages written during the last part are copied by the writer itself, between two groups.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::journal::error::JournalError;
use crate::journal::opening::connection::{self, MOVE_WAL};
use crate::limits::{JOURNAL_LOG_BYTES, JOURNAL_MOVE_BYTES_MIN, JOURNAL_MOVE_MS, JOURNAL_PAGE_BYTES};

/// Bytes a probe writes to the log: one page.
pub(in crate::journal) const PROBE_BYTES: u64 = JOURNAL_PAGE_BYTES.unsigned_abs();
/// Approximate bytes a stored checkpoint writes to the log: one page each of its table, an index and the subtrees.
pub(in crate::journal) const STORED_CHECKPOINT_BYTES: u64 = 3 * PROBE_BYTES;

/// A connection that copies the log, on a thread for blocking work.
#[derive(Debug)]
pub(in crate::journal) struct WalMover(Connection);

impl WalMover {
    pub(in crate::journal) fn open(path: &Path) -> Result<Self, JournalError> {
        let db = connection::for_writing(path)?;
        connection::make_durable(&db, path)?;
        Ok(Self(db))
    }

    /// Copies what is in the log when it starts, and returns how long that took. SQLite syncs the database as well unless
    /// a group was written meanwhile; in that case the writer syncs everything when it copies the rest.
    pub(in crate::journal) fn run(&self) -> rusqlite::Result<Duration> {
        let begun = Instant::now();
        fail::fail_point!("journal::move");
        self.0.query_row(MOVE_WAL, [], |_| Ok(()))?;
        Ok(begun.elapsed())
    }
}

/// How much of the log is not copied yet, and when to copy it.
#[derive(Debug)]
pub(in crate::journal) struct WalGrowth {
    /// Bytes written since the writer last copied the rest.
    written: u64,
    /// Bytes written since the mover was last sent out.
    unmoved: u64,
    /// Bytes the mover was last sent out to copy.
    sent: u64,
    /// Bytes at which it is sent out next.
    part: u64,
    /// `None` while it is copying.
    mover: Option<WalMover>,
}

impl WalGrowth {
    pub(in crate::journal) fn new(mover: WalMover) -> Self {
        Self { written: 0, unmoved: 0, sent: 0, part: JOURNAL_MOVE_BYTES_MIN, mover: Some(mover) }
    }

    /// Counts the bytes of a group. Returns the mover when a part of the log is due to be copied.
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

    /// Takes the mover back, after `took`. Returns whether the writer has to copy the rest.
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

/// Bytes of the next part, after `sent` bytes took `took`. Larger parts spread the fixed cost of a sync over more bytes.
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
