//! A write-ahead log beside a database that it was not written for, as when a backup was put in the place of the database
//! and the log was left. SQLite applies the log all the same, and the result is damaged.

use std::path::Path;

use rusqlite::Connection;

use super::missing_database::has_content;
use super::open;
use super::same_file::wal_path;
use crate::clock::UnixMs;
use crate::journal::error::JournalError;

/// The error to report for a journal that cannot be opened for writing: [`JournalError::OtherLog`] if its newest part is
/// sound without the log and not with it, else `error`. It reads as much as opening the journal does.
pub(in crate::journal) fn doubt(database: &Path, error: JournalError, now: UnixMs) -> JournalError {
    let log = wal_path(database);
    let is_sound = |db: Result<Connection, JournalError>| db.and_then(|db| open::check_newest_part(&db, now));
    if error.may_be_for_the_disk()
        && has_content(&log)
        && is_sound(open::for_reading_alone(database)).is_ok_and(|head| head.seq > 0)
        && is_sound(open::for_reading(database)).is_err()
    {
        return JournalError::OtherLog { database: database.to_owned(), log };
    }
    error
}
