//! The Merkle tree over the stored leaf hashes. The roots of complete subtrees of 256, 65,536, … leaves are stored; all
//! others are computed from them on demand, with at most 255 hashes each.

use rusqlite::{Connection, params};

use crate::ids::Digest;
use crate::journal::format::row::{digest, to_sql};
use crate::tlog::{Frontier, Subtree, Subtrees};

/// The roots of complete subtrees are stored at every level that is a multiple of this.
const STORED_LEVELS: u32 = 8;

/// The subtrees stored in a database.
pub(in crate::journal) struct StoredSubtrees<'a>(pub(in crate::journal) &'a Connection);

/// Whether the root of this subtree is one that is stored.
pub(in crate::journal) fn is_stored(subtree: &Subtree) -> bool {
    subtree.level > 0 && subtree.level.is_multiple_of(STORED_LEVELS)
}

/// Number of subtree roots stored for a tree of `size` leaves.
pub(in crate::journal) fn stored_count(size: u64) -> u64 {
    (1..u64::BITS / STORED_LEVELS).map(|step| size >> (step * STORED_LEVELS)).sum()
}

impl Subtrees for StoredSubtrees<'_> {
    type Error = rusqlite::Error;

    fn subtree(&self, level: u32, place: u64) -> Result<Digest, rusqlite::Error> {
        let base = level / STORED_LEVELS * STORED_LEVELS;
        let height = level - base;
        let (first, count) = (place << height, 1_u64 << height);
        let mut part = Frontier::default();
        self.hashes(base, first, count, |hash| part.push(hash, |_| {}))?;
        if part.size() == count { Ok(part.root()) } else { Err(rusqlite::Error::QueryReturnedNoRows) }
    }
}

impl StoredSubtrees<'_> {
    /// The roots of `count` consecutive subtrees of a stored level, or leaf hashes.
    pub(in crate::journal) fn hashes(
        &self,
        level: u32,
        first: u64,
        count: u64,
        mut take: impl FnMut(Digest),
    ) -> rusqlite::Result<()> {
        let db = self.0;
        let (first, end) = (to_sql(first), to_sql(first + count));
        let mut statement = if level == 0 {
            db.prepare_cached("SELECT hash FROM journal_events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?
        } else {
            db.prepare_cached(
                "SELECT hash FROM journal_subtrees WHERE level = ?3 AND place >= ?1 AND place < ?2 ORDER BY place",
            )?
        };
        let mut rows = match level {
            0 => statement.query([first, end])?,
            _ => statement.query([first, end, i64::from(level)])?,
        };
        while let Some(row) = rows.next()? {
            take(digest(row, 0)?);
        }
        Ok(())
    }
}

/// Whether a subtree is stored that a tree of `size` leaves does not have: the next checkpoint could not be stored then.
pub(in crate::journal) fn any_beyond(db: &Connection, size: u64) -> rusqlite::Result<bool> {
    let beyond = "SELECT EXISTS (SELECT 1 FROM journal_subtrees WHERE level = ?1 AND place >= ?2)";
    let mut statement = db.prepare_cached(beyond)?;
    for level in (STORED_LEVELS..u64::BITS).step_by(STORED_LEVELS as usize) {
        if statement.query_row(params![level, to_sql(size >> level)], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stores the root of a subtree.
pub(in crate::journal) fn insert(db: &Connection, subtree: &Subtree) -> rusqlite::Result<()> {
    let insert = "INSERT INTO journal_subtrees (level, place, hash) VALUES (?1, ?2, ?3)";
    db.prepare_cached(insert)?
        .execute(params![subtree.level, to_sql(subtree.place), subtree.hash.0])
        .map(drop)
}

/// The stored root of a subtree; `None` if it is not stored.
pub(in crate::journal) fn find(db: &Connection, level: u32, place: u64) -> rusqlite::Result<Option<Digest>> {
    use rusqlite::OptionalExtension as _;
    let find = "SELECT hash FROM journal_subtrees WHERE level = ?1 AND place = ?2";
    db.prepare_cached(find)?.query_row(params![level, to_sql(place)], |row| digest(row, 0)).optional()
}
