//! Events as they are committed, over server-sent events.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::support::{Daemon, connect, eventually, read_available, state_root, statuses, within};

/// A stream that says nothing for so long has nothing more to say. Less than the time between its signs of life.
const PAUSE: Duration = Duration::from_secs(2);

/// The beginning of the answer, up to its status, however long it takes.
fn begun(stream: &mut TcpStream) -> String {
    let mut begun = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.read_exact(&mut begun).unwrap();
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    String::from_utf8_lossy(&begun).into_owned()
}

/// Asks for the stream with this query and these headers, each with its line end.
fn follow(daemon: &Daemon, root: &Path, query: &str, headers: &str) -> TcpStream {
    let token = std::fs::read_to_string(root.join("admin.token")).unwrap();
    let mut stream = connect(&daemon.console);
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    let ask = format!(
        "GET /console/v1/system/events/stream{query} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {}\r\n{headers}\r\n",
        token.trim()
    );
    stream.write_all(ask.as_bytes()).unwrap();
    stream
}

#[test]
fn events_are_shown_as_they_are_committed() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let mut stream = follow(&daemon, root.path(), "", "");
    // The stream begins after the newest event, so it has to be open before the next one is emitted.
    begun(&mut stream);
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    let text = read_available(&mut stream);
    assert!(text.contains("event: webhook\n") && text.contains("\"name\":\"push\""), "{text}");
}

#[test]
fn a_stream_ends_in_good_order_so_that_who_reads_nothing_keeps_no_place() {
    let root = state_root();
    // Late enough for all of them to be open at once.
    let soon = [("FAILPOINTS", "console::stream_ends_soon=return(6)")];
    let daemon = Daemon::start_with(root.path(), &[], &soon);
    let places = 32;
    let mut streams: Vec<TcpStream> = (0..places).map(|_| follow(&daemon, root.path(), "", "")).collect();
    for stream in &mut streams {
        assert_eq!(begun(stream), "HTTP/1.1 200");
    }
    let one_more = || statuses(&read_available(&mut follow(&daemon, root.path(), "", "")));
    assert_eq!(one_more(), [503]);
    within(Duration::from_secs(30), "a place is free", || one_more() == [200]);
    let rest = read_available(&mut streams[0]);
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
}

#[test]
fn clients_that_have_gone_keep_no_places_for_long() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let mut streams: Vec<TcpStream> = (0..32).map(|_| follow(&daemon, root.path(), "", "")).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
    }
    let one_more = || statuses(&read_available(&mut follow(&daemon, root.path(), "", "")));
    assert_eq!(one_more(), [503]);
    drop(streams);
    within(Duration::from_secs(30), "a place is free", || one_more() == [200]);
}

#[test]
fn a_client_that_comes_back_goes_on_after_what_it_had() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let first_id = |last: &str| {
        let mut stream = follow(&daemon, root.path(), "?after=0", &format!("Last-Event-ID: {last}\r\n"));
        let text = read_available(&mut stream);
        text.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned).ok_or(statuses(&text))
    };
    assert_eq!(first_id("1"), Ok("2".to_owned()));
    assert_eq!(first_id("x"), Err(vec![400]));
}

#[test]
fn one_stream_too_many_is_503_until_another_ends() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let begin = || {
        let mut stream = follow(&daemon, root.path(), "", "");
        let begun = begun(&mut stream);
        (stream, begun)
    };
    let mut open: Vec<_> = (0..32).map(|_| begin()).collect();
    assert!(open.iter().all(|(_, begun)| begun == "HTTP/1.1 200"));
    let (mut refused, begun) = begin();
    assert_eq!(begun, "HTTP/1.1 503");
    let told = read_available(&mut refused);
    assert!(told.contains("\"overloaded\"") && told.contains("retry-after"), "{told}");
    open.pop();
    eventually("there is room again", || begin().1 == "HTTP/1.1 200");
}
