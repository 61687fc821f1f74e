//! A copy of the journal, made while the daemon goes on writing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::limits::Limit;

use super::error::JournalError;
use super::{JournalFiles, open};
use crate::files::{folder_of, sync_folder};

/// Copies the journal into a new file at `to`, mode 0600: all that was committed at one moment, and on the disk when
/// this returns. It takes as much room as the journal. Verify the copy with [`super::Scope::is_copy`].
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
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(folder).map_err(failed)?;
    copy_into(&db, unfinished.path()).map_err(|error| failed(io::Error::other(error)))?;
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished.persist_noclobber(to).map_err(|error| failed(error.error))?;
    sync_folder(folder).map_err(failed)
}

/// `VACUUM INTO` reads in one transaction, so that the copy is of one moment; the writer is not held up.
fn copy_into(db: &Connection, to: &Path) -> rusqlite::Result<()> {
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    db.pragma_update(None, "query_only", false)?;
    db.execute("VACUUM INTO ?1", [to.to_string_lossy().as_ref()]).map(drop)
}
