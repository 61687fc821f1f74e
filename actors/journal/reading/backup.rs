//! A copy of the journal, made while the daemon goes on writing.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_IOERR_WRITE;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tempfile::{NamedTempFile, TempDir};

use crate::files::{folder_of, open_no_follow, sync_folder};
use crate::journal::JournalFiles;
use crate::journal::error::{Cause, JournalError};
use crate::journal::format::row::from_sql;
use crate::journal::opening::failing_disk;
use crate::journal::opening::open;
use crate::journal::verify::Witness;

/// Prefix of the temporary folder a copy is made in. The process that makes it holds a lock on the folder; one without a
/// lock is a left-over.
const UNFINISHED_PREFIX: &str = ".backup-unfinished-";
/// The copy in that folder, and the file SQLite keeps beside it meanwhile. A folder that contains anything else is not
/// ours.
const COPY: &str = "copy";
const COPY_JOURNAL: &str = "copy-journal";
/// Attempts to make that folder. An attempt fails if another backup takes the folder for a left-over between its creation
/// and its locking.
const TRIES_MAX: usize = 8;

/// Copies the journal into a new file at `to`, mode 0600. The copy holds everything committed at one moment, and is
/// synced when this returns. It takes as much space as the journal. Left-overs of interrupted backups in the same folder
/// are removed first. Returns the state of the files outside the database from before the copy was made, against which
/// [`crate::journal::verify_copy`] verifies it.
///
/// # Errors
/// [`JournalError::Backup`] when the file exists already or cannot be written; else as when reading a journal.
pub fn backup(files: &JournalFiles, to: &Path) -> Result<Witness, JournalError> {
    let folder = folder_of(to);
    let failed = |error: io::Error| JournalError::Backup { path: to.to_owned(), source: Arc::new(error) };
    if to.try_exists().map_err(failed)? {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let witness = Witness::read(files)?;
    let db =
        open::for_reading(&files.database).map_err(|error| failing_disk::doubt(&files.database, error))?;
    remove_left_over(folder);
    let unfinished = Unfinished::make(folder).map_err(failed)?;
    copy_into(&db, unfinished.copy.path()).map_err(|error| {
        let failed = JournalError::Backup { path: to.to_owned(), source: cause(error, &db) };
        failing_disk::doubt(&files.database, failed)
    })?;
    unfinished.finish(to).map_err(failed)?;
    Ok(witness)
}

/// A copy that is being made. Dropping it removes what is left of it.
struct Unfinished {
    copy: NamedTempFile,
    folder: TempDir,
    /// Marks the folder as in use, on file systems that support such locks.
    _lock: fs::File,
}

impl Unfinished {
    /// The copy gets a folder of its own, because SQLite keeps a file beside it.
    fn make(folder: &Path) -> io::Result<Self> {
        for _ in 0..TRIES_MAX {
            let folder = tempfile::Builder::new().prefix(UNFINISHED_PREFIX).tempdir_in(folder)?;
            let lock = match open_no_follow(folder.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive);
            if locked == Err(Errno::WOULDBLOCK) || !folder.path().try_exists()? {
                continue;
            }
            let copy = tempfile::Builder::new().prefix(COPY).rand_bytes(0).tempfile_in(folder.path())?;
            return Ok(Self { copy, folder, _lock: lock });
        }
        Err(io::Error::other("other backups into the same folder keep removing this one's files"))
    }

    /// Syncs the copy and gives it its name.
    fn finish(self, to: &Path) -> io::Result<()> {
        self.copy.as_file().sync_all()?;
        self.copy.persist_noclobber(to).map_err(|error| error.error)?;
        // The backup succeeds even if its temporary folder cannot be removed.
        drop(self.folder);
        sync_folder(folder_of(to))
    }
}

/// Removes folders that no process has locked. The backup is made even if that fails.
fn remove_left_over(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().as_bytes().starts_with(UNFINISHED_PREFIX.as_bytes()) {
            continue;
        }
        if let Err(error) = remove_unless_held(&entry.path()) {
            tracing::debug!(folder = %entry.path().display(), %error, "the leftovers of a backup could not be removed");
        }
    }
}

/// Fails for a file, and for a folder that contains anything a backup does not make; then nothing of it is removed.
fn remove_unless_held(path: &Path) -> io::Result<()> {
    let folder = open_no_follow(path)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    let held: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    if let Some(foreign) =
        held.iter().find(|entry| ![COPY, COPY_JOURNAL].iter().any(|own| entry.file_name() == *own))
    {
        return Err(io::Error::other(format!("it holds `{}`", foreign.path().display())));
    }
    held.iter().try_for_each(|entry| fs::remove_file(entry.path()))?;
    fs::remove_dir(path)
}

/// Why no copy of `db` was made. SQLite calls it an I/O error, like a failing disk, if the copy may not grow, and empties
/// what it has written.
fn cause(error: rusqlite::Error, db: &Connection) -> Cause {
    let is_of_a_write = error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_WRITE);
    let bytes_max = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    if is_of_a_write && bytes_of(db).is_ok_and(|bytes| bytes > bytes_max) {
        return Arc::new(io::Error::from(Errno::FBIG));
    }
    Arc::new(error)
}

/// The size of the database, with what lies in its write-ahead log.
fn bytes_of(db: &Connection) -> rusqlite::Result<u64> {
    let read = |name: &str| db.pragma_query_value(None, name, |row| row.get(0)).map(from_sql);
    Ok(read("page_count")?.saturating_mul(read("page_size")?))
}

/// `VACUUM INTO` reads in a single transaction, so the copy shows one moment; the writer is not blocked.
fn copy_into(db: &Connection, to: &Path) -> rusqlite::Result<()> {
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    db.pragma_update(None, "query_only", false)?;
    // SQLite accepts any bytes as a file name, even if they are not valid UTF-8.
    let name = ToSqlOutput::Borrowed(ValueRef::Text(to.as_os_str().as_bytes()));
    db.execute("VACUUM INTO ?1", [name]).map(drop)
}
