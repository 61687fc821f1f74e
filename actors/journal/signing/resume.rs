//! Decides which log an opened journal continues: that of its newest checkpoint, provided that the checkpoint file
//! outside the database and the signing key agree with it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoints::{self, StoredCheckpoint};
use super::sealer::{Log, Resumed, SealError, Sealed, Sealer, not_what_was_signed};
use super::signing_key::{SigningKey, SigningKeyFiles};
use super::subtrees::{self, StoredSubtrees};
use crate::files;
use crate::journal::error::TAKE_AS_IT_IS;
use crate::journal::format::chain::ChainWalk;
use crate::journal::format::row::{Head, to_sql};
use crate::journal::opening::open;
use crate::journal::writing::writer::RandomBits;
use crate::journal::{JournalError, JournalFiles};
use crate::limits::NOTE_BYTES_MAX;
use crate::tlog::{Checkpoint, Frontier, Lineage, VerifierKey, signed_text};

/// How long to wait for the signing lock, and the pause between two attempts.
pub(super) const SIGNER_WAIT: Duration = Duration::from_secs(10);
const SIGNER_PAUSE: Duration = Duration::from_millis(5);

/// The alternative to putting checkpoints back: nothing is left that shows whether events were changed.
const COMPARE_FIRST: &str = "compare the journal with a backup or an export, then accept it as it is";

/// A log that can be continued.
struct Standing {
    log: Log,
    /// A checkpoint that was signed before a crash and is not stored yet.
    unstored: Option<(Checkpoint, String)>,
}

impl Sealer {
    /// Continues the log of the journal, or prepares a new one if it has none. A checkpoint that this returns has to be
    /// stored first.
    ///
    /// # Errors
    /// [`JournalError::Behind`], [`JournalError::Lost`] or [`JournalError::Corrupt`] when database, checkpoint file and
    /// key disagree.
    pub(in crate::journal) fn open(
        files: &JournalFiles,
        head: Head,
        random: RandomBits,
    ) -> Result<(Self, Option<Sealed>), JournalError> {
        let lock = lock(files, SIGNER_WAIT)?;
        let db = open::for_reading(&files.database)?;
        refuse_further_parts(&db)?;
        let keys = SigningKeyFiles::beside(&files.database);
        let standing = standing(&db, files, &keys, head)?;
        let (log, unstored) = match standing {
            Some(Standing { log, unstored }) => (Some(log), unstored),
            None => (None, None),
        };
        let mut sealer = Self::at(lock, db, files, random, log)?;
        let adopted = unstored.map(|(checkpoint, note)| sealer.adopt(checkpoint, note)).transpose()?;
        Ok((sealer, adopted))
    }

    /// What opening the journal will do for its sealer, as a trial: continue the log or, if that is refused for a loss
    /// that is accepted, begin another.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub(in crate::journal) fn try_open(
        files: &JournalFiles,
        head: Head,
        random: RandomBits,
        accept_rollback: bool,
    ) -> Result<Self, JournalError> {
        match Self::open(files, head, random) {
            Err(refusal) if accept_rollback && refusal.is_a_loss() => Self::begin_anew(files, random),
            opened => opened.map(|(sealer, _)| sealer),
        }
    }

    /// Begins another log, because what was signed for the previous one is not complete any more. The events that exist
    /// must still match what was signed.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`].
    pub(in crate::journal) fn begin_anew(
        files: &JournalFiles,
        random: RandomBits,
    ) -> Result<Self, JournalError> {
        let lock = lock(files, SIGNER_WAIT)?;
        let db = open::for_reading(&files.database)?;
        refuse_further_parts(&db)?;
        Self::at(lock, db, files, random, None)
    }

    /// The sealer in the state of the newest stored checkpoint.
    fn at(
        lock: File,
        db: Connection,
        files: &JournalFiles,
        random: RandomBits,
        log: Option<Log>,
    ) -> Result<Self, JournalError> {
        let newest = checkpoints::newest(&db).map_err(SealError::from)?;
        let size = newest.as_ref().map_or(0, |newest| newest.size);
        let tree =
            Frontier::load(&StoredSubtrees(&db), size).map_err(|error| match error.sqlite_error_code() {
                Some(_) => SealError::from(error),
                None => not_what_was_signed(size),
            })?;
        let signed_root = newest.and_then(|newest| read_checkpoint(&newest.note)).map(|newest| newest.root);
        if signed_root.is_some_and(|root| root != tree.root()) {
            return Err(not_what_was_signed(size).into());
        }
        let walk = match size {
            0 => ChainWalk::from_start(),
            _ => ChainWalk::after(to_sql(size), open::hash_of(&db, to_sql(size)).map_err(SealError::from)?),
        };
        Ok(Self::resumed(files, random, Resumed { db, lock, tree, walk, log }))
    }
}

