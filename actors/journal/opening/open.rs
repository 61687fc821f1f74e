//! Opens the journal: creates it if there is none, refuses what is not a journal, and checks its newest part.
//!
//! A start and a restart after a panic take the same path. What is checked does not grow with the journal;
//! [`crate::journal::verify()`] checks all of it. What is read of the indexes grows with the number of replay keys within
//! their windows.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::connection::{self, APPLICATION_ID, Durability, FORMAT, MOVE_WAL, cannot_open, refused, unread};
use super::missing_database;
use super::rollback::Rollback;
use super::same_file::{OpenFiles, wal_path};
use crate::clock::UnixMs;
use crate::files;
use crate::journal::JournalFiles;
use crate::journal::error::{JournalError, RAISE_LIMIT_OF_FILE_SIZE, REACHES_BEYOND, TAKE_AS_IT_IS};
use crate::journal::format::chain::ChainWalk;
use crate::journal::format::row::{COLUMNS, Columns, Head, digest, from_sql, to_sql};
use crate::journal::index::Indexes;
use crate::journal::signing::checkpoints;
use crate::journal::signing::sealer::Sealer;
use crate::journal::writing::anchor::{Anchor, Anchored, Records, create_folder};
use crate::journal::writing::writer::RandomBits;
use crate::limits::{OPEN_CHECK_BYTES_MAX, OPEN_CHECK_LINKS_MAX};

const SCHEMA: &str = include_str!("../format/schema.sql");

/// The database, open for writing.
#[derive(Debug)]
pub(in crate::journal) struct OpenDatabase {
    pub(in crate::journal) db: Connection,
    pub(in crate::journal) files: OpenFiles,
    pub(in crate::journal) durability: Durability,
}

/// An open journal, ready for its writer.
#[derive(Debug)]
pub(in crate::journal) struct Opened {
    pub(in crate::journal) database: OpenDatabase,
    pub(in crate::journal) head: Head,
    pub(in crate::journal) anchor: Anchor,
    pub(in crate::journal) indexes: Indexes,
    pub(in crate::journal) rollback: Option<Rollback>,
}

/// Opens the journal at `now` for its only writer. Neither the database, its log, the anchor nor the checkpoint file is
/// changed until everything was checked, so a journal that is refused stays as it was.
pub(in crate::journal) fn for_writing(
    files: &JournalFiles,
    random: RandomBits,
    accept_rollback: bool,
    now: UnixMs,
) -> Result<Opened, JournalError> {
    let opened = match check_and_open(files, random, accept_rollback, now)? {
        // A process that is ending has written its last event meanwhile.
        None => check_and_open(files, random, accept_rollback, now)?,
        opened => opened,
    };
    let hint = "stop that process; only one may write to a journal";
    opened.ok_or_else(|| refused(&files.database, "another process writes to it", hint))
}

