use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::clock::Clock as _;
use crate::limits::{SECRET_BYTES_MAX, SECRETS_MAX};
use crate::provider::Catalogue;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn put_rotate_retire_and_delete_leave_the_versions_they_promise() {
    let folder = private_folder();
    let clock = ManualClock::at(1_000);
    let store = Store::open(config(folder.path()), clock.clone()).unwrap();
    let name = vault_ref("global/github");
    let seen = || values(&store.read(&name).unwrap());

    let entry = store.put(&name, secret("one")).unwrap();
    assert_eq!((entry.version, entry.versions, entry.created_at_unix_ms), (1, 1, 1_000));
    clock.advance_ms(500);
    store.rotate(&name, secret("two"), &[]).unwrap();
    assert_eq!(seen(), [(2, "two".to_owned()), (1, "one".to_owned())]);
    store.rotate(&name, secret("three"), &[]).unwrap();
    assert_eq!(seen(), [(3, "three".to_owned()), (2, "two".to_owned())]);
    store.retire(&name).unwrap();
    assert_eq!(seen(), [(3, "three".to_owned())]);
    store.rotate(&name, secret("four"), &[]).unwrap();
    clock.advance_ms(500);
    let entry = store.put(&name, secret("five")).unwrap();
    assert_eq!(seen(), [(5, "five".to_owned())]);
    assert_eq!((entry.version, entry.versions), (5, 1));
    assert_eq!((entry.created_at_unix_ms, entry.updated_at_unix_ms), (1_000, clock.now_unix_ms()));
    store.delete(&name).unwrap();
    assert!(matches!(store.read(&name), Err(VaultError::NotFound(_))));
}

#[test]
fn a_rotation_to_the_current_value_changes_nothing_and_one_to_another_keeps_a_version_that_works() {
    let (hex, text) = (["00ff", "ff00", "0ff0"], ["zz", "yy"]);
    let users = [Catalogue::built_in().unwrap().get("adyen").unwrap().clone()];
    for (stored, value, users, kept, ended, why) in [
        (&[hex[0], hex[1]][..], hex[1], &[][..], &[(2, hex[1]), (1, hex[0])][..], &[][..], "it is current"),
        (&[hex[0], hex[1]], hex[2], &users, &[(3, hex[2]), (2, hex[1])], &[1], "both work"),
        (&[hex[0], text[0]], hex[2], &users, &[(3, hex[2]), (1, hex[0])], &[2], "only the older one works"),
        (&[hex[0], text[0]], hex[2], &[], &[(3, hex[2]), (2, text[0])], &[1], "nobody verifies with it"),
        (&[text[0], text[1]], hex[2], &users, &[(3, hex[2]), (2, text[1])], &[1], "neither works"),
        (&[hex[0], hex[1]], hex[0], &users, &[(3, hex[0]), (2, hex[1])], &[], "its value is current again"),
    ] {
        let folder = private_folder();
        let (store, name) = (open_store(folder.path()), vault_ref("global/a"));
        store.put(&name, secret(stored[0])).unwrap();
        store.rotate(&name, secret(stored[1]), &[]).unwrap();
        let entry = store.rotate(&name, secret(value), users).unwrap();
        let kept: Vec<_> = kept.iter().map(|(version, value)| (*version, (*value).to_owned())).collect();
        assert_eq!(values(&store.read(&name).unwrap()), kept, "{why}");
        assert_eq!((entry.ended_versions.as_slice(), entry.unchanged), (ended, value == stored[1]), "{why}");
    }
}

#[test]
fn the_current_value_put_again_gets_no_new_version_and_stays_alone() {
    let folder = private_folder();
    let (store, name) = (open_store(folder.path()), vault_ref("global/a"));
    store.put(&name, secret("one")).unwrap();
    let entry = store.put(&name, secret("one")).unwrap();
    assert_eq!((entry.version, entry.unchanged), (1, true));
    store.rotate(&name, secret("two"), &[]).unwrap();
    let entry = store.put(&name, secret("two")).unwrap();
    assert_eq!((entry.version, entry.ended_versions.as_slice(), entry.unchanged), (2, &[1][..], false));
    assert_eq!(values(&store.read(&name).unwrap()), [(2, "two".to_owned())]);
    let entry = store.put(&name, secret("one")).unwrap();
    assert_eq!((entry.version, entry.ended_versions.as_slice(), entry.unchanged), (3, &[2][..], false));
}

