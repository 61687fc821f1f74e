//! A write-ahead log beside a database that it was not written for, as when a backup was put in the place of the database
//! and the log was left. SQLite applies the log all the same, and the result is damaged.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::missing_database::has_content;
use super::open;
use super::same_file::wal_path;
use crate::clock::UnixMs;
use crate::journal::error::{JournalError, is_of_damaged_pages};

/// SQLite's steps between two looks at the clock.
const STEPS: i32 = 10_000;

/// The error to report for a journal that cannot be opened for writing: [`JournalError::OtherLog`] if its newest part is
/// sound without the log and not with it, and SQLite finds its pages damaged with it; else `error`. It reads as much as
/// opening the journal does, and then the pages for as long as `time`.
///
/// Events that were changed in the log leave the pages sound. The log is then evidence, and holds acknowledged events: nobody
/// may be told to put it aside.
pub(in crate::journal) fn doubt(
    database: &Path,
    error: JournalError,
    now: UnixMs,
    time: Duration,
) -> JournalError {
    let log = wal_path(database);
    let is_sound = |db: Result<Connection, JournalError>| db.and_then(|db| open::check_newest_part(&db, now));
    if error.may_be_for_the_disk()
        && has_content(&log)
        && is_sound(open::for_reading_alone(database)).is_ok_and(|head| head.seq > 0)
        && is_sound(open::for_reading(database)).is_err()
        && has_damaged_pages(database, time)
    {
        return JournalError::OtherLog { database: database.to_owned(), log };
    }
    error
}

/// Whether SQLite itself finds the database damaged within `time` when it applies the log.
fn has_damaged_pages(database: &Path, time: Duration) -> bool {
    let db = match open::for_reading(database) {
        Ok(db) => db,
        Err(error) => return error.is_of_damaged_pages(),
    };
    let began = Instant::now();
    match quick_check(db, move || began.elapsed() >= time) {
        Ok(found) => found != "ok",
        Err(error) => is_of_damaged_pages(&error),
    }
}

/// The first problem that SQLite finds, or `ok`; an error if `is_over` becomes true before.
fn quick_check(
    mut db: Connection,
    is_over: impl FnMut() -> bool + Send + 'static,
) -> rusqlite::Result<String> {
    db.progress_handler(STEPS, Some(is_over))?;
    db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}
