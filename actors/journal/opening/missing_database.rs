//! A database that is missing or empty although the files beside it show that there were events: it is not created anew.

use std::io;
use std::path::Path;

use super::open::file_error;
use super::same_file::wal_path;
use crate::journal::JournalFiles;
use crate::journal::error::{JournalError, TAKE_AS_IT_IS};
use crate::journal::signing::resume::{read_checkpoint, read_note};
use crate::journal::writing::anchor::Records;

/// In which way a database is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) enum Absence {
    Gone,
    Empty,
}

impl Absence {
    /// The state of the database at `path`; `None` if it has any content.
    ///
    /// # Errors
    /// The path cannot be inspected.
    pub(in crate::journal) fn of(path: &Path) -> io::Result<Option<Self>> {
        match path.symlink_metadata() {
            Ok(found) if found.is_file() && found.len() == 0 => Ok(Some(Self::Empty)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Self::Gone)),
            Err(error) => Err(error),
        }
    }

    /// The words that follow its name in a message.
    pub(in crate::journal) fn told(self) -> &'static str {
        match self {
            Self::Gone => "is gone",
            Self::Empty => "is empty",
        }
    }
}

/// Whether there is a file at `log` that is not empty.
pub(in crate::journal) fn has_content(log: &Path) -> bool {
    log.symlink_metadata().is_ok_and(|log| log.len() > 0)
}

/// Checks, before a database is created or opened, whether there was one before. SQLite takes the log beside an empty
/// database for a left-over and removes it; so even an accepted loss does not cover that log.
pub(super) fn refuse_what_lost_its_database(
    files: &JournalFiles,
    records: Option<&Records>,
    accept_rollback: bool,
) -> Result<(), JournalError> {
    let path = files.database.as_path();
    let Some(absence) = Absence::of(path).map_err(file_error(path))? else { return Ok(()) };
    let log = wal_path(path);
    if has_content(&log) {
        return Err(JournalError::LogAlone { database: path.to_owned(), state: absence.told(), log });
    }
    refuse_what_lost_all(files, records, accept_rollback)
}

/// Refuses a database without events if the anchor or the checkpoint file names some, unless that loss is accepted.
pub(super) fn refuse_what_lost_all(
    files: &JournalFiles,
    records: Option<&Records>,
    accept_rollback: bool,
) -> Result<(), JournalError> {
    if accept_rollback {
        return Ok(());
    }
    let path = files.checkpoint();
    let note = read_note(&path).map_err(file_error(&path))?;
    let signed = note.as_deref().and_then(read_checkpoint).map_or(0, |checkpoint| checkpoint.size);
    let anchored = records.and_then(Records::newest).map_or(0, |newest| newest.seq);
    let (first_missing, missing) = (1, anchored.max(signed));
    if missing > 0 {
        let why = "its database is missing, empty or new";
        return Err(JournalError::Behind { first_missing, missing, why });
    }
    if note.is_some() || records.is_some_and(Records::is_damaged) {
        return Err(JournalError::lost(
            "its database is missing or empty, and so are the records of its events beside it",
            TAKE_AS_IT_IS,
        ));
    }
    Ok(())
}
