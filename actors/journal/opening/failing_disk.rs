//! What looks like damage may be a disk that returns wrong data or none: SQLite calls both malformed.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::same_file::wal_path;
use crate::files::{is_fault_of_the_disk, open_no_follow};
use crate::journal::error::JournalError;
use crate::limits::OPEN_CHECK_BYTES_MAX;

/// Bytes read in one go.
const PART_BYTES: usize = 1 << 20;

/// The error to report for a journal that seems damaged: [`JournalError::Disk`] if a plain read of its files fails, else
/// `error`.
pub(in crate::journal) fn doubt(database: &Path, error: JournalError) -> JournalError {
    doubt_within(database, error, u64::MAX)
}

/// Like [`doubt`], for a journal that is being opened for writing. Only the newest [`OPEN_CHECK_BYTES_MAX`] bytes of each
/// file are read, as much as was checked, because a restart must not take long. `palyra journal verify` reads the rest.
pub(in crate::journal) fn doubt_newest(database: &Path, error: JournalError) -> JournalError {
    doubt_within(database, error, OPEN_CHECK_BYTES_MAX)
}

fn doubt_within(database: &Path, error: JournalError, bytes_max: u64) -> JournalError {
    match error.may_be_for_the_disk().then(|| read_newest(database, bytes_max)) {
        Some(Err(fault)) => fault,
        _ => error,
    }
}

/// Reads the database and its log from end to end.
///
/// # Errors
/// [`JournalError::Disk`] when the disk does not return all of it.
pub(in crate::journal) fn read_through(database: &Path) -> Result<(), JournalError> {
    read_newest(database, u64::MAX)
}

fn read_newest(database: &Path, bytes_max: u64) -> Result<(), JournalError> {
    for path in [database, &wal_path(database)] {
        match open_no_follow(path).and_then(|file| read_end(file, bytes_max)) {
            Err(fault) if is_fault_of_the_disk(&fault) => {
                return Err(JournalError::Disk { path: path.to_owned(), source: Arc::new(fault) });
            }
            // A file that is missing or unreadable is reported by the code that needs it.
            _ => {}
        }
    }
    Ok(())
}

fn read_end(mut file: File, bytes_max: u64) -> io::Result<()> {
    let start = file.metadata()?.len().saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(start))?;
    let mut part = vec![0; PART_BYTES];
    while file.read(&mut part)? > 0 {}
    Ok(())
}
