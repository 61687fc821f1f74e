//! The daemon stops as it is told to, and whoever was answered is in the journal.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{
    Daemon, add_github, connect, events, events_named, eventually, github_head, is_closed, libfaketime,
    read_answer, request, run, state_root, succeed, write_private,
};

const DRAIN: Duration = Duration::from_secs(27);

/// One connection that posts one delivery after the other, with keep-alive, until it is closed or refused.
/// Gives the numbers that were acknowledged; fails on an answer that breaks off in the middle.
fn post_over_one_connection(base: &str, writer: usize, answered: &AtomicUsize) -> Vec<String> {
    let mut stream = connect(base);
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let id = format!("{writer}-{n}");
        let body = format!("{{\"n\":\"{id}\"}}");
        let head = github_head("push", "1", body.as_bytes());
        let text = format!(
            "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{head}\r\n{body}",
            body.len()
        );
        if stream.write_all(text.as_bytes()).is_err() {
            break;
        }
        match read_answer(&mut stream) {
            None => break,
            Some(202) => acknowledged.push(id),
            Some(503) => {}
            Some(status) => panic!("{id} was answered {status}"),
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

#[test]
fn sigterm_under_load_loses_no_acknowledged_event_and_ends_with_0() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let base = daemon.ingress.clone();
    let (answered, acknowledged) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let told = Mutex::new(Instant::now());
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let (base, answered, acknowledged) = (&base, &answered, &acknowledged);
            scope.spawn(move || {
                let own = post_over_one_connection(base, writer, answered);
                acknowledged.lock().unwrap().extend(own);
            });
        }
        eventually("the daemon is under load", || answered.load(Ordering::Relaxed) > 300);
        *told.lock().unwrap() = Instant::now();
        daemon.signal("TERM");
    });
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    assert!(told.lock().unwrap().elapsed() < DRAIN);
    let journaled: BTreeSet<String> = events(root.path())
        .iter()
        .filter_map(|row| row["envelope"]["payload"]["n"].as_str().map(str::to_owned))
        .collect();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= 300);
    assert_eq!(acknowledged.difference(&journaled).collect::<Vec<_>>(), Vec::<&String>::new());
    succeed(root.path(), &["journal", "verify"], b"");
    assert_eq!(events_named(root.path(), "system.daemon.stopped").len(), 1);
}

#[test]
fn a_delivery_that_is_being_sent_is_finished() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = br#"{"n":"slow"}"#;
    let head = github_head("push", "1", body);
    let mut open = connect(&daemon.ingress);
    let begin = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{head}\r\n", body.len());
    open.write_all(begin.as_bytes()).unwrap();
    let heartbeat = || daemon.console(root.path(), "GET", "/console/v1/system/heartbeat", b"").json();
    eventually("it is in flight", || heartbeat()["in_flight"] == 1);
    daemon.tell_to_stop();
    open.write_all(body).unwrap();
    assert_eq!(read_answer(&mut open), Some(202));
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    assert_eq!(events_named(root.path(), "push").len(), 1);
}

#[test]
fn a_made_delivery_whose_answer_a_stop_cuts_off_is_journaled_as_unknown_and_not_as_refused() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    write_private(&root.join("palyra.toml"), "drain_deadline_seconds = 1\n");
    let stalls = [("FAILPOINTS", "replay_guard::submit=1*sleep(8000)->off")];
    let daemon = Daemon::start_with(root, &[], &stalls);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| run(root, &["webhooks", "send", "gh", "--event", "push"], b""));
        let heartbeat = || daemon.console(root, "GET", "/console/v1/system/heartbeat", b"").json();
        eventually("it is in flight", || heartbeat()["in_flight"] == 1);
        daemon.signal("TERM");
        assert!(!sending.join().unwrap().status.success());
    });
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    assert_eq!(events_named(root, "push").len(), 1, "it was stored");
    let ended = |ending: &str| events_named(root, &format!("registry.webhook.send.{ending}")).len();
    assert_eq!((ended("unknown"), ended("refused")), (1, 0));
}

#[test]
fn an_open_event_stream_does_not_hold_the_daemon_up() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    let mut stream = connect(&daemon.console);
    let ask = format!(
        "GET /console/v1/system/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    stream.write_all(ask.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 15]).unwrap();
    let told = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(20), "{:?}", told.elapsed());
}

#[test]
fn idle_connections_do_not_hold_the_daemon_up() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let mut used = connect(&daemon.ingress);
    used.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut used), Some(200));
    let _fresh = connect(&daemon.ingress);
    let told = Instant::now();
    daemon.signal("INT");
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(20), "{:?}", told.elapsed());
}

