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

/// The error to report for a journal that cannot be opened for writing: [`JournalError::OtherLog`] if it is sound without the
/// log, and SQLite finds its pages damaged with it; else `error`. It is sound without the log if its newest part is, and either
/// that part is not sound with the log, or SQLite finds no damaged page without it. It reads as much as opening the journal
/// does, and then the pages, with the log and without it, for as long as `time` each.
///
/// The log may hold the newest part entire, and spoil only what lies elsewhere, such as the checkpoints.
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
        && look(open::for_reading(database), time) == Some(Pages::Damaged)
        && (is_sound(open::for_reading(database)).is_err()
            || look(open::for_reading_alone(database), time) == Some(Pages::Sound))
    {
        return JournalError::OtherLog { database: database.to_owned(), log };
    }
    error
}

/// What SQLite itself finds of the pages of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    Sound,
    Damaged,
}

/// Looks at the pages; `None` if that takes longer than `time`, or fails for another reason than damage.
fn look(db: Result<Connection, JournalError>, time: Duration) -> Option<Pages> {
    let db = match db {
        Ok(db) => db,
        Err(error) => return error.is_of_damaged_pages().then_some(Pages::Damaged),
    };
    let began = Instant::now();
    match quick_check(db, move || began.elapsed() >= time) {
        Ok(found) if found == "ok" => Some(Pages::Sound),
        Ok(_) => Some(Pages::Damaged),
        Err(error) => is_of_damaged_pages(&error).then_some(Pages::Damaged),
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
