//! A journal that lost something acknowledged does not start, and says from which event on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{
    Daemon, SECRET, add_github, events_named, github_signature, palyra, run, state_root, succeed,
};

fn deliver(daemon: &Daemon, number: u32) -> u16 {
    let body = format!("{{\"n\":{number}}}");
    let signature = github_signature(SECRET, body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    daemon.post("gh", &headers, body.as_bytes()).status
}

fn remove_wal(root: &Path) {
    for name in ["journal.db-wal", "journal.db-shm"] {
        drop(fs::remove_file(root.join(name)));
    }
}

/// Runs the daemon, which has to refuse, and gives what it said.
fn refused(root: &Path) -> String {
    let output = run(root, &["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"], b"");
    assert_eq!(output.status.code(), Some(65));
    assert!(output.stdout.is_empty(), "nothing is served");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_daemon_whose_write_ahead_log_was_deleted_is_refused_with_65_until_the_loss_is_accepted() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::start(root.path());
    assert!((0..5).all(|number| deliver(&daemon, number) == 202));
    daemon.kill();
    remove_wal(root.path());
    let said = refused(root.path());
    assert!(said.contains("acknowledged events are missing from seq"), "{said}");
    assert!(said.contains("--accept-rollback"), "{said}");
    let listed = run(root.path(), &["webhooks", "list"], b"");
    assert_eq!(listed.status.code(), Some(65), "nor does a command take it as it is");
    drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
    let accepted = events_named(root.path(), "journal.rollback.accepted");
    assert_eq!(accepted.len(), 1);
    let why = accepted[0]["details"]["why"].as_str().unwrap();
    assert!(
        why.contains("are missing from seq") && !why.contains("--accept-rollback"),
        "the reason only: {why}"
    );
    succeed(root.path(), &["journal", "verify"], b"");
    let daemon = Daemon::start(root.path());
    assert_eq!(deliver(&daemon, 1), 202, "what was lost is taken in when it comes again");
}

#[test]
fn an_older_copy_of_the_database_is_refused() {
    let root = state_root();
    add_github(root.path());
    drop(Daemon::start(root.path()));
    succeed(root.path(), &["journal", "verify"], b"");
    let old = fs::read(root.path().join("journal.db")).unwrap();
    let daemon = Daemon::start(root.path());
    assert_eq!(deliver(&daemon, 1), 202);
    drop(daemon);
    succeed(root.path(), &["journal", "verify"], b"");
    fs::write(root.path().join("journal.db"), old).unwrap();
    remove_wal(root.path());
    assert!(refused(root.path()).contains("behind its anchor"));
}

/// Runs the daemon with a loss accepted, which has to refuse all the same: with this exit code and these words.
fn refused_although_accepted(root: &Path, code: i32, words: &str) {
    let args = ["daemon", "--accept-rollback", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let output = run(root, &args, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn another_journal_is_no_loss_and_is_not_accepted() {
    let (root, other) = (state_root(), state_root());
    for (root, first, deliveries) in [(&root, 0, 3), (&other, 100, 30)] {
        add_github(root.path());
        let daemon = Daemon::start(root.path());
        assert!((first..first + deliveries).all(|number| deliver(&daemon, number) == 202));
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(20)).success());
    }
    let database = root.path().join("journal.db");
    let (own, key) = (fs::read(&database).unwrap(), fs::read(root.path().join("journal.key")).unwrap());
    fs::copy(other.path().join("journal.db"), &database).unwrap();
    remove_wal(root.path());
    refused_although_accepted(root.path(), 65, "it is not the event that the anchor records");
    assert_eq!(fs::read(root.path().join("journal.key")).unwrap(), key);
    fs::write(&database, own).unwrap();
    remove_wal(root.path());
    drop(Daemon::start(root.path()));
    assert!(events_named(root.path(), "journal.rollback.accepted").is_empty());
}

#[test]
fn a_checkpoint_file_that_cannot_be_read_is_no_loss_and_ends_no_log() {
    let (root, elsewhere) = (state_root(), tempfile::tempdir().unwrap());
    let folder = elsewhere.path().join("anchor");
    let settings = format!("anchor_dir = {:?}\n", folder.to_str().unwrap());
    crate::support::write_private(&root.path().join("palyra.toml"), &settings);
    add_github(root.path());
    drop(Daemon::start(root.path()));
    let (file, key) = (folder.join("checkpoint"), fs::read(root.path().join("journal.key")).unwrap());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refused_although_accepted(root.path(), 78, "run `chmod 600");
    assert_eq!(fs::read(root.path().join("journal.key")).unwrap(), key, "it signs on");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    drop(Daemon::start(root.path()));
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn the_anchor_may_lie_in_another_folder() {
    let (root, elsewhere) = (state_root(), tempfile::tempdir().unwrap());
    let folder = elsewhere.path().join("anchor");
    let settings = format!("anchor_dir = {:?}\n", folder.to_str().unwrap());
    crate::support::write_private(&root.path().join("palyra.toml"), &settings);
    add_github(root.path());
    let daemon = Daemon::start(root.path());
    assert_eq!(deliver(&daemon, 1), 202);
    drop(daemon);
    assert_eq!(folder.join("journal").try_exists().ok(), Some(true));
    assert_eq!(root.path().join("anchor").try_exists().ok(), Some(false));
    fs::remove_file(folder.join("journal")).unwrap();
    assert!(refused(root.path()).contains("its anchor is missing"));
}

#[test]
fn an_older_secret_is_accepted_once_and_journaled_only_then() {
    let root = state_root();
    add_github(root.path());
    let file = root.path().join("vault/global~github.age");
    let older = fs::read(&file).unwrap();
    succeed(root.path(), &["vault", "rotate", "global/github"], b"the next one");
    let accept = || drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
    let accepted = || events_named(root.path(), "vault.rollback.accepted");
    accept();
    assert!(accepted().is_empty(), "nothing was older");
    fs::write(&file, older).unwrap();
    accept();
    assert_eq!(accepted().len(), 1);
    assert_eq!(accepted()[0]["details"]["accepted"]["names"], serde_json::json!(["global/github"]));
    let daemon = Daemon::start(root.path());
    assert_eq!(deliver(&daemon, 1), 202, "it verifies as it did");
}

#[test]
fn older_secrets_are_not_accepted_when_that_cannot_be_journaled() {
    let root = state_root();
    add_github(root.path());
    let (file, pins) = (root.path().join("vault/global~github.age"), root.path().join("anchor/vault"));
    let older = fs::read(&file).unwrap();
    succeed(root.path(), &["vault", "rotate", "global/github"], b"the next one");
    fs::write(&file, older).unwrap();
    let pinned = fs::read(&pins).unwrap();
    let mut refused = palyra(root.path());
    refused.env("FAILPOINTS", "journal::append=1*panic->off").args(["daemon", "--accept-rollback"]);
    refused.args(["--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]);
    let mut child = refused.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && line.is_empty(), "it serves: {line}, {said}");
    assert!(said.contains("older copies of secrets were not accepted"), "{said}");
    assert_eq!(fs::read(&pins).unwrap(), pinned);
    assert!(events_named(root.path(), "vault.rollback.accepted").is_empty());
    let listed = run(root.path(), &["vault", "list"], b"");
    assert!(String::from_utf8(listed.stderr).unwrap().contains("is an older copy"));
}

#[test]
fn an_unreadable_file_of_pins_loses_no_secret_and_is_made_anew_once_that_is_accepted() {
    let root = state_root();
    add_github(root.path());
    let pins = root.path().join("anchor/vault");
    for (spoilt, why) in [
        (&b"{\"global/github\":"[..], "EOF"),
        (b"{\"version\": 2, \"pins\": {}}", "a newer palyra may have written it"),
    ] {
        fs::write(&pins, spoilt).unwrap();
        let output =
            run(root.path(), &["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"], b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(pins.to_str().unwrap()) && said.contains(why), "{said}");
        assert!(said.contains("--accept-rollback") && said.contains("No secret is lost"), "{said}");
        assert!(!said.contains("from a backup"), "{said}");
        drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
        let daemon = Daemon::start(root.path());
        assert_eq!(deliver(&daemon, u32::from(spoilt[2])), 202, "no secret was put again");
    }
}

#[test]
fn an_older_secret_is_not_taken_because_the_file_of_pins_is_missing() {
    let root = state_root();
    add_github(root.path());
    let file = root.path().join("vault/global~github.age");
    let older = fs::read(&file).unwrap();
    succeed(root.path(), &["vault", "put", "global/github"], b"the next one");
    fs::write(&file, older).unwrap();
    fs::remove_file(root.path().join("anchor/vault")).unwrap();
    for args in [&["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"][..], &["vault", "list"]]
    {
        let output = run(root.path(), args, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("anchor/vault") && said.contains("--accept-rollback"), "{said}");
    }
    drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
    assert_eq!(events_named(root.path(), "vault.rollback.accepted").len(), 1);
    drop(Daemon::start(root.path()));
}

#[test]
fn a_value_is_put_in_the_place_of_a_file_that_cannot_be_opened_and_its_version_goes_up() {
    let root = state_root();
    add_github(root.path());
    succeed(root.path(), &["vault", "rotate", "global/github"], b"two");
    let file = root.path().join("vault/global~github.age");
    let older = fs::read(&file).unwrap();
    fs::write(&file, &older[..older.len() / 2]).unwrap();
    let rotated = run(root.path(), &["vault", "rotate", "global/github"], b"three");
    let said = String::from_utf8(rotated.stderr).unwrap();
    assert!(!rotated.status.success() && said.contains("palyra vault put"), "{said}");
    let said = succeed(root.path(), &["vault", "put", "global/github"], SECRET.as_bytes());
    assert!(said.contains("version 3 is current"), "{said}");
    let daemon = Daemon::start(root.path());
    assert_eq!(deliver(&daemon, 1), 202);
    fs::write(&file, &older).unwrap();
    let listed = run(root.path(), &["vault", "list"], b"");
    let warned = String::from_utf8(listed.stderr).unwrap();
    assert!(warned.contains("is an older copy"), "what was put counts as later: {warned}");
}

#[test]
fn a_removal_that_was_cut_off_is_told_as_one_and_finished_by_another() {
    let root = state_root();
    add_github(root.path());
    let file = root.path().join("vault/global~github.age");
    let bytes = fs::read(&file).unwrap();
    succeed(root.path(), &["vault", "remove", "global/github", "--force"], b"");
    // Its end is what a kill would have kept from happening.
    crate::support::write_private(&file, "");
    fs::write(&file, &bytes).unwrap();
    let listed = run(root.path(), &["vault", "list"], b"");
    let warned = String::from_utf8(listed.stderr).unwrap();
    assert!(warned.contains("`palyra vault remove global/github` completes it"), "{warned}");
    succeed(root.path(), &["vault", "remove", "global/github", "--force"], b"");
    let listed = run(root.path(), &["vault", "list"], b"");
    assert!(String::from_utf8(listed.stderr).unwrap().contains("the vault is empty"));
}
