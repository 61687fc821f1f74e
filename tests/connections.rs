//! What one connection may take up, however it behaves.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
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
        assert_eq!(read_answer(&mut stream), Some(expected));
    }
}

#[test]
fn a_delivery_that_asks_for_a_websocket_is_refused_at_once_and_other_upgrades_are_passed_over() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let cases = [
        ("POST", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 400),
        ("POST", "Upgrade: h2c\r\nUpgrade: WebSocket\r\n", 400),
        ("POST", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", 202),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 405),
    ];
    for (method, upgrade, status) in cases {
        let head = github_head("push", "1", b"{}");
        let request =
            format!("{method} /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{upgrade}{head}\r\n{{}}");
        let mut stream = connect(&daemon.ingress);
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(statuses(&read_available(&mut stream)), [status], "{method} {upgrade}");
    }
    let emit = "POST /console/v1/system/events/emit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n";
    let asked = format!("{emit}Upgrade: websocket\r\n\r\n{{}}");
    assert_eq!(statuses(&raw(&daemon.console, asked.as_bytes())), [400]);
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

#[test]
fn slow_senders_leave_room_for_the_others() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "in_flight_max = 4\n");
    let daemon = Daemon::with_github(root.path());
    let head = github_head("push", "1", b"{}");
    // So much of the body that it may go on for nearly ten seconds.
    let part = "x".repeat(8_192);
    let begun = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n{head}\r\n{part}");
    let mut slow: Vec<_> = (0..4).map(|_| connect(&daemon.ingress)).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(begun.as_bytes()).unwrap());
    let are_answered = |slow: &[TcpStream]| {
        slow.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
        slow.iter().map(|stream| stream.peek(&mut [0]).is_ok()).collect::<Vec<_>>()
    };
    eventually("one gives way", || are_answered(&slow).contains(&true));
    let answered = are_answered(&slow);
    // Before another delivery comes, which may need a place among them.
    assert_eq!(answered.iter().filter(|is_answered| **is_answered).count(), 1, "{answered:?}");
    let first = &mut slow[answered.iter().position(|is_answered| *is_answered).unwrap()];
    first.set_nonblocking(false).unwrap();
    assert_eq!(read_answer(first), Some(503));
    assert_eq!(daemon.github("push", "2", "{\"ref\":\"a\"}").status, 202);
}

#[test]
fn who_does_not_show_the_token_keeps_no_connection_to_the_console() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    let bearer = format!("Authorization: Bearer {}\r\n", token.trim());
    let wrong = "Authorization: Bearer x\r\n";
    let cases = [
        ("/healthz", "", 200, false),
        ("/nothing", "", 404, false),
        ("/console/v1/webhooks", "", 401, false),
        ("/console/v1/webhooks", wrong, 401, false),
        ("/console/v1/webhooks", bearer.as_str(), 200, true),
    ];
    for (path, shown, status, is_kept) in cases {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{shown}\r\n");
        let mut stream = connect(&daemon.console);
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(statuses(&read_available(&mut stream)), [status], "{path} {shown}");
        let again = stream.write_all(request.as_bytes()).map(|()| statuses(&read_available(&mut stream)));
        assert_eq!(again.is_ok_and(|again| again == [status]), is_kept, "{path} {shown}");
    }
}

/// So many deliveries that what the console has to tell of them fits no socket.
fn filled(root: &std::path::Path) -> Daemon {
    let daemon = Daemon::with_github(root);
    for n in 0..600 {
        let body = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(20_000));
        assert_eq!(daemon.github("push", "1", &body).status, 202);
    }
    daemon
}

/// A connection on which the journal is being exported.
fn exporting(daemon: &Daemon, root: &std::path::Path) -> TcpStream {
    let token = std::fs::read_to_string(root.join("admin.token")).unwrap();
    let ask = format!(
        "GET /console/v1/journal/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    let mut stream = connect(&daemon.console);
    stream.write_all(ask.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 15]).unwrap();
    stream
}

