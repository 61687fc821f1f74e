//! A limit of file size: every command says that it was met, instead of ending without a word.

use std::fs::File;
use std::path::Path;
use std::process::Output;

use crate::support::{Daemon, json, limited, run_command, state_root, succeed};

/// A state root whose journal has more than 200 KiB.
fn well_filled() -> tempfile::TempDir {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let details = format!("{{\"text\":\"{}\"}}", "x".repeat(6_000));
    for _ in 0..40 {
        succeed(root.path(), &["system", "event", "emit", "filler", "--details", &details], b"");
    }
    daemon.signal("TERM");
    assert!(daemon.wait(std::time::Duration::from_secs(30)).success());
    assert!(root.path().join("journal.db").metadata().unwrap().len() > 200 * 1024);
    root
}

/// It ended by itself with `code`, and said which limit to raise.
fn tells_of_the_limit(output: &Output, code: i32, args: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {} {said}", output.status);
    assert!(said.contains("limit of file size") && said.contains("ulimit -f"), "{args:?}: {said}");
    assert!(!said.contains("cable"), "{args:?}: {said}");
}

fn run_under(root: &Path, limit: &str, args: &[&str]) -> Output {
    run_command(limited(root, limit), args, b"a secret of some length")
}

#[test]
fn a_command_that_may_not_write_files_says_so() {
    let root = well_filled();
    let copy = root.path().with_extension("copy");
    let backup = ["journal", "backup", copy.to_str().unwrap()];
    let commands =
        [&["vault", "put", "global/a"][..], &["journal", "export"], &["providers", "list"], &backup];
    for args in commands {
        tells_of_the_limit(&run_under(root.path(), "-f 1", args), 70, args);
    }
    tells_of_the_limit(&run_under(root.path(), "-f 100", &backup), 1, &backup);
    assert!(!copy.try_exists().unwrap());
    assert_eq!(json(root.path(), &["vault", "list"])["secrets"].as_array().map(Vec::len), Some(0));
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn an_output_that_may_not_grow_is_told_whatever_is_printed() {
    let root = well_filled();
    let folder = state_root();
    for args in [&["journal", "export"][..], &["completions", "bash"]] {
        let into = File::create(folder.path().join("output")).unwrap();
        let mut command = limited(root.path(), "-f 100");
        let output = command.args(args).stdout(into).output().unwrap();
        tells_of_the_limit(&output, 1, args);
    }
}
