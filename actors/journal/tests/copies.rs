//! Copies that are made while the journal is written.

use std::fs::{self, File};

use rustix::fs::{FlockOperation, flock};

use super::sealing::{open, root_key};
use super::*;

#[test]
fn a_backup_is_a_whole_journal_that_verifies_by_itself() {
    let place = Place::new();
    let mut journal = open(&place);
    journal.grow(300).seal().grow(20);
    let copy = place.folder.path().join("copy.db");
    backup(&place.files(), &copy).unwrap();
    journal.grow(5).seal();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&copy).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let files = JournalFiles { database: copy.clone(), ..place.files() };
    let scope = Scope { from: 0, public_key: Some(root_key(&place)), is_copy: true };
    let report = verify_with(&files, &scope, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.events, report.checkpoint_size), (320, 300));
    assert!(backup(&place.files(), &copy).is_err(), "a file that is there is not written over");
    let left: Vec<_> =
        fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "{left:?}");
}

#[test]
fn a_backup_removes_what_interrupted_ones_left_and_nothing_that_another_is_making() {
    let place = Place::new();
    open(&place).grow(3).seal();
    let folder = place.folder.path();
    let [left, held, other] = [".backup-unfinished-left", ".backup-unfinished-held", ".unfinished-other"]
        .map(|name| folder.join(name));
    for file in [&left, &held, &other] {
        fs::write(file, "a part").unwrap();
    }
    let being_made = File::open(&held).unwrap();
    flock(&being_made, FlockOperation::NonBlockingLockExclusive).unwrap();
    backup(&place.files(), &folder.join("copy.db")).unwrap();
    assert_eq!([&left, &held, &other].map(|file| file.try_exists().unwrap()), [false, true, true]);
    let unfinished = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(
        unfinished.filter(|name| name.to_string_lossy().starts_with(".backup-unfinished-")).count(),
        1
    );
}
