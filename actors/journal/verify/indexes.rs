//! Rebuilds the indexes from the events and compares them with the stored ones, row by row.

use rusqlite::Connection;

use super::VerifyReport;
use crate::journal::format::row::{Columns, from_sql};
use crate::journal::index::facets::{self, BLOCK_EVENTS, Block};
use crate::journal::index::keys::{self, OpenRun, RUN_EVENTS};

/// The indexes over the events read so far.
pub(super) struct IndexCheck<'a> {
    db: &'a Connection,
    /// Events that are skipped; blocks and runs that contain any of them cannot be compared.
    before: u64,
    /// The last event read.
    events: u64,
    block: Block,
    run: OpenRun,
    values: u64,
    parts: u64,
}

impl<'a> IndexCheck<'a> {
    /// Starts after the event `before`.
    pub(super) fn after(db: &'a Connection, before: u64) -> Self {
        let (block, run) = (Block::default(), OpenRun::default());
        Self { db, before, events: before, block, run, values: 0, parts: 0 }
    }

    /// Adds an event, and compares the block or run it completes.
    pub(super) fn push(&mut self, columns: &Columns<'_>, report: &mut VerifyReport) -> rusqlite::Result<()> {
        self.block.add(columns);
        self.run.add(columns);
        self.events = from_sql(columns.seq);
        if self.events.is_multiple_of(BLOCK_EVENTS) {
            let block = std::mem::take(&mut self.block);
            if self.is_whole(BLOCK_EVENTS) {
                let (values, problem) = block.compare(self.db, self.events / BLOCK_EVENTS - 1)?;
                self.values += values;
                problem.into_iter().for_each(|problem| report.add(columns.seq, problem));
            }
        }
        if self.events.is_multiple_of(RUN_EVENTS) {
            let run = std::mem::take(&mut self.run);
            if self.is_whole(RUN_EVENTS) {
                let (parts, problem) = run.compare(self.db, self.events / RUN_EVENTS - 1)?;
                self.parts += parts;
                problem.into_iter().for_each(|problem| report.add(columns.seq, problem.to_owned()));
            }
        }
        Ok(())
    }

    /// Whether all of the last `length` events were read.
    fn is_whole(&self, length: u64) -> bool {
        self.events >= self.before + length
    }

    /// Reports index rows that no event accounts for. Rows added during verification belong to later blocks and runs.
    pub(super) fn finish(&self, report: &mut VerifyReport) -> rusqlite::Result<()> {
        if self.before > 0 {
            return Ok(());
        }
        let (blocks, runs) = (self.events / BLOCK_EVENTS, self.events / RUN_EVENTS);
        if facets::count(self.db, blocks)? != self.values {
            report.add(0, "the index of list filters has rows that belong to no event".to_owned());
        }
        if keys::count(self.db, runs)? != (self.parts, runs) {
            report.add(0, "the index of replay keys has rows that belong to no event".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of 512 events: the block and the runs of the first 256 are in the indexes, and so is the following
    /// block.
    fn grown() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("../format/schema.sql")).unwrap();
        db.execute_batch(
            "DROP TRIGGER journal_events_follow; \
             INSERT INTO journal_events VALUES (512, printf('%026d', 0), 'system', 'a', 'info', 'p', 's', NULL, NULL, \
             NULL, NULL, 0, 0, '', '[]', NULL, NULL, NULL, NULL, 'none', zeroblob(32), zeroblob(32), x''); \
             INSERT INTO journal_facets VALUES ('kind', 'system', 0, zeroblob(32)), ('kind', 'system', 1, zeroblob(32)); \
             INSERT INTO replay_runs VALUES (0, 0), (1, 0), (2, 0), (3, 0)",
        )
        .unwrap();
        db
    }

    #[test]
    fn what_was_indexed_while_the_events_were_read_is_no_problem() {
        let db = grown();
        let read = |events, values| {
            let mut report = VerifyReport::new();
            IndexCheck { events, values, ..IndexCheck::after(&db, 0) }.finish(&mut report).unwrap();
            report.is_ok()
        };
        assert!(read(300, 1), "the second block was completed meanwhile");
        assert!(!read(300, 0), "a value of the first block that no event gave");
    }
}
