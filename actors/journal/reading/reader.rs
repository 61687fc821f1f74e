//! Reads the journal on connections of its own, so that readers do not block the writer. Calls block, so they belong on a
//! thread for blocking work.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::page;
use super::prove::{self, SignedCheckpoint};
use super::query::{Cursor, EventFilter, Page};
use crate::ids::EventId;
use crate::journal::error::JournalError;
use crate::journal::event::StoredEvent;
use crate::journal::format::row::{COLUMNS, Columns, Head, from_sql, to_sql};
use crate::journal::opening::open;
use crate::limits::{JOURNAL_READER_WAIT_MS, JOURNAL_READERS_MAX, PAGE_EVENTS_MAX};
use crate::tlog::{ConsistencyProof, InclusionProof};

/// Reads the journal. All clones share at most [`JOURNAL_READERS_MAX`] connections, which are opened on demand.
#[derive(Debug, Clone)]
pub struct JournalReader(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    state: Mutex<PoolState>,
    came_back: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    idle: Vec<Connection>,
    in_use: usize,
}

impl JournalReader {
    /// A reader of the journal at `path`.
    ///
    /// # Errors
    /// [`JournalError::Open`] when there is none, [`JournalError::Newer`] when its format is newer.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let first = open::for_reading(path)?;
        let state = Mutex::new(PoolState { idle: vec![first], in_use: 0 });
        Ok(Self(Arc::new(Pool { path: path.to_owned(), state, came_back: Condvar::new() })))
    }

    /// At most `limit` events that match `filter`, from `cursor` on, ordered by `seq`. A page may hold fewer events, or
    /// none, before the end of the list is reached: its cursors say where to continue.
    ///
    /// # Errors
    /// [`JournalError::PageLength`], [`JournalError::Corrupt`], [`JournalError::Read`], [`JournalError::ReadersBusy`].
    pub fn page(&self, filter: &EventFilter, cursor: Cursor, limit: usize) -> Result<Page, JournalError> {
        if !(1..=PAGE_EVENTS_MAX).contains(&limit) {
            return Err(JournalError::PageLength { asked: limit, max: PAGE_EVENTS_MAX });
        }
        self.with(|db| page::read(db, filter, cursor, limit))
    }

    /// One event.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::Read`] or [`JournalError::ReadersBusy`].
    pub fn event(&self, seq: u64) -> Result<Option<StoredEvent>, JournalError> {
        self.with(|db| event_at(db, to_sql(seq)))
    }

    /// The newest signed checkpoint; `None` before the first start of a daemon.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::Read`] or [`JournalError::ReadersBusy`].
    pub fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, JournalError> {
        self.with(prove::newest)
    }

    /// The proof that the event `seq` is in the journal.
    ///
    /// # Errors
    /// [`JournalError::NotThere`], [`JournalError::Corrupt`], [`JournalError::Read`] or [`JournalError::ReadersBusy`].
    pub fn prove(&self, seq: u64) -> Result<InclusionProof, JournalError> {
        self.with(|db| prove::inclusion(db, seq))
    }

    /// The proof that the checkpoint of `new` events extends the one of `old` events.
    ///
    /// # Errors
    /// As [`JournalReader::prove`].
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, JournalError> {
        self.with(|db| prove::consistency(db, old, new))
    }

    /// `seq` of the event with this id.
    ///
    /// # Errors
    /// As [`JournalReader::prove`].
    pub fn place_of(&self, id: EventId) -> Result<u64, JournalError> {
        self.with(|db| prove::place_of(db, id))
    }

    /// The newest event.
    ///
    /// # Errors
    /// [`JournalError::Read`] or [`JournalError::ReadersBusy`].
    pub fn head(&self) -> Result<Head, JournalError> {
        self.with(|db| Head::read(db).map_err(JournalError::read))
    }

    fn with<R>(&self, read: impl FnOnce(&Connection) -> Result<R, JournalError>) -> Result<R, JournalError> {
        let _in_use = self.0.enter()?;
        let idle = self.0.lock().idle.pop();
        let db = idle.map_or_else(|| open::for_reading(&self.0.path), Ok)?;
        let result = read(&db);
        self.0.lock().idle.push(db);
        result
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection is free.
    fn enter(&self) -> Result<InUse<'_>, JournalError> {
        let wait = Duration::from_millis(JOURNAL_READER_WAIT_MS);
        let is_full = |state: &mut PoolState| state.in_use >= JOURNAL_READERS_MAX;
        let waited = self.came_back.wait_timeout_while(self.lock(), wait, is_full);
        let (mut state, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        if outcome.timed_out() {
            return Err(JournalError::ReadersBusy);
        }
        state.in_use += 1;
        Ok(InUse(self))
    }
}

/// The right to use one connection. It is returned on drop, also when the read panics.
struct InUse<'a>(&'a Pool);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.lock().in_use -= 1;
        self.0.came_back.notify_one();
    }
}

/// Reads one event by its `seq`.
pub(super) fn event_at(db: &Connection, seq: i64) -> Result<Option<StoredEvent>, JournalError> {
    let select = format!("SELECT {COLUMNS} FROM journal_events WHERE seq = ?1");
    let mut statement = db.prepare_cached(&select).map_err(JournalError::read)?;
    let read = |row: &Row<'_>| Columns::read(row).map(Columns::into_event);
    let event = statement.query_row([seq], read).optional().map_err(JournalError::read)?;
    event.transpose().map_err(|column| JournalError::Corrupt {
        seq: from_sql(seq),
        problem: format!("its {column} has a value that is not allowed"),
    })
}
