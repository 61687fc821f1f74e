//! What a daemon leaves in its state root, and what becomes of it at the next start.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::shutdown::heeds_signals;
use crate::state_root::refused;
use crate::support::{Daemon, add_github, eventually, fail, palyra, run, state_root, succeed, write_private};

const SERVE: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

#[test]
fn what_a_killed_daemon_left_behind_hinders_nobody() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    daemon.kill();
    assert!(succeed(root.path(), &["webhooks", "list"], b"").contains("gh"), "offline again");
    let daemon = Daemon::start(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 200);
}

#[test]
fn an_unfinished_write_is_cleared_away_and_foreign_files_stay() {
    let root = state_root();
    add_github(root.path());
    let foreign = root.path().join("notes.txt");
    write_private(&foreign, "mine");
    let unfinished = ["", "anchor", "vault"].map(|folder| root.path().join(folder).join(".unfinished-x"));
    unfinished.iter().for_each(|file| write_private(file, "half"));
    drop(Daemon::start(root.path()));
    assert_eq!(unfinished.map(|file| file.try_exists().unwrap()), [false; 3]);
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "mine");
}

#[test]
fn a_first_start_that_was_killed_at_any_file_is_followed_by_a_second() {
    for left in [&[".unfinished-x"][..], &["lock", ".unfinished-x"], &[".unfinished-x", "lock", "reserve"]] {
        let root = state_root();
        left.iter().for_each(|file| write_private(&root.path().join(file), ""));
        drop(Daemon::start(root.path()));
        assert!(!root.path().join(".unfinished-x").try_exists().unwrap());
    }
}

/// A state root whose lock names a daemon that was killed.
pub fn left_by_a_killed_daemon() -> TempDir {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    daemon.kill();
    assert!(root.path().join("daemon.json").is_file());
    assert!(std::fs::read_to_string(root.path().join("lock")).unwrap().contains("daemon"));
    root
}

#[test]
fn who_only_asks_for_the_holder_keeps_no_daemon_from_starting() {
    let root = left_by_a_killed_daemon();
    let asking = std::fs::File::open(root.path().join("lock")).unwrap();
    asking.lock_shared().unwrap();
    let mut starting = palyra(root.path()).args(SERVE).stdout(Stdio::piped()).spawn().unwrap();
    // The daemon takes its state root next, and waits for the lock for a moment.
    eventually("it heeds signals", || heeds_signals(starting.id()));
    drop(asking);
    let mut line = String::new();
    BufReader::new(starting.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("ready "), "{line:?}");
    starting.kill().unwrap();
    starting.wait().unwrap();
}

#[test]
fn a_daemon_that_ended_in_good_order_is_named_by_no_lock() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    daemon.signal("TERM");
    assert!(daemon.wait(std::time::Duration::from_secs(30)).success());
    assert_eq!(std::fs::read_to_string(root.path().join("lock")).unwrap(), "");
}

#[test]
fn the_announcement_of_a_killed_daemon_goes_before_anything_else_is_done() {
    let root = left_by_a_killed_daemon();
    write_private(&root.path().join("palyra.toml"), "workers = 0");
    refused(root.path(), 78);
    assert!(!root.path().join("daemon.json").try_exists().unwrap());
}

#[test]
fn a_start_that_fails_over_a_port_that_is_taken_keeps_no_room_on_the_disk() {
    let root = state_root();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ingress = taken.local_addr().unwrap().to_string();
    let serve = ["daemon", "--ingress", &ingress, "--console", "127.0.0.1:0"];
    assert_eq!(run(root.path(), &serve, b"").status.code(), Some(1));
    assert!(root.path().join("lock").is_file());
    assert!(!root.path().join("reserve").try_exists().unwrap());
}

/// A state root with a journal, and this name free.
fn with_free(name: &str) -> TempDir {
    let root = state_root();
    drop(Daemon::with_github(root.path()));
    let path = root.path().join(name);
    if path.try_exists().unwrap() {
        std::fs::remove_file(&path).unwrap();
    }
    root
}

#[test]
fn a_named_pipe_in_the_place_of_a_file_is_refused_and_nobody_waits_for_its_other_end() {
    let backup = state_root();
    let to = backup.path().join("copy.db");
    let journal: &[&[&str]] =
        &[&["journal", "verify"], &["daemon", "--check"], &["journal", "backup", to.to_str().unwrap()]];
    for (name, commands) in [
        ("lock", &[&["webhooks", "list"][..], &["journal", "export"], &["system", "heartbeat"]][..]),
        ("journal.db-journal", journal),
        ("journal.db-wal", journal),
        ("journal.db", journal),
    ] {
        let root = with_free(name);
        let path = root.path().join(name);
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
        for args in commands {
            let said = fail(root.path(), args, 78);
            assert!(said.contains(name), "{name} {args:?}: {said}");
        }
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_refused_by_the_start_and_by_its_check() {
    for name in
        ["journal.db-journal", "journal.key", "journal.key.next", "lock", "daemon.json", "palyra.toml"]
    {
        let root = with_free(name);
        make_private_folder(&root.path().join(name));
        for said in [fail(root.path(), &["daemon", "--check"], 78), refused(root.path(), 78)] {
            assert!(said.contains(name) && !said.contains("cable"), "{name}: {said}");
        }
    }
    let root = with_free("anchor/checkpoint");
    make_private_folder(&root.path().join("anchor/checkpoint"));
    assert!(refused(root.path(), 78).contains("anchor/checkpoint"));
    let root = state_root();
    write_private(&root.path().join("providers"), "");
    for args in [&["daemon", "--check"][..], &["vault", "list"]] {
        assert!(fail(root.path(), args, 78).contains("providers"), "a file in the place of a folder");
    }
}

fn make_private_folder(path: &Path) {
    std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

#[test]
fn no_backup_takes_a_name_that_the_state_root_keeps_for_itself() {
    let root = state_root();
    drop(Daemon::with_github(root.path()));
    std::fs::remove_file(root.path().join("admin.token")).unwrap();
    for name in ["palyra.toml", "providers", "admin.token", "journal.db-journal", "vault/x.age", "anchor/new"]
    {
        let to = root.path().join(name);
        let said = fail(root.path(), &["journal", "backup", to.to_str().unwrap()], 2);
        assert!(said.contains(name), "{name}: {said}");
        assert!(!to.try_exists().unwrap(), "{name}");
    }
    let to = root.path().join("my-backup.db");
    succeed(root.path(), &["journal", "backup", to.to_str().unwrap()], b"");
    drop(Daemon::start(root.path()));
}

#[test]
fn beside_an_anchor_elsewhere_a_backup_may_have_any_name_that_is_not_taken() {
    let (root, elsewhere) = (state_root(), state_root());
    let dir = &elsewhere.path().join("anchors");
    write_private(&root.path().join("palyra.toml"), &format!("anchor_dir = \"{}\"\n", dir.display()));
    drop(Daemon::with_github(root.path()));
    let backup = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    fail(root.path(), &["journal", "backup", &backup("checkpoint")], 2);
    succeed(root.path(), &["journal", "backup", &backup("monday.db")], b"");
    drop(Daemon::start(root.path()));
}
