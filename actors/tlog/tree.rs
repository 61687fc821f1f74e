//! The Merkle tree of RFC 6962, section 2.1, over given leaf hashes.

use sha2::{Digest as _, Sha256};

use crate::ids::Digest;

/// Domain separation of an inner node from a leaf (RFC 6962, section 2.1).
const NODE_PREFIX: u8 = 0x01;

/// The hash of an inner node.
pub(super) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update([NODE_PREFIX]);
    hash.update(left.0);
    hash.update(right.0);
    Digest(hash.finalize().into())
}

/// A complete subtree: the 2^`level` leaves from leaf `place` · 2^`level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// Its height; 0 is a leaf.
    pub level: u32,
    /// Number of subtrees of the same height to its left.
    pub place: u64,
    /// Its root.
    pub hash: Digest,
}

/// A source of the hashes of complete subtrees.
pub trait Subtrees {
    /// Why a hash is not available.
    type Error;

    /// The hash of the complete subtree of height `level` at `place`.
    ///
    /// # Errors
    /// When it cannot be read, or the tree is too small to contain it.
    fn subtree(&self, level: u32, place: u64) -> Result<Digest, Self::Error>;
}

/// The right edge of a tree, which is all that is needed to append leaves. Its memory grows with the logarithm of the
/// size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees the tree consists of, largest first: one for each bit set in `size`.
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The frontier of the first `size` leaves.
    ///
    /// # Errors
    /// Those of `subtrees`.
    pub fn load<S: Subtrees>(subtrees: &S, size: u64) -> Result<Self, S::Error> {
        let peaks = full_parts(0, size).map(|(level, place)| subtrees.subtree(level, place));
        Ok(Self { size, peaks: peaks.collect::<Result<_, _>>()? })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. `completed` is called with every complete subtree that ends with it, beginning with the leaf
    /// itself.
    pub fn push(&mut self, leaf: Digest, mut completed: impl FnMut(Subtree)) {
        let mut subtree = Subtree { level: 0, place: self.size, hash: leaf };
        completed(subtree);
        while subtree.place % 2 == 1
            && let Some(left) = self.peaks.pop()
        {
            let hash = node_hash(&left, &subtree.hash);
            subtree = Subtree { level: subtree.level + 1, place: subtree.place / 2, hash };
            completed(subtree);
        }
        self.peaks.push(subtree.hash);
        self.size += 1;
    }

    /// The root; for an empty tree, the SHA-256 of no bytes.
    pub fn root(&self) -> Digest {
        folded(self.peaks.iter().copied())
    }
}

/// The root over the leaves `start..start + len`; `start` must be a multiple of the greatest power of two not above
/// `len`.
///
/// # Errors
/// Those of `subtrees`.
pub fn range_root<S: Subtrees>(subtrees: &S, start: u64, len: u64) -> Result<Digest, S::Error> {
    let parts = full_parts(start, len).map(|(level, place)| subtrees.subtree(level, place));
    Ok(folded(parts.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

/// The complete subtrees a range consists of, largest first, as level and place.
fn full_parts(start: u64, len: u64) -> impl Iterator<Item = (u32, u64)> {
    (0..u64::BITS).rev().filter(move |level| len >> level & 1 == 1).map(move |level| {
        let before = if level + 1 < u64::BITS { len >> (level + 1) << (level + 1) } else { 0 };
        (level, (start + before) >> level)
    })
}

/// Combines peaks into one hash, from the right.
fn folded(peaks: impl DoubleEndedIterator<Item = Digest>) -> Digest {
    peaks.rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| Digest::of(&[]))
}
