//! Randomness from the operating system.

/// 128 random bits.
///
/// On a system whose generator fails there is nothing to go on with: the process ends.
pub fn random_u128() -> u128 {
    let mut bytes = [0_u8; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the operating system gives no randomness");
        std::process::abort();
    }
    u128::from_ne_bytes(bytes)
}
