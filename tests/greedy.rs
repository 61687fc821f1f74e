//! Senders, authentic or not, that take more time, room or memory than is theirs: the others are served all the same.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::*;

/// Longer than any deadline of a connection in these tests.
const PATIENCE: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A connection on which one request was answered already.
fn answered(daemon: &Daemon, request: &[u8], status: u16) -> TcpStream {
    let mut stream = connect(&daemon.ingress);
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(request).unwrap();
    assert_eq!(read_answer(&mut stream), Some(status));
    stream
}

/// Whether its other end has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn a_head_that_trickles_in_after_an_answer_is_waited_for_no_longer_than_a_first_one() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "idle_deadline_seconds = 1\nhead_deadline_seconds = 1\n");
    let daemon = Daemon::with_github(root.path());
    let refused = b"POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    for (first, status, trickle) in [(ASK, 200, "x"), (refused, 401, "x"), (ASK, 200, "\r\n")] {
        let mut stream = answered(&daemon, first, status);
        let began = Instant::now();
        while stream.write_all(trickle.as_bytes()).is_ok() && !is_closed(&mut stream) {
            assert!(began.elapsed() < PATIENCE, "{trickle:?} after {status}: still open");
        }
    }
}

#[test]
fn a_connection_that_asks_again_and_again_is_kept() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "idle_deadline_seconds = 2\nhead_deadline_seconds = 1\n");
    let daemon = Daemon::with_github(root.path());
    let begin = || (answered(&daemon, ASK, 200), Instant::now());
    let (mut stream, mut began) = begin();
    while began.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        let is_kept =
            !is_closed(&mut stream) && stream.write_all(ASK).is_ok() && read_answer(&mut stream) == Some(200);
        // A machine so busy that we were idle ourselves for nearly as long tells nothing.
        if asked.elapsed() > Duration::from_secs(1) {
            (stream, began) = begin();
        } else {
            assert!(is_kept, "closed after {:?}", began.elapsed());
        }
    }
}

#[test]
fn a_request_that_came_before_an_idle_connection_was_closed_is_served() {
    let root = state_root();
    let settings = "idle_deadline_seconds = 2\nhead_deadline_seconds = 60\n";
    write_private(&root.path().join("palyra.toml"), settings);
    let daemon = Daemon::with_github(root.path());
    let mut stream = answered(&daemon, ASK, 200);
    daemon.signal("STOP");
    stream.write_all(ASK).unwrap();
    // Longer than the deadline: it has passed when the daemon next looks.
    std::thread::sleep(Duration::from_secs(3));
    daemon.signal("CONT");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(statuses(&answer), [200], "and then it was closed");
}

#[test]
fn who_sends_requests_and_reads_no_answers_takes_little_memory() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let before = resident_kib(&daemon);
    let requests = ASK.repeat(4_000);
    let greedy: Vec<_> = (0..40).map(|_| connect(&daemon.ingress)).collect();
    let mut most = before;
    for _ in 0..20 {
        for mut stream in &greedy {
            stream.set_nonblocking(true).unwrap();
            while stream.write(&requests).is_ok() {}
        }
        most = most.max(resident_kib(&daemon));
        assert_eq!(request("GET", &format!("{}/healthz", daemon.ingress), &[], b"").status, 200);
    }
    assert!(most < before + 64 * 1_024, "{before} KiB became {most} KiB");
}

fn resident_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn deliveries_that_are_sent_without_waiting_are_answered_in_order() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let mut sent = Vec::new();
    for n in 0..40 {
        let body = format!("{{\"n\":{n}}}");
        let signed = if n % 4 == 3 { "another" } else { body.as_str() };
        let head = github_head("push", "1", signed.as_bytes());
        let length = body.len();
        sent.extend(
            format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{head}\r\n{body}")
                .bytes(),
        );
    }
    let mut stream = connect(&daemon.ingress);
    stream.write_all(&sent).unwrap();
    let answers = statuses(&read_available(&mut stream));
    let expected: Vec<u16> = (0..40).map(|n| if n % 4 == 3 { 401 } else { 202 }).collect();
    assert_eq!(answers, expected);
}

