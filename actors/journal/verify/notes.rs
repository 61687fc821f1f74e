//! Verifies the checkpoints in the order they were signed: every signature, every key, every root.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::witness::{Note, Outside};
use super::{Concern, Scope, VerifyReport};
use crate::ids::Digest;
use crate::journal::event::ROLLBACK_ACCEPTED;
use crate::journal::format::row::{from_sql, to_sql};
use crate::journal::signing::checkpoints::{self, StoredCheckpoint, kind_of};
use crate::journal::signing::resume::read_checkpoint;
use crate::tlog::{Checkpoint, Lineage, VerifierKey};

/// Checkpoints read per batch.
const BATCH: u64 = 256;

/// The state of following the checkpoints.
pub(super) struct Notes<'a> {
    db: &'a Connection,
    waiting: VecDeque<StoredCheckpoint>,
    /// Number of the last checkpoint read.
    read: u64,
    /// The newest checkpoint when the verification began.
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
}

impl<'a> Notes<'a> {
    /// The checkpoints that matter for `scope`, up to `last`; `file` is the content of the checkpoint file.
    pub(super) fn begin(
        db: &'a Connection,
        last: Option<StoredCheckpoint>,
        file: Note,
        outside: &Outside<'_>,
        scope: &Scope,
    ) -> rusqlite::Result<Self> {
        let unstored = match &file {
            Ok(Some(note)) if !is_stored(db, note, last.as_ref(), outside.may_be_behind())? => {
                as_stored(note, last.as_ref())
            }
            _ => None,
        };
        let mut notes = Self {
            db,
            waiting: VecDeque::new(),
            read: 0,
            last,
            file,
            unstored,
            lineage: None,
            public_key: scope.public_key.clone(),
            is_vouched_for: false,
            outlived_at: None,
            has_file: !outside.is_nothing(),
        };
        if scope.from > 1
            && let Some(first) = checkpoints::first_to_cover(db, scope.from)?
        {
            notes.waiting = checkpoints::introductions(db, first.number)?.into();
            notes.read = first.number.saturating_sub(1);
        }
        notes.fill()?;
        Ok(notes)
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
        while let Some(stored) = self.waiting.pop_front_if(|stored| stored.size <= size) {
            self.check(&stored, root.filter(|_| stored.size == size), report)?;
            if self.waiting.is_empty() {
                self.fill()?;
            }
        }
        Ok(())
    }

    /// Reports checkpoints that cover missing events, gaps in the table, problems of the file, and a public key that does
    /// not vouch for the newest checkpoint.
    pub(super) fn finish(&self, report: &mut VerifyReport) -> rusqlite::Result<()> {
        let sizes = self.last.iter().chain(&self.waiting).chain(&self.unstored).map(|stored| stored.size);
        report.add_missing(sizes.max().unwrap_or(0), report.head_seq);
        let counts = "SELECT count(*), coalesce(max(number), 0) FROM journal_checkpoints";
        let (found, last): (i64, i64) =
            self.db.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if found != last {
            report.add(0, format!("{found} checkpoints are stored, but the newest is number {last}"));
        }
        if let Some(problem) = self.file_problem() {
            report.add_of(Concern::Outside, problem);
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
            let may_begin = self.lineage.is_none() || self.follows_a_rollback(stored.size)?;
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

    fn follows_a_rollback(&self, size: u64) -> rusqlite::Result<bool> {
        let find = "SELECT count(*) FROM journal_events WHERE seq = ?1 AND name = ?2";
        let found: i64 = self.db.query_row(find, (to_sql(size), ROLLBACK_ACCEPTED), |row| row.get(0))?;
        Ok(from_sql(found) == 1)
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
