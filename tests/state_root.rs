//! The state root: one owner, one daemon, nothing that others could have put there.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::leftovers::left_by_a_killed_daemon;
use crate::support::{Daemon, add_github, eventually, run, state_root, succeed, write_private};

const DAEMON: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

/// Tries to start a daemon that must refuse, and gives what it said.
pub fn refused(root: &Path, code: i32) -> String {
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
fn a_daemon_whose_lock_was_removed_is_told_and_keeps_its_state_root() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let announced = std::fs::read(root.path().join("daemon.json")).unwrap();
    std::fs::remove_file(root.path().join("lock")).unwrap();
    // Whoever comes later finds a lock that another one made.
    for _ in 0..2 {
        let asked =
            [&["system", "heartbeat"][..], &["system", "event", "list"], &["vault", "remove", "global/x"]];
        let told = asked.map(|args| failed(root.path(), args, 73));
        for said in told.into_iter().chain([refused(root.path(), 73)]) {
            assert!(said.contains(&daemon.pid().to_string()), "{said}");
            assert!(said.contains("whose `lock` was removed: restart it"), "{said}");
        }
        assert_eq!(std::fs::read(root.path().join("daemon.json")).unwrap(), announced);
    }
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    drop(daemon);
    drop(Daemon::start(root.path()));
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
    let check = run(root.path(), &["daemon", "--check"], b"");
    let said = String::from_utf8(check.stderr).unwrap();
    assert!(check.status.success() && mode(root.path()) == 0o755, "a check changes nothing: {said}");
    assert!(said.contains("is open to other users (mode 755)") && said.contains("chmod 700"), "{said}");
    let closed = "was open to other users (mode 755); its mode was changed to 700";
    let listed = run(root.path(), &["webhooks", "list"], b"");
    assert!(String::from_utf8(listed.stderr).unwrap().contains(closed));
    assert_eq!(mode(root.path()), 0o700);
    set_mode(0o755);
    let elsewhere = state_root();
    let log = elsewhere.path().join("log");
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &[]);
    assert_eq!(mode(root.path()), 0o700);
    eventually("it is logged", || std::fs::read_to_string(&log).unwrap().contains(closed));
    drop(daemon);
    for args in [&["daemon", "--check"][..], &["webhooks", "list"]] {
        assert!(!String::from_utf8(run(root.path(), args, b"").stderr).unwrap().contains("open to other"));
    }
}

#[test]
fn a_variable_that_is_empty_counts_as_not_set() {
    let home = state_root();
    let of_home = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palyra"));
        command.args(flags).args(["vault", "list"]).env_clear().env("HOME", home.path());
        command.env("PALYRA_STATE_ROOT", "").output().unwrap()
    };
    let output = of_home(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(home.path().join(".local/state/palyra").to_str().unwrap()), "{said}");
    assert_eq!(of_home(&["--state-root", ""]).status.code(), Some(2), "an empty flag means nothing");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Runs a command that must fail, and gives what it said.
