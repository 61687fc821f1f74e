//! The verification that the console is asked for: one at a time, and only as long as somebody waits for it.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use palyra_actors::journal::{JournalFiles, NewEvent, NewRow, SystemEvent, Writer};

use crate::support::{Daemon, connect, eventually, read_available, state_root, statuses, within};

/// Events that are read in eight goes.
const EVENTS: usize = 8_000;
/// Holds up each go for two seconds.
const SLOW: [(&str, &str); 1] = [("FAILPOINTS", "console::verify=sleep(2000)")];

/// A daemon over so many events that a verification takes a while.
fn daemon_with_events(root: &Path) -> Daemon {
    let row = || NewRow { event: NewEvent::System(SystemEvent::new("test", "one of many")), claim: None };
    drop(Daemon::start(root));
    let mut writer = Writer::open(&JournalFiles::in_folder(root), || 7, false, 1).unwrap();
    writer.append((0..EVENTS).map(|_| row()).collect(), 1).unwrap();
    drop(writer);
    Daemon::start_with(root, &[], &SLOW)
}

fn ask(daemon: &Daemon, root: &Path) -> TcpStream {
    let token = std::fs::read_to_string(root.join("admin.token")).unwrap();
    let mut stream = connect(&daemon.console);
    let ask = format!(
        "POST /console/v1/journal/verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
         Authorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    stream.write_all(ask.as_bytes()).unwrap();
    stream
}

/// Whether one that is asked for is turned away at once.
fn is_turned_away(daemon: &Daemon, root: &Path) -> bool {
    let mut stream = ask(daemon, root);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    if stream.peek(&mut [0]).is_err() {
        return false;
    }
    let told = read_available(&mut stream);
    assert!(statuses(&told) == [503] && told.contains("\"overloaded\""), "{told}");
    true
}

#[test]
fn one_verification_runs_at_a_time_and_ends_when_nobody_waits_for_it() {
    let root = state_root();
    let daemon = daemon_with_events(root.path());
    let asked = ask(&daemon, root.path());
    eventually("the next is turned away", || is_turned_away(&daemon, root.path()));
    drop(asked);
    within(Duration::from_secs(8), "its place is free", || !is_turned_away(&daemon, root.path()));
}

#[test]
fn a_daemon_that_stops_ends_a_verification() {
    let root = state_root();
    let daemon = daemon_with_events(root.path());
    let mut asked = ask(&daemon, root.path());
    eventually("it is under way", || is_turned_away(&daemon, root.path()));
    daemon.signal("TERM");
    let began = Instant::now();
    assert_eq!(daemon.wait(Duration::from_secs(40)).code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(statuses(&read_available(&mut asked)), [503]);
}
