//! Older copies of secrets are detected.

use std::fs;

use super::*;
use crate::limits::VAULT_PINS_MAX;

/// A vault, and what lies beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(private_folder())
    }

    fn config(&self) -> VaultConfig {
        VaultConfig { dir: self.0.path().join("vault"), pins: self.pins() }
    }

    fn pins(&self) -> std::path::PathBuf {
        self.0.path().join("anchor/vault")
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("vault/global~a.age")
    }

    fn open(&self) -> Store {
        self.look().open().unwrap()
    }

    fn look(&self) -> Looked {
        Store::look(self.config(), ManualClock::at(1_000)).unwrap()
    }

    /// Opens it and takes what is older as it is.
    fn accept(&self) -> Store {
        self.look().accept().unwrap()
    }

    /// From here on no pin can be written.
    fn block_pins(&self) {
        fs::remove_file(self.pins()).unwrap();
        fs::create_dir(self.pins()).unwrap();
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
    store.rotate(&name, secret("two"), &[]).unwrap();
    let with_previous = fs::read(place.file()).unwrap();
    store.retire(&name).unwrap();
    let newest = fs::read(place.file()).unwrap();
    crate::files::atomic_replace(&place.file(), &with_previous).unwrap();
    for store in [store, place.open()] {
        assert!(is_older(&store), "the version that was retired would verify again");
        assert!(matches!(store.rotate(&name, secret("x"), &[]), Err(VaultError::Older { .. })));
    }
    let store = place.open();
    crate::files::atomic_replace(&place.file(), &newest).unwrap();
    assert_eq!(values(&store.read(&name).unwrap()), [(2, "two".to_owned())]);
    crate::files::atomic_replace(&place.file(), &with_previous).unwrap();
    store.put(&name, secret("three")).unwrap();
    assert_eq!(values(&place.open().read(&name).unwrap()), [(3, "three".to_owned())]);
}

#[test]
fn a_vault_that_holds_secrets_does_not_open_without_its_pins() {
    let place = Place::new();
    place.open().put(&vault_ref("global/a"), secret("one")).unwrap();
    fs::remove_file(place.pins()).unwrap();
    let refused = Store::open(place.config(), ManualClock::at(1_000)).err();
    assert!(matches!(refused, Some(VaultError::Pins { .. })));
    assert_eq!(place.look().behind(), [place.pins().display().to_string()]);
    drop(place.accept());
    drop(place.open());
}

#[test]
fn a_vault_without_secrets_opens_without_pins() {
    let place = Place::new();
    drop(place.open());
    fs::remove_file(place.pins()).unwrap();
    drop(place.open());
    assert!(place.pins().is_file());
}

#[test]
fn a_vault_whose_making_was_cut_short_opens() {
    let place = Place::new();
    drop(place.open());
    // Pins are written before the identity.
    fs::remove_file(place.0.path().join("vault/identity.txt")).unwrap();
    drop(place.open());
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
    store.rotate(&name, secret("two"), &[]).unwrap();
    crate::files::atomic_replace(&place.pins(), &pins).unwrap();
    let older = fs::read(place.file()).unwrap();
    let store = place.open();
    assert_eq!(store.read(&name).unwrap().current().unwrap().version, 2);
    assert_eq!(store.rotate(&name, secret("three"), &[]).unwrap().version, 3);
    crate::files::atomic_replace(&place.pins(), &pins).unwrap();
    drop(place.open());
    crate::files::atomic_replace(&place.file(), &older).unwrap();
    assert!(is_older(&place.open()), "a start pins what a crash left unpinned");
}

#[test]
fn what_is_older_is_taken_once_it_is_accepted_and_only_once() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    let mut files = Vec::new();
    for value in ["one", "two", "three"] {
        store.put(&name, secret(value)).unwrap();
        files.push(fs::read(place.file()).unwrap());
    }
    let [first, second, newest] = files.try_into().unwrap();
    let put_back = |file: &[u8]| crate::files::atomic_replace(&place.file(), file).unwrap();
    put_back(&second);
    assert!(is_older(&place.open()));
    assert_eq!(place.look().behind(), ["global/a"]);
    assert!(is_older(&place.open()), "a look accepts nothing");
    let accepted = place.accept();
    assert_eq!(values(&accepted.read(&name).unwrap()), [(2, "two".to_owned())]);
    assert_eq!(values(&place.open().read(&name).unwrap()), [(2, "two".to_owned())]);
    put_back(&first);
    assert!(is_older(&accepted) && is_older(&place.open()), "what was accepted is what counts from there on");
    put_back(&newest);
    assert_eq!(values(&place.accept().read(&name).unwrap()), [(3, "three".to_owned())]);
}

