//! The table of signed checkpoints.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::sealer::{SealError, Sealed};
use super::subtrees;
use crate::journal::JournalError;
use crate::journal::error::REACHES_BEYOND;
use crate::journal::event::ROLLBACK_ACCEPTED;
use crate::journal::format::row::{Head, to_sql, unsigned};
use crate::tlog::{Checkpoint, KeyLine, Lineage, LineageError};

/// One row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct StoredCheckpoint {
    pub(in crate::journal) number: u64,
    pub(in crate::journal) size: u64,
    pub(in crate::journal) kind: String,
    pub(in crate::journal) note: String,
}

const COLUMNS: &str = "SELECT number, size, kind, note FROM journal_checkpoints";

impl StoredCheckpoint {
    /// A negative number or size is an error.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { number: unsigned(row, 0)?, size: unsigned(row, 1)?, kind: row.get(2)?, note: row.get(3)? })
    }
}

/// The value of the column `kind` for a checkpoint.
pub(in crate::journal) fn kind_of(checkpoint: &Checkpoint) -> &'static str {
    match checkpoint.key {
        None => "plain",
        Some(KeyLine::Root(_)) => "root",
        Some(KeyLine::Next(_)) => "handover",
    }
}

/// Stores a checkpoint and the subtrees it completes.
pub(in crate::journal) fn insert(db: &Connection, sealed: &Sealed) -> rusqlite::Result<()> {
    for subtree in &sealed.subtrees {
        subtrees::insert(db, subtree)?;
    }
    let insert = "INSERT INTO journal_checkpoints (number, size, kind, note) \
         VALUES ((SELECT coalesce(max(number), 0) + 1 FROM journal_checkpoints), ?1, ?2, ?3)";
    let checkpoint = &sealed.checkpoint;
    let values = params![to_sql(checkpoint.size), kind_of(checkpoint), sealed.note];
    db.prepare_cached(insert)?.execute(values).map(drop)
}

pub(in crate::journal) fn newest(db: &Connection) -> rusqlite::Result<Option<StoredCheckpoint>> {
    let newest = format!("{COLUMNS} ORDER BY number DESC LIMIT 1");
    db.prepare_cached(&newest)?.query_row([], StoredCheckpoint::read).optional()
}

/// Refuses a journal whose newest stored checkpoint covers more events than there are. The next checkpoint could not be
/// signed, so this is no loss that could be accepted.
///
/// # Errors
/// [`JournalError::Corrupt`], or that the table cannot be read.
pub(in crate::journal) fn refuse_if_ahead(db: &Connection) -> Result<(), JournalError> {
    // In this order, because a process that is ending may still append events and checkpoints.
    let covered = newest(db).map_err(SealError::from)?.map_or(0, |newest| newest.size);
    let head = Head::read(db).map_err(SealError::from)?;
    if covered <= head.seq {
        return Ok(());
    }
    Err(JournalError::Corrupt { seq: head.seq + 1, problem: ahead(covered, head.seq) })
}

/// What is wrong with a journal of `events` events whose newest stored checkpoint covers more.
pub(in crate::journal) fn ahead(covered: u64, events: u64) -> String {
    format!("its stored checkpoints cover {covered} events, but it has {events}: {REACHES_BEYOND}")
}

/// The last checkpoint before the first that cannot be read. It reads all of them, in order.
pub(in crate::journal) fn newest_readable(db: &Connection) -> Option<StoredCheckpoint> {
    let mut statement = db.prepare(&format!("{COLUMNS} ORDER BY number")).ok()?;
    statement.query_map([], StoredCheckpoint::read).ok()?.map_while(Result::ok).last()
}

/// The note of the newest checkpoint, if it ends an epoch and no system event called `name` was appended after it was signed.
pub(super) fn newest_handover_without(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let Some(newest) = newest(db)?.filter(|newest| newest.kind == "handover") else { return Ok(None) };
    let find = "SELECT count(*) FROM journal_events WHERE seq > ?1 AND kind = 'system' AND name = ?2";
    let found: i64 = db.query_row(find, params![to_sql(newest.size), name], |row| row.get(0))?;
    Ok((found == 0).then_some(newest.note))
}

/// Whether a log may begin with a checkpoint of `size` events: with none, or where the last of them accepts a loss.
pub(in crate::journal) fn may_begin_at(db: &Connection, size: u64) -> rusqlite::Result<bool> {
    Ok(size == 0 || accepts_a_loss(db, size)?)
}

