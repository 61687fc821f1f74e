//! The secrets kept decrypted in memory: few, and those from outside the vault only for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reference::{Keeper, VaultRef};
use crate::clock::UnixMs;
use crate::limits::{SECRET_CACHE_ENTRIES_MAX, SECRET_CACHE_SECONDS};
use crate::secret::SecretVersions;

/// The secrets that were resolved of late, as every thread that verifies may read them.
#[derive(Clone, Default)]
pub struct SecretCache(Arc<Mutex<Cache>>);

impl SecretCache {
    /// The secret, if it is known and need not be read again at `now`.
    pub fn get(&self, vault_ref: &VaultRef, now: UnixMs) -> Option<Arc<SecretVersions>> {
        self.lock().get(vault_ref, now)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was resolved of late. When it is full, the secret used longest ago leaves.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<VaultRef, Entry>,
    /// Counts uses, to tell which was the longest ago.
    uses: u64,
    hits_total: u64,
}

struct Entry {
    versions: Arc<SecretVersions>,
    read_at: UnixMs,
    last_use: u64,
}

impl Cache {
    /// The secret, if it is known and need not be read again at `now`. One that expired is wiped.
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

    /// Keeps what was read at `now`.
    pub fn insert(&mut self, vault_ref: VaultRef, versions: Arc<SecretVersions>, now: UnixMs) {
        if self.entries.len() >= SECRET_CACHE_ENTRIES_MAX && !self.entries.contains_key(&vault_ref) {
            self.evict();
        }
        self.uses += 1;
        self.entries.insert(vault_ref, Entry { versions, read_at: now, last_use: self.uses });
    }

    /// Drops a secret; it is wiped as soon as nobody verifies with it any more.
    pub fn remove(&mut self, vault_ref: &VaultRef) {
        self.entries.remove(vault_ref);
    }

    /// Drops all of them.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How often a secret was known.
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

/// Secrets of the vault change only through it, which tells the cache. A clock that went back proves nothing about
/// how long ago a value was read, so it is read again.
fn is_fresh(keeper: Keeper, read_at: UnixMs, now: UnixMs) -> bool {
    let age_ms = now.checked_sub(read_at);
    keeper == Keeper::Vault || age_ms.is_some_and(|age_ms| age_ms < SECRET_CACHE_SECONDS * 1_000)
}
