//! The only writer: appends groups of events, each in one transaction.

use std::sync::{Arc, Mutex};

use rusqlite::ffi;

use super::anchoring::{Committed, SharedAnchor, anchor};
use super::appending::{Appending, Failure, begin};
use super::wal::{PROBE_BYTES, STORED_CHECKPOINT_BYTES};
use crate::clock::UnixMs;
use crate::journal::JournalFiles;
use crate::journal::claim::ReplayClaim;
use crate::journal::error::{JournalError, RAISE_LIMIT_OF_FILE_SIZE};
use crate::journal::event::{NewEvent, ROLLBACK_ACCEPTED, Severity, SystemEvent};
use crate::journal::format::row::Head;
use crate::journal::index::Indexes;
use crate::journal::messages::{Appended, JournalSnapshot};
use crate::journal::opening::connection::{EMPTY_WAL, MOVE_WAL, REWRITE_FORMAT};
use crate::journal::opening::open::{self, OpenDatabase};
use crate::journal::opening::rollback::Rollback;
use crate::journal::signing::checkpoints;
use crate::journal::signing::sealer::Sealed;
use crate::journal::signing::unsigned_leaves::Leaves;
use crate::limits::PROBE_FRESH_MS;

/// A source of random bits for event ids.
pub type RandomBits = fn() -> u128;

/// An event to append, and the replay key it takes.
#[derive(Debug, Clone)]
pub struct NewRow {
    pub event: NewEvent,
    /// Its replay key, for deliveries.
    pub claim: Option<ReplayClaim>,
}

/// The result for one row of a group.
pub type RowOutcome = Result<Appended, JournalError>;

/// The journal, open for writing. The lock on the state root ensures that a file has at most one writer.
#[derive(Debug)]
pub struct Writer {
    database: OpenDatabase,
    anchor: SharedAnchor,
    rollback: Option<Rollback>,
    random: RandomBits,
    head: Head,
    leaves: Leaves,
    indexes: Indexes,
    poisoned: Option<String>,
    last_commit_at: UnixMs,
    totals: Totals,
    /// Approximate bytes written to the write-ahead log besides the groups, since they were last taken.
    written_beside: u64,
}

/// Counters since the writer was opened.
#[derive(Debug, Default)]
struct Totals {
    appended: u64,
    /// Groups in which at least one event was appended.
    groups: u64,
    /// Rows whose key another delivery held.
    held: u64,
}

impl Writer {
    /// Opens the journal at `now`, or creates it. Checks its newest part, and that nothing its anchor names is missing
    /// unless that loss is accepted. A journal that is refused is left unchanged, except that its next signing key may
    /// be in effect, if a crash at the end of an epoch kept it from that.
    ///
    /// # Errors
    /// [`JournalError::Open`], [`JournalError::Newer`], [`JournalError::Corrupt`], [`JournalError::Behind`],
    /// [`JournalError::Lost`] or [`JournalError::LogAlone`].
    pub fn open(
        files: &JournalFiles,
        random: RandomBits,
        accept_rollback: bool,
        now: UnixMs,
    ) -> Result<Self, JournalError> {
        let opened = open::for_writing(files, random, accept_rollback, now)?;
        Ok(Self {
            database: opened.database,
            anchor: Arc::new(Mutex::new(opened.anchor)),
            rollback: opened.rollback,
            random,
            head: opened.head,
            leaves: Leaves::forgotten(opened.head.seq),
            indexes: opened.indexes,
            poisoned: None,
            last_commit_at: 0,
            totals: Totals::default(),
            written_beside: 0,
        })
    }

    /// The newest committed event.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes the leaf hashes of the events committed since the last call.
    pub(in crate::journal) fn take_leaves(&mut self) -> Leaves {
        self.leaves.take()
    }

    /// Takes the approximate number of bytes that probes and checkpoints wrote to the log since the last call.
    pub(in crate::journal) fn take_written_beside(&mut self) -> u64 {
        std::mem::take(&mut self.written_beside)
    }

    /// Why nothing more is written, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Appends a group. When this returns `Ok`, all of it is committed with `synchronous=FULL`, except the rows whose own
    /// outcome is an error or `Held`. Those leave no trace: `seq` and the chain have no gap.
    ///
    /// # Errors
    /// [`JournalError::Busy`]: nothing was written. [`JournalError::Poisoned`]: only a restart can find out whether the
    /// group was stored; every later call fails the same way.
    pub fn append(&mut self, rows: Vec<NewRow>, now: UnixMs) -> Result<Vec<RowOutcome>, JournalError> {
        let committed = self.commit(rows, now)?;
        anchor(&self.anchor, committed.head).map_err(|reason| self.give_up(Failure::Fatal(reason)))?;
        Ok(committed.outcomes)
    }

