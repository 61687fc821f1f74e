//! What lies outside the database and tells how far it had come: the anchor, and the checkpoint file.

use std::path::Path;

use super::{Concern, VerifyReport};
use crate::files;
use crate::journal::opening::missing_database::Absence;
use crate::journal::opening::open;
use crate::journal::signing::resume::{read_checkpoint, read_note};
use crate::journal::writing::anchor::Records;
use crate::journal::{JournalError, JournalFiles};

/// The text of the checkpoint file, none where there is no such file; or why it cannot be read.
pub(super) type Note = Result<Option<String>, String>;

/// The anchor and the checkpoint file as they were at one moment. Whatever they name was in the journal then.
#[derive(Debug)]
pub struct Witness {
    records: Option<Records>,
    note: Note,
}

impl Witness {
    /// Reads them.
    pub(in crate::journal) fn read(files: &JournalFiles) -> Result<Self, JournalError> {
        Ok(Self { records: open::anchor_records(files)?, note: note(files)? })
    }
}

/// What a database is held against.
pub(super) enum Outside<'a> {
    /// Nothing: it is a copy.
    Nothing,
    /// What is beside it. The checkpoint file is read once the table of checkpoints was: it is never behind that.
    Beside(&'a JournalFiles, Option<Records>),
    /// What there was before it was copied.
    Before(Witness),
}

impl<'a> Outside<'a> {
    /// Reads the anchor before the events: whatever it names has to be among them.
    pub(super) fn beside(files: &'a JournalFiles) -> Result<Self, JournalError> {
        Ok(Self::Beside(files, open::anchor_records(files)?))
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether the table of checkpoints may have come further than the checkpoint file.
    pub(super) fn may_be_behind(&self) -> bool {
        matches!(self, Self::Before(_))
    }

    /// What the anchor holds; none where there is no anchor.
    pub(super) fn records(&self) -> Option<&Records> {
        match self {
            Self::Nothing => None,
            Self::Beside(_, records) | Self::Before(Witness { records, .. }) => records.as_ref(),
        }
    }

    /// What the checkpoint file says.
    pub(super) fn note(&self) -> Result<Note, JournalError> {
        match self {
            Self::Nothing => Ok(Ok(None)),
            Self::Beside(files, _) => note(files),
            Self::Before(witness) => Ok(witness.note.clone()),
        }
    }

    /// What there is to say of a database that is gone, or empty, which says nothing itself. None where it is there, and
    /// where nothing tells that it ever was.
    pub(super) fn of_nothing(&self, database: &Path) -> Result<Option<VerifyReport>, JournalError> {
        // What cannot be looked at is told by who opens it.
        let Ok(Some(absence)) = Absence::of(database) else { return Ok(None) };
        let note = self.note()?;
        let signed = note.as_ref().ok().and_then(Option::as_deref).and_then(read_checkpoint);
        if absence == Absence::Gone && self.records().is_none() && note == Ok(None) {
            return Ok(None);
        }
        let mut report = VerifyReport::new();
        report.add(0, format!("{} {}", database.display(), absence.told()));
        if self.records().is_some_and(Records::is_damaged) {
            report.add_of(Concern::Outside, "its anchor was changed".to_owned());
        }
        let anchored = self.records().and_then(Records::newest).map_or(0, |newest| newest.seq);
        report.add_missing(anchored.max(signed.map_or(0, |signed| signed.size)), 0);
        Ok(Some(report))
    }
}

/// # Errors
/// When the disk does not give it back: that says nothing of what is in it.
fn note(files: &JournalFiles) -> Result<Note, JournalError> {
    let path = files.checkpoint();
    match read_note(&path) {
        Err(error) if files::is_fault_of_the_disk(&error) => Err(open::file_error(&path)(error)),
        read => Ok(read.map_err(|error| error.to_string())),
    }
}
