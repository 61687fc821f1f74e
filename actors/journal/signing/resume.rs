//! Which log a journal that is opened goes on with: the one its newest checkpoint belongs to, if the file outside the
//! database and the signing key say so too.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoints::{self, StoredCheckpoint};
use super::sealer::{Log, Resumed, SealError, Sealed, Sealer, not_what_was_signed};
use super::signing_key::{SigningKey, SigningKeyFiles};
use super::subtrees::StoredSubtrees;
use crate::files;
use crate::journal::error::TAKE_AS_IT_IS;
use crate::journal::format::chain::ChainWalk;
use crate::journal::format::row::{Head, to_sql};
use crate::journal::opening::open;
use crate::journal::writing::writer::RandomBits;
use crate::journal::{JournalError, JournalFiles};
use crate::limits::NOTE_BYTES_MAX;
use crate::tlog::{Checkpoint, Frontier, Lineage, VerifierKey, signed_text};

/// How long the lock of the one that signs is waited for, and the pause between two tries.
pub(super) const SIGNER_WAIT: Duration = Duration::from_secs(10);
const SIGNER_PAUSE: Duration = Duration::from_millis(5);

/// A log to go on with.
struct Standing {
    log: Log,
    /// A checkpoint that was signed before a crash and not stored any more.
    unstored: Option<(Checkpoint, String)>,
}

impl Sealer {
    /// Goes on with the log of the journal, or begins one in a journal that has none. The checkpoint it gives is to be
    /// stored first.
    ///
    /// # Errors
    /// [`JournalError::Behind`], [`JournalError::Lost`] or [`JournalError::Corrupt`] when database, checkpoint file and key do
    /// not fit.
    pub(in crate::journal) fn open(
        files: &JournalFiles,
        head: Head,
        random: RandomBits,
    ) -> Result<(Self, Option<Sealed>), JournalError> {
        let lock = lock(files, SIGNER_WAIT)?;
        let db = open::for_reading(&files.database)?;
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

    /// As it is opened once the journal is: with the log of the journal or, where that is refused for a loss and the loss
    /// accepted, with another.
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

    /// Begins another log: what was signed for the one before is not all there any more. What is there has to be what
    /// was signed for it all the same.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`].
    pub(in crate::journal) fn begin_anew(
        files: &JournalFiles,
        random: RandomBits,
    ) -> Result<Self, JournalError> {
        let lock = lock(files, SIGNER_WAIT)?;
        Self::at(lock, open::for_reading(&files.database)?, files, random, None)
    }

    /// At the newest stored checkpoint.
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

/// Only one at a time signs: the lock is that of the folder of the checkpoint file. An actor that has panicked may still
/// sign for a moment.
pub(in crate::journal) fn lock(files: &JournalFiles, wait: Duration) -> Result<File, JournalError> {
    let path = files::folder_of(&files.anchor);
    let folder = File::open(path).map_err(SealError::from)?;
    let began = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) if began.elapsed() < wait => std::thread::sleep(SIGNER_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(locked(path)),
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

/// Fits the newest stored checkpoint, the file outside the database and the signing key together.
fn standing(
    db: &Connection,
    files: &JournalFiles,
    keys: &SigningKeyFiles,
    head: Head,
) -> Result<Option<Standing>, JournalError> {
    let stored = checkpoints::newest(db).map_err(SealError::from)?;
    let note = read_note(&files.checkpoint()).map_err(SealError::from)?;
    let (lineage, note) = match (stored, note) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(JournalError::lost("its checkpoint file is missing", TAKE_AS_IT_IS));
        }
        (None, Some(note)) => (first_of(&note, head)?, Some(note)),
        (Some(stored), Some(note)) => {
            (kept_lineage(db, &stored)?, Some(note).filter(|note| *note != stored.note))
        }
    };
    let (lineage, unstored) = match note {
        None => (lineage, None),
        Some(note) => follow_file(lineage, note, head)?,
    };
    let key = held_key(keys, lineage.key())?;
    Ok(Some(Standing { log: Log { lineage, key }, unstored }))
}

/// The log of a file whose first checkpoint was not stored any more.
fn first_of(note: &str, head: Head) -> Result<Lineage, JournalError> {
    let not_the_first = || {
        let reason = "it is not the first checkpoint of a log, but the database has none before it";
        behind_or_changed(note, None, head, reason)
    };
    Lineage::begin(note).ok_or_else(not_the_first)
}

fn kept_lineage(db: &Connection, newest: &StoredCheckpoint) -> Result<Lineage, JournalError> {
    let lineage = checkpoints::lineage(db, newest).map_err(SealError::from)?;
    lineage.map_err(|error| corrupt(&format!("its checkpoint {} is not valid: {error}", newest.number)))
}

/// A file that says something else than the newest stored checkpoint has to say what comes next.
fn follow_file(
    mut lineage: Lineage,
    note: String,
    head: Head,
) -> Result<(Lineage, Option<(Checkpoint, String)>), JournalError> {
    let log = lineage.key().name().to_owned();
    let followed = lineage.follow(&note);
    let checkpoint =
        followed.map_err(|error| behind_or_changed(&note, Some(&log), head, &error.to_string()))?;
    match behind(&checkpoint, head) {
        Some(behind) => Err(behind),
        None => Ok((lineage, Some((checkpoint, note)))),
    }
}

/// What to say of a checkpoint file that does not follow. One of a later epoch was signed with a key that an older database
/// does not know: it is told as what it says of itself, for the journal is refused either way.
fn behind_or_changed(note: &str, log: Option<&str>, head: Head, reason: &str) -> JournalError {
    let said = read_checkpoint(note).filter(|said| log.is_none_or(|log| log == said.origin));
    let changed = || JournalError::lost(format!("its checkpoint file was changed: {reason}"), TAKE_AS_IT_IS);
    said.and_then(|said| behind(&said, head)).unwrap_or_else(changed)
}

fn behind(checkpoint: &Checkpoint, head: Head) -> Option<JournalError> {
    let missing = checkpoint.size.checked_sub(head.seq).filter(|missing| *missing > 0)?;
    let why = "a signed checkpoint covers them";
    Some(JournalError::Behind { first_missing: head.seq + 1, missing, why })
}

fn held_key(keys: &SigningKeyFiles, expected: &VerifierKey) -> Result<SigningKey, JournalError> {
    let found = keys.find(expected).map_err(SealError::from)?;
    let what = "its signing key `journal.key` is missing or belongs to another journal";
    found.ok_or_else(|| JournalError::lost(what, "begin a new log"))
}

/// The checkpoint file; none when there is none. What is no text reads as no note.
pub(in crate::journal) fn read_note(path: &Path) -> io::Result<Option<String>> {
    match files::read_private(path, NOTE_BYTES_MAX as u64) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The checkpoint of a note, not verified.
pub(in crate::journal) fn read_checkpoint(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(signed_text(note).ok()?)
}

fn corrupt(problem: &str) -> JournalError {
    JournalError::Corrupt { seq: 0, problem: problem.to_owned() }
}
