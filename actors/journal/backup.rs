//! A copy of the journal, made while the daemon goes on writing.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::limits::Limit;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::error::JournalError;
use super::{JournalFiles, open};
use crate::files::{folder_of, open_no_follow, sync_folder};

/// Begins the name of a copy that is being made. Who makes it holds a lock on it; one that nobody holds is left over.
const UNFINISHED_PREFIX: &str = ".backup-unfinished-";
/// Files that are made in a row because another backup took each for a left-over between its making and its locking.
const TRIES_MAX: usize = 8;

/// Copies the journal into a new file at `to`, mode 0600: all that was committed at one moment, and on the disk when
/// this returns. It takes as much room as the journal. What backups that were interrupted have left in the folder goes
/// first. Verify the copy with [`super::Scope::is_copy`].
///
/// # Errors
/// [`JournalError::Backup`] when the file is there already or cannot be written; else as when a journal is read.
pub fn backup(files: &JournalFiles, to: &Path) -> Result<(), JournalError> {
    let folder = folder_of(to);
    let failed = |error: io::Error| JournalError::Backup { path: to.to_owned(), source: Arc::new(error) };
    if to.try_exists().map_err(failed)? {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let db = open::for_reading(&files.database)?;
    remove_left_over(folder);
    let unfinished = make_unfinished(folder).map_err(failed)?;
    copy_into(&db, unfinished.path()).map_err(|error| failed(io::Error::other(error)))?;
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished.persist_noclobber(to).map_err(|error| failed(error.error))?;
    sync_folder(folder).map_err(failed)
}

/// A new file in `folder`, with the lock that says that it is being written, where the file system has such locks.
fn make_unfinished(folder: &Path) -> io::Result<NamedTempFile> {
    for _ in 0..TRIES_MAX {
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED_PREFIX).tempfile_in(folder)?;
        let locked = flock(unfinished.as_file(), FlockOperation::NonBlockingLockExclusive);
        let is_taken = locked == Err(Errno::WOULDBLOCK) || unfinished.as_file().metadata()?.nlink() == 0;
        if !is_taken {
            return Ok(unfinished);
        }
    }
    Err(io::Error::other("other backups into the same folder take its files away"))
}

/// Removes what nobody holds. A backup is made whether or not that succeeds.
fn remove_left_over(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let ours = |name: &OsStr| name.as_encoded_bytes().starts_with(UNFINISHED_PREFIX.as_bytes());
    for entry in entries.flatten().filter(|entry| ours(&entry.file_name())) {
        if let Err(error) = remove_unless_held(&entry.path()) {
            tracing::debug!(file = %entry.path().display(), %error, "what a backup left is not removed");
        }
    }
}

fn remove_unless_held(path: &Path) -> io::Result<()> {
    let file = open_no_follow(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    fs::remove_file(path)
}

/// `VACUUM INTO` reads in one transaction, so that the copy is of one moment; the writer is not held up.
fn copy_into(db: &Connection, to: &Path) -> rusqlite::Result<()> {
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    db.pragma_update(None, "query_only", false)?;
    db.execute("VACUUM INTO ?1", [to.to_string_lossy().as_ref()]).map(drop)
}
