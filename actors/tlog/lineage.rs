//! Which key may sign a checkpoint.
//!
//! The log begins with a root key. At the end of each epoch its key signs one last checkpoint, which introduces the
//! key of the next, and is destroyed. So a key that is stolen today signs nothing about the past: the checkpoints of an
//! epoch have sizes from the checkpoint that introduced its key up to the one that introduces the next.

use super::checkpoint::{Checkpoint, KeyLine};
use super::note::{NoteError, VerifierKey, signed_text};
use crate::ids::Digest;

/// Why a checkpoint does not belong where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// Not signed by the key of its epoch.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// Signed, but no checkpoint of ours.
    #[error("it is not a checkpoint")]
    NotACheckpoint,
    /// A checkpoint of another log.
    #[error("it is a checkpoint of another log, `{0}`")]
    OtherLog(String),
    /// Its epoch is not that of the key in force.
    #[error("it is of epoch {found}, but the current key is that of epoch {expected}")]
    OtherEpoch {
        /// Its own.
        found: u64,
        /// In force.
        expected: u64,
    },
    /// It is smaller than the one before, or says something else about the same size.
    #[error("it contradicts the checkpoint before it")]
    Contradiction,
}

/// The key in force after some checkpoints, and the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    key: VerifierKey,
    epoch: u64,
    last: Option<(u64, Digest)>,
}

impl Lineage {
    /// Trusts `key` as that of `epoch`.
    pub fn trusting(key: VerifierKey, epoch: u64) -> Self {
        Self { key, epoch, last: None }
    }

    /// Begins with a checkpoint that introduces its own key; `None` when it does not.
    pub fn begin(note: &str) -> Option<Self> {
        let checkpoint = Checkpoint::parse(signed_text(note).ok()?)?;
        let Some(KeyLine::Root(key)) = checkpoint.key else { return None };
        let mut lineage = Self::trusting(VerifierKey::new(&checkpoint.origin, key)?, 0);
        lineage.follow(note).ok()?;
        Some(lineage)
    }

    /// The key that signs next.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The epoch of that key.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the next checkpoint.
    ///
    /// # Errors
    /// [`LineageError`]; nothing changed then.
    pub fn follow(&mut self, note: &str) -> Result<Checkpoint, LineageError> {
        let checkpoint = self.read(note)?;
        if let Some(KeyLine::Next(key)) = checkpoint.key {
            self.key = VerifierKey::new(self.key.name(), key).ok_or(LineageError::NotACheckpoint)?;
            self.epoch += 1;
        }
        self.last = Some((checkpoint.size, checkpoint.root));
        Ok(checkpoint)
    }

    /// A checkpoint, if the key in force signed it.
    fn read(&self, note: &str) -> Result<Checkpoint, LineageError> {
        let text = self.key.open(note)?;
        let checkpoint = Checkpoint::parse(text).ok_or(LineageError::NotACheckpoint)?;
        if checkpoint.origin != self.key.name() {
            return Err(LineageError::OtherLog(checkpoint.origin));
        }
        if checkpoint.epoch != self.epoch {
            return Err(LineageError::OtherEpoch { found: checkpoint.epoch, expected: self.epoch });
        }
        let introduces_another =
            matches!(checkpoint.key, Some(KeyLine::Root(key)) if key != self.key.public());
        let goes_back = self.last.is_some_and(|(size, root)| {
            checkpoint.size < size || checkpoint.size == size && checkpoint.root != root
        });
        if goes_back || introduces_another { Err(LineageError::Contradiction) } else { Ok(checkpoint) }
    }
}
