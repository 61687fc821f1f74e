//! Older copies of secrets are told from the newest ones.

use std::fs;

use super::*;

/// A vault, and what lies beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(private_folder())
    }

    fn config(&self, accept_rollback: bool) -> VaultConfig {
        VaultConfig { dir: self.0.path().join("vault"), pins: self.pins(), accept_rollback }
    }

    fn pins(&self) -> std::path::PathBuf {
        self.0.path().join("anchor/vault")
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("vault/global~a.age")
    }

    fn open(&self) -> Store {
        Store::open(self.config(false), ManualClock::at(1_000)).unwrap()
    }
}

fn is_older(store: &Store) -> bool {
    matches!(store.read(&vault_ref("global/a")), Err(VaultError::Older { .. }))
}

#[test]
fn an_older_copy_that_is_put_back_is_refused_until_the_value_is_stored_again() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    store.rotate(&name, secret("two")).unwrap();
    let with_previous = fs::read(place.file()).unwrap();
    store.retire(&name).unwrap();
    let newest = fs::read(place.file()).unwrap();
    crate::files::atomic_replace(&place.file(), &with_previous).unwrap();
    for store in [store, place.open()] {
        assert!(is_older(&store), "the version that was retired would verify again");
        assert!(matches!(store.rotate(&name, secret("x")), Err(VaultError::Older { .. })));
    }
    let store = place.open();
    crate::files::atomic_replace(&place.file(), &newest).unwrap();
    assert_eq!(values(&store.read(&name).unwrap()), [(2, "two".to_owned())]);
    crate::files::atomic_replace(&place.file(), &with_previous).unwrap();
    store.put(&name, secret("three")).unwrap();
    assert_eq!(values(&place.open().read(&name).unwrap()), [(3, "three".to_owned())]);
}

#[test]
fn a_secret_that_was_removed_does_not_come_back_with_its_file() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let removed = fs::read(place.file()).unwrap();
    store.delete(&name).unwrap();
    crate::files::atomic_replace(&place.file(), &removed).unwrap();
    assert!(is_older(&store) && is_older(&place.open()));
    store.delete(&name).unwrap();
    assert_eq!(store.put(&name, secret("two")).unwrap().version, 2);
    assert_eq!(values(&place.open().read(&name).unwrap()), [(2, "two".to_owned())]);
}

#[test]
fn a_secret_that_a_crash_left_unpinned_is_the_newest_all_the_same() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let pins = fs::read(place.pins()).unwrap();
    store.rotate(&name, secret("two")).unwrap();
    crate::files::atomic_replace(&place.pins(), &pins).unwrap();
    let store = place.open();
    assert_eq!(store.read(&name).unwrap().current().unwrap().version, 2);
    assert_eq!(store.rotate(&name, secret("three")).unwrap().version, 3);
}

#[test]
fn what_is_older_is_taken_once_it_is_accepted() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let older = fs::read(place.file()).unwrap();
    store.rotate(&name, secret("two")).unwrap();
    crate::files::atomic_replace(&place.file(), &older).unwrap();
    assert!(is_older(&place.open()));
    let accepted = Store::open(place.config(true), ManualClock::at(1_000)).unwrap();
    assert_eq!(values(&accepted.read(&name).unwrap()), [(1, "one".to_owned())]);
    assert_eq!(values(&place.open().read(&name).unwrap()), [(1, "one".to_owned())]);
    fs::write(place.pins(), b"{\"global/a\":").unwrap();
    assert!(matches!(Store::open(place.config(false), ManualClock::at(1)), Err(VaultError::Damaged { .. })));
    assert!(Store::open(place.config(true), ManualClock::at(1)).is_ok());
}