/// Takes the signing lock, on the folder of the checkpoint file, so that only one process or actor signs at a time. An
/// actor that has panicked may hold it for a moment longer.
pub(in crate::journal) fn lock(files: &JournalFiles, wait: Duration) -> Result<File, JournalError> {
    let path = files::folder_of(&files.anchor);
    let folder = File::open(path).map_err(open::file_error(path))?;
    let began = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) if began.elapsed() < wait => {
                fail::fail_point!("journal::wait_for_signer");
                std::thread::sleep(SIGNER_PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(locked(path)),
            Err(TryLockError::Error(error)) if files::is_refusal_of_locks(&error) => {
                return Err(not_lockable(path, error));
            }
            Err(TryLockError::Error(error)) => return Err(SealError::from(error).into()),
        }
    }
}

fn locked(path: &Path) -> JournalError {
    JournalError::Open {
        path: path.to_owned(),
        problem: "another process has locked this folder, which holds the journal's signing records",
        hint: "stop that process (`lslocks` names it); two state roots cannot share an `anchor_dir`",
        source: None,
    }
}

fn not_lockable(path: &Path, error: io::Error) -> JournalError {
    JournalError::Open {
        path: path.to_owned(),
        problem: "its file system cannot lock this folder, as signing requires",
        hint: "move the folder to a local disk and name it as `anchor_dir`",
        source: Some(Arc::new(error)),
    }
}

/// The next checkpoint could not be stored over a part of the tree that is stored already.
fn refuse_further_parts(db: &Connection) -> Result<(), JournalError> {
    let newest = checkpoints::newest(db).map_err(SealError::from)?;
    if subtrees::any_beyond(db, newest.map_or(0, |newest| newest.size)).map_err(SealError::from)? {
        return Err(corrupt("its tree has more parts than its newest checkpoint covers"));
    }
    Ok(())
}

/// Checks that the newest stored checkpoint, the file outside the database and the signing key agree.
fn standing(
    db: &Connection,
    files: &JournalFiles,
    keys: &SigningKeyFiles,
    head: Head,
) -> Result<Option<Standing>, JournalError> {
    let stored = checkpoints::newest(db).map_err(SealError::from)?;
    let path = files.checkpoint();
    let note = read_note(&path).map_err(open::file_error(&path))?;
    let (lineage, note) = match (stored, note) {
        (None, None) if head.seq == 0 => return Ok(None),
        (None, None) => {
            let what = "its checkpoints and its checkpoint file are missing";
            return Err(JournalError::lost(what, COMPARE_FIRST));
        }
        (Some(_), None) => {
            return Err(JournalError::lost("its checkpoint file is missing", TAKE_AS_IT_IS));
        }
        (None, Some(note)) => (first_of(db, &note, head)?, Some(note)),
        (Some(stored), Some(note)) if note == stored.note => (kept_lineage(db, &stored)?, None),
        (Some(stored), Some(note)) => {
            let next = begun(&note, head, checkpoints::accepts_a_loss(db, head.seq));
            (next?.map_or_else(|| kept_lineage(db, &stored), Ok)?, Some(note))
        }
    };
    let (lineage, unstored) = match note {
        None => (lineage, None),
        Some(note) => follow_file(lineage, note, head)?,
    };
    let key = held_key(keys, lineage.key())?;
    Ok(Some(Standing { log: Log { lineage, key }, unstored }))
}

