//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): the signed statements about the log.
//!
//! Two extension lines are specific to palyra: `epoch <n>`, and, on checkpoints that introduce a key, `root-key <base64>`
//! (the first key of the log) or `next-key <base64>` (the key of the epoch after this checkpoint).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ids::Digest;

/// The statement "the log `origin` had the root `root` at `size`", as it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log; it is unique.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Merkle root over them.
    pub root: Digest,
    /// Epoch of the key that signs it, from 0.
    pub epoch: u64,
    /// The key it introduces, if any.
    pub key: Option<KeyLine>,
}

/// A key that a checkpoint introduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLine {
    /// The first key of the log, which signs this checkpoint itself.
    Root([u8; 32]),
    /// The key of the next epoch.
    Next([u8; 32]),
}

impl Checkpoint {
    /// Parses the text of a note; `None` if it is not exactly the form [`Checkpoint`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = Digest(decode_key(lines.next()?)?);
        let epoch = lines.next()?.strip_prefix("epoch ")?.parse().ok()?;
        let key = lines.next().map(|line| KeyLine::parse(line).ok_or(())).transpose().ok()?;
        let checkpoint = Self { origin, size, root, epoch, key };
        (checkpoint.to_string() == text).then_some(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, size, root, epoch, key } = self;
        write!(f, "{origin}\n{size}\n{}\nepoch {epoch}\n", STANDARD.encode(root.0))?;
        match key {
            None => Ok(()),
            Some(KeyLine::Root(key)) => writeln!(f, "root-key {}", STANDARD.encode(key)),
            Some(KeyLine::Next(key)) => writeln!(f, "next-key {}", STANDARD.encode(key)),
        }
    }
}

impl KeyLine {
    fn parse(line: &str) -> Option<Self> {
        let (kind, key) = line.split_once(' ')?;
        match kind {
            "root-key" => decode_key(key).map(Self::Root),
            "next-key" => decode_key(key).map(Self::Next),
            _ => None,
        }
    }
}

fn decode_key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