#[test]
fn a_second_signal_leaves_at_once_and_the_journal_is_whole() {
    let root = state_root();
    add_github(root.path());
    let settings = "body_deadline_seconds = 60\ndrain_deadline_seconds = 60\n";
    write_private(&root.path().join("palyra.toml"), settings);
    let daemon = Daemon::start(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    let body = "x".repeat(20_000);
    let head = github_head("push", "2", body.as_bytes());
    let mut open = connect(&daemon.ingress);
    let begin = format!(
        "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n{head}\r\n{}",
        &body[..19_000]
    );
    open.write_all(begin.as_bytes()).unwrap();
    let heartbeat = || daemon.console(root.path(), "GET", "/console/v1/system/heartbeat", b"").json();
    eventually("it is in flight", || heartbeat()["in_flight"] == 1);
    daemon.tell_to_stop();
    daemon.signal("TERM");
    // Much less than the delivery is waited for.
    let status = daemon.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "{status:?}");
    succeed(root.path(), &["journal", "verify"], b"");
    let daemon = Daemon::start(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 200);
}

#[test]
fn while_it_stops_neither_listener_takes_anything_in_and_commands_are_told_so() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let head = github_head("push", "1", b"{}");
    let mut open = connect(&daemon.ingress);
    let begin = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{head}\r\n");
    open.write_all(begin.as_bytes()).unwrap();
    let heartbeat = || daemon.console(root.path(), "GET", "/console/v1/system/heartbeat", b"").json();
    eventually("it is in flight", || heartbeat()["in_flight"] == 1);
    daemon.signal("TERM");
    eventually("both are closed", || is_closed(&daemon.ingress) && is_closed(&daemon.console));
    let told = run(root.path(), &["system", "heartbeat"], b"");
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(69) && said.contains("it is starting or stopping"), "{said}");
    open.write_all(b"{}").unwrap();
    assert_eq!(read_answer(&mut open), Some(202));
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
}

#[test]
fn a_stop_while_the_journal_is_opened_again_is_heard_at_once_and_waits_until_it_is_open() {
    let root = state_root();
    add_github(root.path());
    let points = "journal::append=2*off->1*panic->off;journal::sign=1*sleep(12000)->off";
    let daemon = Daemon::start_with(root.path(), &[], &[("FAILPOINTS", points)]);
    eventually("the journal ends", || daemon.github("push", "1", "{}").status == 503);
    eventually("it is opened again", || {
        let presence = daemon.console(root.path(), "GET", "/console/v1/system/presence", b"").json();
        presence["actors"].to_string().contains("restarting")
    });
    let told = Instant::now();
    daemon.signal("TERM");
    eventually("both are closed", || is_closed(&daemon.ingress) && is_closed(&daemon.console));
    assert!(told.elapsed() < Duration::from_secs(6), "{:?}", told.elapsed());
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    assert_eq!(events_named(root.path(), "system.daemon.stopped").len(), 1);
}

/// Emits events over the console until it is gone.
fn emit_as_long_as_it_answers(base: &str, token: &str) {
    let body = "{\"name\":\"told\"}";
    let ask = format!(
        "POST /console/v1/system/events/emit HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    while let Ok(mut stream) = std::net::TcpStream::connect(base.strip_prefix("http://").unwrap()) {
        let mut answer = [0; 12];
        while stream.write_all(ask.as_bytes()).is_ok() && stream.read_exact(&mut answer).is_ok() {
            if stream.read(&mut [0; 4_096]).is_err() {
                break;
            }
        }
    }
}

#[test]
fn what_is_cut_off_at_the_drain_deadline_writes_nothing_after_the_last_row() {
    let root = state_root();
    add_github(root.path());
    let settings = "body_deadline_seconds = 60\ndrain_deadline_seconds = 8\n";
    write_private(&root.path().join("palyra.toml"), settings);
    let daemon = Daemon::start(root.path());
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    let body = "x".repeat(20_000);
    let head = github_head("push", "1", body.as_bytes());
    let mut slow = connect(&daemon.ingress);
    let begin = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n{head}\r\n");
    slow.write_all(format!("{begin}{}", &body[..19_000]).as_bytes()).unwrap();
    let heartbeat = || daemon.console(root.path(), "GET", "/console/v1/system/heartbeat", b"").json();
    eventually("it is in flight", || heartbeat()["in_flight"] == 1);
    let console = daemon.console.clone();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| emit_as_long_as_it_answers(&console, token.trim()));
        }
        eventually("rows are emitted", || !events_named(root.path(), "system.operator.told").is_empty());
        daemon.tell_to_stop();
        slow.set_nonblocking(true).unwrap();
        let waited_for = slow.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(waited_for, Err(ErrorKind::WouldBlock), "the delivery is waited for");
    });
    assert_eq!(daemon.wait(DRAIN).code(), Some(0));
    let rows = events(root.path());
    let mut of_others = rows.iter().filter(|row| !row["name"].as_str().unwrap().starts_with("journal."));
    assert_eq!(of_others.next_back().unwrap()["name"], "system.daemon.stopped");
    assert!(!events_named(root.path(), "system.operator.told").is_empty());
}