/// The log that a checkpoint file begins, whose first checkpoint was signed but not stored. A log begins over all events there
/// are, if it `may_begin` there.
fn begun(note: &str, head: Head, may_begin: rusqlite::Result<bool>) -> Result<Option<Lineage>, JournalError> {
    let covers_all = read_checkpoint(note).is_some_and(|first| first.size == head.seq);
    let may_begin = may_begin.map_err(SealError::from)?;
    Ok(Lineage::begin(note).filter(|_| covers_all && may_begin))
}

/// The first log of the journal, whose first checkpoint was signed but not stored.
fn first_of(db: &Connection, note: &str, head: Head) -> Result<Lineage, JournalError> {
    if let Some(lineage) = begun(note, head, checkpoints::may_begin_at(db, head.seq))? {
        return Ok(lineage);
    }
    let what = "its checkpoints are missing, or its checkpoint file is that of another log";
    Err(behind(note, None, head).unwrap_or_else(|| JournalError::lost(what, COMPARE_FIRST)))
}

fn kept_lineage(db: &Connection, newest: &StoredCheckpoint) -> Result<Lineage, JournalError> {
    let lineage = checkpoints::lineage(db, newest).map_err(SealError::from)?;
    lineage.map_err(|error| corrupt(&format!("its checkpoint {} is not valid: {error}", newest.number)))
}

/// If the file differs from the newest stored checkpoint, it has to hold the next one.
fn follow_file(
    mut lineage: Lineage,
    note: String,
    head: Head,
) -> Result<(Lineage, Option<(Checkpoint, String)>), JournalError> {
    let log = lineage.key().name().to_owned();
    let followed = lineage.follow(&note);
    let changed =
        |error| JournalError::lost(format!("its checkpoint file was changed: {error}"), TAKE_AS_IT_IS);
    let checkpoint =
        followed.map_err(|error| behind(&note, Some(&log), head).unwrap_or_else(|| changed(error)))?;
    match missing_of(&checkpoint, head) {
        Some(behind) => Err(behind),
        None => Ok((lineage, Some((checkpoint, note)))),
    }
}

/// The error for a checkpoint file that does not continue the stored checkpoints, if it covers events that are missing. A
/// file of a later epoch was signed with a key that an older database does not know. The missing events are then computed
/// from its unverified content, which is safe because the journal is refused either way.
fn behind(note: &str, log: Option<&str>, head: Head) -> Option<JournalError> {
    let said = read_checkpoint(note).filter(|said| log.is_none_or(|log| log == said.origin));
    missing_of(&said?, head)
}

fn missing_of(checkpoint: &Checkpoint, head: Head) -> Option<JournalError> {
    let missing = checkpoint.size.checked_sub(head.seq).filter(|missing| *missing > 0)?;
    let why = "a signed checkpoint covers them";
    Some(JournalError::Behind { first_missing: head.seq + 1, missing, why })
}

fn held_key(keys: &SigningKeyFiles, expected: &VerifierKey) -> Result<SigningKey, JournalError> {
    let found = keys.find(expected).map_err(open::file_error(keys.current()))?;
    let what = "its signing key `journal.key` is missing or belongs to another journal";
    found.ok_or_else(|| JournalError::lost(what, "begin a new log"))
}

/// The content of the checkpoint file; `None` if there is none. Content that is not text is read as an invalid note.
pub(in crate::journal) fn read_note(path: &Path) -> io::Result<Option<String>> {
    match files::read_private(path, NOTE_BYTES_MAX as u64) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The checkpoint of a note, without verifying its signature.
pub(in crate::journal) fn read_checkpoint(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(signed_text(note).ok()?)
}

fn corrupt(problem: &str) -> JournalError {
    JournalError::Corrupt { seq: 0, problem: problem.to_owned() }
}
