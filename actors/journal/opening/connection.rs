//! Connections to the journal's database. Every SQLite setting the journal relies on is set here.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use rustix::io::Errno;

use super::open::file_error;
use super::same_file;
use crate::files::{folder_of, shortage_of_descriptors};
use crate::journal::error::JournalError;
use crate::limits::{
    JOURNAL_CACHE_KIB, JOURNAL_PAGE_BYTES, JOURNAL_READ_LOCK_WAIT_MS, JOURNAL_VALUE_BYTES_MAX,
    JOURNAL_WAL_BYTES_MAX, JOURNAL_WAL_PAGES, JOURNAL_WRITE_LOCK_WAIT_MS,
};

/// `application_id` of a journal: "Paly".
pub(super) const APPLICATION_ID: i64 = 0x5061_6c79;
/// `user_version` of a journal: the format of docs/journal-format.md.
pub(super) const FORMAT: i64 = 2;
/// The statement of [`crate::journal::writing::writer::Writer::probe`]: it writes a page without changing its content.
pub(in crate::journal) const REWRITE_FORMAT: &str = "PRAGMA user_version = 2";
/// Copies the whole write-ahead log into the database and truncates it to nothing.
pub(in crate::journal) const EMPTY_WAL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// Copies what no reader still needs from the write-ahead log into the database, without waiting for anybody.
pub(in crate::journal) const MOVE_WAL: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// First version without the WAL-reset bug, which loses commits (<https://sqlite.org/wal.html>, section 11).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// What to do about a file that seems to be damaged.
const VERIFY_FIRST: &str = "keep this file and run `palyra journal verify` again; if that reports the same, restore the newest backup that verifies";
/// What `PRAGMA synchronous` returns when it is FULL.
const SYNCHRONOUS_FULL: u8 = 2;

/// The writer's connection. Opening and closing it changes neither the database nor its log until [`make_durable`] is
/// called.
pub(in crate::journal) fn for_writing(path: &Path) -> Result<Connection, JournalError> {
    let db = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, JOURNAL_WRITE_LOCK_WAIT_MS)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(cannot_open(path))?;
    db.pragma_update(None, "recursive_triggers", true).map_err(cannot_open(path))?;
    // SQLite applies it only to a database that is still empty.
    db.pragma_update(None, "page_size", JOURNAL_PAGE_BYTES).map_err(cannot_open(path))?;
    db.pragma_update(None, "cache_size", -JOURNAL_CACHE_KIB).map_err(cannot_open(path))?;
    Ok(db)
}

pub(in crate::journal) fn for_reading(path: &Path) -> Result<Connection, JournalError> {
    let db = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, JOURNAL_READ_LOCK_WAIT_MS)?;
    db.pragma_update(None, "query_only", true).map_err(cannot_open(path))?;
    Ok(db)
}

/// A connection to the database as if no log lay beside it. Nothing may write to it meanwhile.
pub(in crate::journal) fn for_reading_alone(path: &Path) -> Result<Connection, JournalError> {
    let place = percent_encode(without_links(path)?.as_os_str().as_bytes(), NON_ALPHANUMERIC).to_string();
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    open_at(path, format!("file:{place}?immutable=1").as_ref(), access, JOURNAL_READ_LOCK_WAIT_MS)
}

fn open(path: &Path, access: OpenFlags, lock_wait_ms: u64) -> Result<Connection, JournalError> {
    open_at(path, &without_links(path)?, access, lock_wait_ms)
}

fn open_at(
    path: &Path,
    place: &Path,
    access: OpenFlags,
    lock_wait_ms: u64,
) -> Result<Connection, JournalError> {
    if is_too_old(rusqlite::version_number()) {
        return Err(refused(path, "SQLite is older than 3.51.3", "build palyra with its bundled SQLite"));
    }
    same_file::names_of(path).iter().try_for_each(|file| refuse_other_kinds(file))?;
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(place, flags).map_err(cannot_open(path))?;
    harden(&db, lock_wait_ms).map_err(cannot_open(path))?;
    Ok(db)
}

/// Whether this version of SQLite has the bug that may lose commits.
pub(in crate::journal) fn is_too_old(version: i32) -> bool {
    version < SQLITE_VERSION_MIN
}

/// Refuses what is no regular file in the place of one: SQLite would wait for the other end of a named pipe, and take a
/// folder for a disk that fails.
///
/// # Errors
/// [`JournalError::Open`].
pub(super) fn refuse_other_kinds(path: &Path) -> Result<(), JournalError> {
    match path.symlink_metadata() {
        Ok(found) if !found.is_file() && !found.is_symlink() => {
            Err(refused(path, "it is not a regular file", "move it away"))
        }
        _ => Ok(()),
    }
}

/// The path with its folder resolved. The folder may lie behind a symbolic link, the file itself may not be one.
fn without_links(path: &Path) -> Result<PathBuf, JournalError> {
    let name =
        path.file_name().ok_or_else(|| refused(path, "it names no file", "name the file of the journal"))?;
    let folder = folder_of(path).canonicalize().map_err(|error| JournalError::Open {
        path: path.to_owned(),
        problem: "its folder cannot be found",
        hint: "name an existing state root with --state-root",
        source: Some(Arc::new(error)),
    })?;
    Ok(folder.join(name))
}

/// The hardening settings of every connection (<https://sqlite.org/security.html>).
fn harden(db: &Connection, lock_wait_ms: u64) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_millis(lock_wait_ms))?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, JOURNAL_VALUE_BYTES_MAX)?;
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    Ok(())
}

