//! Verifies that the whole journal still is what was appended.
//!
//! | file | comparison |
//! |---|---|
//! | `events.rs` | each event with its hash and the chain |
//! | `indexes.rs` | the events with the indexes of replay keys and list filters |
//! | `tree.rs` | the Merkle tree over the events with the stored subtrees and the signed roots |
//! | `notes.rs` | the checkpoints with their keys, their order and the file outside the database |
//! | `report.rs` | the result |
//! | `witness.rs` | the anchor and the checkpoint file, and what they say about a missing database |

mod events;
mod indexes;
mod notes;
mod report;
mod tree;
mod witness;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, InterruptHandle, OptionalExtension as _};
use serde::Serialize;

use crate::journal::JournalFiles;
use crate::journal::error::JournalError;
use crate::journal::format::row::{digest, to_sql};
use crate::journal::opening::failing_disk;
use crate::journal::opening::missing_database::has_content;
use crate::journal::opening::open;
use crate::journal::opening::same_file::wal_path;
use crate::limits::VERIFY_PROBLEMS_MAX;
use crate::tlog::VerifierKey;
use events::Events;
use notes::Notes;
use report::Concern;
use witness::Outside;

pub use report::{Discrepancy, VerifyReport};
pub use witness::Witness;

/// The problem of a database and a log that do not belong together.
const OTHER_LOG: &str = "without its write-ahead log the database verifies, and with it it does not: the two do not belong together, or the \
    log was changed";
/// Pause between two calls of [`OnProgress`] once the events are read and SQLite's structure is still being checked.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The first event that is read; the stored hashes of those before it are trusted. 0 and 1: every event.
    pub from: u64,
    /// The public key that must vouch for the newest checkpoint; a copy of it that was kept elsewhere.
    pub public_key: Option<VerifierKey>,
    /// Whether the database is a copy, without the anchor and the checkpoint file of the original.
    pub is_copy: bool,
}

/// How far a verification has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// `seq` of the last event read.
    pub seq: u64,
    /// `seq` of the newest event when the verification began.
    pub head_seq: u64,
}

/// Called after every thousand events, and every 100 ms after the last one; a `Break` ends the verification early.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Verifies the journal: every leaf and link, the indexes of replay keys and list filters, the Merkle tree, every
/// checkpoint with its key and root, the anchor, the schema, and SQLite's own structure. A daemon may append to it
/// meanwhile.
///
/// # Errors
/// [`JournalError::Open`], [`JournalError::Newer`], [`JournalError::NoThread`] or [`JournalError::Read`] when it cannot
/// be verified at all.
pub fn verify(files: &JournalFiles) -> Result<VerifyReport, JournalError> {
    verify_with(files, &Scope::default(), &mut |_| ControlFlow::Continue(()))
}

