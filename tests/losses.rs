//! What a journal lost is told by `journal verify` and by `journal backup`, whichever file it was lost from.

use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Daemon, json, palyra, run, state_root, succeed, write_private};

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

/// Removes all that was ever signed, as somebody would who wants to rewrite events, and leaves the guards as they were.
fn forget_checkpoints(root: &Path) {
    let db = rusqlite::Connection::open(root.join("journal.db")).unwrap();
    for table in ["journal_checkpoints", "journal_subtrees"] {
        let guard = format!("{table}_no_delete");
        let find = "SELECT sql FROM sqlite_schema WHERE name = ?1";
        let sql: String = db.query_row(find, [&guard], |row| row.get(0)).unwrap();
        db.execute_batch(&format!("DROP TRIGGER {guard}; DELETE FROM {table}; {sql}")).unwrap();
    }
    remove(root, &["anchor/checkpoint"]);
}

const DATABASE: [&str; 3] = ["journal.db", "journal.db-wal", "journal.db-shm"];

/// What was done to a state root, the doing of it, and what both commands say then.
type Loss = (&'static str, fn(&Path), &'static str);

const LOSSES: [Loss; 8] = [
    ("the log is gone", |root| remove(root, &DATABASE[1..]), "acknowledged events from here on are gone"),
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
    ("all checkpoints are gone", forget_checkpoints, "its checkpoints were removed"),
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
fn a_journal_without_its_checkpoints_begins_no_other_log_unasked() {
    let root = killed();
    forget_checkpoints(root.path());
    let before = files(root.path());
    let refused = run(root.path(), &START, b"");
    assert_eq!(refused.status.code(), Some(65), "{}", both(&refused));
    assert!(both(&refused).contains("--accept-rollback"), "{}", both(&refused));
    assert!(files(root.path()) == before, "nothing was written");
    drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
    succeed(root.path(), &["journal", "verify"], b"");
}

/// The journal's files with their bytes. A log without any is none; SQLite's index of the log is nobody's.
fn files(root: &Path) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let names = ["journal.db", "journal.db-wal", "journal.key", "anchor/journal", "anchor/checkpoint"];
    let is_any = |name, bytes: &Vec<u8>| name != "journal.db-wal" || !bytes.is_empty();
    names.map(|name| (name, fs::read(root.join(name)).ok().filter(|bytes| is_any(name, bytes)))).into()
}

/// A state root whose daemon was killed, with two older copies of its database in `aside`: as `journal backup` makes one, and
/// as `cp` does. Neither has all that the log takes for given.
fn killed_after_copies(aside: &Path) -> TempDir {
    let root = state_root();
    let round = |numbers: std::ops::Range<u32>, daemon: Daemon| {
        for number in numbers {
            let body = format!("{{\"n\":{number},\"filler\":\"{}\"}}", "x".repeat(4_000));
            assert_eq!(daemon.github("push", &number.to_string(), &body).status, 202);
        }
        daemon
    };
    let stopped = |daemon: Daemon| {
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(20)).success());
    };
    stopped(round(0..40, Daemon::with_github(root.path())));
    json(root.path(), &["journal", "backup", aside.join("backup").to_str().unwrap()]);
    fs::copy(root.path().join("journal.db"), aside.join("copy")).unwrap();
    stopped(round(40..80, Daemon::start(root.path())));
    round(80..90, Daemon::start(root.path())).kill();
    root
}

const START: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

/// The doing of a loss that takes something along.
type Lose = Box<dyn Fn(&Path)>;

#[test]
fn a_journal_that_is_refused_lies_as_it_lay() {
    let aside = state_root();
    let whole = killed_after_copies(aside.path());
    let take = |name: &'static str| {
        let copy = aside.path().join(name);
        move |root: &Path| assert!(fs::copy(&copy, root.join("journal.db")).unwrap() > 0)
    };
    let losses: [(&str, Lose); 9] = [
        ("the database is gone", Box::new(|root| remove(root, &["journal.db"]))),
        ("the database is empty", Box::new(|root| drop(fs::write(root.join("journal.db"), "")))),
        ("a backup lies beside the log", Box::new(take("backup"))),
        ("an older copy lies beside the log", Box::new(take("copy"))),
        ("the log is gone", Box::new(|root| remove(root, &["journal.db-wal"]))),
        ("all is gone", Box::new(|root| remove(root, &["journal.db", "journal.db-wal"]))),
        ("the anchor is changed", Box::new(|root| flip(&root.join("anchor/journal"), 70))),
        ("the checkpoint file is changed", Box::new(|root| flip(&root.join("anchor/checkpoint"), 40))),
        ("the key is gone", Box::new(|root| remove(root, &["journal.key"]))),
    ];
    for (what, lose) in losses {
        let root = copied(whole.path());
        lose(root.path());
        let before = files(root.path());
        for args in [&["vault", "list"][..], &["journal", "export"], &START] {
            let output = run(root.path(), args, b"");
            assert_eq!(output.status.code(), Some(65), "{what}, {args:?}: {}", both(&output));
            let touched =
                files(root.path()).into_iter().zip(before.clone()).filter(|(now, then)| now != then);
            let touched: Vec<_> = touched.map(|((name, _), _)| name).collect();
            assert!(touched.is_empty(), "{what}, {args:?}: {touched:?}");
        }
    }
}

