//! A blocked Bloom filter over prefixes of replay keys. It has no false negatives: a key it does not contain was never
//! seen.
//!
//! The keys are SHA-256 digests, so their own bits serve as the hashes.

/// Bits of a block: one cache line.
const BLOCK_BITS: u64 = 512;
const BLOCK_WORDS: usize = 8;
/// Bits set per key. With 16 bits of filter per key, the rate of false positives is about 1 in 1,000.
const BITS_PER_KEY: u32 = 6;
/// An odd multiplier with random-looking bits (2^64 divided by the golden ratio): it mixes a prefix again to choose bits
/// within its block.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which keys may be in a group of runs.
#[derive(Debug)]
pub(super) struct KeyFilter(Vec<[u64; BLOCK_WORDS]>);

impl KeyFilter {
    /// An empty filter of about `bytes` bytes.
    pub(super) fn of_bytes(bytes: usize) -> Self {
        Self(vec![[0; BLOCK_WORDS]; (bytes / (BLOCK_WORDS * 8)).max(1)])
    }

    pub(super) fn insert(&mut self, prefix: u64) {
        let place = self.block(prefix);
        let Some(block) = self.0.get_mut(place) else { return };
        for (place, bit) in bits(prefix) {
            if let Some(word) = block.get_mut(place) {
                *word |= bit;
            }
        }
    }

    /// False only for a prefix that was never inserted.
    pub(super) fn may_contain(&self, prefix: u64) -> bool {
        let Some(block) = self.0.get(self.block(prefix)) else { return true };
        bits(prefix).all(|(word, bit)| block.get(word).is_some_and(|word| word & bit != 0))
    }

    fn block(&self, prefix: u64) -> usize {
        let scaled = (u128::from(prefix) * self.0.len() as u128) >> u64::BITS;
        usize::try_from(scaled).unwrap_or(0)
    }
}

/// The bits of a prefix within its block: index of the word, and mask.
fn bits(prefix: u64) -> impl Iterator<Item = (usize, u64)> {
    let spread = prefix.wrapping_mul(SPREAD);
    (0..BITS_PER_KEY).map(move |number| {
        let bit = (spread >> (number * 9)) % BLOCK_BITS;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;

    fn prefix(number: u64) -> u64 {
        u64::from_be_bytes(Digest::of(&number.to_be_bytes()).0[..8].try_into().unwrap())
    }

    #[test]
    fn what_was_inserted_is_always_found_and_little_else() {
        let keys = 1 << 16;
        let mut filter = KeyFilter::of_bytes(2 * keys);
        let keys = keys as u64;
        (0..keys).for_each(|number| filter.insert(prefix(number)));
        assert!((0..keys).all(|number| filter.may_contain(prefix(number))));
        let strangers = (keys..2 * keys).filter(|number| filter.may_contain(prefix(*number))).count() as u64;
        assert!(strangers * 200 < keys, "{strangers} of {keys}");
    }
}
