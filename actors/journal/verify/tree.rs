//! Rebuilds the Merkle tree and compares it with the stored subtrees.

use rusqlite::Connection;

use super::VerifyReport;
use crate::ids::Digest;
use crate::journal::format::row::{Columns, from_sql};
use crate::journal::signing::subtrees::{self, StoredSubtrees, is_stored, stored_count};
use crate::tlog::{Frontier, Subtree};

/// The tree over the events read so far.
pub(super) struct Tree<'a> {
    db: &'a Connection,
    frontier: Frontier,
    /// Leaves whose complete subtrees must be stored.
    covered: u64,
}

impl<'a> Tree<'a> {
    /// The tree of the first `size` events, of which checkpoints cover `covered`. Subtrees are stored for covered events
    /// only, so the leaf hashes of the others are added one by one.
    pub(super) fn at(db: &'a Connection, size: u64, covered: u64) -> rusqlite::Result<Self> {
        let (stored, stored_size) = (StoredSubtrees(db), size.min(covered));
        let mut frontier = Frontier::load(&stored, stored_size)?;
        stored.hashes(0, stored_size, size - stored_size, |hash| frontier.push(hash, |_| {}))?;
        Ok(Self { db, frontier, covered })
    }

    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Adds an event, and compares the subtrees it completes.
    pub(super) fn push(&mut self, columns: &Columns<'_>, report: &mut VerifyReport) -> rusqlite::Result<()> {
        let mut completed = Vec::new();
        self.frontier.push(columns.hash, |full| completed.extend(Some(full).filter(is_stored)));
        if self.size() > self.covered {
            return Ok(());
        }
        for Subtree { level, place, hash } in completed {
            let problem = match subtrees::find(self.db, level, place)? {
                Some(stored) if stored == hash => continue,
                Some(_) => "does not match its events",
                None => "is missing",
            };
            report.add(columns.seq, format!("the stored subtree {level}/{place} {problem}"));
        }
        Ok(())
    }

    /// Reports stored subtrees that no checkpoint covers.
    pub(super) fn finish(&self, report: &mut VerifyReport) -> rusqlite::Result<()> {
        let counts = "SELECT (SELECT count(*) FROM journal_subtrees), \
             (SELECT coalesce(max(size), 0) FROM journal_checkpoints)";
        let (found, size): (i64, i64) =
            self.db.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (found, expected) = (from_sql(found), stored_count(from_sql(size)));
        if found != expected {
            report.add(0, format!("{found} subtrees are stored, but its checkpoints cover {expected}"));
        }
        Ok(())
    }
}
