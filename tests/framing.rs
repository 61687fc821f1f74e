//! Where one request ends and the next begins.

use crate::support::{Daemon, events_named, github_head, last, raw, state_root, statuses};

const BODY: &str = r#"{"ref":"main"}"#;

#[test]
fn requests_in_a_row_are_answered_each_for_itself() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let one = |body: &str, signed: &str| {
        let head = github_head("push", "1", signed.as_bytes());
        format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{head}\r\n{body}", body.len())
    };
    let (a, b) = (r#"{"n":"a"}"#, r#"{"n":"b"}"#);
    let text = format!("{}{}{}{}", one(a, a), one(b, a), one(b, b), last(&one(a, a)));
    assert_eq!(statuses(&raw(&daemon.ingress, text.as_bytes())), [202, 401, 202, 200]);
}

#[test]
fn ambiguous_framing_is_refused() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let head = github_head("push", "1", BODY.as_bytes());
    for framing in [
        "Content-Length: 14\r\nContent-Length: 15\r\n",
        "Content-Length: +14\r\n",
        "Content-Length: 14\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity, chunked, chunked\r\n",
    ] {
        let text = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\n{framing}{head}\r\n{BODY}");
        let answers = statuses(&raw(&daemon.ingress, text.as_bytes()));
        assert!(
            !answers.is_empty() && answers.iter().all(|status| (400..500).contains(status)),
            "{framing:?}: {answers:?}"
        );
    }
    assert!(events_named(root.path(), "push").is_empty());
}
