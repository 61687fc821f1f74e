//! What is told where nothing was begun yet, or cannot begin as it was asked to.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Daemon, eventually, libfaketime, palyra, run, state_root, succeed, write_private};

/// Runs a command that must fail, and gives what it said.
fn failed(root: &Path, args: &[&str], code: i32) -> String {
    let output = run(root, args, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

#[test]
fn one_address_for_ingress_and_console_is_78() {
    let root = state_root();
    let args = ["daemon", "--ingress", "127.0.0.1:7142", "--console", "127.0.0.1:7142"];
    let said = failed(root.path(), &args, 78);
    assert!(said.contains("both set to the same address"), "{said}");
}

#[test]
fn who_begins_a_state_root_by_the_way_is_told_where() {
    let parent = state_root();
    let root = parent.path().join("new");
    let said = |args: &[&str]| {
        let output = run(&root, args, b"secret");
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let made = format!("created a new state root at {}", root.display());
    assert!(said(&["vault", "put", "global/github"]).contains(&made));
    assert!(!said(&["vault", "put", "global/other"]).contains("state root"));
}

#[test]
fn where_there_is_no_state_root_no_daemon_runs_and_it_is_said_how_to_name_one() {
    let parent = state_root();
    let said = failed(&parent.path().join("missing"), &["system", "heartbeat"], 69);
    assert!(said.contains("there is no state root there") && said.contains("--state-root"), "{said}");
}

#[test]
fn the_built_in_profiles_are_shown_without_a_state_root_and_without_a_place_to_write() {
    let parent = state_root();
    let root = parent.path().join("missing");
    for args in [&["providers", "list"][..], &["providers", "show", "standard-webhooks"]] {
        let shown = palyra(&root).args(args).env("TMPDIR", "/nonexistent").output().unwrap();
        assert!(String::from_utf8(shown.stdout).unwrap().contains("standard-webhooks"), "{args:?}");
    }
    let said = failed(&root, &["providers", "show", "githb"], 1);
    assert!(said.contains("no provider `githb`") && said.contains("did you mean `github`?"), "{said}");
    assert!(!root.try_exists().unwrap());
}

#[test]
#[ignore = "needs faketime; .ci/run runs it"]
fn a_clock_before_1970_is_refused_at_the_start_with_what_it_says_and_nothing_is_begun() {
    let root = state_root();
    let long_ago = [("LD_PRELOAD", libfaketime()), ("FAKETIME", "@1965-06-01 00:00:00".to_owned())];
    let address = ["--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let add = ["webhooks", "add", "gh", "github", "--secret-ref", "env:SECRET"];
    for args in [[&["daemon"][..], &address].concat(), add.to_vec()] {
        let output = palyra(root.path()).args(&args).envs(long_ago.clone()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(
            said.contains("the clock of this machine says 1965-0") && said.contains("set the clock"),
            "{said}"
        );
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_build_in_which_faults_can_be_planted_says_so() {
    let root = state_root();
    let version = succeed(root.path(), &["--version"], b"");
    assert_eq!(version.trim(), concat!("palyra ", env!("CARGO_PKG_VERSION"), "+failpoints"));
}

#[test]
fn a_first_commit_that_takes_seconds_is_waited_for() {
    let root = state_root();
    let file = root.path().join("value");
    write_private(&file, "secret");
    let new = root.path().join("new");
    let mut put = palyra(&new);
    put.args(["vault", "put", "global/x", "--value-file"]).arg(&file);
    let slow = put.env("FAILPOINTS", "journal::before_probe=1*sleep(3000)->off").output().unwrap();
    assert!(slow.status.success(), "{}", String::from_utf8_lossy(&slow.stderr));
}

#[test]
fn with_json_a_warning_that_no_document_tells_is_a_document_on_stderr() {
    let root = state_root();
    crate::support::add_github(root.path());
    write_private(&root.path().join("webhooks.toml"), "nonsense");
    let listed = run(root.path(), &["--json", "providers", "list"], b"");
    let warning: serde_json::Value = serde_json::from_slice(&listed.stderr).unwrap();
    assert!(listed.status.success());
    assert!(
        warning["warning"].as_str().unwrap().contains("only the built-in profiles are shown"),
        "{warning}"
    );
}

/// A command, and what causes the fault that makes it fail.
type Fault = (&'static [&'static str], fn(&Path));

#[test]
fn a_start_that_is_refused_closes_the_journal_it_has_opened() {
    let faults: [Fault; 3] = [
        (&["webhooks", "list"], |root| write_private(&root.join("webhooks.toml"), "nonsense")),
        (&["webhooks", "list"], |root| std::fs::remove_file(root.join("webhooks.toml")).unwrap()),
        (&["vault", "list"], |root| std::fs::remove_file(root.join("vault/identity.txt")).unwrap()),
    ];
    for (args, spoil) in faults {
        let root = state_root();
        Daemon::with_github(root.path()).kill();
        let log_bytes = || std::fs::metadata(root.path().join("journal.db-wal")).unwrap().len();
        assert!(log_bytes() > 0, "a journal that was not closed has a write-ahead log");
        spoil(root.path());
        let said = failed(root.path(), args, 78);
        assert_eq!(log_bytes(), 0, "{said}");
    }
}

#[test]
fn a_signal_that_comes_while_a_failed_start_ends_leaves_its_exit_code() {
    let root = state_root();
    Daemon::with_github(root.path()).kill();
    write_private(&root.path().join("webhooks.toml"), "nonsense");
    let reserve = root.path().join("reserve");
    assert!(reserve.is_file(), "it was killed");
    let mut starting = palyra(root.path())
        .args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"])
        .env("FAILPOINTS", "journal::close=sleep(20000)")
        .spawn()
        .unwrap();
    eventually("it has failed, and closes the journal", || !reserve.is_file());
    assert_eq!(starting.try_wait().unwrap(), None, "the journal hangs");
    let told = Instant::now();
    let stop = ["-TERM".to_owned(), starting.id().to_string()];
    assert!(Command::new("kill").args(stop).status().unwrap().success());
    eventually("it ends", || starting.try_wait().unwrap().is_some());
    // Less than the journal would be waited for.
    assert!(told.elapsed() < Duration::from_secs(7), "{:?}", told.elapsed());
    assert_eq!(starting.wait().unwrap().code(), Some(78));
}
