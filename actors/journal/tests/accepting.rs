//! Refusals that `--accept-rollback` does not cover, because nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::sealing::{open, root_key, try_open, whole};
use super::*;
use crate::causes::in_full;

#[test]
fn what_was_changed_is_refused_though_a_loss_is_accepted() {
    let (place, other) = (Place::new(), Place::new());
    open(&place).grow(3).seal();
    open(&other).grow(9).seal();
    let key = fs::read(place.folder.path().join("journal.key")).unwrap();
    let own = whole(&place);
    tamper(&place, "UPDATE journal_checkpoints SET note = replace(note, '3', '4') WHERE number = 2");
    let refused = try_open(&place, NOW, true).map(drop).unwrap_err();
    assert!(matches!(&refused, JournalError::Corrupt { .. }), "{refused}");
    fs::write(place.path(), whole(&other)).unwrap();
    for name in ["journal.db-wal", "journal.db-shm"] {
        drop(fs::remove_file(place.folder.path().join(name)));
    }
    let refused = try_open(&place, NOW, true).map(drop).unwrap_err();
    assert!(matches!(&refused, JournalError::Corrupt { seq: 3, .. }), "{refused}");
    fs::write(place.path(), own).unwrap();
    drop(open(&place));
    assert_eq!(fs::read(place.folder.path().join("journal.key")).unwrap(), key);
}

#[test]
fn what_cannot_be_read_is_refused_though_a_loss_is_accepted() {
    for name in ["journal.key", "anchor/checkpoint"] {
        let place = Place::new();
        open(&place).grow(3).seal();
        let name_of_log = root_key(&place).name().to_owned();
        let mode = |mode| {
            fs::set_permissions(place.folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap()
        };
        mode(0o644);
        let refused = try_open(&place, NOW, true).map(drop).unwrap_err();
        let told = in_full(&refused);
        assert!(told.contains("run `chmod 600"), "{told}");
        mode(0o600);
        drop(open(&place));
        assert_eq!(root_key(&place).name(), name_of_log, "no other log was begun");
    }
}
