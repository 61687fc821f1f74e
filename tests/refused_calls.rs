//! System calls that a file system or a filter of the container refuses: the start goes on without, or says what to do.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{state_root, succeed, write_private};

const START: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

/// Runs a command for which `call` fails with `error`, only for the file at `path` if one is named.
fn run_without(call: &str, error: &str, path: Option<&Path>, root: &Path, args: &[&str]) -> Output {
    let mut traced = Command::new("strace");
    let inject = format!("inject={call}:error={error}");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
    if let Some(path) = path {
        traced.arg("-P").arg(path);
    }
    traced.arg(env!("CARGO_BIN_EXE_palyra")).arg("--state-root").arg(root).args(args);
    traced.env("NO_COLOR", "1").output().unwrap()
}

/// It is refused as a matter of configuration, with what to do.
fn tells(output: &Output, remedy: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(remedy), "{said}");
}

#[test]
fn a_file_system_without_locks_is_told_as_that() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/a"], b"a secret of some length");
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        for args in [&START[..], &["vault", "list"]] {
            tells(&run_without("flock", error, None, root.path(), args), "on a local disk with --state-root");
        }
    }
}

#[test]
fn an_anchor_on_a_file_system_without_locks_is_to_be_moved() {
    let (root, elsewhere) = (state_root(), state_root());
    let anchor = elsewhere.path().join("anchor");
    let settings = format!("anchor_dir = \"{}\"\n", anchor.display());
    write_private(&root.path().join("palyra.toml"), &settings);
    let output = run_without("flock", "ENOLCK", Some(&anchor), root.path(), &START);
    tells(&output, "local disk and name it as `anchor_dir`");
}

#[test]
fn a_filter_that_forbids_a_call_is_told_with_the_call() {
    let root = state_root();
    for error in ["ENOSYS", "EPERM"] {
        tells(&run_without("statx", error, None, root.path(), &START), "allow `statx`");
    }
}

#[test]
fn a_checkpoint_file_that_cannot_be_looked_at_is_no_verdict_on_the_journal() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/a"], b"a secret of some length");
    let checkpoint = root.path().join("anchor/checkpoint");
    for (error, code, words) in [
        ("EMFILE", 70, "lacks file descriptors or memory"),
        ("ENOMEM", 70, "lacks file descriptors or memory"),
        ("EACCES", 78, "Permission denied"),
    ] {
        for args in [&["journal", "verify"][..], &["vault", "list"]] {
            let output = run_without("open,openat", error, Some(&checkpoint), root.path(), args);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{error} {args:?}: {said}");
            assert!(said.contains(words), "{error} {args:?}: {said}");
        }
    }
}

#[test]
fn a_filter_that_forbids_to_preallocate_costs_the_reserve_and_nothing_else() {
    let root = state_root();
    // A port that is taken ends the start after the reserve would have been taken.
    let blocked = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = blocked.local_addr().unwrap().to_string();
    let start = ["daemon", "--ingress", &taken, "--console", "127.0.0.1:0"];
    let output = run_without("fallocate", "EPERM", None, root.path(), &start);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Address already in use"), "{said}");
}
