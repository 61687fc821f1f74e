//! What one connection may take up, however it behaves.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use crate::support::*;

/// Longer than any deadline of a connection in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_chunked_body_that_nobody_reads_does_not_keep_its_connection_open() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let cases = [
        (&daemon.ingress, "POST /hooks/nope", 404),
        (&daemon.ingress, "POST /hooks/gh", 401),
        (&daemon.ingress, "GET /healthz", 200),
        (&daemon.console, "POST /console/v1/webhooks", 421),
    ];
    for (base, request, status) in cases {
        let mut stream = connect(base);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{request}: still open: {error}"));
        assert_eq!(statuses(&String::from_utf8_lossy(&answer)), [status], "{request}");
    }
}

#[test]
fn a_chunked_body_that_is_read_keeps_its_connection() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = "{\"ref\":\"a\"}";
    let head = github_head("push", "1", body.as_bytes());
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let request =
        format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{head}\r\n{chunks}");
    let mut stream = connect(&daemon.ingress);
    for expected in [202, 200] {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(statuses(&read_available(&mut stream)), [expected]);
    }
}

#[test]
fn who_reads_no_answers_is_given_up() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "idle_deadline_seconds = 1\n");
    let daemon = Daemon::with_github(root.path());
    let mut stream = connect(&daemon.ingress);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let requests = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    let ended = loop {
        if let Err(error) = stream.write_all(requests.as_bytes()) {
            break error.kind();
        }
    };
    assert!(matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended:?}");
}
