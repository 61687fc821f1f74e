//! Verifies the checkpoints in the order they were signed: every signature, every key, every root.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::witness::{Note, Outside};
use super::{Concern, Scope, VerifyReport, events, is_damage};
use crate::ids::Digest;
use crate::journal::JournalError;
use crate::journal::format::row::to_sql;
use crate::journal::signing::checkpoints::{self, StoredCheckpoint, kind_of};
use crate::journal::signing::resume::read_checkpoint;
use crate::tlog::{Checkpoint, Lineage, VerifierKey};

/// Checkpoints read per batch.
const BATCH: u64 = 256;
/// How often the newest checkpoint and the file are read until they are found at one moment.
const READINGS_MAX: usize = 5;

/// The state of following the checkpoints.
pub(super) struct Notes<'a> {
    db: &'a Connection,
    waiting: VecDeque<StoredCheckpoint>,
    /// Number of the last checkpoint read.
    read: u64,
    /// The newest checkpoint when the verification began; the newest readable one if that cannot be read.
    last: Option<StoredCheckpoint>,
    /// The content of the file outside the database, or why it cannot be read.
    file: Result<Option<String>, String>,
    /// The checkpoint of that file, if it is not in the table yet.
    unstored: Option<StoredCheckpoint>,
    lineage: Option<Lineage>,
    public_key: Option<VerifierKey>,
    is_vouched_for: bool,
    /// Number of events at which another log replaced the one the public key vouches for.
    outlived_at: Option<u64>,
    /// Whether the file has to exist.
    has_file: bool,
    /// Whether the table could be read so far.
    are_readable: bool,
}

impl<'a> Notes<'a> {
    /// The checkpoints that matter for `scope`, up to the newest one. If they cannot be read, that is reported, and there
    /// are none.
    pub(super) fn begin(
        db: &'a Connection,
        outside: &Outside<'_>,
        scope: &Scope,
        report: &mut VerifyReport,
    ) -> Result<Self, JournalError> {
        let (last, file) = read_together(|| checkpoints::newest(db), || outside.note())?;
        let (last, newest) = match last {
            Ok(last) => (last, Ok(())),
            Err(error) => (checkpoints::newest_readable(db), Err(error)),
        };
        let mut notes = Self {
            db,
            waiting: VecDeque::new(),
            read: 0,
            last,
            file,
            unstored: None,
            lineage: None,
            public_key: scope.public_key.clone(),
            is_vouched_for: false,
            outlived_at: None,
            has_file: !outside.is_nothing(),
            are_readable: true,
        };
        let begun = newest.and_then(|()| notes.begin_reading(outside, scope));
        notes.go_on_without(begun, report).map_err(JournalError::read)?;
        Ok(notes)
    }

    fn begin_reading(&mut self, outside: &Outside<'_>, scope: &Scope) -> rusqlite::Result<()> {
        if let Ok(Some(note)) = &self.file
            && !is_stored(self.db, note, self.last.as_ref(), outside.may_be_behind())?
        {
            self.unstored = as_stored(note, self.last.as_ref());
        }
        if scope.from > 1
            && let Some(first) = checkpoints::first_to_cover(self.db, scope.from)?
        {
            self.waiting = checkpoints::introductions(self.db, first.number)?.into();
            self.read = first.number.saturating_sub(1);
        }
        self.fill()
    }

    /// If `read` found damage in the table, reports it and follows the checkpoints no further. Events, indexes, structure
    /// and anchor can be verified without them.
    fn go_on_without(
        &mut self,
        read: rusqlite::Result<()>,
        report: &mut VerifyReport,
    ) -> rusqlite::Result<()> {
        match read {
            Err(error) if is_damage(&error) => {
                let problem = "not all stored checkpoints can be verified";
                report.add(0, format!("{problem} ({error}); verify again before you restore anything"));
                self.waiting.clear();
                self.are_readable = false;
                Ok(())
            }
            read => read,
        }
    }

    /// Whether the table of checkpoints could be read so far.
    pub(super) fn are_readable(&self) -> bool {
        self.are_readable
    }

