//! What looks like damage may be a disk that returns wrong data or none: SQLite calls both malformed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::same_file::wal_path;
use crate::files::{is_fault_of_the_disk, open_no_follow};
use crate::journal::error::JournalError;
use crate::limits::OPEN_CHECK_BYTES_MAX;

/// Bytes read in one go.
const PART_BYTES: usize = 4 << 20;

/// The error to report for a journal that seems damaged: [`JournalError::Disk`] if a plain read of its files fails, else
/// `error`.
pub(in crate::journal) fn doubt(database: &Path, error: JournalError) -> JournalError {
    doubt_while(database, error, |_| true)
}

/// Like [`doubt`], for a journal that is being opened for writing. The newest [`OPEN_CHECK_BYTES_MAX`] bytes of each file
/// are read, and what is older for as long as `time`, because a restart must not take long. What a start reads may lie
/// anywhere in the database, but most of it is new. `palyra journal verify` reads everything.
pub(in crate::journal) fn doubt_within(database: &Path, error: JournalError, time: Duration) -> JournalError {
    let began = Instant::now();
    doubt_while(database, error, |read| read < OPEN_CHECK_BYTES_MAX || began.elapsed() < time)
}

fn doubt_while(database: &Path, error: JournalError, goes_on: impl Fn(u64) -> bool) -> JournalError {
    match error.may_be_for_the_disk().then(|| read_while(database, goes_on)) {
        Some(Err(fault)) => fault,
        _ => error,
    }
}

/// Reads all of the database and its log.
///
/// # Errors
/// [`JournalError::Disk`] when the disk does not return all of it.
pub(in crate::journal) fn read_through(database: &Path) -> Result<(), JournalError> {
    read_while(database, |_| true)
}

fn read_while(database: &Path, goes_on: impl Fn(u64) -> bool) -> Result<(), JournalError> {
    for path in [database, &wal_path(database)] {
        match open_no_follow(path).and_then(|file| read_file(file, &goes_on)) {
            Err(fault) if is_fault_of_the_disk(&fault) => {
                return Err(JournalError::Disk { path: path.to_owned(), source: Arc::new(fault) });
            }
            // A file that is missing or unreadable is reported by the code that needs it.
            _ => {}
        }
    }
    Ok(())
}

fn read_file(mut file: File, goes_on: impl Fn(u64) -> bool) -> io::Result<()> {
    let bytes = file.metadata()?.len();
    read_backward(&mut file, bytes, goes_on)
}

/// Reads `bytes` bytes in parts, the last part first, while `goes_on` returns true for the number of bytes read so far.
fn read_backward(file: &mut (impl Read + Seek), bytes: u64, goes_on: impl Fn(u64) -> bool) -> io::Result<()> {
    let mut part = vec![0; PART_BYTES];
    let part_bytes = PART_BYTES as u64;
    for number in (0..=bytes / part_bytes).rev() {
        let end = (number + 1) * part_bytes;
        if !goes_on(bytes.saturating_sub(end)) {
            break;
        }
        file.seek(SeekFrom::Start(number * part_bytes))?;
        match file.read_exact(&mut part) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => read?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 2 * OPEN_CHECK_BYTES_MAX + 5;

    /// A file on a disk that cannot read the byte at `bad`.
    struct Disk {
        bad: u64,
        at: u64,
    }

    impl Read for Disk {
        fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
            let end = BYTES.min(self.at + place.len() as u64);
            if (self.at..end).contains(&self.bad) {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
            }
            let read = end - self.at;
            self.at = end;
            Ok(read as usize)
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let SeekFrom::Start(at) = to else { panic!("{to:?}") };
            self.at = at;
            Ok(at)
        }
    }

    #[test]
    fn the_newest_part_is_read_in_any_case_and_what_is_older_while_there_is_time() {
        let newest = BYTES - OPEN_CHECK_BYTES_MAX;
        let table = [
            (0, [true, false]),
            (newest - PART_BYTES as u64, [true, false]),
            (newest, [true, true]),
            (BYTES - 1, [true, true]),
            (BYTES, [false, false]),
        ];
        for (bad, is_found) in table {
            let found = [true, false].map(|has_time| {
                let goes_on = |read| read < OPEN_CHECK_BYTES_MAX || has_time;
                read_backward(&mut Disk { bad, at: 0 }, BYTES, goes_on)
                    .is_err_and(|error| is_fault_of_the_disk(&error))
            });
            assert_eq!(found, is_found, "at {bad} of {BYTES}");
        }
    }
}
