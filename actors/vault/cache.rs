//! The cache of decrypted secrets. Its size is bounded, and secrets from outside the vault expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reference::{Keeper, VaultRef};
use crate::clock::UnixMs;
use crate::limits::{SECRET_CACHE_ENTRIES_MAX, SECRET_CACHE_SECONDS};
use crate::secret::SecretVersions;

/// The cache of resolved secrets, shared by all threads that verify deliveries.
#[derive(Clone, Default)]
pub struct SecretCache(Arc<Mutex<Cache>>);

impl SecretCache {
    /// The secret, if it is cached and still fresh at `now`.
    pub fn get(&self, vault_ref: &VaultRef, now: UnixMs) -> Option<Arc<SecretVersions>> {
        self.lock().get(vault_ref, now)
    }

    /// As [`SecretCache::get`], but it counts as no use.
    pub fn peek(&self, vault_ref: &VaultRef, now: UnixMs) -> Option<Arc<SecretVersions>> {
        let cache = self.lock();
        let entry = cache.entries.get(vault_ref)?;
        is_fresh(vault_ref.keeper(), entry.read_at, now).then(|| Arc::clone(&entry.versions))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cached secrets. When it is full, the least recently used is evicted.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<VaultRef, Entry>,
    /// Counts uses, to find the least recently used entry.
    uses: u64,
    hits_total: u64,
}

struct Entry {
    versions: Arc<SecretVersions>,
    read_at: UnixMs,
    last_use: u64,
}

impl Cache {
    /// The secret, if it is cached and still fresh at `now`. An expired one is wiped.
    pub fn get(&mut self, vault_ref: &VaultRef, now: UnixMs) -> Option<Arc<SecretVersions>> {
        let entry = self.entries.get_mut(vault_ref)?;
        if !is_fresh(vault_ref.keeper(), entry.read_at, now) {
            self.entries.remove(vault_ref);
            return None;
        }
        self.uses += 1;
        self.hits_total += 1;
        entry.last_use = self.uses;
        Some(Arc::clone(&entry.versions))
    }

    /// Caches what was read at `now`.
    pub fn insert(&mut self, vault_ref: VaultRef, versions: Arc<SecretVersions>, now: UnixMs) {
        if self.entries.len() >= SECRET_CACHE_ENTRIES_MAX && !self.entries.contains_key(&vault_ref) {
            self.evict();
        }
        self.uses += 1;
        self.entries.insert(vault_ref, Entry { versions, read_at: now, last_use: self.uses });
    }

    /// Removes a secret. It is wiped when no thread verifies with it any more.
    pub fn remove(&mut self, vault_ref: &VaultRef) {
        self.entries.remove(vault_ref);
    }

    /// Removes all secrets.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Number of cached secrets.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of cache hits.
    pub fn hits_total(&self) -> u64 {
        self.hits_total
    }

    fn evict(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use);
        if let Some(vault_ref) = oldest.map(|(vault_ref, _)| vault_ref.clone()) {
            self.entries.remove(&vault_ref);
        }
    }
}

/// Whether a value read at `read_at` is still fresh. Secrets in the vault change only through the resolver, which
/// invalidates the cache. If the clock went back, the age of a value is unknown, so it is read again.
fn is_fresh(keeper: Keeper, read_at: UnixMs, now: UnixMs) -> bool {
    let age_ms = now.checked_sub(read_at);
    keeper == Keeper::Vault || age_ms.is_some_and(|age_ms| age_ms < SECRET_CACHE_SECONDS * 1_000)
}
