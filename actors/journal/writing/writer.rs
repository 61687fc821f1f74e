//! The one writer: appends groups of events, each group in one transaction.

use std::sync::{Arc, Mutex};

use rusqlite::ffi;

use super::anchoring::{Committed, SharedAnchor, anchor};
use super::appending::{Appending, Failure, begin};
use super::wal::{PROBE_BYTES, STORED_CHECKPOINT_BYTES};
use crate::clock::UnixMs;
use crate::journal::JournalFiles;
use crate::journal::claim::ReplayClaim;
use crate::journal::error::JournalError;
use crate::journal::event::{NewEvent, ROLLBACK_ACCEPTED, Severity, SystemEvent};
use crate::journal::format::row::Head;
use crate::journal::index::Indexes;
use crate::journal::messages::{Appended, JournalSnapshot};
use crate::journal::opening::connection::{EMPTY_WAL, MOVE_WAL, REWRITE_FORMAT};
use crate::journal::opening::open::{self, OpenDatabase, Rollback};
use crate::journal::signing::checkpoints;
use crate::journal::signing::sealer::Sealed;
use crate::journal::signing::unsigned_leaves::Leaves;
use crate::limits::PROBE_FRESH_MS;

/// A source of random bits for event ids.
pub type RandomBits = fn() -> u128;

/// One event on its way into the journal and the replay key it takes.
#[derive(Debug, Clone)]
pub struct NewRow {
    /// The event.
    pub event: NewEvent,
    /// Its key, for deliveries.
    pub claim: Option<ReplayClaim>,
}

/// How one row of a group ended.
pub type RowOutcome = Result<Appended, JournalError>;

/// The journal, open for writing. At most one exists for a file: the lock on the state root sees to it.
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
    /// Bytes written to the log beside the groups, about, since they were taken last.
    written_beside: u64,
}

/// What it has done since it was opened.
#[derive(Debug, Default)]
struct Totals {
    /// Events appended.
    appended: u64,
    /// Groups that appended any.
    groups: u64,
    /// Rows whose key another delivery held.
    held: u64,
}

impl Writer {
    /// Opens the journal at `now`, or makes it; checks its newest part, and that nothing its anchor names is missing, unless
    /// that is accepted. What is refused is left as it is.
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

    /// The leaf hashes of the events committed since they were taken last.
    pub(in crate::journal) fn take_leaves(&mut self) -> Leaves {
        self.leaves.take()
    }

    /// Bytes written to the log by probes and checkpoints, about, since they were taken last.
    pub(in crate::journal) fn take_written_beside(&mut self) -> u64 {
        std::mem::take(&mut self.written_beside)
    }

    /// Why nothing is written any more, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Appends a group: all of it is committed with `synchronous=FULL` when this returns `Ok`, except the rows whose
    /// own outcome says otherwise. Those leave no trace; `seq` and the chain go on without them.
    ///
    /// # Errors
    /// [`JournalError::Busy`]: nothing was written. [`JournalError::Poisoned`]: whether the group was stored is known
    /// only after a restart; every later call answers the same.
    pub fn append(&mut self, rows: Vec<NewRow>, now: UnixMs) -> Result<Vec<RowOutcome>, JournalError> {
        let committed = self.commit(rows, now)?;
        anchor(&self.anchor, committed.head).map_err(|reason| self.give_up(Failure::Fatal(reason)))?;
        Ok(committed.outcomes)
    }

    /// Commits a group that is still to be anchored before anybody is told of it.
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

    /// Journals a loss that was accepted when the journal was opened, if there was one.
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

    /// Appends what the journal says of itself: it writes nothing more without that.
    ///
    /// # Errors
    /// As [`Writer::append`]; [`JournalError::Poisoned`], too, when this event cannot be stored.
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

    /// Takes it that the journal is not what its checkpoint file or key say; journaled with the next rollback.
    pub(in crate::journal) fn accept(&mut self, refusal: &JournalError) {
        let found = self.head;
        let none = Rollback { anchored: None, found, missing: 0, why: Vec::new() };
        self.rollback.get_or_insert(none).add(refusal);
    }

    /// Stores a checkpoint, in a transaction of its own.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(in crate::journal) fn store(&mut self, sealed: &Sealed) -> Result<(), JournalError> {
        self.refuse_if_poisoned()?;
        self.commit_checkpoint(sealed).map_err(|failure| self.give_up(failure))
    }

    /// Writes nothing from here on.
    pub(in crate::journal) fn poison(&mut self, reason: String) {
        drop(self.give_up(Failure::Fatal(reason)));
    }

    /// Checks that the journal can commit: a commit of the last second proves it, or else one that writes a page of
    /// the file again, unchanged.
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

    /// Moves the write-ahead log into the database, the last thing before the end. Does nothing once poisoned.
    ///
    /// # Errors
    /// [`JournalError::Read`] when the log could not be moved; nothing is lost by it, the next start reads the log.
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

    /// Moves the rest of the write-ahead log into the database, so that the next group begins it anew.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(in crate::journal) fn move_rest_of_wal(&mut self) -> Result<(), JournalError> {
        self.refuse_if_poisoned()?;
        let moved = self.database.db.query_row(MOVE_WAL, [], |_| Ok(()));
        moved.map_err(|error| self.give_up(error.into()))
    }

    /// What it shows of itself; of checkpoints it knows nothing.
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

    /// Fails once nothing is written any more.
    pub(in crate::journal) fn refuse_if_poisoned(&self) -> Result<(), JournalError> {
        let Some(reason) = self.poisoned.clone() else { return Ok(()) };
        Err(JournalError::Poisoned { reason })
    }

    fn give_up(&mut self, failure: Failure) -> JournalError {
        match failure {
            Failure::Busy => JournalError::Busy,
            Failure::Fatal(reason) => {
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