/// The two settings durability depends on, as read back from SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct Durability {
    pub(in crate::journal) journal_mode: String,
    pub(in crate::journal) synchronous: u8,
}

/// Sets what makes commits durable, and reads the settings back to check that SQLite accepted them.
pub(in crate::journal) fn make_durable(db: &Connection, path: &Path) -> Result<Durability, JournalError> {
    let durability = set_durability(db).map_err(cannot_open(path))?;
    if durability.journal_mode != "wal" || durability.synchronous != SYNCHRONOUS_FULL {
        let hint = "put the state root on a local disk; network file systems are not suitable";
        return Err(refused(path, "its file system does not allow WAL with synchronous=FULL", hint));
    }
    Ok(durability)
}

fn set_durability(db: &Connection) -> rusqlite::Result<Durability> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "wal_autocheckpoint", JOURNAL_WAL_PAGES)?;
    db.pragma_update(None, "journal_size_limit", JOURNAL_WAL_BYTES_MAX)?;
    let journal_mode = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    Ok(Durability { journal_mode, synchronous })
}

/// Denies the writer's connection everything that appending does not need.
pub(super) fn confine(db: &mut Connection) -> rusqlite::Result<()> {
    db.authorizer(Some(|context: AuthContext<'_>| match writer_may(&context.action) {
        true => Authorization::Allow,
        false => Authorization::Deny,
    }))
}

fn writer_may(action: &AuthAction<'_>) -> bool {
    let is_ours = |table: &str| {
        matches!(
            table,
            "journal_events"
                | "journal_facets"
                | "journal_checkpoints"
                | "journal_subtrees"
                | "replay_keys"
                | "replay_runs"
        )
    };
    match *action {
        AuthAction::Select | AuthAction::Transaction { .. } => true,
        AuthAction::Read { table_name, .. } | AuthAction::Insert { table_name } => is_ours(table_name),
        AuthAction::Function { function_name } => matches!(function_name, "coalesce" | "max" | "length"),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            matches!(
                (pragma_name, pragma_value),
                ("wal_checkpoint", Some("TRUNCATE" | "PASSIVE")) | ("user_version", Some("2"))
            )
        }
        _ => false,
    }
}

/// Whether SQLite refused this row because of its content. A refusal by a trigger is another matter: it means that the
/// file is not as this writer left it.
pub(in crate::journal) fn refuses_the_row(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        matches!(
            error.extended_code,
            ffi::SQLITE_CONSTRAINT_CHECK
                | ffi::SQLITE_CONSTRAINT_NOTNULL
                | ffi::SQLITE_CONSTRAINT_DATATYPE
                | ffi::SQLITE_TOOBIG
        )
    })
}

/// The error for a file that was inspected and refused.
pub(in crate::journal) fn refused(path: &Path, problem: &'static str, hint: &'static str) -> JournalError {
    JournalError::Open { path: path.to_owned(), problem, hint, source: None }
}

/// Turns an error of SQLite into one that says what a person can do about it.
pub(in crate::journal) fn cannot_open(path: &Path) -> impl Fn(rusqlite::Error) -> JournalError + use<> {
    let path = path.to_owned();
    move |error| {
        let code = error.sqlite_error_code();
        let untold = match code {
            Some(ErrorCode::CannotOpen) => shortage_of_descriptors(),
            Some(ErrorCode::SystemIoFailure) if same_file::may_not_grow(&path) => Some(Errno::FBIG.into()),
            _ => None,
        };
        if let Some(cause) = untold {
            return file_error(&path)(cause);
        }
        let (problem, hint) = match code {
            Some(ErrorCode::OutOfMemory) => {
                ("there is not enough memory", "give the machine or the process more memory")
            }
            Some(ErrorCode::CannotOpen) => {
                ("the file is missing, is a symbolic link or is not readable", "check the file and its owner")
            }
            Some(ErrorCode::NotADatabase) => ("it is not a SQLite database", VERIFY_FIRST),
            Some(ErrorCode::DatabaseCorrupt) => ("the database is damaged", VERIFY_FIRST),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                ("another process has locked it", "stop the other process")
            }
            Some(ErrorCode::ReadOnly) => {
                ("it is not writable", "check the owner and mode of the file and its folder")
            }
            Some(ErrorCode::DiskFull) => ("the disk is full", "free space on its disk"),
            Some(ErrorCode::SystemIoFailure) => ("its disk is failing", "check the disk and its cable"),
            _ => ("SQLite refused it", "check the file, its disk and its owner"),
        };
        JournalError::Open { path: path.clone(), problem, hint, source: Some(Arc::new(error)) }
    }
}

/// The error for a failed read while the journal in `db` is opened, as [`damaged`].
pub(super) fn unread(db: &Connection) -> impl Fn(rusqlite::Error) -> JournalError + use<> {
    damaged(db.path().unwrap_or_default().as_ref())
}

/// The error for a failed read while the journal at `path` is opened: damage if SQLite says so, or if it is a value that no
/// writer stores. A lock, or a lack of memory, says nothing about the content.
pub(in crate::journal) fn damaged(path: &Path) -> impl Fn(rusqlite::Error) -> JournalError + use<> {
    let cannot_open = cannot_open(path);
    move |error| match error.sqlite_error_code() {
        None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TooBig) => {
            JournalError::Corrupt { seq: 0, problem: format!("its newest events cannot be read ({error})") }
        }
        Some(ErrorCode::SystemIoFailure) => JournalError::read(error),
        Some(_) => cannot_open(error),
    }
}
