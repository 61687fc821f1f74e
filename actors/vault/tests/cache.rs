use super::super::cache::Cache;
use super::*;
use crate::limits::{SECRET_CACHE_ENTRIES_MAX, SECRET_CACHE_SECONDS};
use crate::secret::SecretVersion;

const TTL_MS: u64 = SECRET_CACHE_SECONDS * 1_000;

fn versions(value: &str) -> Arc<SecretVersions> {
    let only = SecretVersion { version: 1, secret: secret(value) };
    Arc::new(SecretVersions::new(vec![only]).unwrap())
}

#[test]
fn what_is_kept_outside_is_fresh_for_its_time_and_wiped_after_it() {
    // (keeper, age in ms, still served)
    let table = [
        ("env:X", 0, true),
        ("env:X", TTL_MS - 1, true),
        ("env:X", TTL_MS, false),
        ("file:/x", TTL_MS - 1, true),
        ("file:/x", TTL_MS, false),
        ("global/x", 1_000 * TTL_MS, true),
    ];
    for (name, age_ms, served) in table {
        let mut cache = Cache::default();
        cache.insert(vault_ref(name), versions("v"), 5_000);
        assert_eq!(cache.get(&vault_ref(name), 5_000 + age_ms).is_some(), served, "{name} after {age_ms} ms");
        assert_eq!(cache.len(), usize::from(served));
    }
}

#[test]
fn a_clock_that_goes_back_ends_what_is_kept_outside() {
    let mut cache = Cache::default();
    cache.insert(vault_ref("env:X"), versions("v"), 5_000);
    cache.insert(vault_ref("global/x"), versions("v"), 5_000);
    assert!(cache.get(&vault_ref("env:X"), 4_999).is_none());
    assert!(cache.get(&vault_ref("global/x"), 4_999).is_some());
}

#[test]
fn a_full_cache_drops_the_secret_used_longest_ago() {
    let mut cache = Cache::default();
    let name = |index: usize| vault_ref(&format!("global/{index}"));
    for index in 0..SECRET_CACHE_ENTRIES_MAX {
        cache.insert(name(index), versions("v"), 0);
    }
    assert!(cache.get(&name(0), 0).is_some());
    cache.insert(name(2), versions("again"), 0);
    assert_eq!(cache.len(), SECRET_CACHE_ENTRIES_MAX);
    cache.insert(name(SECRET_CACHE_ENTRIES_MAX), versions("v"), 0);
    assert_eq!(cache.len(), SECRET_CACHE_ENTRIES_MAX);
    assert!(cache.get(&name(1), 0).is_none());
    for kept in [0, 2, 3, SECRET_CACHE_ENTRIES_MAX] {
        assert!(cache.get(&name(kept), 0).is_some(), "{kept}");
    }
}

#[test]
fn a_secret_leaves_memory_with_its_last_user() {
    let mut cache = Cache::default();
    let held = versions("v");
    cache.insert(vault_ref("global/x"), Arc::clone(&held), 0);
    cache.remove(&vault_ref("global/x"));
    assert_eq!(Arc::strong_count(&held), 1);
    cache.insert(vault_ref("global/x"), Arc::clone(&held), 0);
    cache.clear();
    assert_eq!((Arc::strong_count(&held), cache.len()), (1, 0));
}
