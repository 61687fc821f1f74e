//! The files outside the database that record how far it had got: the anchor and the checkpoint file.

use std::path::Path;

use super::{Concern, VerifyReport};
use crate::files;
use crate::journal::opening::missing_database::{Absence, has_content};
use crate::journal::opening::open;
use crate::journal::opening::same_file::wal_path;
use crate::journal::signing::resume::{read_checkpoint, read_note};
use crate::journal::writing::anchor::Records;
use crate::journal::{JournalError, JournalFiles};

/// The content of the checkpoint file, `None` if there is none; or why it cannot be read.
pub(super) type Note = Result<Option<String>, String>;

/// The anchor and the checkpoint file at one moment. Whatever they name was in the journal at that time.
#[derive(Debug)]
pub struct Witness {
    records: Option<Records>,
    note: Note,
}

impl Witness {
    pub(in crate::journal) fn read(files: &JournalFiles) -> Result<Self, JournalError> {
        Ok(Self { records: open::anchor_records(files)?, note: note(files)? })
    }
}

/// The files a database is verified against.
pub(super) enum Outside<'a> {
    /// None: it is a copy.
    Nothing,
    /// The files beside it. The checkpoint file is read after the table of checkpoints, because it is never behind the
    /// table.
    Beside(&'a JournalFiles, Option<Records>),
    /// The files from before it was copied.
    Before(Witness),
}

impl<'a> Outside<'a> {
    /// Reads the anchor before the events, so that the events it names have to be in the database.
    pub(super) fn beside(files: &'a JournalFiles) -> Result<Self, JournalError> {
        Ok(Self::Beside(files, open::anchor_records(files)?))
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether the table of checkpoints may be ahead of the checkpoint file.
    pub(super) fn may_be_behind(&self) -> bool {
        matches!(self, Self::Before(_))
    }

    /// The records of the anchor; `None` if there is no anchor.
    pub(super) fn records(&self) -> Option<&Records> {
        match self {
            Self::Nothing => None,
            Self::Beside(_, records) | Self::Before(Witness { records, .. }) => records.as_ref(),
        }
    }

    /// The content of the checkpoint file.
    pub(super) fn note(&self) -> Result<Note, JournalError> {
        match self {
            Self::Nothing => Ok(Ok(None)),
            Self::Beside(files, _) => note(files),
            Self::Before(witness) => Ok(witness.note.clone()),
        }
    }

    /// The report for a database that is missing or empty. `None` if it has content, or nothing indicates that it ever
    /// existed.
    pub(super) fn of_nothing(&self, database: &Path) -> Result<Option<VerifyReport>, JournalError> {
        // A path that cannot be inspected is reported when it is opened.
        let Ok(Some(absence)) = Absence::of(database) else { return Ok(None) };
        let note = self.note()?;
        let signed = note.as_ref().ok().and_then(Option::as_deref).and_then(read_checkpoint);
        if absence == Absence::Gone && self.records().is_none() && note == Ok(None) {
            return Ok(None);
        }
        let mut report = VerifyReport::new();
        let concerns = if has_content(&wal_path(database)) { Concern::LogAlone } else { Concern::Missing };
        report.add_of(concerns, format!("{} {}", database.display(), absence.told()));
        if self.records().is_some_and(Records::is_damaged) {
            report.add_of(Concern::Outside, "its anchor was changed".to_owned());
        }
        let anchored = self.records().and_then(Records::newest).map_or(0, |newest| newest.seq);
        report.add_missing(anchored.max(signed.map_or(0, |signed| signed.size)), 0);
        Ok(Some(report))
    }
}

/// # Errors
/// When something keeps the file from being looked at; such an error says nothing about its content.
fn note(files: &JournalFiles) -> Result<Note, JournalError> {
    let path = files.checkpoint();
    match read_note(&path) {
        Err(error) if files::is_hindrance(&error) => Err(open::file_error(&path)(error)),
        read => Ok(read.map_err(|error| error.to_string())),
    }
}
