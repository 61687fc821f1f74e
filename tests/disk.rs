//! The disk says no: nothing is acknowledged that is not written, and a restart goes on.

use std::time::Duration;

use crate::support::{Daemon, SECRET, add_github, events, github_signature, state_root, succeed, try_post};

fn body(n: usize) -> String {
    format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(2_000))
}

/// Posts delivery `n`; none when the daemon is gone.
fn post(daemon: &Daemon, n: usize) -> Option<u16> {
    let signature = github_signature(SECRET, body(n).as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    try_post(&format!("{}/hooks/gh", daemon.ingress), &headers, body(n).as_bytes())
}

#[test]
fn after_the_first_failed_write_nothing_is_acknowledged_and_the_daemon_ends_with_70() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::with_files_up_to(root.path(), 400);
    let answers: Vec<Option<u16>> = (0..300).map(|n| post(&daemon, n)).collect();
    let acknowledged = answers.iter().take_while(|status| **status == Some(202)).count();
    assert!((1..300).contains(&acknowledged), "the limit was met: {acknowledged}");
    assert_eq!(answers[acknowledged], Some(503));
    assert!(answers[acknowledged..].iter().all(|status| matches!(status, None | Some(503))), "{answers:?}");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));

    let daemon = Daemon::start(root.path());
    for n in 0..=acknowledged {
        let expected: &[u16] = if n == acknowledged { &[200, 202] } else { &[200] };
        assert!(expected.contains(&post(&daemon, n).unwrap()), "{n}");
    }
    let rows = events(root.path());
    assert_eq!(rows.iter().filter(|row| row["kind"] == "webhook").count(), acknowledged + 1);
    succeed(root.path(), &["journal", "verify"], b"");
}
