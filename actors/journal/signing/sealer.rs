//! Signs checkpoints over the leaf hashes of committed events. Hashes that the writer did not hand over are recomputed
//! from the stored events, read on a connection of its own. An event that is altered after its commit is therefore
//! detected whenever it happened, because it does not match what was signed.
//!
//! The checkpoint is written to a file outside the database before it is stored in the database. So the sealer cannot be
//! made to sign a second history by restoring an old database: the file is then ahead of the database, and the log is not
//! continued.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use rusqlite::{Connection, ErrorCode};

use super::signing_key::{SigningKey, SigningKeyFiles};
use super::subtrees::is_stored;
use super::unsigned_leaves::Leaves;
use crate::clock::UnixMs;
use crate::files;
use crate::ids::{Digest, EventId};
use crate::journal::format::chain::ChainWalk;
use crate::journal::format::row::{COLUMNS, Columns, from_sql, to_sql};
use crate::journal::writing::writer::RandomBits;
use crate::journal::{JournalError, JournalFiles};
use crate::limits::{EPOCH_EVENTS, EPOCH_MS};
use crate::tlog::{Checkpoint, Frontier, KeyLine, Lineage, Subtree};

/// Rows read per batch; between two batches the write-ahead log can be copied into the database.
const BATCH_ROWS: i64 = 256;

/// A checkpoint that is signed and written to its file, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct Sealed {
    pub(in crate::journal) checkpoint: Checkpoint,
    pub(in crate::journal) note: String,
    /// The complete subtrees it adds, of the levels that are stored.
    pub(in crate::journal) subtrees: Vec<Subtree>,
}

/// The result of signing: the checkpoint, or `None` if the newest one covers everything already.
pub(in crate::journal) type SealOutcome = Result<Option<Sealed>, SealError>;

/// Why nothing was signed.
#[derive(Debug)]
pub(in crate::journal) enum SealError {
    /// Another process has locked the database; nothing was done.
    Busy,
    /// The stored events are not those that were appended, or not those that were signed before.
    Corrupt { seq: u64, problem: String },
    /// A file could not be read or written.
    Io(String),
}

impl From<rusqlite::Error> for SealError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            // A value that no writer stores has no code.
            None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { seq: 0, problem: format!("it cannot be read ({error})") }
            }
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<io::Error> for SealError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<SealError> for JournalError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Busy => Self::Busy,
            SealError::Corrupt { seq, problem } => Self::Corrupt { seq, problem },
            SealError::Io(reason) => Self::Seal { reason },
        }
    }
}

/// Signs the checkpoints of one log.
pub(in crate::journal) struct Sealer {
    db: Connection,
    checkpoint_file: PathBuf,
    keys: SigningKeyFiles,
    random: RandomBits,
    /// The tree of the newest checkpoint, and the state of the chain there.
    tree: Frontier,
    walk: ChainWalk,
    /// `None` until the first checkpoint of the log is signed.
    log: Option<Log>,
    /// Held for its whole life: if the sealer of a panicked actor is still signing, the next one waits for it.
    _lock: File,
    /// The key introduced by the newest checkpoint; it takes effect once that checkpoint is stored.
    introduced: Option<SigningKey>,
}

/// The state to resume from: the newest stored checkpoint, and the log to continue.
pub(super) struct Resumed {
    pub(super) db: Connection,
    /// Held for the sealer's whole life.
    pub(super) lock: File,
    /// The tree of the checkpoint, and the state of the chain there.
    pub(super) tree: Frontier,
    pub(super) walk: ChainWalk,
    /// `None` if another log begins.
    pub(super) log: Option<Log>,
}

/// The log that is being signed.
pub(super) struct Log {
    pub(in crate::journal) lineage: Lineage,
    pub(in crate::journal) key: SigningKey,
}

/// The tree extended by further events.
struct Grown {
    tree: Frontier,
    walk: ChainWalk,
    subtrees: Vec<Subtree>,
}

impl Sealer {
    /// Continues from that state.
    pub(super) fn resumed(files: &JournalFiles, random: RandomBits, resumed: Resumed) -> Self {
        let Resumed { db, lock, tree, walk, log } = resumed;
        let (checkpoint_file, keys) = (files.checkpoint(), SigningKeyFiles::beside(&files.database));
        Self { db, checkpoint_file, keys, random, tree, walk, log, _lock: lock, introduced: None }
    }

