//! The indexes beside the events. All their rows can be derived from the events, and `verify` checks that.
//!
//! | file | question it answers |
//! |---|---|
//! | `keys.rs`, `filter.rs` | whether a replay key was taken, and by which event |
//! | `facets.rs` | which events have a given integration, name, severity or kind |
//!
//! Rows of either index are stored when a block or run of events is complete, in the transaction of its last event.

pub(super) mod facets;
mod filter;
pub(super) mod keys;

use rusqlite::Connection;

use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::journal::claim::KeyHolder;
use crate::journal::format::row::{Columns, from_sql};
use facets::{BLOCK_EVENTS, Block};
use keys::{RUN_EVENTS, ReplayKeyIndex};

/// The indexes, as the writer holds them.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    block: Block,
    keys: ReplayKeyIndex,
}

impl Indexes {
    /// Reads what the writer needs of the indexes of a journal of `events` events.
    pub(super) fn open(db: &Connection, events: u64, now: UnixMs) -> rusqlite::Result<Self> {
        Ok(Self { block: Block::open(db, events)?, keys: ReplayKeyIndex::open(db, events, now)? })
    }

    /// Whether the index of replay keys covers all complete runs of `events` events.
    pub(super) fn reach(&self, events: u64) -> bool {
        self.keys.runs() == events / RUN_EVENTS
    }

    /// Whether the stored indexes have rows of blocks or runs that the events do not complete. It reads all rows.
    pub(super) fn any_beyond(db: &Connection) -> rusqlite::Result<bool> {
        let (parts, runs) = keys::count(db, 0)?;
        Ok(facets::count(db, 0)? + parts + runs > 0)
    }

    /// The newest row that took `key`, if its window is open at `now`.
    pub(super) fn find(
        &self,
        db: &Connection,
        key: &Digest,
        now: UnixMs,
    ) -> rusqlite::Result<Option<KeyHolder>> {
        self.keys.find(db, key, now)
    }

    /// Adds an inserted event, and stores the block or run it completes.
    pub(super) fn add(&mut self, db: &Connection, columns: &Columns<'_>) -> rusqlite::Result<()> {
        self.block.add(columns);
        self.keys.add(columns);
        let events = from_sql(columns.seq);
        if events.is_multiple_of(BLOCK_EVENTS) {
            self.block.store(db, events / BLOCK_EVENTS - 1)?;
        }
        if events.is_multiple_of(RUN_EVENTS) {
            self.keys.store(db)?;
        }
        Ok(())
    }
}