    /// Number of events the newest checkpoint covers.
    pub(super) fn covered(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.size)
    }

    /// The size of the next checkpoint.
    pub(super) fn next_size(&self) -> Option<u64> {
        self.waiting.front().map(|stored| stored.size)
    }

    /// Verifies every checkpoint of at most `size` events; those of exactly `size` events must have the root `root`.
    pub(super) fn check_up_to(
        &mut self,
        size: u64,
        root: Option<Digest>,
        report: &mut VerifyReport,
    ) -> rusqlite::Result<()> {
        let checked = self.check_waiting(size, root, report);
        self.go_on_without(checked, report)
    }

    fn check_waiting(
        &mut self,
        size: u64,
        root: Option<Digest>,
        report: &mut VerifyReport,
    ) -> rusqlite::Result<()> {
        while let Some(stored) = self.waiting.pop_front_if(|stored| stored.size <= size) {
            self.check(&stored, root.filter(|_| stored.size == size), report)?;
            if self.waiting.is_empty() {
                self.fill()?;
            }
        }
        Ok(())
    }

    /// Reports checkpoints that cover missing events, problems of the file and, if the table can be read, gaps in it and
    /// a public key that does not vouch for the newest checkpoint.
    pub(super) fn finish(&mut self, report: &mut VerifyReport) -> rusqlite::Result<()> {
        let in_file = self.file.as_ref().ok().and_then(Option::as_deref).and_then(read_checkpoint);
        // One that waits still covers more events than there are, so it was not checked.
        let sizes = self.last.iter().chain(&self.waiting).chain(&self.unstored).map(|stored| stored.size);
        let covered = sizes.chain(in_file.map(|in_file| in_file.size)).max().unwrap_or(0);
        report.add_missing(covered, report.head_seq);
        self.compare_with_newest(report)?;
        if let Some(problem) = self.file_problem() {
            report.add_of(Concern::Outside, problem);
        }
        let finished = if self.are_readable { self.finish_table(report) } else { Ok(()) };
        self.go_on_without(finished, report)
    }

    /// Events that are lost without the checkpoints that cover them are no loss that could be accepted.
    fn compare_with_newest(&self, report: &mut VerifyReport) -> rusqlite::Result<()> {
        let newest = report.head_seq.max(events::newest_seq(self.db)?);
        if let Some(last) = self.last.as_ref().filter(|last| last.size > newest) {
            report.add(to_sql(newest + 1), checkpoints::ahead(last.size, newest));
        }
        Ok(())
    }

    fn finish_table(&self, report: &mut VerifyReport) -> rusqlite::Result<()> {
        let counts = "SELECT count(*), coalesce(max(number), 0) FROM journal_checkpoints";
        let (found, last): (i64, i64) =
            self.db.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if found != last {
            report.add(0, format!("{found} checkpoints are stored, but the newest is number {last}"));
        }
        // One that is signed and not stored yet was verified too.
        if found == 0 && report.checkpoints == 0 && report.head_seq > 0 {
            let removed = "it has events, but no checkpoint: its checkpoints were removed";
            report.add_of(Concern::Unsigned, removed.to_owned());
        }
        if let Some(key) = &self.public_key
            && !self.is_vouched_for
        {
            report.add_of(Concern::PublicKey, self.not_vouched_for(key));
        }
        Ok(())
    }

    fn not_vouched_for(&self, key: &VerifierKey) -> String {
        match self.outlived_at {
            Some(events) => format!(
                "another log began after {events} events, and the public key is that of the earlier log: {key}"
            ),
            None => format!("its checkpoints were not signed with the public key {key}"),
        }
    }

    fn fill(&mut self) -> rusqlite::Result<()> {
        let last = self.last.as_ref().map_or(0, |last| last.number);
        let more = checkpoints::between(self.db, self.read, last, BATCH)?;
        self.read = more.last().map_or(self.read, |stored| stored.number);
        self.waiting.extend(more);
        if self.waiting.is_empty() {
            self.waiting.extend(self.unstored.take());
        }
        Ok(())
    }

    fn check(
        &mut self,
        stored: &StoredCheckpoint,
        root: Option<Digest>,
        report: &mut VerifyReport,
    ) -> rusqlite::Result<()> {
        let (number, seq) = (stored.number, to_sql(stored.size));
        let checkpoint = match self.follow(stored)? {
            Ok(checkpoint) => checkpoint,
            Err(problem) => {
                report.add(seq, format!("checkpoint {number} is not valid: {problem}"));
                return Ok(());
            }
        };
        report.checkpoints += 1;
        report.checkpoint_size = report.checkpoint_size.max(checkpoint.size);
        if (checkpoint.size, kind_of(&checkpoint)) != (stored.size, stored.kind.as_str()) {
            report.add(seq, format!("checkpoint {number} is stored with a wrong kind or size"));
        }
        if root.is_some_and(|root| root != checkpoint.root) {
            report
                .add(seq, format!("the events up to here are not the ones that checkpoint {number} covers"));
        }
        Ok(())
    }

    /// Verifies the next checkpoint, and adopts the key it introduces.
    fn follow(&mut self, stored: &StoredCheckpoint) -> rusqlite::Result<Result<Checkpoint, String>> {
        if stored.kind == "root" {
            let may_begin = match self.lineage {
                None => checkpoints::may_begin_at(self.db, stored.size)?,
                Some(_) => checkpoints::accepts_a_loss(self.db, stored.size)?,
            };
            self.lineage = Lineage::begin(&stored.note);
            if std::mem::take(&mut self.is_vouched_for) {
                self.outlived_at = Some(stored.size);
            }
            if !may_begin {
                return Ok(Err("it begins another log, although no loss was accepted".to_owned()));
            }
        }
        let Some(lineage) = &mut self.lineage else { return Ok(Err("no log has begun".to_owned())) };
        self.is_vouched_for |= self.public_key.as_ref() == Some(lineage.key());
        let followed = lineage.follow(&stored.note).map_err(|error| error.to_string());
        self.is_vouched_for |= self.public_key.as_ref() == Some(lineage.key());
        Ok(followed)
    }

    /// Once there is a checkpoint, the file has to exist and hold a checkpoint.
    fn file_problem(&self) -> Option<String> {
        match &self.file {
            Err(error) => Some(format!("its checkpoint file cannot be read: {error}")),
            Ok(None) if self.last.is_some() && self.has_file => {
                Some("its checkpoint file is missing".to_owned())
            }
            Ok(Some(note)) if read_checkpoint(note).is_none() => {
                Some("its checkpoint file was changed".to_owned())
            }
            Ok(_) => None,
        }
    }
}

