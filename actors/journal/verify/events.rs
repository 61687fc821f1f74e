//! Reads every event in order and verifies it against its hash, the chain, the indexes and the tree.

use std::ops::ControlFlow;

use rusqlite::Connection;

use super::indexes::IndexCheck;
use super::notes::Notes;
use super::tree::Tree;
use super::{OnProgress, Progress, Scope, VerifyReport};
use crate::journal::format::chain::ChainWalk;
use crate::journal::format::row::{COLUMNS, Columns, from_sql, to_sql};
use crate::journal::opening::open;

/// Rows read per batch; between two batches the write-ahead log can be copied into the database.
const BATCH_ROWS: i64 = 1_000;

/// A walk over the events.
pub(super) struct Events<'a> {
    db: &'a Connection,
    after: i64,
    walk: ChainWalk,
    tree: Tree<'a>,
    indexes: IndexCheck<'a>,
    notes: Notes<'a>,
}

impl<'a> Events<'a> {
    /// Starts at the first event of `scope`.
    pub(super) fn begin(db: &'a Connection, scope: &Scope, notes: Notes<'a>) -> rusqlite::Result<Self> {
        let before = scope.from.saturating_sub(1).min(newest_seq(db)?);
        let walk = match before {
            0 => ChainWalk::from_start(),
            _ => ChainWalk::after(to_sql(before), open::hash_of(db, to_sql(before))?),
        };
        // A row with a seq of 0 or less is not an event; it has to be read so that it is reported.
        let after = if before == 0 { i64::MIN } else { to_sql(before) };
        let (tree, indexes) = (Tree::at(db, before, notes.covered())?, IndexCheck::after(db, before));
        Ok(Self { db, after, walk, tree, indexes, notes })
    }

    /// Checks all events to the end.
    pub(super) fn check(
        mut self,
        report: &mut VerifyReport,
        on_progress: OnProgress<'_>,
    ) -> rusqlite::Result<()> {
        let head_seq = newest_seq(self.db)?;
        report.head_seq = from_sql(self.after);
        if report.head_seq > 0 {
            report.head_hash = open::hash_of(self.db, self.after)?;
        }
        self.notes.check_up_to(self.tree.size(), None, report)?;
        while self.check_batch(report)? {
            let progress = Progress { seq: report.head_seq, head_seq: head_seq.max(report.head_seq) };
            if on_progress(progress) == ControlFlow::Break(()) {
                report.is_partial = true;
                return Ok(());
            }
        }
        self.notes.finish(report)?;
        self.indexes.finish(report)?;
        if self.notes.are_readable() { self.tree.finish(report) } else { Ok(()) }
    }

    /// Checks the next batch of rows; false when none are left.
    fn check_batch(&mut self, report: &mut VerifyReport) -> rusqlite::Result<bool> {
        let db = self.db;
        let select = format!("SELECT {COLUMNS} FROM journal_events WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let mut statement = db.prepare_cached(&select)?;
        let mut rows = statement.query([self.after, BATCH_ROWS])?;
        let mut found = false;
        while let Some(row) = rows.next()? {
            found = true;
            let seq: i64 = row.get(0)?;
            self.after = seq;
            report.events += 1;
            report.head_seq = from_sql(seq);
            if let Some((seq, problem)) = self.walk.arrive(seq) {
                report.add(seq, problem);
            }
            match Columns::read(row) {
                Ok(columns) => self.check_row(&columns, report)?,
                Err(error) => {
                    self.walk.skip();
                    report.add(seq, format!("its columns cannot be read ({error})"));
                }
            }
        }
        Ok(found)
    }

    fn check_row(&mut self, columns: &Columns<'_>, report: &mut VerifyReport) -> rusqlite::Result<()> {
        report.head_hash = columns.hash;
        if let Some(problem) = self.walk.inspect(columns) {
            report.add(columns.seq, problem);
        }
        self.tree.push(columns, report)?;
        if self.notes.next_size() == Some(self.tree.size()) {
            self.notes.check_up_to(self.tree.size(), Some(self.tree.root()), report)?;
        }
        self.indexes.push(columns, report)
    }
}

/// `seq` of the newest event, whatever the rest of its row holds.
pub(super) fn newest_seq(db: &Connection) -> rusqlite::Result<u64> {
    let newest = "SELECT coalesce(max(seq), 0) FROM journal_events";
    db.query_row(newest, [], |row| row.get(0).map(from_sql))
}