/// As [`for_writing`], except that it returns `None` if the journal was written to meanwhile.
fn check_and_open(
    files: &JournalFiles,
    random: RandomBits,
    accept_rollback: bool,
    now: UnixMs,
) -> Result<Option<Opened>, JournalError> {
    let path = files.database.as_path();
    let records = anchor_records(files)?;
    connection::refuse_other_kinds(&files.checkpoint())?;
    missing_database::refuse_what_lost_its_database(files, records.as_ref(), accept_rollback)?;
    create_private(path).map_err(file_error(path))?;
    let mut db = connection::for_writing(path)?;
    let is_new = is_empty(&db).map_err(cannot_open(path))?;
    if is_new {
        missing_database::refuse_what_lost_all(files, records.as_ref(), accept_rollback)?;
        connection::make_durable(&db, path)?;
        create_schema(&mut db).map_err(cannot_open(path))?;
    } else {
        check_format(&db, path)?;
    }
    let head = check_schema_and_tail(&db)?;
    checkpoints::refuse_if_ahead(&db)?;
    let checked = check_anchor(&db, head, records.as_ref(), is_new);
    if checked.is_err() {
        refuse_further_index(&db)?;
    }
    let rollback = Rollback::accepted(checked, records.as_ref(), head, accept_rollback)?;
    let indexes = open_indexes(&db, head, now)?;
    create_folder(&files.anchor).map_err(file_error(&files.anchor))?;
    fail::fail_point!("journal::before_signing_lock");
    // This may refuse the journal as well. It locks the folder, so that an anchor which another daemon is writing is not
    // replaced, which would poison that daemon's journal.
    let signer = Sealer::try_open(files, head, random, accept_rollback);
    // Whoever had locked it may have written until then, and a checkpoint of that would look like a loss.
    if Head::read(&db).map_err(unread(&db))? != head {
        return Ok(None);
    }
    let _signer = signer?;
    let durability = connection::make_durable(&db, path)?;
    if !is_new {
        write_again(&db, path)?;
    }
    connection::confine(&mut db).map_err(cannot_open(path))?;
    let anchor = match rollback {
        None => Anchor::begin(&files.anchor, head),
        // The old anchor is the evidence of what is missing until the loss is journaled.
        Some(_) => Anchor::begin_later(&files.anchor),
    };
    let anchor = anchor.map_err(file_error(&files.anchor))?;
    let files = OpenFiles::of(path).map_err(file_error(path))?;
    let database = OpenDatabase { db, files, durability };
    Ok(Some(Opened { database, head, anchor, indexes, rollback }))
}

/// What opening for writing checks of the database itself; returns the head.
pub(super) fn check_newest_part(db: &Connection, now: UnixMs) -> Result<Head, JournalError> {
    let head = check_schema_and_tail(db)?;
    open_indexes(db, head, now).map(|_| head)
}

fn check_schema_and_tail(db: &Connection) -> Result<Head, JournalError> {
    match schema_problem(db).map_err(unread(db))? {
        Some(problem) => Err(JournalError::Corrupt { seq: 0, problem }),
        None => check_tail(db),
    }
}

fn open_indexes(db: &Connection, head: Head, now: UnixMs) -> Result<Indexes, JournalError> {
    let indexes = Indexes::open(db, head.seq, now).map_err(unread(db))?;
    if indexes.reach(head.seq) {
        return Ok(indexes);
    }
    let problem = "its index of replay keys lacks its newest run".to_owned();
    Err(JournalError::Corrupt { seq: 0, problem })
}

/// The next block or run could not be stored over rows that are stored already, so a loss is not to be accepted then.
fn refuse_further_index(db: &Connection) -> Result<(), JournalError> {
    if !Indexes::any_beyond(db).map_err(unread(db))? {
        return Ok(());
    }
    let problem = format!("its indexes have rows of events that it does not have: {REACHES_BEYOND}");
    Err(JournalError::Corrupt { seq: 0, problem })
}

/// After a failed fsync the page cache may hold data the disk never got, and nobody can tell. So everything is written
/// and synced once more before the anchor vouches for it. Frames that a reader keeps from being copied into the database
/// are rewritten in the write-ahead log.
fn write_again(db: &Connection, path: &Path) -> Result<(), JournalError> {
    let frames = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let (logged, moved) = db.query_row(MOVE_WAL, [], frames).map_err(cannot_open(path))?;
    // Both are -1 while another connection checkpoints the log.
    if logged < 0 || moved < logged {
        files::rewrite(&wal_path(path)).map_err(file_error(path))?;
    }
    Ok(())
}

/// Checks that every event the anchor names is in the database.
fn check_anchor(
    db: &Connection,
    head: Head,
    records: Option<&Records>,
    is_new: bool,
) -> Result<(), JournalError> {
    let Some(records) = records else {
        let lost = JournalError::lost(
            "its anchor is missing (if `anchor_dir` was changed, move the folder too)",
            TAKE_AS_IT_IS,
        );
        return if is_new || head.seq == 0 { Ok(()) } else { Err(lost) };
    };
    if let Some(anchored) = records.newest() {
        check_newest(db, head, anchored)?;
    }
    // Its readable records agree with the database.
    if records.is_damaged() {
        return Err(JournalError::lost("its anchor was changed, truncated or emptied", TAKE_AS_IT_IS));
    }
    Ok(())
}