    /// Commits a group. It has to be anchored before anybody is answered.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(in crate::journal) fn commit(
        &mut self,
        rows: Vec<NewRow>,
        now: UnixMs,
    ) -> Result<Committed, JournalError> {
        self.refuse_if_poisoned()?;
        let outcomes = self.commit_group(rows, now).map_err(|failure| self.give_up(failure))?;
        self.count(&outcomes, now);
        Ok(Committed { head: self.head, outcomes })
    }

    /// The anchor, for the thread that anchors.
    pub(in crate::journal) fn anchor(&self) -> SharedAnchor {
        Arc::clone(&self.anchor)
    }

    /// Journals the loss that was accepted when the journal was opened, if there was one.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn record_rollback(&mut self, now: UnixMs) -> Result<(), JournalError> {
        let Some(rollback) = self.rollback.take() else { return Ok(()) };
        let (anchored, found) = (rollback.anchored.map(|anchored| anchored.seq), rollback.found.seq);
        let (missing, why) = (rollback.missing, rollback.why.join("; "));
        tracing::warn!(missing, found_seq = found, why, "the journal was accepted as it is, with a loss");
        let event = SystemEvent::new(ROLLBACK_ACCEPTED, format!("{missing} missing events were accepted"))
            .severity(Severity::Error)
            .detail("anchored_seq", anchored)
            .detail("found_seq", found)
            .detail("found_hash", rollback.found.hash.to_string())
            .detail("why", why);
        self.append_own(event, now)
    }

    /// Appends an event of the journal's own. If that fails, nothing more is written.
    ///
    /// # Errors
    /// As [`Writer::append`]; also [`JournalError::Poisoned`] if this event cannot be stored.
    pub(in crate::journal) fn append_own(
        &mut self,
        event: SystemEvent,
        now: UnixMs,
    ) -> Result<(), JournalError> {
        let row = NewRow { event: NewEvent::System(event), claim: None };
        let outcomes = self.append(vec![row], now)?;
        let refused = outcomes.into_iter().find_map(Result::err);
        refused.map_or(Ok(()), |refused| Err(self.give_up(Failure::Fatal(refused.to_string()))))
    }

    /// Accepts that the journal disagrees with its checkpoint file or key; it is journaled with the next rollback.
    pub(in crate::journal) fn accept(&mut self, refusal: &JournalError) {
        let found = self.head;
        let none = Rollback { anchored: None, found, missing: 0, why: Vec::new() };
        self.rollback.get_or_insert(none).add(refusal);
    }

    /// Stores a checkpoint in a transaction of its own.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(in crate::journal) fn store(&mut self, sealed: &Sealed) -> Result<(), JournalError> {
        self.refuse_if_poisoned()?;
        self.commit_checkpoint(sealed).map_err(|failure| self.give_up(failure))
    }

    /// Makes every later write fail with `reason`.
    pub(in crate::journal) fn poison(&mut self, reason: String) {
        drop(self.give_up(Failure::Fatal(reason)));
    }

    /// Checks that the journal can commit. A commit within the last second proves it; else one is made that rewrites a
    /// page of the file unchanged.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn probe(&mut self, now: UnixMs) -> Result<(), JournalError> {
        self.refuse_if_poisoned()?;
        if self.last_commit_at.abs_diff(now) < PROBE_FRESH_MS {
            return Ok(());
        }
        self.commit_nothing().map_err(|failure| self.give_up(failure))?;
        self.last_commit_at = now;
        Ok(())
    }

    /// Copies the write-ahead log into the database, as the last step of closing. Does nothing once poisoned.
    ///
    /// # Errors
    /// [`JournalError::Read`] when the log could not be copied. Nothing is lost: the next start reads the log.
    pub fn empty_wal(&self) -> Result<(), JournalError> {
        if self.poisoned.is_some() {
            return Ok(());
        }
        let is_busy: bool =
            self.database.db.query_row(EMPTY_WAL, [], |row| row.get(0)).map_err(JournalError::read)?;
        if is_busy {
            let busy = ffi::Error::new(ffi::SQLITE_BUSY);
            return Err(JournalError::read(rusqlite::Error::SqliteFailure(busy, None)));
        }
        Ok(())
    }

    /// Copies the rest of the write-ahead log into the database, so that the next group restarts the log at its
    /// beginning.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(in crate::journal) fn move_rest_of_wal(&mut self) -> Result<(), JournalError> {
        self.refuse_if_poisoned()?;
        let moved = self.database.db.query_row(MOVE_WAL, [], |_| Ok(()));
        moved.map_err(|error| self.give_up(error.into()))
    }

    /// Its state; the fields about checkpoints are left at 0.
    pub fn observe(&self) -> JournalSnapshot {
        JournalSnapshot {
            head_seq: self.head.seq,
            head_hash: self.head.hash,
            head_recorded_at_unix_ms: self.head.recorded_at,
            appended_total: self.totals.appended,
            groups_total: self.totals.groups,
            held_total: self.totals.held,
            sqlite_version: rusqlite::version().to_owned(),
            journal_mode: self.database.durability.journal_mode.clone(),
            synchronous: self.database.durability.synchronous,
            database_bytes: self.database.files.database_bytes(),
            wal_bytes: self.database.files.wal_bytes(),
            poisoned: self.poisoned.clone(),
            checkpoint_size: 0,
            epoch: 0,
        }
    }

    /// Fails once the writer is poisoned.
    pub(in crate::journal) fn refuse_if_poisoned(&self) -> Result<(), JournalError> {
        let Some(reason) = self.poisoned.clone() else { return Ok(()) };
        Err(JournalError::Poisoned { reason })
    }

    fn give_up(&mut self, failure: Failure) -> JournalError {
        match failure {
            Failure::Busy => JournalError::Busy,
            Failure::Fatal(reason) => {
                let reason = match self.database.files.may_not_grow() {
                    true => format!(
                        "{reason}: a file may not grow beyond the process's limit of file size; {RAISE_LIMIT_OF_FILE_SIZE}"
                    ),
                    false => reason,
                };
                tracing::error!(reason, "the journal is poisoned and no longer writes");
                self.poisoned = Some(reason.clone());
                JournalError::Poisoned { reason }
            }
        }
    }

    fn commit_group(&mut self, rows: Vec<NewRow>, now: UnixMs) -> Result<Vec<RowOutcome>, Failure> {
        let mut head = self.head;
        let transaction = begin(&mut self.database.db)?;
        let mut appending = Appending {
            db: &transaction,
            head: &mut head,
            indexes: &mut self.indexes,
            now,
            random: self.random,
        };
        let outcomes =
            rows.into_iter().map(|row| appending.append(row)).collect::<Result<Vec<_>, Failure>>()?;
        fail::fail_point!("journal::before_commit");
        transaction.commit()?;
        self.database.files.check().map_err(Failure::Fatal)?;
        self.head = head;
        Ok(outcomes)
    }

    fn commit_checkpoint(&mut self, sealed: &Sealed) -> Result<(), Failure> {
        fail::fail_point!("journal::before_checkpoint");
        let transaction = begin(&mut self.database.db)?;
        checkpoints::insert(&transaction, sealed)?;
        transaction.commit()?;
        self.written_beside += STORED_CHECKPOINT_BYTES;
        self.database.files.check().map_err(Failure::Fatal)
    }

    fn commit_nothing(&mut self) -> Result<(), Failure> {
        fail::fail_point!("journal::before_probe");
        let transaction = begin(&mut self.database.db)?;
        transaction.execute_batch(REWRITE_FORMAT)?;
        transaction.commit()?;
        self.written_beside += PROBE_BYTES;
        self.database.files.check().map_err(Failure::Fatal)
    }

    fn count(&mut self, outcomes: &[RowOutcome], now: UnixMs) {
        let appended_before = self.totals.appended;
        for outcome in outcomes {
            match outcome {
                Ok(Appended::Stored(receipt)) => {
                    self.leaves.push(receipt.leaf_hash);
                    self.totals.appended += 1;
                }
                Ok(Appended::Held { .. }) => self.totals.held += 1,
                Err(_) => {}
            }
        }
        if self.totals.appended > appended_before {
            self.totals.groups += 1;
            self.last_commit_at = now;
        }
    }

    #[cfg(test)]
    pub(in crate::journal) fn db(&mut self) -> &mut rusqlite::Connection {
        &mut self.database.db
    }
}