/// Reads the newest stored checkpoint and then the file. If a daemon stores another one meanwhile, both are read again, a
/// few times: as long as the newest one is the same before and after, the file is at most one checkpoint ahead of it.
fn read_together(
    mut newest: impl FnMut() -> rusqlite::Result<Option<StoredCheckpoint>>,
    mut note: impl FnMut() -> Result<Note, JournalError>,
) -> Result<(rusqlite::Result<Option<StoredCheckpoint>>, Note), JournalError> {
    let mut last = newest();
    for _ in 1..READINGS_MAX {
        let (file, still) = (note()?, newest());
        if still == last {
            return Ok((last, file));
        }
        last = still;
    }
    Ok((last, note()?))
}

/// Whether the table contains the checkpoint of the file: as its last one, or anywhere if the file `may_be_behind`.
fn is_stored(
    db: &Connection,
    note: &str,
    last: Option<&StoredCheckpoint>,
    may_be_behind: bool,
) -> rusqlite::Result<bool> {
    if last.is_some_and(|last| last.note == note) {
        return Ok(true);
    }
    let Some(checkpoint) = read_checkpoint(note).filter(|_| may_be_behind) else { return Ok(false) };
    checkpoints::is_stored(db, checkpoint.size, note)
}

/// The checkpoint after the last stored one, in the form in which it will be stored.
fn as_stored(note: &str, last: Option<&StoredCheckpoint>) -> Option<StoredCheckpoint> {
    let checkpoint = read_checkpoint(note)?;
    let number = last.map_or(0, |last| last.number) + 1;
    Some(StoredCheckpoint {
        number,
        size: checkpoint.size,
        kind: kind_of(&checkpoint).to_owned(),
        note: note.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(number: u64) -> StoredCheckpoint {
        StoredCheckpoint { number, size: number, kind: "plain".to_owned(), note: number.to_string() }
    }

    /// What is read of a table whose newest checkpoint and of a file whose checkpoint have these numbers, one reading
    /// after another.
    fn read(newest: &[u64], file: &[u64]) -> (u64, String) {
        let (mut newest, mut file) = (newest.iter(), file.iter());
        let (last, note) = read_together(
            || Ok(Some(stored(*newest.next().unwrap()))),
            || Ok(Ok(Some(file.next().unwrap().to_string()))),
        )
        .unwrap();
        assert_eq!((newest.next(), file.next()), (None, None), "no more is read than that");
        (last.unwrap().unwrap().number, note.unwrap().unwrap())
    }

    #[test]
    fn a_file_that_is_further_ahead_than_the_table_when_it_was_read_is_read_again_with_it() {
        assert_eq!(read(&[7, 7], &[7]), (7, "7".to_owned()));
        assert_eq!(read(&[7, 7], &[8]), (7, "8".to_owned()), "signed and not stored yet");
        assert_eq!(read(&[7, 8, 8], &[9, 9]), (8, "9".to_owned()));
        assert_eq!(read(&[7, 9, 10, 10], &[9, 11, 10]), (10, "10".to_owned()));
        assert_eq!(read(&[1, 2, 3, 4, 5], &[2, 3, 4, 5, 6]), (5, "6".to_owned()), "not without end");
    }

    #[test]
    fn a_table_that_cannot_be_read_is_not_read_again_and_the_file_is_kept() {
        let mut readings = 0;
        let newest = || {
            readings += 1;
            Err(rusqlite::Error::QueryReturnedNoRows)
        };
        let (last, note) = read_together(newest, || Ok(Ok(Some("note".to_owned())))).unwrap();
        assert_eq!((last.is_err(), note, readings), (true, Ok(Some("note".to_owned())), 2));
    }
}
