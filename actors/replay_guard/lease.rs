//! The right to append the one event of a replay key.

use std::sync::{Arc, Mutex, PoisonError};

use crate::ids::Digest;
use crate::journal::KeyHolder;

/// How a lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// The journal says that this row holds the key.
    Settled(KeyHolder),
    /// It was dropped unused.
    Released,
}

/// Names a lease for good: no second one of the same key has the same ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) key: Digest,
    pub(crate) ticket: u64,
}

/// Tells the replay guard, whichever thread it is called on, that a lease ended.
pub(crate) type LeaseEnds = Arc<dyn Fn(Grant, LeaseEnd) + Send + Sync>;

/// Leases that ended and that the replay guard has not heard of, each once, so at most as many as there may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndedLeases(Arc<Mutex<Vec<(Grant, LeaseEnd)>>>);

impl EndedLeases {
    /// Adds one. Whether it is the first to be heard of: then the guard has to be told that there are any.
    pub(crate) fn add(&self, grant: Grant, end: LeaseEnd) -> bool {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((grant, end));
        ended.len() == 1
    }

    /// Takes them all, in the order they ended in.
    pub(crate) fn take(&self) -> Vec<(Grant, LeaseEnd)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to append the one event of a replay key. While it lives, copies of the delivery wait. Dropped, it frees
/// the key: the provider's retry must not look like a replay.
#[must_use = "a lease that is dropped frees its key"]
pub(crate) struct Lease {
    grant: Grant,
    /// Taken when it has ended.
    ends: Option<LeaseEnds>,
}

impl Lease {
    pub(crate) fn new(grant: Grant, ends: LeaseEnds) -> Self {
        Self { grant, ends: Some(ends) }
    }

    /// Ends it with the row that holds the key now: the one appended, or the one the journal said holds it.
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
