//! Reproducible randomness: the same seed gives the same numbers.

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>, public domain): good enough to choose test cases with.
pub struct Dice(u64);

impl Dice {
    /// Seeded by `PALYRA_TEST_SEED`, or with 1; the seed is printed, so that a failure can be reproduced.
    pub fn new() -> Self {
        let seed = std::env::var("PALYRA_TEST_SEED").ok().map_or(1, |seed| seed.parse().unwrap());
        println!("PALYRA_TEST_SEED={seed}");
        Self::seeded(seed)
    }

    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}