/// Reads on to the end, which comes soon; says whether the answer was whole.
fn is_whole(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(!matches!(ended, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "still open");
    rest.ends_with(b"\r\n0\r\n\r\n")
}

#[test]
fn who_does_not_read_what_the_console_answers_is_given_up() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "idle_deadline_seconds = 3\n");
    let daemon = filled(root.path());
    let mut read_at_once = exporting(&daemon, root.path());
    assert!(is_whole(&mut read_at_once));
    drop(read_at_once);
    let mut forgotten = exporting(&daemon, root.path());
    let console = "palyra_connections{listener=\"console\"} 1\n";
    let asks_alone = || {
        let page = daemon.console(root.path(), "GET", "/console/v1/metrics", b"");
        assert_eq!(page.status, 200);
        page.body.contains(console)
    };
    // Sooner than the deadline that holds without a setting.
    within(Duration::from_secs(12), "its connection is closed", asks_alone);
    assert!(!is_whole(&mut forgotten));
}

#[test]
fn a_daemon_that_stops_breaks_an_export_off() {
    let root = state_root();
    let daemon = filled(root.path());
    let mut stream = exporting(&daemon, root.path());
    let told = std::time::Instant::now();
    daemon.tell_to_stop();
    assert!(!is_whole(&mut stream));
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0));
    assert!(told.elapsed() < PATIENCE, "sooner than the drain deadline: {:?}", told.elapsed());
}

#[test]
fn what_is_changed_while_a_body_comes_goes_for_that_delivery_too() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = br#"{"n":"slow"}"#;
    let head = github_head("push", "1", body);
    let begin = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{head}\r\n", body.len());
    let changes: [(&[&str], u16); 3] = [
        (&["webhooks", "set", "gh", "--max-payload-bytes", "100"], 202),
        (&["webhooks", "disable", "gh"], 404),
        (&["webhooks", "set", "gh", "--max-payload-bytes", "3"], 413),
    ];
    for (change, status) in changes {
        succeed(root.path(), &["webhooks", "enable", "gh"], b"");
        let mut open = connect(&daemon.ingress);
        open.write_all(begin.as_bytes()).unwrap();
        let in_flight = || daemon.console(root.path(), "GET", "/console/v1/system/heartbeat", b"").json();
        eventually("it is in flight", || in_flight()["in_flight"] == 1);
        succeed(root.path(), change, b"");
        open.write_all(body).unwrap();
        assert_eq!(read_answer(&mut open), Some(status), "{change:?}");
        eventually("it has ended", || in_flight()["in_flight"] == 0);
    }
}

#[test]
fn a_body_larger_than_the_console_reads_is_413() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    let head = format!(
        "POST /console/v1/webhooks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 40000000\r\n\r\n",
        token.trim()
    );
    let answer = raw(&daemon.console, head.as_bytes());
    assert!(statuses(&answer) == [413] && answer.contains("payload_too_large"), "{answer}");
}

#[test]
fn an_id_is_read_as_it_was_sent_by_whoever_waits_for_100_continue_and_by_others() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let head = github_head("push", "1", b"{}");
    for (path, is_there) in
        [("/hooks/gh", true), ("/hooks/%67h", false), ("/hooks/g%68", false), ("/hooks/gh%2F", false)]
    {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let text = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n{expect}{head}\r\n{{}}"
            );
            let last = statuses(&raw(&daemon.ingress, text.as_bytes())).pop().unwrap();
            assert_eq!(last != 404, is_there, "{last} {path} {expect}");
        }
    }
}

#[test]
fn a_head_of_too_many_headers_is_431_without_a_document() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    for (headers, status) in [(90, 401), (97, 431)] {
        let more: String = (0..headers).map(|n| format!("X-{n}: a\r\n")).collect();
        let text = format!(
            "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}Content-Length: 0\r\n\r\n"
        );
        let answer = raw(&daemon.ingress, text.as_bytes());
        assert_eq!(statuses(&answer), [status], "{headers}");
        assert_eq!(answer.contains("problem+json"), status == 401, "{answer}");
    }
}
