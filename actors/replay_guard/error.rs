//! What can go wrong with a reservation, and what to do about it.

use crate::journal::JournalError;

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
    /// The journal's index could not be asked.
    #[error("the journal could not be asked whether this delivery was seen")]
    Index(#[source] JournalError),
    /// The replay guard ended before it answered.
    #[error("the replay guard stopped before it answered; send it again")]
    Stopped,
}
