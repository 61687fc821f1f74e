//! What a journal lost is told by `journal verify` and by `journal backup`, whichever file it was lost from.

use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{Daemon, json, palyra, run, state_root, write_private};

/// A state root whose daemon was killed after some deliveries, all of which lie in the write-ahead log.
fn killed() -> TempDir {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    for number in 0..5 {
        assert_eq!(daemon.github("push", &number.to_string(), &format!("{{\"n\":{number}}}")).status, 202);
    }
    daemon.kill();
    root
}

/// A copy of it, modes and all.
fn copied(root: &Path) -> TempDir {
    let copy = state_root();
    let from = format!("{}/.", root.display());
    let status = Command::new("cp").args(["-a", &from, copy.path().to_str().unwrap()]).status().unwrap();
    assert!(status.success());
    copy
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn remove(root: &Path, names: &[&str]) {
    names.iter().for_each(|name| fs::remove_file(root.join(name)).unwrap());
}

const DATABASE: [&str; 3] = ["journal.db", "journal.db-wal", "journal.db-shm"];

/// What was done to a state root, the doing of it, and what both commands say then.
type Loss = (&'static str, fn(&Path), &'static str);

const LOSSES: [Loss; 7] = [
    (
        "the log is gone",
        |root| remove(root, &DATABASE[1..]),
        "acknowledged events from here on are not there any more",
    ),
    ("the anchor is gone", |root| remove(root, &["anchor/journal"]), "its anchor is missing"),
    (
        "the anchor is cut",
        |root| {
            let anchor = fs::File::options().write(true).open(root.join("anchor/journal")).unwrap();
            anchor.set_len(100).unwrap();
        },
        "its anchor was changed",
    ),
    ("the anchor is changed", |root| flip(&root.join("anchor/journal"), 20), "its anchor was changed"),
    ("the checkpoint file is changed", |root| flip(&root.join("anchor/checkpoint"), 40), "checkpoint"),
    (
        "the database is empty",
        |root| {
            remove(root, &DATABASE);
            write_private(&root.join("journal.db"), "");
        },
        "journal.db is empty",
    ),
    ("the database is gone", |root| remove(root, &DATABASE), "journal.db is gone"),
];

#[test]
fn what_a_journal_lost_is_told_with_65_by_verify_and_by_backup() {
    let whole = killed();
    for (what, lose, said) in LOSSES {
        let root = copied(whole.path());
        lose(root.path());
        let copy = root.path().join("copy.db");
        for args in [&["journal", "verify"][..], &["journal", "backup", copy.to_str().unwrap()]] {
            let output = run(root.path(), args, b"");
            let told = both(&output);
            assert_eq!(output.status.code(), Some(65), "{what}, {args:?}: {told}");
            assert!(told.contains("does not verify") && told.contains(said), "{what}, {args:?}: {told}");
            assert!(!told.contains("start the daemon once"), "{what}, {args:?}: {told}");
        }
        let is_there = !what.starts_with("the database");
        assert_eq!(copy.try_exists().unwrap(), is_there, "{what}: what there is is copied");
    }
}

#[test]
fn a_database_that_is_gone_is_told_with_the_number_of_events_that_are_missing() {
    let root = killed();
    remove(root.path(), &DATABASE);
    let output = run(root.path(), &["--json", "journal", "verify"], b"");
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let missing = verdict["missing"].as_u64().unwrap();
    assert!(missing >= 7, "{verdict}");
    assert_eq!((&verdict["first_bad_seq"], &verdict["verified"]), (&1.into(), &false.into()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("{missing} acknowledged events are missing")), "{said}");
}

#[test]
fn a_backup_of_a_journal_that_goes_on_holds_all_that_was_acknowledged_before() {
    let (root, elsewhere) = (state_root(), state_root());
    let daemon = Daemon::with_github(root.path());
    for number in 0..3 {
        assert_eq!(daemon.github("push", &number.to_string(), &format!("{{\"n\":{number}}}")).status, 202);
        let copy = elsewhere.path().join(format!("{number}.db"));
        let verdict = json(root.path(), &["journal", "backup", copy.to_str().unwrap()]);
        assert_eq!((&verdict["verified"], &verdict["missing"]), (&true.into(), &0.into()), "{verdict}");
        assert_eq!(verdict["file"], copy.to_str().unwrap());
    }
}

#[test]
fn a_backup_is_made_in_a_folder_of_any_name() {
    let root = killed();
    let folder = root.path().join(std::ffi::OsString::from_vec(b"caf\xe9".to_vec()));
    fs::create_dir(&folder).unwrap();
    let copy = folder.join("copy.db");
    let said = |args: &[&str]| {
        let output = palyra(root.path()).args(args).arg(&copy).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", both(&output));
        both(&output)
    };
    said(&["--json", "journal", "backup"]);
    assert!(said(&["journal", "verify", "--database"]).contains("yes"));
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(), [b"copy.db"]);
}

#[test]
fn what_is_wrong_with_a_copy_is_told_of_its_file_and_of_no_state_root() {
    let root = killed();
    let (missing, folder, empty) =
        (root.path().join("no.db"), root.path().join("folder"), root.path().join("empty.db"));
    fs::create_dir(&folder).unwrap();
    write_private(&empty, "");
    let table: [(&PathBuf, i32, &str); 3] = [
        (&missing, 78, "is not there"),
        (&folder, 78, "is no file"),
        (&empty, 65, "the copy does not verify"),
    ];
    for (file, code, said) in table {
        let output = run(root.path(), &["journal", "verify", "--database", file.to_str().unwrap()], b"");
        let told = both(&output);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(said) && told.contains(file.to_str().unwrap()), "{told}");
        assert!(!told.contains("state root") && !told.contains("start the daemon"), "{told}");
    }
}

#[test]
fn a_problem_is_printed_to_its_end() {
    let root = killed();
    remove(root.path(), &DATABASE[1..]);
    let output = run(root.path(), &["journal", "verify"], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    let problem = text.lines().find(|line| line.contains("missing: ")).unwrap();
    assert!(problem.ends_with("acknowledged events from here on are not there any more"), "{text}");
}
