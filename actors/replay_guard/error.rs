//! What can go wrong in the replay guard, and what to do about it.

/// Why a delivery was not handed on. In each case it was not accepted and may be sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// As many deliveries are in flight as may be.
    #[error("{leases} deliveries are on their way already; send it again later")]
    TooManyLeases {
        /// How many.
        leases: usize,
    },
    /// As many copies of this delivery wait as may.
    #[error("{waiters} copies of this delivery wait already; send it again later")]
    TooManyWaiters {
        /// How many.
        waiters: usize,
    },
    /// Its mailbox is full.
    #[error("more deliveries wait for the replay guard than may; send it again later")]
    Full,
    /// There is no replay guard right now.
    #[error("the replay guard is not running; send it again")]
    Stopped,
}
