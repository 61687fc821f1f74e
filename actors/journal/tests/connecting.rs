//! The settings of every connection to the database, and the errors if there is none.

use std::io::ErrorKind;
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::ffi;
use rusqlite::limits::Limit;

use super::*;
use crate::journal::opening::connection::{cannot_open, for_reading, for_writing, is_too_old, make_durable};
use crate::limits::{
    JOURNAL_CACHE_KIB, JOURNAL_READ_LOCK_WAIT_MS, JOURNAL_VALUE_BYTES_MAX, JOURNAL_WRITE_LOCK_WAIT_MS,
};

#[test]
fn a_library_that_loses_commits_is_refused() {
    assert!(is_too_old(3_051_002) && !is_too_old(3_051_003) && !is_too_old(3_051_004));
}

#[test]
fn what_cannot_be_made_durable_is_refused() {
    let place = Place::new();
    // It has no file, so it takes synchronous=FULL and no write-ahead log.
    let refusal = make_durable(&Connection::open_in_memory().unwrap(), &place.path()).unwrap_err();
    assert!(matches!(refusal, JournalError::Open { source: None, .. }), "{refusal}");
}

#[test]
fn no_connection_trusts_the_file_it_opens() {
    let place = Place::new();
    drop(place.writer());
    for db in [for_reading(&place.path()).unwrap(), for_writing(&place.path()).unwrap()] {
        let is_on = |setting| db.db_config(setting).unwrap();
        assert!(is_on(DbConfig::SQLITE_DBCONFIG_DEFENSIVE));
        assert!(!is_on(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA));
        assert!(!is_on(DbConfig::SQLITE_DBCONFIG_DQS_DML) && !is_on(DbConfig::SQLITE_DBCONFIG_DQS_DDL));
        assert_eq!(db.pragma_query_value(None, "cell_size_check", |row| row.get(0)), Ok(true));
        assert_eq!(db.limit(Limit::SQLITE_LIMIT_LENGTH), Ok(JOURNAL_VALUE_BYTES_MAX));
        assert_eq!(db.limit(Limit::SQLITE_LIMIT_ATTACHED), Ok(0));
    }
}

#[test]
fn a_reader_waits_less_for_a_lock_than_the_writer_does() {
    let place = Place::new();
    drop(place.writer());
    let wait = |db: &Connection| {
        db.pragma_query_value(None, "busy_timeout", |row| row.get(0).map(i64::unsigned_abs))
    };
    assert_eq!(wait(&for_reading(&place.path()).unwrap()), Ok(JOURNAL_READ_LOCK_WAIT_MS));
    assert_eq!(wait(&for_writing(&place.path()).unwrap()), Ok(JOURNAL_WRITE_LOCK_WAIT_MS));
}

#[test]
fn a_journal_behind_a_symbolic_link_is_not_read() {
    let place = Place::new();
    drop(place.writer());
    let link = place.folder.path().join("link.db");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    assert!(matches!(JournalReader::open(&link), Err(JournalError::Open { .. })));
}

#[test]
fn the_writer_keeps_as_many_bytes_of_pages_as_it_is_told_to() {
    let place = Place::new();
    drop(place.writer());
    let db = for_writing(&place.path()).unwrap();
    // Below 0 it counts kibibytes, above it counts pages.
    assert_eq!(db.pragma_query_value(None, "cache_size", |row| row.get(0)), Ok(-JOURNAL_CACHE_KIB));
}

#[test]
fn what_sqlite_says_is_told_in_words_of_its_own() {
    let place = Place::new();
    let table = [
        (ffi::SQLITE_CANTOPEN, "the file is missing, is a symbolic link or is not readable"),
        (ffi::SQLITE_NOTADB, "it is not a SQLite database"),
        (ffi::SQLITE_CORRUPT, "the database is damaged"),
        (ffi::SQLITE_BUSY, "another process has locked it"),
        (ffi::SQLITE_LOCKED, "another process has locked it"),
        (ffi::SQLITE_READONLY, "it is not writable"),
        (ffi::SQLITE_FULL, "the disk is full"),
        (ffi::SQLITE_IOERR, "its disk is failing"),
    ];
    for (code, words) in table {
        let said = cannot_open(&place.path())(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(&said, JournalError::Open { problem, .. } if *problem == words), "{code}: {said}");
        assert_eq!(said.is_for_want_of_room(), code == ffi::SQLITE_FULL, "{code}");
    }
}

#[test]
fn a_disk_without_room_is_told_apart_whoever_met_it() {
    let of = |source: Option<Cause>| {
        let (path, problem, hint) = (PathBuf::new(), "", "");
        JournalError::Open { path, problem, hint, source }.is_for_want_of_room()
    };
    let by_the_system = |kind: ErrorKind| of(Some(Arc::new(std::io::Error::from(kind))));
    assert!(by_the_system(ErrorKind::StorageFull) && !by_the_system(ErrorKind::NotFound));
    assert!(!of(None) && !JournalError::Busy.is_for_want_of_room());
}