#[test]
fn a_daemon_whose_streams_are_closed_or_full_serves_and_stops_all_the_same() {
    for streams in [">&- 2>&-", "<&- >&- 2>&-", "> >(exit) 2> >(exit)", ">/dev/full 2>/dev/full"] {
        let root = state_root();
        add_github(root.path());
        let mut shell = std::process::Command::new("bash");
        let program = crate::support::palyra(root.path());
        let script = format!("exec \"$@\" -vv daemon --ingress 127.0.0.1:0 --console 127.0.0.1:0 {streams}");
        shell.args(["-c", &script, "bash"]).arg(program.get_program()).args(program.get_args());
        let mut child = shell.spawn().unwrap();
        eventually("the daemon serves", || root.path().join("daemon.json").is_file());
        let heartbeat = crate::support::json(root.path(), &["system", "heartbeat"]);
        assert_eq!(heartbeat["status"], "ok", "{streams}");
        for _ in 0..20 {
            succeed(root.path(), &["system", "event", "emit", "told"], b"");
        }
        let stop = ["-TERM".to_owned(), child.id().to_string()];
        assert!(std::process::Command::new("kill").args(stop).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{streams}");
        succeed(root.path(), &["journal", "verify"], b"");
        assert_eq!(events_named(root.path(), "system.operator.told").len(), 20);
    }
}

#[test]
#[ignore = "needs faketime; .ci/run runs it"]
fn a_clock_that_is_set_before_1970_ends_the_daemon_with_70_rather_than_have_it_answer_that_all_is_late() {
    let (root, elsewhere) = (state_root(), state_root());
    let [clock, log] = ["clock", "log"].map(|name| elsewhere.path().join(name));
    std::fs::write(&clock, "+0").unwrap();
    let (library, file) = (libfaketime(), clock.to_str().unwrap());
    let env = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    write_private(&root.path().join("palyra.toml"), "workers = 1\n");
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &env);
    for base in [&daemon.ingress, &daemon.console] {
        assert_eq!(request("GET", &format!("{base}/healthz"), &[], b"").status, 200);
    }
    std::fs::write(&clock, "@1965-06-01 00:00:00").unwrap();
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.contains("the clock of this machine says 1965-0"), "{told}");
    assert_eq!(events_named(root.path(), "system.daemon.stopped").len(), 1);
}

/// Whether the process handles SIGHUP, SIGINT and SIGTERM.
pub fn heeds_signals(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    let wanted = [1, 2, 15].iter().fold(0, |mask, signal| mask | 1_u64 << (signal - 1));
    u64::from_str_radix(caught, 16).unwrap() & wanted == wanted
}

#[test]
fn a_signal_that_comes_while_the_state_root_is_waited_for_is_heeded() {
    let root = state_root();
    add_github(root.path());
    let serve = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    for (signal, seconds) in [("-TERM", "60"), ("-HUP", "2")] {
        let mut holding = crate::state_root::hold_lock(root.path(), "-x", seconds);
        let mut waiting = crate::support::palyra(root.path()).args(serve).spawn().unwrap();
        let pid = waiting.id();
        eventually("it listens", || heeds_signals(pid));
        assert!(
            std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success()
        );
        if signal == "-HUP" {
            eventually("the daemon serves", || root.path().join("daemon.json").is_file());
            std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
        }
        eventually("it ends", || waiting.try_wait().unwrap().is_some());
        assert_eq!(waiting.wait().unwrap().code(), Some(0), "{signal}");
        drop(holding.kill());
        holding.wait().unwrap();
    }
}

#[test]
fn a_signal_that_comes_while_another_process_signs_for_the_journal_ends_the_start_at_once() {
    let root = state_root();
    add_github(root.path());
    let anchor = std::fs::File::open(root.path().join("anchor")).unwrap();
    anchor.lock().unwrap();
    let serve = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let mut starting = crate::support::palyra(root.path()).args(serve).spawn().unwrap();
    let reserve = root.path().join("reserve");
    eventually("it starts", || reserve.is_file());
    std::thread::sleep(Duration::from_millis(500));
    let told = Instant::now();
    let stop = ["-TERM".to_owned(), starting.id().to_string()];
    assert!(std::process::Command::new("kill").args(stop).status().unwrap().success());
    eventually("it ends", || starting.try_wait().unwrap().is_some());
    // Less than the other process is waited for.
    assert!(told.elapsed() < Duration::from_secs(7), "{:?}", told.elapsed());
    assert_eq!(starting.wait().unwrap().code(), Some(0));
    assert!(!reserve.is_file(), "it keeps no room");
}