fn check_newest(db: &Connection, head: Head, anchored: Anchored) -> Result<(), JournalError> {
    if anchored.seq > head.seq {
        let (first_missing, missing) = (head.seq + 1, anchored.seq - head.seq);
        let why = "its newest part or its write-ahead log was removed, or it was replaced by an older copy";
        return Err(JournalError::Behind { first_missing, missing, why });
    }
    match anchored.seq {
        0 => Ok(()),
        seq if hash_of(db, to_sql(seq)).map_err(unread(db))? == anchored.hash => Ok(()),
        seq => {
            let problem = "it is not the event that the anchor records".to_owned();
            Err(JournalError::Corrupt { seq, problem })
        }
    }
}

/// The records of the journal's anchor; `None` if there is no anchor.
pub(in crate::journal) fn anchor_records(files: &JournalFiles) -> Result<Option<Records>, JournalError> {
    Records::read(&files.anchor).map_err(file_error(&files.anchor))
}

/// Opens the journal at `path` for reading. It has to exist.
pub(in crate::journal) fn for_reading(path: &Path) -> Result<Connection, JournalError> {
    if !path.try_exists().map_err(file_error(path))? {
        return Err(refused(
            path,
            "there is no journal",
            "start the daemon once, or name its state root with --state-root",
        ));
    }
    connection::refuse_other_kinds(path)?;
    // SQLite would take the log beside an empty database for a left-over and remove it.
    if path.metadata().map_err(file_error(path))?.len() == 0 {
        return Err(JournalError::Corrupt { seq: 0, problem: format!("{} is empty", path.display()) });
    }
    let db = connection::for_reading(path)?;
    check_format(&db, path)?;
    Ok(db)
}

/// Opens the database at `path` as if no log lay beside it. Nothing may write to it meanwhile.
pub(in crate::journal) fn for_reading_alone(path: &Path) -> Result<Connection, JournalError> {
    let db = connection::for_reading_alone(path)?;
    check_format(&db, path)?;
    Ok(db)
}

/// Creates the database with mode 0600; SQLite gives `-wal` and `-shm` the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.sync_all()?;
            files::sync_folder(files::folder_of(path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

pub(in crate::journal) fn file_error(path: &Path) -> impl Fn(io::Error) -> JournalError {
    let path = path.to_owned();
    move |error| {
        let (problem, hint) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                "it cannot be written, because the disk is full",
                "free some space on its disk, or raise the quota",
            ),
            io::ErrorKind::FileTooLarge => {
                ("it may not grow, because the process has a limit of file size", RAISE_LIMIT_OF_FILE_SIZE)
            }
            _ if files::is_for_want_of_resources(&error) => (
                "the process or the machine lacks file descriptors or memory",
                "end other programs, or raise the limits",
            ),
            _ if files::is_fault_of_the_disk(&error) => {
                ("its disk is failing", "check the disk and its cable")
            }
            _ if files::is_unknown_call(&error) => (
                "a filter of system calls forbids `statx`, or the kernel does not know it",
                "use a newer Docker and libseccomp, or allow `statx` in the filter; Linux has it since 4.11",
            ),
            _ => (
                "its file cannot be accessed",
                "check that the state root exists and belongs to the daemon's user",
            ),
        };
        JournalError::Open { path: path.clone(), problem, hint, source: Some(Arc::new(error)) }
    }
}

/// Whether the database has neither tables nor a format: it is new, or its creation was interrupted.
fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    let objects: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(objects == 0 && format_of(db)? == (0, 0))
}

fn format_of(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    let application_id = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((application_id, format))
}