/// Whether the event `seq` accepts a loss, after which another log begins. It has to be an event of the daemon's own: the name
/// of a webhook event is its sender's.
pub(in crate::journal) fn accepts_a_loss(db: &Connection, seq: u64) -> rusqlite::Result<bool> {
    let find =
        "SELECT EXISTS (SELECT 1 FROM journal_events WHERE seq = ?1 AND kind = 'system' AND name = ?2)";
    db.query_row(find, params![to_sql(seq), ROLLBACK_ACCEPTED], |row| row.get(0))
}

/// The first checkpoint that covers the event `seq`.
pub(in crate::journal) fn first_to_cover(
    db: &Connection,
    seq: u64,
) -> rusqlite::Result<Option<StoredCheckpoint>> {
    let first = format!("{COLUMNS} WHERE size >= ?1 ORDER BY size, number LIMIT 1");
    db.prepare_cached(&first)?.query_row([to_sql(seq)], StoredCheckpoint::read).optional()
}

/// The newest checkpoint of exactly `size` events.
pub(in crate::journal) fn of_size(db: &Connection, size: u64) -> rusqlite::Result<Option<StoredCheckpoint>> {
    let newest = format!("{COLUMNS} WHERE size = ?1 ORDER BY number DESC LIMIT 1");
    db.prepare_cached(&newest)?.query_row([to_sql(size)], StoredCheckpoint::read).optional()
}

/// Whether exactly this note is stored as a checkpoint of `size` events.
pub(in crate::journal) fn is_stored(db: &Connection, size: u64, note: &str) -> rusqlite::Result<bool> {
    let find = "SELECT EXISTS (SELECT 1 FROM journal_checkpoints WHERE size = ?1 AND note = ?2)";
    db.query_row(find, params![to_sql(size), note], |row| row.get(0))
}

/// The checkpoints after `number` up to and including `last`, at most `count` of them.
pub(in crate::journal) fn between(
    db: &Connection,
    number: u64,
    last: u64,
    count: u64,
) -> rusqlite::Result<Vec<StoredCheckpoint>> {
    let next = format!("{COLUMNS} WHERE number > ?1 AND number <= ?2 ORDER BY number LIMIT ?3");
    let mut statement = db.prepare_cached(&next)?;
    let rows = statement.query_map([to_sql(number), to_sql(last), to_sql(count)], StoredCheckpoint::read)?;
    rows.collect()
}

/// The condition of [`introductions`]. SQLite uses the partial index only if the query repeats the condition of that
/// index, hence the redundant `kind <> 'plain'`.
const SINCE_ROOT: &str = "WHERE kind IN ('root', 'handover') AND kind <> 'plain' AND number < ?1 \
     AND number >= coalesce((SELECT max(number) FROM journal_checkpoints \
     WHERE kind = 'root' AND kind <> 'plain' AND number <= ?1), 0) ORDER BY number";

/// The root checkpoint of the log to which `number` belongs, and the handovers after it, before `number`.
pub(in crate::journal) fn introductions(
    db: &Connection,
    number: u64,
) -> rusqlite::Result<Vec<StoredCheckpoint>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} {SINCE_ROOT}"))?;
    statement.query_map([to_sql(number)], StoredCheckpoint::read)?.collect()
}

/// The keys up to and including the one that `newest` introduces.
pub(in crate::journal) fn lineage(
    db: &Connection,
    newest: &StoredCheckpoint,
) -> rusqlite::Result<Result<Lineage, LineageError>> {
    let chain = introductions(db, newest.number)?;
    Ok(follow(chain.iter().chain([newest])))
}

fn follow<'a>(mut chain: impl Iterator<Item = &'a StoredCheckpoint>) -> Result<Lineage, LineageError> {
    let root = chain.next().and_then(|root| Lineage::begin(&root.note));
    let mut lineage = root.ok_or(LineageError::NotACheckpoint)?;
    for stored in chain {
        lineage.follow(&stored.note)?;
    }
    Ok(lineage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_log_are_found_without_a_look_at_its_plain_checkpoints() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("../format/schema.sql")).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {COLUMNS} {SINCE_ROOT}");
        let mut statement = db.prepare(&plan).unwrap();
        let steps = statement.query_map([1], |row| row.get(3)).unwrap();
        let looks: Vec<String> =
            steps.map(Result::unwrap).filter(|step: &String| step.contains("journal_checkpoints")).collect();
        let is_by_kind = |step: &String| {
            step.starts_with("SEARCH") && step.contains("journal_checkpoints_by_kind (kind=? AND number")
        };
        assert!(looks.len() == 2 && looks.iter().all(is_by_kind), "{looks:?}");
    }
}
