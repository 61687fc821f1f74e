//! The right to append the one event of a replay key.

use std::sync::{Arc, Mutex, PoisonError};

use crate::ids::Digest;
use crate::journal::KeyHolder;

/// How a lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// This row holds the key, according to the journal.
    Settled(KeyHolder),
    /// The lease was dropped unused.
    Released,
}

/// Identifies a lease: no two leases of the same key have the same ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) key: Digest,
    pub(crate) ticket: u64,
}

/// Callback that tells the replay guard, from any thread, that a lease ended.
pub(crate) type LeaseEnds = Arc<dyn Fn(Grant, LeaseEnd) + Send + Sync>;

/// Leases that ended and that the replay guard has not processed yet. Each is in it once, so their number is bounded by
/// that of the leases.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndedLeases(Arc<Mutex<Vec<(Grant, LeaseEnd)>>>);

impl EndedLeases {
    /// Adds one. Returns whether it is the first, in which case the guard has to be notified.
    pub(crate) fn add(&self, grant: Grant, end: LeaseEnd) -> bool {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((grant, end));
        ended.len() == 1
    }

    /// Takes all of them, in the order they ended.
    pub(crate) fn take(&self) -> Vec<(Grant, LeaseEnd)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to append the single event of a replay key. Copies of the delivery wait as long as it exists. Dropping it
/// frees the key, so that the provider's retry is not taken for a replay.
#[must_use = "a lease that is dropped frees its key"]
pub(crate) struct Lease {
    grant: Grant,
    /// `None` once it has ended.
    ends: Option<LeaseEnds>,
}

impl Lease {
    pub(crate) fn new(grant: Grant, ends: LeaseEnds) -> Self {
        Self { grant, ends: Some(ends) }
    }

    /// Ends it with the row that holds the key: the one appended, or the one the journal named.
    pub(crate) fn settle(mut self, holder: KeyHolder) {
        self.end(LeaseEnd::Settled(holder));
    }

    fn end(&mut self, end: LeaseEnd) {
        if let Some(ends) = self.ends.take() {
            ends(self.grant, end);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(LeaseEnd::Released);
    }
}
