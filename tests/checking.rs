//! `daemon --check`: what the next start would refuse, found out beside a running daemon or without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{Daemon, add_github, json, run, state_root, succeed, write_private};

/// Runs a check that must fail with 78, and gives what it said.
fn faults(root: &Path, args: &[&str]) -> String {
    let output = run(root, &[&["daemon", "--check"], args].concat(), b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0), "{said}");
    said
}

/// Every file of the root with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_check_beside_a_running_daemon_takes_no_lock_and_tells_what_the_next_start_would_read() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let checked = json(root.path(), &["daemon", "--check"]);
    assert_eq!(
        (&checked["ok"], &checked["integrations"], &checked["enabled"]),
        (&true.into(), &1.into(), &1.into())
    );
    assert!(succeed(root.path(), &["daemon", "--check"], b"").starts_with("ok: "));
    write_private(&root.path().join("palyra.toml"), "wrokers = 1\n");
    let said = faults(root.path(), &[]);
    assert!(said.contains("palyra.toml:1:1") && said.contains("`workers`"), "{said}");
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
}

#[test]
fn a_check_changes_nothing_and_tells_every_file_that_has_a_fault() {
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &text.replace("\"github\"", "\"gone\""));
    write_private(&root.path().join("palyra.toml"), "in_flight_max = 0\n");
    let before = files(root.path());
    let said = faults(root.path(), &[]);
    assert!(said.contains("in_flight_max is 0") && said.contains("unknown provider `gone`"), "{said}");
    assert!(said.contains("palyra.toml:1:1") && said.contains("webhooks.toml:"), "{said}");
    assert_eq!(files(root.path()), before);
    write_private(&root.path().join("palyra.toml"), "");
    write_private(&registry, &text);
    let same = ["--ingress", "127.0.0.1:7142", "--console", "127.0.0.1:7142"];
    assert!(faults(root.path(), &same).contains("both name the same address"));
}

#[test]
fn a_check_begins_no_state_root_and_refuses_what_a_start_would() {
    let parent = state_root();
    let root = parent.path().join("new");
    assert!(succeed(&root, &["daemon", "--check"], b"").contains("nothing is configured"));
    assert!(!root.try_exists().unwrap());
    std::fs::write(parent.path().join("letter.txt"), "dear").unwrap();
    assert!(faults(parent.path(), &[]).contains("is no state root: it holds other things"));
}
