//! The one writer: appends groups of events, each group in one transaction.

use std::sync::{Arc, Mutex};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};

use super::anchoring::{Committed, SharedAnchor, anchor};
use super::delivery_names;
use super::wal::{CHECKPOINT_BYTES, PROBE_BYTES};
use crate::clock::UnixMs;
use crate::ids::EventId;
use crate::journal::claim::{Decision, ReplayClaim};
use crate::journal::error::JournalError;
use crate::journal::event::ROLLBACK_ACCEPTED;
use crate::journal::format::row::{Columns, Head};
use crate::journal::index::Indexes;
use crate::journal::messages::{Appended, JournalSnapshot, NewEvent, Severity, SystemEvent};
use crate::journal::opening::connection::{
    CHECKPOINT, Durability, MOVE_WAL, REWRITE_FORMAT, refuses_the_row,
};
use crate::journal::opening::open;
use crate::journal::opening::open::Rollback;
use crate::journal::opening::same_file::OpenFiles;
use crate::journal::signing::checkpoints;
use crate::journal::signing::sealer::Sealed;
use crate::journal::signing::unsigned_leaves::Leaves;
use crate::journal::{JournalFiles, event};
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
    db: Connection,
    files: OpenFiles,
    anchor: SharedAnchor,
    rollback: Option<Rollback>,
    durability: Durability,
    random: RandomBits,
    head: Head,
    leaves: Leaves,
    indexes: Indexes,
    poisoned: Option<String>,
    last_commit_at: UnixMs,
    appended_total: u64,
    groups_total: u64,
    held_total: u64,
    /// Bytes written to the log beside the groups, about, since they were taken last.
    written_beside: u64,
}

/// Why a group was not committed.
enum Failure {
    /// The write lock was not to be had: nothing happened.
    Busy,
    /// What is in the file now is not known.
    Fatal(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Fatal(error.to_string())
    }
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
            db: opened.db,
            files: opened.files,
            anchor: Arc::new(Mutex::new(opened.anchor)),
            rollback: opened.rollback,
            durability: opened.durability,
            random,
            head: opened.head,
            leaves: Leaves::forgotten(opened.head.seq),
            indexes: opened.indexes,
            poisoned: None,
            last_commit_at: 0,
            appended_total: 0,
            groups_total: 0,
            held_total: 0,
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
        anchor(&self.anchor, committed.head).map_err(|reason| self.poison(reason))?;
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
        refused.map_or(Ok(()), |refused| Err(self.poison(refused.to_string())))
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
    pub(in crate::journal) fn poison(&mut self, reason: String) -> JournalError {
        self.give_up(Failure::Fatal(reason))
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
    pub fn checkpoint(&self) -> Result<(), JournalError> {
        if self.poisoned.is_some() {
            return Ok(());
        }
        let is_busy: bool =
            self.db.query_row(CHECKPOINT, [], |row| row.get(0)).map_err(JournalError::read)?;
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
        let moved = self.db.query_row(MOVE_WAL, [], |_| Ok(()));
        moved.map_err(|error| self.give_up(error.into()))
    }

    /// What it shows of itself; of checkpoints it knows nothing.
    pub fn observe(&self) -> JournalSnapshot {
        JournalSnapshot {
            head_seq: self.head.seq,
            head_hash: self.head.hash,
            head_recorded_at_unix_ms: self.head.recorded_at,
            appended_total: self.appended_total,
            groups_total: self.groups_total,
            held_total: self.held_total,
            sqlite_version: rusqlite::version().to_owned(),
            journal_mode: self.durability.journal_mode.clone(),
            synchronous: self.durability.synchronous,
            database_bytes: self.files.database_bytes(),
            wal_bytes: self.files.wal_bytes(),
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
        let transaction = begin(&mut self.db)?;
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
        self.files.check().map_err(Failure::Fatal)?;
        self.head = head;
        Ok(outcomes)
    }

    fn commit_checkpoint(&mut self, sealed: &Sealed) -> Result<(), Failure> {
        fail::fail_point!("journal::before_checkpoint");
        let transaction = begin(&mut self.db)?;
        checkpoints::insert(&transaction, sealed)?;
        transaction.commit()?;
        self.written_beside += CHECKPOINT_BYTES;
        self.files.check().map_err(Failure::Fatal)
    }

    fn commit_nothing(&mut self) -> Result<(), Failure> {
        fail::fail_point!("journal::before_probe");
        let transaction = begin(&mut self.db)?;
        transaction.execute_batch(REWRITE_FORMAT)?;
        transaction.commit()?;
        self.written_beside += PROBE_BYTES;
        self.files.check().map_err(Failure::Fatal)
    }

    fn count(&mut self, outcomes: &[RowOutcome], now: UnixMs) {
        let appended_before = self.appended_total;
        for outcome in outcomes {
            match outcome {
                Ok(Appended::Stored(receipt)) => {
                    self.leaves.push(receipt.leaf_hash);
                    self.appended_total += 1;
                }
                Ok(Appended::Held { .. }) => self.held_total += 1,
                Err(_) => {}
            }
        }
        if self.appended_total > appended_before {
            self.groups_total += 1;
            self.last_commit_at = now;
        }
    }

    #[cfg(test)]
    pub(in crate::journal) fn db(&mut self) -> &mut Connection {
        &mut self.db
    }
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, Failure> {
    db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Busy,
            _ => error.into(),
        }
    })
}

/// A group on its way into its transaction.
struct Appending<'a> {
    db: &'a Connection,
    head: &'a mut Head,
    indexes: &'a mut Indexes,
    now: UnixMs,
    random: RandomBits,
}

impl Appending<'_> {
    /// Appends one row after the head. The inner error is the row's own; the outer one ends the group.
    fn append(&mut self, NewRow { event, claim }: NewRow) -> Result<RowOutcome, Failure> {
        if let Err(invalid) = event::check(&event, claim.as_ref()) {
            return Ok(Err(invalid));
        }
        let claim = claim.map(|claim| self.begun_at_head(claim));
        if let Some(claim) = &claim
            && let Some(holder) = self.indexes.find(self.db, &claim.key, self.now)?
            && let Decision::Held(because) =
                claim.decide(&holder, || delivery_names::agree(self.db, &holder, &event))?
        {
            return Ok(Ok(Appended::Held { holder, because }));
        }
        let event_id = EventId::new(self.now, (self.random)());
        let mut columns = Columns::new(event, claim.as_ref(), event_id, self.now);
        if !columns.claims_its_body() {
            return Ok(Err(JournalError::invalid("claim", "is for another body")));
        }
        columns.link(self.head);
        match columns.insert(self.db) {
            Ok(()) => {}
            Err(error) if refuses_the_row(&error) => {
                return Ok(Err(JournalError::invalid("row", error.to_string())));
            }
            Err(error) => return Err(error.into()),
        }
        self.indexes.add(self.db, &columns)?;
        *self.head = columns.as_head();
        Ok(Ok(Appended::Stored(columns.receipt(event_id))))
    }

    /// While the clock is behind what was recorded last, a window begins there: once the clock is right, it is not over yet.
    fn begun_at_head(&self, claim: ReplayClaim) -> ReplayClaim {
        let behind = self.head.recorded_at.saturating_sub(self.now);
        ReplayClaim { expires_at: claim.expires_at.saturating_add(behind), ..claim }
    }
}
