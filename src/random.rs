//! Randomness from the operating system.

use std::cell::RefCell;

use zeroize::Zeroizing;

/// Bytes fetched at a time, so that an event id seldom waits for a system call.
const POOL_BYTES: usize = 4_096;
const TAKEN_BYTES: usize = 16;

thread_local! {
    /// Bytes that were not handed out yet; those handed out are removed.
    static POOL: RefCell<Zeroizing<Vec<u8>>> = RefCell::new(Zeroizing::new(Vec::new()));
}

/// 128 random bits; no bits are handed out twice.
///
/// If the random generator of the system fails, the process ends, because nothing can be done safely without it.
pub fn random_u128() -> u128 {
    POOL.with_borrow_mut(|pool| {
        if pool.len() < TAKEN_BYTES {
            fill(pool);
        }
        take(pool)
    })
}

fn fill(pool: &mut Vec<u8>) {
    pool.resize(POOL_BYTES, 0);
    if let Err(error) = getrandom::fill(pool) {
        tracing::error!(%error, "the operating system returned no random bytes");
        crate::logging::flush();
        std::process::abort();
    }
}

fn take(pool: &mut Vec<u8>) -> u128 {
    let rest = pool.len().saturating_sub(TAKEN_BYTES);
    let mut taken = [0; TAKEN_BYTES];
    for (to, from) in taken.iter_mut().zip(pool.iter_mut().skip(rest)) {
        *to = std::mem::take(from);
    }
    pool.truncate(rest);
    u128::from_ne_bytes(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_out_twice_or_kept() {
        let given: std::collections::HashSet<u128> = (0..10_000).map(|_| random_u128()).collect();
        assert_eq!(given.len(), 10_000);
        let mut pool = Vec::with_capacity(32);
        pool.extend([7; 32]);
        assert_eq!(take(&mut pool), u128::from_ne_bytes([7; 16]));
        pool.resize(32, 1);
        assert_eq!(pool[..16], [7; 16]);
    }
}
