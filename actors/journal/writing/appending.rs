//! Appends the rows of a group within its transaction: checks them, looks up their replay keys, links them to the chain.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::delivery_names;
use super::writer::{NewRow, RandomBits, RowOutcome};
use crate::clock::UnixMs;
use crate::ids::EventId;
use crate::journal::bounds;
use crate::journal::claim::{Decision, ReplayClaim};
use crate::journal::error::JournalError;
use crate::journal::format::row::{Columns, Head};
use crate::journal::index::Indexes;
use crate::journal::messages::Appended;
use crate::journal::opening::connection::refuses_the_row;

/// Why a group was not committed.
pub(super) enum Failure {
    /// The write lock was not available; nothing was written.
    Busy,
    /// A write failed; the state of the file is unknown.
    Fatal(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Fatal(error.to_string())
    }
}

/// Begins a transaction that takes the write lock at once.
pub(super) fn begin(db: &mut Connection) -> Result<Transaction<'_>, Failure> {
    db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Busy,
            _ => error.into(),
        }
    })
}

/// The state while the rows of a group are inserted.
pub(super) struct Appending<'a> {
    pub(super) db: &'a Connection,
    pub(super) head: &'a mut Head,
    pub(super) indexes: &'a mut Indexes,
    pub(super) now: UnixMs,
    pub(super) random: RandomBits,
}

impl Appending<'_> {
    /// Appends one row after the head. The inner error concerns this row only; the outer one aborts the group.
    pub(super) fn append(&mut self, NewRow { event, claim }: NewRow) -> Result<RowOutcome, Failure> {
        if let Err(invalid) = bounds::check(&event, claim.as_ref()) {
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

    /// If the clock is behind the newest `recorded_at`, the window starts at that time. Otherwise it would end too early
    /// once the clock is set right.
    fn begun_at_head(&self, claim: ReplayClaim) -> ReplayClaim {
        let behind = self.head.recorded_at.saturating_sub(self.now);
        ReplayClaim { expires_at: claim.expires_at.saturating_add(behind), ..claim }
    }
}