#[test]
fn where_nothing_is_older_nothing_is_accepted_and_every_pin_stays() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let removed = fs::read(place.file()).unwrap();
    store.delete(&name).unwrap();
    assert!(place.look().behind().is_empty());
    drop(place.accept());
    crate::files::atomic_replace(&place.file(), &removed).unwrap();
    assert!(is_older(&place.open()));
}

#[test]
fn damaged_pins_are_refused_until_they_are_accepted_and_then_made_of_what_is_there() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let older = fs::read(place.file()).unwrap();
    store.rotate(&name, secret("two"), &[]).unwrap();
    fs::write(place.pins(), b"{\"global/a\":").unwrap();
    assert!(matches!(Store::open(place.config(), ManualClock::at(1)), Err(VaultError::Pins { .. })));
    assert_eq!(place.look().behind(), [place.pins().display().to_string()]);
    drop(place.accept());
    crate::files::atomic_replace(&place.file(), &older).unwrap();
    assert!(is_older(&place.open()));
}

#[test]
fn a_change_that_took_effect_says_so_whatever_failed_after_it() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    place.block_pins();
    let unsynced = store.rotate(&name, secret("two"), &[]).unwrap_err();
    assert!(matches!(unsynced, VaultError::Unsynced { .. }), "{unsynced}");
    assert!(unsynced.to_string().contains("is in force") && unsynced.hint().contains("do not repeat"));
    assert_eq!(values(&store.read(&name).unwrap()), [(2, "two".to_owned()), (1, "one".to_owned())]);
}

#[test]
fn a_removal_that_fails_leaves_the_secret_as_it_was() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let bytes = fs::read(place.file()).unwrap();
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    assert!(matches!(store.delete(&name), Err(VaultError::Storage(_))));
    fs::remove_dir(place.file()).unwrap();
    crate::files::atomic_replace(&place.file(), &bytes).unwrap();
    assert_eq!(current(&place.open().read(&name).unwrap()), "one");
    place.block_pins();
    assert!(
        matches!(store.delete(&name), Err(VaultError::Storage(_))),
        "what cannot be pinned is not removed"
    );
    assert_eq!(current(&store.read(&name).unwrap()), "one");
}

#[test]
fn of_too_many_pins_those_of_removed_secrets_are_forgotten_first() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let older = fs::read(place.file()).unwrap();
    store.rotate(&name, secret("two"), &[]).unwrap();
    let mut pins: serde_json::Map<_, _> = serde_json::from_slice(&fs::read(place.pins()).unwrap()).unwrap();
    let removed = (pins.len()..VAULT_PINS_MAX).map(|n| format!("global/b{n}"));
    pins.extend(removed.map(|name| (name, serde_json::json!({"change": 2, "version": 1}))));
    crate::files::atomic_replace(&place.pins(), &serde_json::to_vec(&pins).unwrap()).unwrap();
    let store = place.open();
    store.put(&vault_ref("global/new"), secret("one")).unwrap();
    crate::files::atomic_replace(&place.file(), &older).unwrap();
    assert!(is_older(&store) && is_older(&place.open()));
    let pins: serde_json::Map<_, _> = serde_json::from_slice(&fs::read(place.pins()).unwrap()).unwrap();
    assert_eq!(pins.len(), VAULT_PINS_MAX);
}

#[test]
fn a_value_in_the_place_of_a_file_that_cannot_be_opened_is_later_than_all_its_copies() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    store.rotate(&name, secret("two"), &[]).unwrap();
    let older = fs::read(place.file()).unwrap();
    for (spoilt, version) in [(&older[..9], 3), (b"", 4)] {
        fs::write(place.file(), spoilt).unwrap();
        let entry = place.open().put(&name, secret("new")).unwrap();
        assert_eq!((entry.version, entry.versions), (version, 1));
        assert_eq!(values(&place.open().read(&name).unwrap()), [(version, "new".to_owned())]);
        crate::files::atomic_replace(&place.file(), &older).unwrap();
        assert!(is_older(&place.open()));
    }
}

#[test]
fn only_what_a_removal_leaves_when_it_is_cut_off_is_told_as_that() {
    let place = Place::new();
    let (store, name) = (place.open(), vault_ref("global/a"));
    let hint = |store: &Store| store.read(&name).err().unwrap().hint();
    store.put(&name, secret("one")).unwrap();
    let first = fs::read(place.file()).unwrap();
    store.put(&name, secret("two")).unwrap();
    let second = fs::read(place.file()).unwrap();
    store.delete(&name).unwrap();
    for (file, is_told) in [(first, false), (second, true)] {
        crate::files::atomic_replace(&place.file(), &file).unwrap();
        assert_eq!(hint(&place.open()).contains("`palyra vault remove global/a` completes it"), is_told);
    }
}
