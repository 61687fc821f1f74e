//! The state root: one owner, one daemon, nothing that others could have put there.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::{Daemon, add_github, run, state_root, succeed, write_private};

const DAEMON: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

/// Tries to start a daemon that must refuse, and gives what it said.
fn refused(root: &Path, code: i32) -> String {
    let output = run(root, &DAEMON, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty());
    said
}

#[test]
fn a_second_daemon_on_the_same_state_root_ends_with_73_and_disturbs_nothing() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let said = refused(root.path(), 73);
    assert!(said.contains(&daemon.pid().to_string()), "it names who holds it: {said}");
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
}

#[test]
fn it_is_made_for_its_owner_alone() {
    let parent = state_root();
    let root = parent.path().join("new");
    let _daemon = Daemon::start(&root);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn a_file_that_others_can_read_or_write_is_refused_with_its_name() {
    for file in ["admin.token", "webhooks.toml", "journal.db"] {
        let root = state_root();
        drop(Daemon::with_github(root.path()));
        let path = root.path().join(file);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let said = refused(root.path(), 78);
        assert!(said.contains(file) && said.contains("chmod"), "{said}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        drop(Daemon::start(root.path()));
    }
}

#[test]
fn a_symlink_in_place_of_a_file_is_refused_with_its_name() {
    for file in ["admin.token", "webhooks.toml", "journal.db", "vault"] {
        let root = state_root();
        drop(Daemon::with_github(root.path()));
        let elsewhere = state_root();
        let path = root.path().join(file);
        std::fs::rename(&path, elsewhere.path().join(file)).unwrap();
        symlink(elsewhere.path().join(file), &path).unwrap();
        let said = refused(root.path(), 78);
        assert!(said.contains(file) && said.contains("link"), "{said}");
    }
}

#[test]
fn a_vault_without_its_identity_is_78_and_says_how_to_go_on() {
    let root = state_root();
    add_github(root.path());
    let path = root.path().join("vault/identity.txt");
    let good = std::fs::read_to_string(&path).unwrap();
    let key_line = good.find("AGE-SECRET-KEY").unwrap();
    for unusable in [None, Some(""), Some(&good[..key_line]), Some(&good[..good.len() - 9])] {
        match unusable {
            None => std::fs::remove_file(&path).unwrap(),
            Some(text) => write_private(&path, text),
        }
        let offline = run(root.path(), &["webhooks", "list"], b"");
        let offline_said = String::from_utf8(offline.stderr).unwrap();
        assert_eq!(offline.status.code(), Some(78), "{offline_said}");
        for said in [refused(root.path(), 78), offline_said] {
            assert!(said.contains("identity.txt") && said.contains("backup"), "{said}");
            assert!(!said.contains("AGE-SECRET-KEY"), "{said}");
        }
    }
    write_private(&path, &good);
    let _daemon = Daemon::start(root.path());
}

#[test]
fn a_hard_link_to_a_file_is_refused() {
    let root = state_root();
    drop(Daemon::with_github(root.path()));
    let elsewhere = state_root();
    std::fs::hard_link(root.path().join("journal.db"), elsewhere.path().join("copy")).unwrap();
    assert!(refused(root.path(), 78).contains("journal.db"));
}

#[test]
fn a_folder_that_others_can_write_to_is_refused_and_one_they_can_read_is_closed() {
    let root = state_root();
    drop(Daemon::with_github(root.path()));
    let set_mode =
        |mode| std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o770, 0o702] {
        set_mode(mode);
        assert!(refused(root.path(), 78).contains("chmod"));
    }
    set_mode(0o755);
    let _daemon = Daemon::start(root.path());
    assert_eq!(std::fs::metadata(root.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

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
    drop(Daemon::start(root.path()));
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "mine");
}
