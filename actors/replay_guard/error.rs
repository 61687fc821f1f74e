//! What can go wrong with a reservation, and what to do about it.

/// Why a replay key was not reserved. In each case the delivery was not accepted and may be sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// As many deliveries are in flight as may be.
    #[error("{leases} deliveries are being judged already; send it again later")]
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
    /// The replay guard ended before it answered.
    #[error("the replay guard stopped before it answered; send it again")]
    Stopped,
}
