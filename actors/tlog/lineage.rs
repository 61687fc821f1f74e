//! Which key may sign which checkpoint.
//!
//! The log begins with a root key. At the end of each epoch its key signs a last checkpoint, which introduces the key of
//! the next epoch, and is destroyed. So a key that is stolen later cannot sign anything about the past: the checkpoints
//! of an epoch have sizes from that of the checkpoint that introduced its key to that of the one that introduces the
//! next.

use super::checkpoint::{Checkpoint, KeyLine};
use super::note::{NoteError, VerifierKey, signed_text};
use crate::ids::Digest;

/// Why a checkpoint does not continue the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// It is not signed by the key of its epoch.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// It is signed, but is not a checkpoint of palyra.
    #[error("it is not a checkpoint")]
    NotACheckpoint,
    /// It belongs to another log.
    #[error("it is a checkpoint of another log, `{0}`")]
    OtherLog(String),
    /// Its epoch is not that of the current key.
    #[error("it is of epoch {found}, but the current key is that of epoch {expected}")]
    OtherEpoch {
        /// Its epoch.
        found: u64,
        /// The current epoch.
        expected: u64,
    },
    /// It covers fewer events than the previous checkpoint, or has another root for the same size.
    #[error("it contradicts the checkpoint before it")]
    Contradiction,
}

/// The current key after a sequence of checkpoints, and the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    key: VerifierKey,
    epoch: u64,
    last: Option<(u64, Digest)>,
}

impl Lineage {
    /// Starts by trusting `key` as the key of `epoch`.
    pub fn trusting(key: VerifierKey, epoch: u64) -> Self {
        Self { key, epoch, last: None }
    }

    /// Starts with a checkpoint that introduces its own key; `None` if it does not.
    pub fn begin(note: &str) -> Option<Self> {
        let checkpoint = Checkpoint::parse(signed_text(note).ok()?)?;
        let Some(KeyLine::Root(key)) = checkpoint.key else { return None };
        let mut lineage = Self::trusting(VerifierKey::new(&checkpoint.origin, key)?, 0);
        lineage.follow(note).ok()?;
        Some(lineage)
    }

    /// The key that must sign the next checkpoint.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The epoch of that key.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Verifies and adopts the next checkpoint.
    ///
    /// # Errors
    /// Why it does not continue the log; nothing is changed then.
    pub fn follow(&mut self, note: &str) -> Result<Checkpoint, LineageError> {
        let checkpoint = self.read(note)?;
        if let Some(KeyLine::Next(key)) = checkpoint.key {
            self.key = VerifierKey::new(self.key.name(), key).ok_or(LineageError::NotACheckpoint)?;
            self.epoch += 1;
        }
        self.last = Some((checkpoint.size, checkpoint.root));
        Ok(checkpoint)
    }

    /// Parses a checkpoint and verifies that the current key signed it.
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
