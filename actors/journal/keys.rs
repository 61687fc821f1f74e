//! The durable replay keys: the index that has the last word on what was seen.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::messages::{KeyHolder, ReplayClaim, Verdict};
use super::row::{digest, signed, unsigned};
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Receipt};
use crate::replay_guard::supersedes;

const FIND: &str = "SELECT k.verdict, k.body, k.expires_at, e.event_id, e.seq, e.hash FROM replay_keys k \
     JOIN journal_events e ON e.seq = k.seq WHERE k.key = ?1 AND k.expires_at > ?2";

const POINT: &str = "INSERT INTO replay_keys (key, body, seq, verdict, expires_at) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (key) DO UPDATE SET body = excluded.body, seq = excluded.seq, verdict = excluded.verdict, \
     expires_at = excluded.expires_at";

/// The row that holds `key` at `now`; none when it was never seen or its window has ended.
pub(super) fn find(db: &Connection, key: &Digest, now: UnixMs) -> rusqlite::Result<Option<KeyHolder>> {
    db.prepare_cached(FIND)?.query_row(params![key.0, signed(now)], read_holder).optional()
}

fn read_holder(row: &rusqlite::Row<'_>) -> rusqlite::Result<KeyHolder> {
    let verdict = parsed(row, 0, Verdict::parse)?;
    let event_id = parsed(row, 3, EventId::parse)?;
    let receipt = Receipt { event_id, seq: unsigned(row.get(4)?), leaf_hash: digest(row, 5)? };
    Ok(KeyHolder { verdict, body: digest(row, 1)?, receipt, expires_at: unsigned(row.get(2)?) })
}

fn parsed<T>(row: &rusqlite::Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(column, "an unknown word".to_owned(), rusqlite::types::Type::Text)
    })
}

/// Points the key of `claim` to the event `seq`.
pub(super) fn point(db: &Connection, claim: &ReplayClaim, seq: i64) -> rusqlite::Result<()> {
    let verdict = claim.verdict.as_str();
    let values = params![claim.key.0, claim.body.0, seq, verdict, signed(claim.expires_at)];
    db.prepare_cached(POINT)?.execute(values).map(drop)
}

/// Whether `claim` gets the key although `holder` has it unexpired: the same bytes, judged higher than before.
pub(super) fn takes_over(claim: &ReplayClaim, holder: &KeyHolder) -> bool {
    claim.body == holder.body && supersedes(claim.verdict, holder.verdict)
}
