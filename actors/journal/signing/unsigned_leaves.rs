//! The leaf hashes of the newest events, kept until the next checkpoint so that signing need not read the events again.

use crate::ids::Digest;
use crate::limits::UNSEALED_LEAVES_MAX;

/// Leaf hashes of the newest events, up to `end`. Any of them may be missing: the journal has them too.
#[derive(Debug, Default)]
pub(in crate::journal) struct Leaves {
    /// `seq` of the last event; 0 before the first.
    end: u64,
    /// Hashes of the last events, in order.
    hashes: Vec<Digest>,
}

impl Leaves {
    /// No hashes, up to the event `end`.
    pub(in crate::journal) fn forgotten(end: u64) -> Self {
        Self { end, hashes: Vec::new() }
    }

    /// `seq` of the last event.
    pub(in crate::journal) fn end(&self) -> u64 {
        self.end
    }

    /// Adds the leaf hash of the next event.
    pub(in crate::journal) fn push(&mut self, hash: Digest) {
        if self.hashes.len() >= UNSEALED_LEAVES_MAX {
            self.hashes = Vec::new();
        }
        self.hashes.push(hash);
        self.end += 1;
    }

    /// Takes all hashes and continues with none.
    pub(in crate::journal) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::forgotten(self.end))
    }

    /// The hashes of all events after `seq`, if all of them are kept here.
    pub(in crate::journal) fn after(&self, seq: u64) -> Option<&[Digest]> {
        let wanted = usize::try_from(self.end.checked_sub(seq)?).ok()?;
        self.hashes.get(self.hashes.len().checked_sub(wanted)?..)
    }

    /// `seq` of the newest event whose hash is not kept here.
    pub(super) fn forgotten_up_to(&self) -> u64 {
        self.end.saturating_sub(self.hashes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Leaves {
        let mut leaves = Leaves::forgotten(10);
        (1..=count).for_each(|n| leaves.push(Digest::of(&n.to_be_bytes())));
        leaves
    }

    #[test]
    fn what_comes_after_a_seq_is_given_whole_or_not_at_all() {
        let mut leaves = leaves(5);
        assert_eq!((leaves.end(), leaves.forgotten_up_to()), (15, 10));
        assert_eq!(leaves.after(10).map(<[_]>::len), Some(5));
        assert_eq!(leaves.after(14), Some([Digest::of(&5_u64.to_be_bytes())].as_slice()));
        assert_eq!(leaves.after(15), Some([].as_slice()));
        assert_eq!((leaves.after(9), leaves.after(16)), (None, None));
        assert_eq!(leaves.take().after(10).map(<[_]>::len), Some(5));
        assert_eq!((leaves.end(), leaves.after(14)), (15, None));
    }

    #[test]
    fn more_than_may_be_kept_are_forgotten_but_counted() {
        let most = UNSEALED_LEAVES_MAX as u64;
        assert_eq!(leaves(most).forgotten_up_to(), 10);
        let leaves = leaves(most + 2);
        assert_eq!((leaves.end(), leaves.forgotten_up_to()), (most + 12, most + 10));
    }
}