fn failed(root: &Path, args: &[&str], code: i32) -> String {
    let output = run(root, args, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

/// Another program that holds the lock, shared (`-s`) or alone (`-x`), and lets it go after so many seconds.
pub fn hold_lock(root: &Path, how: &str, seconds: &str) -> Child {
    let mut child = Command::new("flock")
        .args([
            "--no-fork",
            how,
            root.join("lock").to_str().unwrap(),
            "sh",
            "-c",
            "echo held; exec sleep \"$0\"",
            seconds,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    child
}

#[test]
fn a_folder_that_holds_foreign_things_and_none_of_ours_is_refused_and_left_as_it_is() {
    let folder = state_root();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    for bits in [0o755, 0o777] {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(bits)).unwrap();
        for said in [
            refused(folder.path(), 78),
            failed(folder.path(), &["webhooks", "list"], 78),
            failed(folder.path(), &["webhooks", "add", "a", "github", "--secret-ref", "a/b"], 78),
        ] {
            assert!(said.contains("not a state root") && said.contains("--state-root"), "{said}");
            assert!(!said.contains("chmod"), "{said}");
        }
        assert_eq!(mode(folder.path()), bits);
        assert_eq!(names_in(folder.path()), [folder.path().join("notes.txt")]);
    }
}

#[test]
fn an_empty_folder_is_taken_and_closed_to_others() {
    for bits in [0o755, 0o777] {
        let folder = state_root();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(bits)).unwrap();
        drop(Daemon::start(folder.path()));
        assert_eq!(mode(folder.path()), 0o700);
    }
}

#[test]
fn what_the_file_system_keeps_at_the_top_of_a_volume_is_passed_over() {
    let folder = state_root();
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    std::fs::set_permissions(folder.path().join("lost+found"), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    drop(Daemon::start(folder.path()));
    std::fs::create_dir(folder.path().join("vault/lost+found")).unwrap();
    std::fs::set_permissions(folder.path().join("vault/lost+found"), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    assert!(refused(folder.path(), 78).contains("vault/lost+found"));
}

#[test]
fn a_command_that_reads_begins_no_state_root() {
    let parent = state_root();
    let (missing, empty) = (parent.path().join("missing"), state_root());
    for root in [missing.as_path(), empty.path()] {
        for args in [
            &["webhooks", "list"][..],
            &["vault", "list"],
            &["system", "event", "list"],
            &["journal", "export"],
            &["journal", "verify"],
            &["journal", "backup", "/tmp/never-made.db"],
        ] {
            let said = failed(root, args, 78);
            assert!(said.contains("there is no state root at") && said.contains("daemon"), "{said}");
        }
        assert!(succeed(root, &["providers", "list"], b"").contains("standard-webhooks"));
        assert!(!root.try_exists().unwrap() || names_in(root).is_empty(), "{}", root.display());
    }
    add_github(&missing);
    assert!(succeed(&missing, &["webhooks", "list"], b"").contains("gh"));
}

#[test]
fn a_state_root_of_another_user_is_his_and_the_error_says_whose() {
    let folder = state_root();
    add_github(folder.path());
    // Only the superuser may give a folder away; to anybody else, its own are foreign.
    let is_given = chown(folder.path(), Some(12_345), None).is_ok();
    let (root, user) = if is_given { (folder.path(), "12345") } else { (Path::new("/"), "0") };
    let before = is_given.then(|| names_in(root));
    for args in [
        &["system", "heartbeat"][..],
        &["webhooks", "list"],
        &["journal", "verify"],
        &["journal", "backup", "/tmp/never-made.db"],
        &DAEMON,
    ] {
        let said = failed(root, args, 78);
        assert!(said.contains(&format!("belongs to user {user}")), "{args:?}: {said}");
        assert!(said.contains(&format!("sudo -u '#{user}' palyra")) && !said.contains("chown"), "{said}");
    }
    assert_eq!(before, is_given.then(|| names_in(root)), "nothing was touched");
}

#[test]
fn a_daemon_that_runs_and_cannot_be_asked_says_why() {
    let root = state_root();
    let _daemon = Daemon::start(root.path());
    for file in ["admin.token", "daemon.json"] {
        let path = root.path().join(file);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let said = failed(root.path(), &["system", "heartbeat"], 78);
        assert!(said.contains(file) && said.contains("chmod 600"), "{said}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    succeed(root.path(), &["system", "heartbeat"], b"");
    let announcement = std::fs::read_to_string(root.path().join("daemon.json")).unwrap();
    write_private(&root.path().join("daemon.json"), "{");
    let said = failed(root.path(), &["system", "heartbeat"], 78);
    assert!(said.contains("daemon.json") && said.contains("restart the daemon"), "{said}");
    std::fs::remove_file(root.path().join("daemon.json")).unwrap();
    let said = failed(root.path(), &["system", "heartbeat"], 69);
    assert!(said.contains("its `daemon.json` is gone") && said.contains("restart the daemon"), "{said}");
    write_private(&root.path().join("daemon.json"), &announcement);
    std::fs::remove_file(root.path().join("admin.token")).unwrap();
    let said = failed(root.path(), &["system", "heartbeat"], 69);
    assert!(said.contains("restart the daemon") && !said.contains("starting or stopping"), "{said}");
}

#[test]
fn a_daemon_that_does_not_serve_yet_is_told_apart_from_none() {
    let root = left_by_a_killed_daemon();
    std::fs::remove_file(root.path().join("daemon.json")).unwrap();
    let mut starting = hold_lock(root.path(), "-x", "60");
    for args in [&["system", "heartbeat"][..], &["webhooks", "list"]] {
        let said = failed(root.path(), args, 69);
        assert!(said.contains("it is starting or stopping") && said.contains("try again"), "{said}");
        assert!(!said.contains("start it"), "{said}");
    }
    starting.kill().unwrap();
    starting.wait().unwrap();
}

#[test]
fn a_token_that_could_be_guessed_is_refused_and_one_is_made_where_there_is_none() {
    let root = state_root();
    add_github(root.path());
    let path = root.path().join("admin.token");
    let with_a_break = format!("{0}\n{0}", "x".repeat(32));
    for short in ["abc\n", "", &"x".repeat(31), &"é".repeat(32), &with_a_break] {
        write_private(&path, short);
        for said in [refused(root.path(), 78), failed(root.path(), &["webhooks", "list"], 78)] {
            assert!(said.contains("admin.token") && said.contains("delete it"), "{said}");
            assert!(short.is_empty() || !said.contains(short.trim()), "{said}");
        }
    }
    write_private(&path, &"x".repeat(32));
    drop(Daemon::start(root.path()));
    std::fs::remove_file(&path).unwrap();
    drop(Daemon::start(root.path()));
    assert_eq!(std::fs::read_to_string(&path).unwrap().trim().len(), 64);
}

#[test]
fn an_address_that_is_taken_is_1_and_one_that_cannot_be_is_78() {
    let root = state_root();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = failed(root.path(), &["daemon", "--console", "127.0.0.1:0", "--ingress", &address], 1);
    assert!(said.contains(&address) && said.contains("--ingress"), "{said}");
    // TEST-NET-1 (RFC 5737) belongs to no machine.
    let said =
        failed(root.path(), &["daemon", "--console", "127.0.0.1:0", "--ingress", "192.0.2.1:7142"], 78);
    assert!(said.contains("192.0.2.1:7142") && said.contains("hint: "), "{said}");
}

#[test]
fn a_stray_file_at_the_top_is_passed_over_with_a_warning_and_left_as_it_is() {
    let (root, elsewhere) = (state_root(), state_root());
    drop(Daemon::with_github(root.path()));
    let stray = root.path().join("events.ndjson");
    std::fs::write(&stray, "mine").unwrap();
    std::fs::set_permissions(&stray, std::fs::Permissions::from_mode(0o644)).unwrap();
    let log = elsewhere.path().join("log");
    let _daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &[]);
    let is_named = || std::fs::read_to_string(&log).unwrap().contains(stray.to_str().unwrap());
    eventually("it is logged", is_named);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("WARN"), "{said}");
    assert_eq!((mode(&stray), std::fs::read_to_string(&stray).unwrap()), (0o644, "mine".to_owned()));
}

#[test]
fn a_stray_link_at_the_top_and_a_stray_file_below_it_are_refused() {
    for (place, is_link) in [("notes", true), ("vault/notes", false), ("providers/notes", false)] {
        let root = state_root();
        drop(Daemon::with_github(root.path()));
        let path = root.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
        if is_link {
            symlink("/etc/hostname", &path).unwrap();
        } else {
            std::fs::write(&path, "mine").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        assert!(refused(root.path(), 78).contains(place), "{place}");
    }
}
