//! The errors of the replay guard, each with its remedy.

/// Why a delivery was not passed on. In each case it was not accepted and may be sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// The maximum number of leases is held.
    #[error("{leases} deliveries are already in flight; send it again later")]
    TooManyLeases {
        /// That maximum.
        leases: usize,
    },
    /// The maximum number of copies of this delivery is waiting.
    #[error("{waiters} copies of this delivery are already waiting; send it again later")]
    TooManyWaiters {
        /// That maximum.
        waiters: usize,
    },
    /// Its mailbox is full.
    #[error("too many deliveries are waiting for the replay guard; send it again later")]
    Full,
    /// The replay guard is not running at the moment.
    #[error("the replay guard is not running; send it again")]
    Stopped,
}
