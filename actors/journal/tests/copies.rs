//! Copies that are made while the journal is written.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::sealing::{open, root_key};
use super::*;

#[test]
fn a_backup_is_a_whole_journal_that_verifies_by_itself() {
    let place = Place::new();
    let mut journal = open(&place);
    journal.grow(300).seal().grow(20);
    let copy = place.folder.path().join("copy.db");
    drop(backup(&place.files(), &copy).unwrap());
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

fn unfinished(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".backup-unfinished-")).collect()
}

#[test]
fn a_backup_removes_what_interrupted_ones_left_and_nothing_that_another_is_making() {
    let place = Place::new();
    open(&place).grow(3).seal();
    let folder = place.folder.path();
    let [left, held, foreign] = ["left", "held", "foreign"].map(|name| {
        let made = folder.join(format!(".backup-unfinished-{name}"));
        fs::create_dir(&made).unwrap();
        ["copy", "copy-journal"].iter().for_each(|name| fs::write(made.join(name), "a part").unwrap());
        made
    });
    fs::write(foreign.join("mine"), "not a backup's").unwrap();
    fs::write(folder.join(".backup-unfinished-notes"), "not a backup's").unwrap();
    let being_made = File::open(&held).unwrap();
    flock(&being_made, FlockOperation::NonBlockingLockExclusive).unwrap();
    backup(&place.files(), &folder.join("copy.db")).unwrap();
    assert!(!left.try_exists().unwrap());
    assert_eq!(unfinished(folder).len(), 3, "{:?}", unfinished(folder));
    for kept in [held, foreign] {
        assert!(["copy", "copy-journal"].iter().all(|name| kept.join(name).try_exists().unwrap()));
    }
}

#[test]
fn backups_into_one_folder_at_once_are_all_made() {
    let place = Place::new();
    open(&place).grow(5_000).seal();
    let folder = place.folder.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let made = (0..24).map(|number| folder.join(number.to_string())).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for part in made.chunks(6) {
            let files = place.files();
            scope.spawn(move || part.iter().for_each(|to| drop(backup(&files, to).unwrap())));
        }
    });
    assert!(made.iter().all(|copy| copy.try_exists().unwrap()));
    assert_eq!(unfinished(&folder), [""; 0]);
}

#[test]
fn a_copy_is_held_against_what_lay_outside_the_journal_before_it_was_made() {
    let place = Place::new();
    let mut journal = open(&place);
    journal.grow(300).seal();
    let copy = |name: &str| place.folder.path().join(name);
    let before = backup(&place.files(), &copy("1.db")).unwrap();
    // The journal has come further than what it is held against: that is no fault.
    journal.grow(20).seal().grow(5);
    backup(&place.files(), &copy("2.db")).unwrap();
    let held = |name: &str, before: Witness| {
        verify_copy(&copy(name), before, &mut |_| std::ops::ControlFlow::Continue(())).unwrap()
    };
    let report = held("2.db", before);
    assert!(report.is_ok() && report.events == 325, "{report:?}");
    let after = backup(&place.files(), &copy("3.db")).unwrap();
    let report = held("1.db", after);
    assert_eq!((report.is_ok(), report.missing), (false, 25), "{report:?}");
}