#[test]
fn a_database_that_is_put_back_beside_its_log_has_every_event_again() {
    for accept in [false, true] {
        let root = killed();
        let (database, away) = (root.path().join("journal.db"), root.path().join("vault/away"));
        fs::rename(&database, &away).unwrap();
        let args = if accept { [&START[..], &["--accept-rollback"]].concat() } else { START.to_vec() };
        let output = run(root.path(), &args, b"");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(65), "{said}");
        assert!(said.contains("journal.db is gone") && said.contains("journal.db-wal"), "{said}");
        fs::rename(&away, &database).unwrap();
        let verdict = json(root.path(), &["journal", "verify"]);
        assert_eq!((&verdict["verified"], &verdict["missing"]), (&true.into(), &0.into()), "{verdict}");
        drop(Daemon::start(root.path()));
    }
}

#[test]
fn a_lost_anchor_or_checkpoint_of_a_sound_journal_is_accepted_without_the_loss_of_an_event() {
    let whole = killed();
    let cut = |root: &Path, name: &str, bytes| {
        fs::File::options().write(true).open(root.join(name)).unwrap().set_len(bytes).unwrap();
    };
    for (name, bytes) in
        [("anchor/journal", 0), ("anchor/journal", 64), ("anchor/checkpoint", 0), ("anchor/checkpoint", 90)]
    {
        let root = copied(whole.path());
        let events = crate::support::events(copied(whole.path()).path()).len();
        cut(root.path(), name, bytes);
        let output = run(root.path(), &START, b"");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(65), "{name}, {bytes}: {said}");
        assert!(said.contains("was changed") && said.contains("--accept-rollback"), "{said}");
        assert!(!said.contains("backup"), "no event is lost, and an older copy would lose some: {said}");
        drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
        let accepted = crate::support::events_named(root.path(), "journal.rollback.accepted");
        assert!(accepted[0]["summary"].as_str().unwrap().starts_with("0 missing events"), "{accepted:?}");
        assert!(crate::support::events(root.path()).len() > events);
    }
}

#[test]
fn a_log_that_was_removed_with_most_of_the_anchor_does_not_pass() {
    let root = killed();
    remove(root.path(), &DATABASE[1..]);
    fs::File::options().write(true).open(root.path().join("anchor/journal")).unwrap().set_len(64).unwrap();
    for args in [&["journal", "verify"][..], &START] {
        let output = run(root.path(), args, b"");
        assert_eq!(output.status.code(), Some(65), "{args:?}: {}", both(&output));
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
    let (other, foreign) = (root.path().join("letter.txt"), root.path().join("foreign.db"));
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    fs::create_dir(&folder).unwrap();
    write_private(&empty, "");
    write_private(&other, "dear");
    let table: [(&PathBuf, i32, &str); 5] = [
        (&foreign, 78, "a database, but not a journal"),
        (&other, 78, "is not a journal: it does not begin as a SQLite database"),
        (&missing, 78, "does not exist"),
        (&folder, 78, "is not a file"),
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
fn what_to_do_about_a_journal_that_does_not_verify_is_told_of_what_is_wrong() {
    let whole = killed();
    let (other, aside) = (state_root(), state_root());
    drop(Daemon::start(other.path()));
    let key = aside.path().join("key");
    write_private(&key, &succeed(other.path(), &["journal", "public-key"], b""));
    let missing = aside.path().join("none");
    let verify = ["journal", "verify"];
    let with_key = |key: &Path| [&verify[..], &["--public-key", key.to_str().unwrap()]].concat().join(" ");
    let newer = "put a newer copy of `journal.db` back with its log";
    let table: [(&[&str], String, i32, &str); 6] = [
        (&["anchor/journal"], verify.join(" "), 65, "put the file back, or if it is gone"),
        (&["journal.db-wal"], verify.join(" "), 65, newer),
        (&DATABASE, verify.join(" "), 65, newer),
        (&["journal.db"], verify.join(" "), 65, "put the database back beside its log"),
        (&[], with_key(&key), 65, "Check that the key is this journal's."),
        (&[], with_key(&missing), 78, "cannot read"),
    ];
    for (lost, command, code, said) in table {
        let root = copied(whole.path());
        remove(root.path(), lost);
        let output = run(root.path(), &command.split(' ').collect::<Vec<_>>(), b"");
        let told = both(&output);
        assert_eq!(output.status.code(), Some(code), "{lost:?} {command}: {told}");
        assert!(told.contains(said), "{lost:?} {command}: {told}");
    }
}

#[test]
fn a_checkpoint_that_was_kept_tells_a_journal_that_was_put_back_as_a_whole() {
    let (root, aside) = (state_root(), state_root());
    drop(Daemon::with_github(root.path()));
    let older = copied(root.path());
    let daemon = Daemon::start(root.path());
    for number in 0..20 {
        assert_eq!(daemon.github("push", &number.to_string(), &format!("{{\"n\":{number}}}")).status, 202);
    }
    let kept = aside.path().join("kept");
    write_private(&kept, &succeed(root.path(), &["journal", "checkpoint"], b""));
    let compare = ["journal", "consistency", kept.to_str().unwrap(), "newest"];
    succeed(root.path(), &compare, b"");
    let output = run(older.path(), &compare, b"");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("the journal lost signed events") && !said.contains("`old`"), "{said}");
}

#[test]
fn a_problem_is_printed_to_its_end() {
    let root = killed();
    remove(root.path(), &DATABASE[1..]);
    let output = run(root.path(), &["journal", "verify"], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    let problem = text.lines().find(|line| line.contains("missing: ")).unwrap();
    assert!(problem.ends_with("acknowledged events from here on are gone"), "{text}");
}
