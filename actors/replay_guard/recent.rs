//! The replay keys seen last, so that most copies of a delivery are answered without a look into the journal.

use std::collections::{HashMap, VecDeque};

use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::journal::KeyHolder;

/// At most `capacity` keys; the one remembered longest ago leaves first. It may forget any of them: the journal does not.
#[derive(Debug)]
pub(super) struct RecentKeys {
    holders: HashMap<Digest, KeyHolder>,
    order: VecDeque<Digest>,
    capacity: usize,
}

impl RecentKeys {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { holders: HashMap::new(), order: VecDeque::new(), capacity }
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