#[test]
fn what_is_not_there_cannot_be_rotated_retired_or_deleted() {
    let folder = private_folder();
    let store = open_store(&folder.path().join("vault"));
    let name = vault_ref("global/none");
    for refused in [
        store.rotate(&name, secret("v"), &[]).unwrap_err(),
        store.retire(&name).unwrap_err(),
        store.delete(&name).unwrap_err(),
    ] {
        assert!(matches!(refused, VaultError::NotFound(_)));
        assert!(refused.hint().contains("palyra vault put global/none"));
    }
}

#[test]
fn retiring_a_secret_with_one_version_changes_nothing() {
    let folder = private_folder();
    let store = open_store(&folder.path().join("vault"));
    let stored = store.put(&vault_ref("global/a"), secret("v")).unwrap();
    assert_eq!(store.retire(&vault_ref("global/a")).unwrap(), stored);
}

#[test]
fn the_list_is_in_order_and_ignores_what_is_no_secret() {
    let folder = private_folder();
    let store = open_store(folder.path());
    for name in ["skill:b/k", "global/z", "channel:slack:acct/k", "global/a"] {
        store.put(&vault_ref(name), secret("v")).unwrap();
    }
    for stray in ["notes.txt", "no-reference.age", "global~x.age.bak"] {
        fs::write(folder.path().join(stray), "x").unwrap();
    }
    let names: Vec<_> = store.list().unwrap().iter().map(name_of).collect();
    assert_eq!(names, ["channel:slack:acct/k", "global/a", "global/z", "skill:b/k"]);
}

fn name_of(listed: &Listed) -> String {
    let (Listed::Readable(SecretEntry { vault_ref, .. }) | Listed::Unreadable { vault_ref, .. }) = listed;
    vault_ref.clone()
}

#[test]
fn a_secret_that_cannot_be_read_is_listed_with_what_to_do_among_the_others() {
    let folder = private_folder();
    let store = open_store(folder.path());
    for name in ["global/a", "global/b", "global/c", "global/d"] {
        store.put(&vault_ref(name), secret(CANARY)).unwrap();
    }
    fs::write(folder.path().join("global~b.age"), b"damaged").unwrap();
    fs::set_permissions(folder.path().join("global~c.age"), fs::Permissions::from_mode(0o644)).unwrap();
    let listed = store.list().unwrap();
    assert_eq!(
        listed.iter().map(name_of).collect::<Vec<_>>(),
        ["global/a", "global/b", "global/c", "global/d"]
    );
    let told = |index: usize| match &listed[index] {
        Listed::Readable(_) => None,
        Listed::Unreadable { problem, hint, .. } => Some(format!("{problem}; {hint}")),
    };
    assert_eq!((told(0), told(3)), (None, None));
    assert!(told(1).unwrap().contains("`palyra vault remove global/b`"), "{:?}", told(1));
    assert!(told(2).unwrap().contains("chmod 600"), "{:?}", told(2));
}

#[test]
fn secrets_are_private_files_that_do_not_show_the_value() {
    let folder = private_folder();
    let dir = folder.path().join("state/vault");
    let store = open_store(&dir);
    store.put(&vault_ref("principal:ann/key"), secret(CANARY)).unwrap();
    let file = dir.join("principal:ann~key.age");
    assert_eq!((mode_of(&dir), mode_of(&file), mode_of(&dir.join("identity.txt"))), (0o700, 0o600, 0o600));
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
}

#[test]
fn secrets_outlive_the_process() {
    let folder = private_folder();
    let name = vault_ref("global/a");
    open_store(folder.path().join("v").as_path()).put(&name, secret("kept")).unwrap();
    assert_eq!(current(&open_store(&folder.path().join("v")).read(&name).unwrap()), "kept");
}

#[test]
fn the_identity_is_one_line_that_the_age_format_defines() {
    let folder = private_folder();
    drop(open_store(folder.path()));
    let text = fs::read_to_string(folder.path().join("identity.txt")).unwrap();
    let keys: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(matches!(keys.as_slice(), [key] if key.starts_with("AGE-SECRET-KEY-1")));
}