#[test]
fn an_answer_has_the_form_that_its_own_request_asks_for() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let deliver = |n: u32, version: &str| {
        let (body, length) = (format!("{{\"n\":{n}}}"), 7);
        let head = github_head("push", "1", body.as_bytes());
        format!("POST /hooks/gh {version}\r\nHost: x\r\nContent-Length: {length}\r\n{head}\r\n{body}")
    };
    let head = "HEAD /hooks/gh HTTP/1.1\r\nHost: x\r\n\r\n";
    let unread = format!(
        "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{}\r\nabc",
        github_head("push", "1", b"x")
    );
    let mut stream = connect(&daemon.ingress);
    let sent = [deliver(1, "HTTP/1.1"), head.to_owned(), deliver(2, "HTTP/1.1"), unread].concat();
    stream.write_all(sent.as_bytes()).unwrap();
    // The last answer closes the connection.
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let answers = read_available(&mut stream);
    let of_head = answers.split("HTTP/1.1 ").nth(2).unwrap_or_default();
    assert_eq!(statuses(&answers), [202, 405, 202, 408], "{answers}");
    assert_eq!(answers.matches("{\"outcome\":\"accepted\"").count(), 2, "{answers}");
    assert!(of_head.ends_with("\r\n\r\n"), "the answer to HEAD has no body: {of_head}");
    let before_last = answers.rsplit_once("HTTP/1.1 408").unwrap().0;
    assert!(!before_last.contains("connection: close"), "the connection goes on: {answers}");
}

#[test]
fn a_request_that_needs_no_100_continue_and_asks_for_it_holds_up_nothing_behind_it() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let mut stream = connect(&daemon.ingress);
    let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(&ask.repeat(3)).unwrap();
    let answers = statuses(&read_available(&mut stream));
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 3, "{answers:?}");
}

#[test]
fn a_body_that_is_refused_before_it_comes_keeps_its_connection_no_longer_than_a_head() {
    let root = state_root();
    let settings = "head_deadline_seconds = 1\nidle_deadline_seconds = 1\n";
    write_private(&root.path().join("palyra.toml"), settings);
    let daemon = Daemon::with_github(root.path());
    let mut stream = connect(&daemon.ingress);
    let ask =
        "POST /hooks/no HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    within(Duration::from_secs(10), "it is closed", || {
        stream.read(&mut [0; 4_096]).is_ok_and(|count| count == 0)
    });
}

#[test]
fn a_body_of_blank_lines_is_read_to_its_end() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = format!("{{\"n\":{}1}}", "\n\r\n".repeat(10_000));
    assert_eq!(daemon.github("push", "1", &body).status, 202);
}

/// The beginning of a delivery that no secret is needed for, with so much of its body.
fn unfinished(daemon: &Daemon, length: usize, sent: usize) -> TcpStream {
    let head = github_head("push", "1", b"{}");
    let mut stream = connect(&daemon.ingress);
    let begun = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{head}\r\n");
    stream.write_all(begun.as_bytes()).unwrap();
    stream.write_all("x".repeat(sent).as_bytes()).unwrap();
    stream
}

fn in_flight(daemon: &Daemon, root: &Path) -> u64 {
    let heartbeat = daemon.console(root, "GET", "/console/v1/system/heartbeat", b"").json();
    heartbeat["in_flight"].as_u64().unwrap()
}

/// Deliveries that were answered, whatever was said.
fn answers_given(daemon: &Daemon, root: &Path) -> u64 {
    let counts = daemon.console(root, "GET", "/console/v1/system/insights", b"").json();
    counts["deliveries"].as_object().unwrap().values().filter_map(|count| count.as_u64()).sum()
}

#[test]
fn bodies_that_have_to_be_waited_for_leave_places_to_those_that_are_there() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "in_flight_max = 8\n");
    let daemon = Daemon::with_github(root.path());
    let _greedy: Vec<_> = (0..8).map(|_| unfinished(&daemon, 60_000, 1)).collect();
    eventually("they wait, but those that gave way to others", || in_flight(&daemon, root.path()) == 6);
    for n in 0..20 {
        let body = format!("{{\"n\":{n}}}");
        assert_eq!(daemon.github("push", "2", &body).status, 202, "{n}");
    }
}

#[test]
fn bodies_that_have_to_be_waited_for_leave_bytes_to_those_that_are_there() {
    let root = state_root();
    write_private(
        &root.path().join("palyra.toml"),
        "in_flight_bytes_max = 1048576\npayload_bytes_cap = 262144\n",
    );
    let daemon = Daemon::with_github(root.path());
    succeed(root.path(), &["webhooks", "set", "gh", "--max-payload-bytes", "262144"], b"");
    let greedy: Vec<_> = (0..5).map(|_| unfinished(&daemon, 260_000, 250_000)).collect();
    // All five have to have come: until they are known to be waited for, they take bytes as any other.
    eventually("at most three wait, and the others gave way", || {
        let waiting = in_flight(&daemon, root.path());
        waiting <= 3 && waiting + answers_given(&daemon, root.path()) == 5
    });
    for n in 0..20 {
        let body = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(100_000));
        assert_eq!(daemon.github("push", "2", &body).status, 202, "{n}");
    }
    drop(greedy);
}