    /// Its connection, to read stored checkpoints.
    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    /// Number of events the newest checkpoint covers.
    pub(in crate::journal) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The epoch of the current key.
    pub(in crate::journal) fn epoch(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.lineage.epoch())
    }

    /// Whether the current key has signed [`EPOCH_EVENTS`] events, or was made [`EPOCH_MS`] or more before or after `now`.
    pub(in crate::journal) fn is_epoch_over(&self, events: u64, now: UnixMs) -> bool {
        self.log.as_ref().is_some_and(|Log { key, .. }| {
            events.saturating_sub(key.from_size) >= EPOCH_EVENTS || now.abs_diff(key.began_at) >= EPOCH_MS
        })
    }

    /// Signs a checkpoint over all events up to the last of `leaves`.
    pub(in crate::journal) fn seal(&mut self, leaves: &Leaves, now: UnixMs) -> SealOutcome {
        let events = leaves.end();
        let rotates = self.is_epoch_over(events, now);
        if events == self.size() && self.log.is_some() && !rotates {
            return Ok(None);
        }
        let grown = self.grow(leaves)?;
        let (checkpoint, note) = match self.log.take() {
            None => self.begin(&grown.tree, now)?,
            Some(log) => self.go_on(log, &grown.tree, rotates, now)?,
        };
        fail::fail_point!("journal::sign");
        files::atomic_replace(&self.checkpoint_file, note.as_bytes())?;
        Ok(Some(self.grown_to(grown, checkpoint, note)))
    }

    /// Begins a log with a new key and a name of its own.
    fn begin(&mut self, tree: &Frontier, now: UnixMs) -> Result<(Checkpoint, String), SealError> {
        let origin = format!("palyra.journal/{}", EventId::new(now, (self.random)()));
        let key = SigningKey::generate(&origin, self.random, now, tree.size());
        self.keys.prepare(&key)?;
        self.keys.promote()?;
        let root_key = KeyLine::Root(key.signer.verifier().public());
        let checkpoint =
            Checkpoint { origin, size: tree.size(), root: tree.root(), epoch: 0, key: Some(root_key) };
        let note = key.signer.sign(&checkpoint.to_string());
        let lineage = Lineage::begin(&note)
            .ok_or_else(|| SealError::Io("the new key is not a valid key".to_owned()))?;
        self.log = Some(Log { lineage, key });
        Ok((checkpoint, note))
    }

    /// Signs the next checkpoint of the log; if the epoch is over, it introduces the next key as well. By the rules of
    /// verification it has to follow from the previous checkpoint.
    fn go_on(
        &mut self,
        mut log: Log,
        tree: &Frontier,
        rotates: bool,
        now: UnixMs,
    ) -> Result<(Checkpoint, String), SealError> {
        let origin = log.lineage.key().name().to_owned();
        let next = rotates.then(|| SigningKey::generate(&origin, self.random, now, tree.size()));
        if let Some(next) = &next {
            self.keys.prepare(next)?;
        }
        let key = next.as_ref().map(|next| KeyLine::Next(next.signer.verifier().public()));
        let (size, root, epoch) = (tree.size(), tree.root(), log.lineage.epoch());
        let checkpoint = Checkpoint { origin, size, root, epoch, key };
        let note = log.key.signer.sign(&checkpoint.to_string());
        log.lineage.follow(&note).map_err(|error| SealError::Corrupt {
            seq: 0,
            problem: format!("the next checkpoint would not continue the newest one: {error}"),
        })?;
        (self.log, self.introduced) = (Some(log), next);
        Ok((checkpoint, note))
    }

    /// Takes over a checkpoint that was signed before a crash and is not stored yet.
    pub(super) fn adopt(&mut self, checkpoint: Checkpoint, note: String) -> Result<Sealed, SealError> {
        let grown = self.grow(&Leaves::forgotten(checkpoint.size))?;
        if grown.tree.root() != checkpoint.root {
            return Err(not_what_was_signed(checkpoint.size));
        }
        Ok(self.grown_to(grown, checkpoint, note))
    }

    /// Puts the key introduced by the newest checkpoint into effect, after that checkpoint was stored.
    pub(super) fn settle(&mut self) -> Result<(), SealError> {
        let Some(key) = self.introduced.take() else { return Ok(()) };
        self.keys.promote()?;
        if let Some(log) = &mut self.log {
            log.key = key;
        }
        Ok(())
    }

    fn grown_to(&mut self, grown: Grown, checkpoint: Checkpoint, note: String) -> Sealed {
        (self.tree, self.walk) = (grown.tree, grown.walk);
        Sealed { checkpoint, note, subtrees: grown.subtrees }
    }

    /// Extends the tree by the events after the newest checkpoint.
    fn grow(&self, leaves: &Leaves) -> Result<Grown, SealError> {
        let mut grown = Grown { tree: self.tree.clone(), walk: self.walk.clone(), subtrees: Vec::new() };
        while grown.tree.size() < leaves.end() {
            let before = grown.tree.size();
            match leaves.after(before) {
                Some(hashes) => grown.take_in(hashes),
                None => self.read_batch(&mut grown, leaves.forgotten_up_to())?,
            }
            if grown.tree.size() == before {
                return Err(SealError::Corrupt { seq: before + 1, problem: "missing".to_owned() });
            }
        }
        Ok(grown)
    }

    fn read_batch(&self, grown: &mut Grown, events: u64) -> Result<(), SealError> {
        let select = format!(
            "SELECT {COLUMNS} FROM journal_events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"
        );
        let mut statement = self.db.prepare_cached(&select)?;
        let mut rows = statement.query([to_sql(grown.tree.size()), to_sql(events), BATCH_ROWS])?;
        while let Some(row) = rows.next()? {
            let columns = Columns::read(row)?;
            if let Some((seq, problem)) = grown.walk.step(&columns) {
                return Err(SealError::Corrupt { seq: from_sql(seq), problem });
            }
            grown.push(columns.hash);
        }
        Ok(())
    }
}

impl Grown {
    fn push(&mut self, leaf: Digest) {
        let subtrees = &mut self.subtrees;
        self.tree.push(leaf, |full| subtrees.extend(Some(full).filter(is_stored)));
    }

    fn take_in(&mut self, leaves: &[Digest]) {
        leaves.iter().for_each(|leaf| self.push(*leaf));
        if let Some(last) = leaves.last() {
            self.walk = ChainWalk::after(to_sql(self.tree.size()), *last);
        }
    }
}

/// The error for stored events that are not those that were signed.
pub(super) fn not_what_was_signed(size: u64) -> SealError {
    let problem = format!("its first {size} events are not the ones that the checkpoint of that size covers");
    SealError::Corrupt { seq: 0, problem }
}