/// Like [`verify()`], for a part of the journal or against a public key, with progress reports.
///
/// # Errors
/// As [`verify()`].
pub fn verify_with(
    files: &JournalFiles,
    scope: &Scope,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, JournalError> {
    let outside = if scope.is_copy { Outside::Nothing } else { Outside::beside(files)? };
    verify_against(&files.database, &outside, scope, on_progress)
}

/// Verifies a copy made by [`super::backup()`], and that it holds everything acknowledged or signed before it was made.
///
/// # Errors
/// As [`verify()`].
pub fn verify_copy(
    copy: &Path,
    before: Witness,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, JournalError> {
    let scope = Scope { is_copy: true, ..Scope::default() };
    verify_against(copy, &Outside::Before(before), &scope, on_progress)
}

/// The report for a journal whose database is missing or empty: what is lost, according to its anchor and its checkpoint
/// file. `None` if the database has content, or nothing indicates that it ever existed.
///
/// # Errors
/// [`JournalError::Open`] when these files cannot be read.
pub fn lost(files: &JournalFiles) -> Result<Option<VerifyReport>, JournalError> {
    Outside::beside(files)?.of_nothing(&files.database)
}

fn verify_against(
    database: &Path,
    outside: &Outside<'_>,
    scope: &Scope,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, JournalError> {
    if let Some(report) = outside.of_nothing(database)? {
        return Ok(report);
    }
    let checked = check(database, open::for_reading, outside, scope, on_progress);
    if checked.as_ref().map_or_else(JournalError::may_be_for_the_disk, |report| !report.is_ok()) {
        failing_disk::read_through(database)?;
    }
    let is_damaged = match &checked {
        Ok(report) => report.is_structure_damaged,
        Err(error) => error.may_be_for_the_disk(),
    };
    if !(is_damaged && has_content(&wal_path(database)) && verifies_alone(database, on_progress)) {
        return checked;
    }
    let mut report = checked.unwrap_or_else(|_| VerifyReport::new());
    report.add_cause(Concern::OtherLog, OTHER_LOG.to_owned());
    Ok(report)
}

/// Whether the database is a sound journal as long as the log beside it is not applied.
fn verifies_alone(database: &Path, on_progress: OnProgress<'_>) -> bool {
    let scope = Scope { is_copy: true, ..Scope::default() };
    let alone = check(database, open::for_reading_alone, &Outside::Nothing, &scope, on_progress);
    alone.is_ok_and(|report| report.is_ok() && !report.is_partial && report.events > 0)
}

fn check(
    database: &Path,
    open: fn(&Path) -> Result<Connection, JournalError>,
    outside: &Outside<'_>,
    scope: &Scope,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, JournalError> {
    let (db, structure) = (open(database)?, open(database)?);
    let mut report = VerifyReport::new();
    let notes = Notes::begin(&db, outside, scope, &mut report)?;
    let structure = Structure::check(structure)?;
    let result = Events::begin(&db, scope, notes).and_then(|events| events.check(&mut report, on_progress));
    let walked = guarded(result, &mut report);
    if walked.is_err() || report.is_partial {
        structure.leave();
        return walked.map(|()| report);
    }
    guarded(check_schema(&db, &mut report), &mut report)?;
    structure.finish(&mut report, on_progress)?;
    if !report.is_partial && !outside.is_nothing() {
        guarded(check_anchor(&db, outside, &mut report), &mut report)?;
    }
    Ok(report)
}

fn guarded(result: rusqlite::Result<()>, report: &mut VerifyReport) -> Result<(), JournalError> {
    result.or_else(|error| damage(error, report)).map_err(JournalError::read)
}

/// The check of SQLite's own structure, on a thread of its own because it reads the whole file too.
struct Structure {
    thread: JoinHandle<()>,
    found: Receiver<Result<VerifyReport, JournalError>>,
    interrupt: InterruptHandle,
}

impl Structure {
    fn check(db: Connection) -> Result<Self, JournalError> {
        let interrupt = db.get_interrupt_handle();
        let (tell, found) = channel();
        let work = move || {
            let mut report = VerifyReport::new();
            let checked = guarded(check_structure(&db, &mut report), &mut report).map(|()| report);
            // The receiver may be gone.
            drop(tell.send(checked));
        };
        let started = std::thread::Builder::new().name("structure".to_owned()).spawn(work);
        let thread = started.map_err(|error| JournalError::NoThread { source: Arc::new(error) })?;
        Ok(Self { thread, found, interrupt })
    }

    fn leave(self) {
        self.interrupt.interrupt();
        // Its result is not needed any more.
        drop(self.thread.join());
    }

    fn finish(self, report: &mut VerifyReport, on_progress: OnProgress<'_>) -> Result<(), JournalError> {
        let progress = Progress { seq: report.head_seq, head_seq: report.head_seq };
        loop {
            match self.found.recv_timeout(PAUSE) {
                Ok(found) => {
                    found?
                        .problems
                        .into_iter()
                        .for_each(|found| report.add_of(found.concerns, found.problem));
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) if on_progress(progress) == ControlFlow::Continue(()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    report.is_partial = true;
                    self.leave();
                    return Ok(());
                }
                Err(RecvTimeoutError::Disconnected) => return self.panicked(),
            }
        }
    }

    fn panicked(self) -> Result<(), JournalError> {
        match self.thread.join() {
            Ok(()) => Ok(()),
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    }
}

/// Checks that every event the anchor names exists with the same hash.
fn check_anchor(db: &Connection, outside: &Outside<'_>, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let Some(records) = outside.records() else {
        if report.head_seq > 0 {
            report.add_of(Concern::Outside, "its anchor is missing".to_owned());
        }
        return Ok(());
    };
    if records.is_damaged() {
        report.add_of(Concern::Outside, "its anchor was changed".to_owned());
    }
    let mut find = db.prepare("SELECT hash FROM journal_events WHERE seq = ?1")?;
    let head_seq = report.head_seq;
    for anchored in records.all.iter().filter(|anchored| (1..=head_seq).contains(&anchored.seq)) {
        let found = find.query_row([to_sql(anchored.seq)], |row| digest(row, 0)).optional()?;
        if found.is_some_and(|hash| hash != anchored.hash) {
            report.add(to_sql(anchored.seq), "it is not the event that the anchor records".to_owned());
        }
    }
    if let Some(newest) = records.newest() {
        // If a damaged page ended the walk, there are events after the last one read.
        report.add_missing(newest.seq, head_seq.max(events::newest_seq(db)?));
    }
    Ok(())
}

/// Whether `error` is a damaged page, or a value that no writer stores.
fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Damage is what verification looks for: it ends the check that found it, but not the verification.
fn damage(error: rusqlite::Error, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let (concerns, problem) = match error.sqlite_error_code() {
        None if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            (Concern::Journal, "the stored tree does not cover all events".to_owned())
        }
        None => (Concern::Journal, format!("a stored value cannot be read ({error})")),
        Some(_) if is_damage(&error) => {
            let seq = report.head_seq;
            let told = format!(
                "SQLite cannot read further after seq {seq} ({error}); verify again before you restore anything"
            );
            (Concern::Structure, told)
        }
        Some(_) => return Err(error),
    };
    report.add_of(concerns, problem);
    Ok(())
}

fn check_schema(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    if let Some(problem) = open::schema_problem(db)? {
        report.add(0, problem);
    }
    Ok(())
}

/// Checks SQLite's own structure: every page, and every index against its table.
fn check_structure(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({VERIFY_PROBLEMS_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.add_of(Concern::Structure, line);
        }
    }
    Ok(())
}
