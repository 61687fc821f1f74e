//! Makes proofs from the stored data.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::page::first_since;
use crate::ids::EventId;
use crate::journal::error::JournalError;
use crate::journal::format::entry::entry_of;
use crate::journal::format::row::{COLUMNS, Columns, Head, from_sql, to_sql};
use crate::journal::signing::checkpoints::{self, StoredCheckpoint};
use crate::journal::signing::resume::read_checkpoint;
use crate::journal::signing::subtrees::StoredSubtrees;
use crate::limits::ID_SEARCHED_EVENTS_MAX;
use crate::tlog::{
    Checkpoint, ConsistencyProof, InclusionProof, KeyLine, VerifierKey, consistency_path, inclusion_path,
};

/// A signed checkpoint of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    pub checkpoint: Checkpoint,
    /// The signed text of the checkpoint.
    pub note: String,
    /// The public key that began its log; this is the key to keep elsewhere for verification.
    pub root_key: VerifierKey,
}

/// The newest checkpoint; `None` before the first start.
pub(in crate::journal) fn newest(db: &Connection) -> Result<Option<SignedCheckpoint>, JournalError> {
    let Some(newest) = checkpoints::newest(db).map_err(JournalError::read)? else { return Ok(None) };
    let root = checkpoints::introductions(db, newest.number).map_err(JournalError::read)?.into_iter().next();
    let root_key = root_key(&root.unwrap_or_else(|| newest.clone()))?;
    let (checkpoint, note) = (parsed(&newest)?, newest.note);
    Ok(Some(SignedCheckpoint { checkpoint, note, root_key }))
}

fn root_key(root: &StoredCheckpoint) -> Result<VerifierKey, JournalError> {
    let checkpoint = parsed(root)?;
    let key = match checkpoint.key {
        Some(KeyLine::Root(key)) => VerifierKey::new(&checkpoint.origin, key),
        _ => None,
    };
    key.ok_or_else(|| unreadable(root))
}

fn parsed(stored: &StoredCheckpoint) -> Result<Checkpoint, JournalError> {
    read_checkpoint(&stored.note).ok_or_else(|| unreadable(stored))
}

fn unreadable(stored: &StoredCheckpoint) -> JournalError {
    let problem = format!("its checkpoint {} is unreadable", stored.number);
    JournalError::Corrupt { seq: 0, problem }
}

/// Proves the event `seq` with the first checkpoint that covers it, because the key that signed that one is destroyed
/// first.
pub(super) fn inclusion(db: &Connection, seq: u64) -> Result<InclusionProof, JournalError> {
    let select = format!("SELECT {COLUMNS} FROM journal_events WHERE seq = ?1");
    let read = |row: &Row<'_>| Columns::read(row).map(|row| (row.event_id.to_string(), entry_of(&row)));
    let event = db.query_row(&select, [to_sql(seq)], read).optional().map_err(JournalError::read)?;
    let (event_id, entry) = event.ok_or_else(|| JournalError::NotThere(format!("no event has seq {seq}")))?;
    let stored = checkpoints::first_to_cover(db, seq).map_err(JournalError::read)?;
    let uncovered =
        || JournalError::NotThere(format!("no checkpoint covers seq {seq} yet; ask again in a moment"));
    let stored = stored.ok_or_else(uncovered)?;
    let path = inclusion_path(&StoredSubtrees(db), seq - 1, stored.size).map_err(JournalError::read)?;
    let handovers = handovers(db, &stored)?;
    Ok(InclusionProof::new(seq, event_id, &entry, path, (stored.note, handovers)))
}

/// Proves that the newest checkpoint of `new` events extends the newest one of `old` events.
pub(super) fn consistency(db: &Connection, old: u64, new: u64) -> Result<ConsistencyProof, JournalError> {
    let (old, new) = (of_size(db, old)?, of_size(db, new)?);
    let path = consistency_path(&StoredSubtrees(db), old.size, new.size).map_err(JournalError::read)?;
    let handovers = handovers(db, &new)?;
    Ok(ConsistencyProof::new(old.note, new.note, path, handovers))
}

fn of_size(db: &Connection, size: u64) -> Result<StoredCheckpoint, JournalError> {
    let found = checkpoints::of_size(db, size).map_err(JournalError::read)?;
    found.ok_or_else(|| JournalError::NotThere(format!("no checkpoint has size {size}")))
}

/// The checkpoints that introduced the keys up to the one that signed `last`.
fn handovers(db: &Connection, last: &StoredCheckpoint) -> Result<Vec<String>, JournalError> {
    let introductions = checkpoints::introductions(db, last.number).map_err(JournalError::read)?;
    Ok(introductions
        .into_iter()
        .filter(|stored| stored.kind == "handover")
        .map(|stored| stored.note)
        .collect())
}

/// `seq` of the event with this id. The search starts at the time in the id and covers [`ID_SEARCHED_EVENTS_MAX`] events:
/// if the clock was set back, an event lies after the place its id suggests, never before it.
pub(in crate::journal) fn place_of(db: &Connection, id: EventId) -> Result<u64, JournalError> {
    let find = || {
        let first = first_since(db, id.unix_ms(), Head::read(db)?.seq)?;
        let find = "SELECT seq FROM journal_events WHERE seq >= ?1 AND seq < ?2 AND event_id = ?3 LIMIT 1";
        let values = params![to_sql(first), to_sql(first + ID_SEARCHED_EVENTS_MAX), id.to_string()];
        db.prepare_cached(find)?.query_row(values, |row| row.get(0).map(from_sql)).optional()
    };
    let found = find().map_err(JournalError::read)?;
    let not_there = || {
        format!(
            "no event has the id {id} among the {ID_SEARCHED_EVENTS_MAX} recorded from its time on; use its seq instead"
        )
    };
    found.ok_or_else(|| JournalError::NotThere(not_there()))
}