fn check_format(db: &Connection, path: &Path) -> Result<(), JournalError> {
    match format_of(db).map_err(cannot_open(path))? {
        (APPLICATION_ID, FORMAT) => Ok(()),
        (APPLICATION_ID, found) if found > FORMAT => Err(JournalError::Newer { found, known: FORMAT }),
        (APPLICATION_ID, _) => {
            let hint = "export it with the version of palyra that wrote it, then create a new state root";
            Err(refused(path, "its format is older than this program can read", hint))
        }
        _ => Err(refused(
            path,
            "it is a database, but not a journal",
            "move it away, or name another state root with --state-root",
        )),
    }
}

/// Creates the schema in one transaction: an interruption leaves an empty file.
fn create_schema(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Compares the tables, indices and triggers with those of `schema.sql`, so that a dropped trigger is found.
pub(in crate::journal) fn schema_problem(db: &Connection) -> rusqlite::Result<Option<String>> {
    let reference = Connection::open_in_memory()?;
    reference.execute_batch(SCHEMA)?;
    let (expected, found) = (schema_of(&reference)?, schema_of(db)?);
    let changed = found.iter().find(|object| !expected.contains(object));
    let missing = expected.iter().find(|object| !found.contains(object));
    Ok(changed.or(missing).map(|object| format!("its schema was changed at `{}`", object.name)))
}

/// A row of `sqlite_schema`, without the root page of the object.
#[derive(PartialEq, Eq)]
struct SchemaObject {
    name: String,
    kind: String,
    table: String,
    sql: Option<String>,
}

fn schema_of(db: &Connection) -> rusqlite::Result<Vec<SchemaObject>> {
    let mut statement = db.prepare("SELECT name, type, tbl_name, sql FROM sqlite_schema ORDER BY name")?;
    let objects = statement.query_map([], |row| {
        Ok(SchemaObject { name: row.get(0)?, kind: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
    })?;
    objects.collect()
}

/// Checks the newest links of the chain and returns the head.
fn check_tail(db: &Connection) -> Result<Head, JournalError> {
    let unread = unread(db);
    let start = tail_start(db, OPEN_CHECK_LINKS_MAX, OPEN_CHECK_BYTES_MAX).map_err(&unread)?;
    let mut walk = match start {
        ..=1 => ChainWalk::from_start(),
        _ => ChainWalk::after(start - 1, hash_of(db, start - 1).map_err(&unread)?),
    };
    let rows = format!("SELECT {COLUMNS} FROM journal_events WHERE seq >= ?1 ORDER BY seq");
    let mut statement = db.prepare(&rows).map_err(&unread)?;
    let mut rows = statement.query([start]).map_err(&unread)?;
    while let Some(row) = rows.next().map_err(&unread)? {
        let columns = Columns::read(row).map_err(&unread)?;
        if let Some((seq, problem)) = walk.step(&columns) {
            return Err(JournalError::Corrupt { seq: from_sql(seq), problem });
        }
    }
    Head::read(db).map_err(unread)
}

/// The oldest event checked at the start: the newest `links_max` events are checked, or fewer once their bodies exceed
/// `bytes_max` bytes.
pub(in crate::journal) fn tail_start(
    db: &Connection,
    links_max: usize,
    bytes_max: u64,
) -> rusqlite::Result<i64> {
    let mut sizes = db.prepare("SELECT seq, length(body) FROM journal_events ORDER BY seq DESC LIMIT ?1")?;
    let mut rows = sizes.query([links_max as i64])?;
    let (mut start, mut bytes) = (1, 0);
    while let Some(row) = rows.next()? {
        if bytes > bytes_max {
            break;
        }
        start = row.get(0)?;
        bytes += from_sql(row.get(1)?);
    }
    Ok(start)
}

/// The leaf hash of one event.
pub(in crate::journal) fn hash_of(db: &Connection, seq: i64) -> rusqlite::Result<crate::ids::Digest> {
    db.query_row("SELECT hash FROM journal_events WHERE seq = ?1", [seq], |row| digest(row, 0))
}
