//! What can go wrong in the replay guard, and what to do about it.

/// Why a delivery was not handed on. In each case it was not accepted and may be sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// As many deliveries are in flight as may be.
    #[error("{leases} deliveries are already in flight; send it again later")]
    TooManyLeases {
        /// How many.
        leases: usize,
    },
    /// As many copies of this delivery wait as may.
    #[error("{waiters} copies of this delivery are already waiting; send it again later")]
    TooManyWaiters {
        /// How many.
        waiters: usize,
    },
    /// Its mailbox is full.
    #[error("too many deliveries are waiting for the replay guard; send it again later")]
    Full,
    /// There is no replay guard right now.
    #[error("the replay guard is not running; send it again")]
    Stopped,
}
