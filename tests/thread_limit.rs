//! A system that refuses threads: nothing begins to serve, and the reason is told.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{state_root, succeed, write_private};

/// Runs a command. Each of its threads may start so many others less one, and no more.
fn refused_from(nth: usize, root: &Path, args: &[&str]) -> Output {
    let mut traced = Command::new("strace");
    let inject = format!("inject=clone,clone3:error=EAGAIN:when={nth}+");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=clone,clone3", "-e", &inject]);
    traced.arg(env!("CARGO_BIN_EXE_palyra")).arg("--state-root").arg(root).args(args);
    traced.env("NO_COLOR", "1").output().unwrap()
}

/// All that it may start are too few. It has to say so, and not that it is ready.
fn tells_of_the_limit(nth: usize, root: &Path, args: &[&str]) {
    let output = refused_from(nth, root, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{args:?} {nth}: {said}");
    assert!(said.contains("refused this process a thread"), "{args:?} {nth}: {said}");
    assert!(said.contains("TasksMax=") && !said.contains("panicked"), "{args:?} {nth}: {said}");
    assert_eq!(output.stdout, b"", "{args:?} {nth}");
}

#[test]
fn a_start_with_too_few_threads_is_refused_before_it_serves() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "workers = 1\n");
    let start = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let goes_on = || root.path().join("admin.token").try_exists().unwrap();
    // Two before it looks at how many there are, and the ten that it needs.
    for nth in 1..=12 {
        tells_of_the_limit(nth, root.path(), &start);
        assert!(!goes_on(), "{nth}");
    }
    // The threads that it tried out count here too, so the first that does something is refused.
    tells_of_the_limit(13, root.path(), &start);
    assert!(goes_on(), "ten are enough");
}

#[test]
fn a_command_with_too_few_threads_says_so() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/a"], b"a secret of some length");
    for nth in 1..=8 {
        tells_of_the_limit(nth, root.path(), &["vault", "list"]);
    }
}