#[test]
fn a_flipped_bit_anywhere_in_a_secret_file_is_refused_and_nothing_secret_named() {
    let folder = private_folder();
    let store = open_store(folder.path());
    let name = vault_ref("global/a");
    store.put(&name, secret(CANARY)).unwrap();
    let path = folder.path().join("global~a.age");
    let intact = fs::read(&path).unwrap();
    for index in 0..intact.len() {
        let mut flipped = intact.clone();
        flipped[index] ^= 1 << (index % 8);
        fs::write(&path, &flipped).unwrap();
        let refused = store.read(&name).err().unwrap_or_else(|| panic!("byte {index} flipped is accepted"));
        assert!(matches!(refused, VaultError::Damaged { .. }), "byte {index}: {refused:?}");
        assert!(!all_texts(&refused).contains(CANARY));
    }
    fs::write(&path, &intact).unwrap();
    assert_eq!(current(&store.read(&name).unwrap()), CANARY);
}

#[test]
fn a_secret_file_cut_at_any_length_is_refused() {
    let folder = private_folder();
    let store = open_store(folder.path());
    let name = vault_ref("global/a");
    store.put(&name, secret(CANARY)).unwrap();
    let path = folder.path().join("global~a.age");
    let intact = fs::read(&path).unwrap();
    for length in 0..intact.len() {
        fs::write(&path, &intact[..length]).unwrap();
        assert!(matches!(store.read(&name), Err(VaultError::Damaged { .. })), "cut at {length}");
    }
}

#[test]
fn a_file_under_the_name_of_another_secret_is_refused_until_a_value_is_put_in_its_place() {
    let folder = private_folder();
    let store = open_store(folder.path());
    store.put(&vault_ref("global/a"), secret(CANARY)).unwrap();
    fs::copy(folder.path().join("global~a.age"), folder.path().join("global~b.age")).unwrap();
    let refused = store.read(&vault_ref("global/b")).err().unwrap();
    assert!(refused.to_string().contains("another secret"), "{refused}");
    assert!(store.rotate(&vault_ref("global/b"), secret("v"), &[]).is_err(), "what it was is not known");
    store.put(&vault_ref("global/b"), secret("v")).unwrap();
    assert_eq!(values(&store.read(&vault_ref("global/b")).unwrap()), [(1, "v".to_owned())]);
}

#[test]
fn another_identity_opens_nothing_and_says_so() {
    let (mine, theirs) = (private_folder(), private_folder());
    open_store(mine.path()).put(&vault_ref("global/a"), secret(CANARY)).unwrap();
    drop(open_store(theirs.path()));
    fs::copy(theirs.path().join("identity.txt"), mine.path().join("identity.txt")).unwrap();
    let refused = open_store(mine.path()).read(&vault_ref("global/a")).err().unwrap();
    assert!(refused.to_string().contains("another identity"), "{refused}");
}

#[test]
fn no_new_identity_is_made_beside_secrets_it_could_not_open() {
    let folder = private_folder();
    open_store(folder.path()).put(&vault_ref("global/a"), secret("v")).unwrap();
    fs::remove_file(folder.path().join("identity.txt")).unwrap();
    let refused = Store::open(config(folder.path()), ManualClock::at(0)).err().unwrap();
    assert!(matches!(refused, VaultError::Identity(_)));
    assert!(!folder.path().join("identity.txt").try_exists().unwrap());
}

#[test]
fn an_unusable_identity_is_refused_with_the_reason() {
    let table = [
        ("", "exactly one"),
        ("# only a comment\n", "exactly one"),
        ("AGE-SECRET-KEY-1QQ\n", "no X25519"),
        ("a\nb\n", "exactly one"),
        (&"#".repeat(5_000), "larger"),
    ];
    for (text, reason) in table {
        let folder = private_folder();
        let path = folder.path().join("identity.txt");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = Store::open(config(folder.path()), ManualClock::at(0)).err().unwrap();
        assert!(format!("{refused} {refused:?}").contains(reason), "{refused:?}");
    }
}

