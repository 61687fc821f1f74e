//! Reads a journal that may be damaged, event by event and past what cannot be read.
//!
//! Each event is held against its own hash. Whether events were replaced by others with hashes of their own is for
//! [`crate::journal::verify()`] to say.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use crate::journal::error::JournalError;
use crate::journal::event::StoredEvent;
use crate::journal::format::chain::damage;
use crate::journal::format::row::{COLUMNS, Columns, from_sql, to_sql};
use crate::journal::opening::open;

/// Events in a row that may be unreadable before the rest is given up: more than one damaged page of the tree leads to.
const UNREADABLE_IN_A_ROW_MAX: u64 = 1_000_000;
/// Gaps that are listed; more are only counted.
const GAPS_LISTED_MAX: usize = 1_000;
/// The greatest seq SQLite can store.
const SEQ_MAX: u64 = i64::MAX.unsigned_abs();
/// The problem of events that are not there.
const MISSING: &str = "missing";

/// Events that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// `seq` of the first one.
    pub first: u64,
    /// `seq` of the last one; `None` if nothing more could be read.
    pub last: Option<u64>,
    /// What is wrong with them.
    pub problem: String,
}

/// What was found beside the sound events.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// Where events could not be read, in the order of `seq`; at most 1,000.
    pub gaps: Vec<Gap>,
    /// How many gaps there are.
    pub gaps_total: usize,
    /// `seq` of the newest event, 0 if there is none; `None` if the end of the table cannot be read.
    pub newest: Option<u64>,
}

/// Reads every sound event after `after` from the database at `path`, in order, until `each` breaks off. Returns what
/// could not be read before that.
///
/// # Errors
/// [`JournalError::Open`], [`JournalError::Newer`] or [`JournalError::Corrupt`] if the file as a whole cannot be read,
/// [`JournalError::Read`] if reading fails for another reason than the file or its disk.
pub fn salvage(
    path: &Path,
    after: u64,
    each: impl FnMut(StoredEvent) -> ControlFlow<()>,
) -> Result<Salvaged, JournalError> {
    let db = open::for_reading(path)?;
    let found = Salvaged { newest: newest(&db).map_err(JournalError::read)?, ..Salvaged::default() };
    let mut walk = Walk { db: &db, next: after.min(SEQ_MAX) + 1, unreadable: 0, gap: None, found };
    walk.run(each).map_err(JournalError::read)?;
    walk.end_gap();
    Ok(walk.found)
}

fn newest(db: &Connection) -> rusqlite::Result<Option<u64>> {
    let newest = "SELECT coalesce(max(seq), 0) FROM journal_events";
    match db.query_row(newest, [], |row| row.get(0)) {
        Err(error) if is_unreadable(&error) => Ok(None),
        newest => newest.map(|seq| Some(from_sql(seq))),
    }
}

struct Walk<'a> {
    db: &'a Connection,
    next: u64,
    /// How many before `next` were unreadable.
    unreadable: u64,
    /// The gap that `next` may still be a part of.
    gap: Option<Gap>,
    found: Salvaged,
}

impl Walk<'_> {
    fn run(&mut self, mut each: impl FnMut(StoredEvent) -> ControlFlow<()>) -> rusqlite::Result<()> {
        while let Some(place) = or_unreadable(self.place())? {
            match place {
                Place::Sound(event) => {
                    self.unreadable = 0;
                    self.next += 1;
                    if each(*event).is_break() {
                        return Ok(());
                    }
                }
                Place::Missing { up_to } => self.pass(up_to, MISSING.to_owned()),
                Place::Damaged(problem) => {
                    self.unreadable += 1;
                    self.pass(self.next, problem);
                }
            }
            if self.unreadable >= UNREADABLE_IN_A_ROW_MAX {
                self.give_up();
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is at `next`; `None` after the newest event.
    fn place(&self) -> rusqlite::Result<Option<Place>> {
        if self.next > SEQ_MAX {
            return Ok(None);
        }
        let select = format!("SELECT {COLUMNS} FROM journal_events WHERE seq = ?1");
        let mut statement = self.db.prepare_cached(&select)?;
        let read = |row: &rusqlite::Row<'_>| Ok(inspected(Columns::read(row)));
        if let Some(place) = statement.query_row([to_sql(self.next)], read).optional()? {
            return Ok(Some(place));
        }
        let following = "SELECT seq FROM journal_events WHERE seq > ?1 ORDER BY seq LIMIT 1";
        let mut statement = self.db.prepare_cached(following)?;
        let found: Option<i64> = statement.query_row([to_sql(self.next)], |row| row.get(0)).optional()?;
        Ok(found.map(|seq| Place::Missing { up_to: from_sql(seq) - 1 }))
    }

    /// Goes on after `last`, and notes that everything up to it has this problem.
    fn pass(&mut self, last: u64, problem: String) {
        let first = std::mem::replace(&mut self.next, last + 1);
        let continued = |gap: &&mut Gap| gap.last == Some(first - 1) && gap.problem == problem;
        match self.gap.as_mut().filter(continued) {
            Some(gap) => gap.last = Some(last),
            None => {
                self.end_gap();
                self.gap = Some(Gap { first, last: Some(last), problem });
            }
        }
    }

    fn end_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        self.found.gaps_total += 1;
        if self.found.gaps.len() < GAPS_LISTED_MAX {
            self.found.gaps.push(gap);
        }
    }

    fn give_up(&mut self) {
        if let Some(gap) = &mut self.gap {
            gap.last = None;
        }
    }
}

/// What is at one place.
enum Place {
    Sound(Box<StoredEvent>),
    Missing { up_to: u64 },
    Damaged(String),
}

fn inspected(columns: rusqlite::Result<Columns<'_>>) -> Place {
    let columns = match columns {
        Ok(columns) => columns,
        Err(error) => return Place::Damaged(format!("its columns cannot be read ({error})")),
    };
    if let Some(problem) = damage(&columns) {
        return Place::Damaged(problem);
    }
    match columns.into_event() {
        Ok(event) => Place::Sound(Box::new(event)),
        Err(column) => Place::Damaged(format!("its {column} has a value that is not allowed")),
    }
}

/// A place that SQLite cannot read because of the file or its disk is damaged; any other error ends the walk.
fn or_unreadable(place: rusqlite::Result<Option<Place>>) -> rusqlite::Result<Option<Place>> {
    match place {
        Err(error) if is_unreadable(&error) => Ok(Some(Place::Damaged(error.to_string()))),
        place => place,
    }
}

fn is_unreadable(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::SystemIoFailure | ErrorCode::NotADatabase))
}
