//! The replay keys seen last, so that most copies of a delivery are answered without reading the journal.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::UnixMs;
use crate::ids::{Digest, Receipt};
use crate::journal::{KeyHolder, Verdict};
use crate::limits::RECENT_KEYS_MAX;

/// The keys seen last, shared by all threads. The content stays valid while the guard is restarted, because it consists
/// of answers of the journal.
#[derive(Clone)]
pub struct Seen(Arc<Mutex<RecentKeys>>);

impl Default for Seen {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(RecentKeys::with_capacity(RECENT_KEYS_MAX))))
    }
}

impl Seen {
    /// The receipt of the delivery that was accepted under `key` with the same body, if it is known and its window is open
    /// at `now`.
    pub fn accepted(&self, key: &Digest, body: &Digest, now: UnixMs) -> Option<Receipt> {
        let mut recent = self.lock();
        let holder = recent.find(key, now)?;
        let receipt =
            (holder.verdict == Verdict::Accepted && holder.body == *body).then(|| holder.receipt.clone())?;
        recent.hits_total += 1;
        Some(receipt)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RecentKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At most `capacity` keys; beyond it, the one added first is evicted. Any of them may be forgotten: the journal knows
/// them.
#[derive(Debug)]
pub(super) struct RecentKeys {
    holders: HashMap<Digest, KeyHolder>,
    order: VecDeque<Digest>,
    capacity: usize,
    /// Deliveries answered from it.
    pub(super) hits_total: u64,
}

impl RecentKeys {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { holders: HashMap::new(), order: VecDeque::new(), capacity, hits_total: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    /// The row that holds `key` at `now`.
    pub(super) fn find(&self, key: &Digest, now: UnixMs) -> Option<&KeyHolder> {
        self.holders.get(key).filter(|holder| holder.expires_at > now)
    }

    pub(super) fn remember(&mut self, key: Digest, holder: KeyHolder) {
        if self.holders.insert(key, holder).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.holders.remove(&oldest);
        }
    }
}