#[test]
fn a_readable_or_linked_identity_or_folder_is_refused() {
    let folder = private_folder();
    let dir = folder.path().join("vault");
    drop(open_store(&dir));
    let open = || Store::open(config(&dir), ManualClock::at(0)).err();
    let identity = dir.join("identity.txt");
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(all_texts(&open().unwrap()).contains("chmod 600"));
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(all_texts(&open().unwrap()).contains("chmod 700"));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(open().is_none());
    fs::rename(&identity, dir.join("elsewhere")).unwrap();
    symlink(dir.join("elsewhere"), &identity).unwrap();
    assert!(all_texts(&open().unwrap()).contains("symbolic link"));
}

#[test]
fn what_a_crash_left_half_written_is_cleared_away() {
    let folder = private_folder();
    let leftover = folder.path().join(".unfinished-abc");
    fs::write(&leftover, "half").unwrap();
    drop(open_store(folder.path()));
    assert!(!leftover.try_exists().unwrap());
}

#[test]
fn blank_and_oversized_values_are_never_stored() {
    let folder = private_folder();
    let store = open_store(folder.path());
    let name = vault_ref("global/a");
    store.put(&name, secret("kept")).unwrap();
    for blank in ["", " ", "\n", "\t\r\n ", "\0", "\0\0 \0", "\u{a0}", "\u{200b}", "\u{feff}\n"] {
        assert!(matches!(store.put(&name, secret(blank)), Err(VaultError::Blank(_))), "{blank:?}");
        assert!(matches!(store.rotate(&name, secret(blank), &[]), Err(VaultError::Blank(_))), "{blank:?}");
    }
    let longest = "v".repeat(SECRET_BYTES_MAX);
    let refused = store.put(&name, secret(&format!("{longest}v")));
    assert!(matches!(refused, Err(VaultError::TooLarge(_))));
    assert_eq!(values(&store.read(&name).unwrap()), [(1, "kept".to_owned())]);
    store.rotate(&name, secret(&longest), &[]).unwrap();
    store.rotate(&name, secret(&longest), &[]).unwrap();
    assert_eq!(current(&store.read(&name).unwrap()), longest);
}

#[test]
fn a_full_vault_takes_no_new_secret_and_still_changes_those_it_has() {
    let folder = private_folder();
    let store = open_store(folder.path());
    store.put(&vault_ref("global/a"), secret("v")).unwrap();
    for index in 1..SECRETS_MAX {
        fs::write(folder.path().join(format!("global~{index}.age")), "").unwrap();
    }
    assert!(matches!(store.put(&vault_ref("global/b"), secret("v")), Err(VaultError::Full)));
    store.put(&vault_ref("global/a"), secret("w")).unwrap();
    store.delete(&vault_ref("global/1")).unwrap();
    store.put(&vault_ref("global/b"), secret("v")).unwrap();
}

#[test]
fn any_bytes_come_back_as_they_were_put() {
    let folder = private_folder();
    let store = open_store(folder.path());
    let every_byte: Vec<u8> = (0..=255).collect();
    store.put(&vault_ref("global/a"), Secret::new(every_byte.clone())).unwrap();
    let read = store.read(&vault_ref("global/a")).unwrap();
    assert!(read.current().unwrap().secret.matches(&every_byte));
}

#[test]
fn what_is_kept_outside_cannot_be_changed_through_the_vault() {
    let folder = private_folder();
    let store = open_store(folder.path());
    for text in ["env:X", "file:/x", "hashivault:a/b#c"] {
        let name = vault_ref(text);
        assert!(matches!(store.put(&name, secret("v")), Err(VaultError::Outside(_))), "{text}");
        assert!(matches!(store.rotate(&name, secret("v"), &[]), Err(VaultError::Outside(_))), "{text}");
        assert!(matches!(store.retire(&name), Err(VaultError::Outside(_))), "{text}");
        assert!(matches!(store.delete(&name), Err(VaultError::Outside(_))), "{text}");
    }
}

#[test]
fn two_rotations_at_once_both_count() {
    let folder = private_folder();
    let store = open_store(folder.path());
    let name = vault_ref("global/a");
    store.put(&name, secret("0")).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (store, name) = (&store, &name);
            scope.spawn(move || store.rotate(name, secret(&format!("w{writer}")), &[]).unwrap());
        }
    });
    assert_eq!(values(&store.read(&name).unwrap())[0].0, 9);
}
