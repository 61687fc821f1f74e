//! What looks like damage may be a disk that does not give back what is on it: SQLite calls either malformed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::same_file::wal_path;
use crate::files::{is_fault_of_the_disk, open_no_follow};
use crate::journal::error::JournalError;

/// Bytes read in one go.
const PART_BYTES: usize = 1 << 20;

/// What to say of a journal that seems to be damaged: the fault of its disk, if a plain read of its files meets one.
pub(in crate::journal) fn doubt(database: &Path, error: JournalError) -> JournalError {
    match error.may_be_for_the_disk().then(|| read_through(database)) {
        Some(Err(fault)) => fault,
        _ => error,
    }
}

/// Reads the database and its log from end to end, and nothing into them.
///
/// # Errors
/// [`JournalError::Disk`] when the disk does not give all of it back.
pub(in crate::journal) fn read_through(database: &Path) -> Result<(), JournalError> {
    for path in [database, &wal_path(database)] {
        match open_no_follow(path).and_then(read_to_end) {
            Err(fault) if is_fault_of_the_disk(&fault) => {
                return Err(JournalError::Disk { path: path.to_owned(), source: Arc::new(fault) });
            }
            // What is missing or may not be read is told by who needs it.
            _ => {}
        }
    }
    Ok(())
}

fn read_to_end(mut file: File) -> io::Result<()> {
    let mut part = vec![0; PART_BYTES];
    while file.read(&mut part)? > 0 {}
    Ok(())
}
