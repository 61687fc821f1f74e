//! A client of the console that goes away in the middle of what it asked for leaves nothing half done.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::support::{
    Daemon, add_github, connect, events_named, eventually, json, state_root, write_private,
};

/// So slow that a client is gone before its first row is committed.
const SLOW: [(&str, &str); 1] = [("FAILPOINTS", "journal::before_commit=sleep(20)")];
const CLIENTS: u64 = 40;

/// Asks, and resets the connection after so long.
fn ask_and_reset(daemon: &Daemon, root: &Path, request_line: &str, body: &str, after: Duration) {
    let token = std::fs::read_to_string(root.join("admin.token")).unwrap();
    let mut stream = connect(&daemon.console);
    let ask = format!(
        "{request_line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        token.trim(),
        body.len()
    );
    stream.write_all(ask.as_bytes()).unwrap();
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    std::thread::sleep(after);
}

/// How long client number `n` waits before it resets the connection. The last ones wait longer and longer, up to half a second,
/// so that some are heard on the busiest machine.
fn patience(n: u64) -> Duration {
    Duration::from_millis(if n < CLIENTS - 10 { n % 20 } else { 1 << (n + 10 - CLIENTS) })
}

/// A daemon that waits for all that was asked for, however slow it is.
fn patient_daemon(root: &Path, env: &[(&str, &str)]) -> Daemon {
    write_private(&root.join("palyra.toml"), "drain_deadline_seconds = 120\n");
    Daemon::start_with(root, &[], env)
}

fn stop(daemon: Daemon) {
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(150)).code(), Some(0));
}

#[test]
fn a_change_whose_client_resets_the_connection_is_made_once_it_is_journaled() {
    let root = state_root();
    let daemon = patient_daemon(root.path(), &SLOW);
    for n in 0..CLIENTS {
        let put = format!("PUT /console/v1/vault/global%2Fs{n}");
        let value = "{\"value_base64\":\"YSBzZWNyZXQgZm9yIHRlc3Rz\"}";
        ask_and_reset(&daemon, root.path(), &put, value, patience(n));
    }
    stop(daemon);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let rows = events_named(root.path(), "vault.secret.put");
    let journaled: BTreeSet<String> = rows.iter().map(|row| text(&row["details"]["subject"])).collect();
    let listed = json(root.path(), &["vault", "list"]);
    let secrets = listed["secrets"].as_array().unwrap().iter();
    let stored: BTreeSet<String> = secrets.map(|secret| text(&secret["vault_ref"])).collect();
    assert!(!journaled.is_empty());
    assert_eq!(journaled, stored);
}

#[test]
fn a_reload_whose_client_resets_the_connection_tells_what_it_came_to() {
    let root = state_root();
    add_github(root.path());
    let daemon = patient_daemon(root.path(), &SLOW);
    for n in 0..CLIENTS {
        let reload = "POST /console/v1/system/reload";
        ask_and_reset(&daemon, root.path(), reload, "", patience(n));
    }
    stop(daemon);
    let count = |name| events_named(root.path(), name).len();
    assert!(count("registry.reload.asked") > 0);
    assert_eq!(count("registry.reload.asked"), count("registry.reloaded"));
}

#[test]
fn a_reload_that_is_under_way_when_the_daemon_is_told_to_stop_tells_what_it_came_to() {
    let root = state_root();
    add_github(root.path());
    let daemon = patient_daemon(root.path(), &[("FAILPOINTS", "journal::before_commit=sleep(300)")]);
    let count = |name| events_named(root.path(), name).len();
    daemon.signal("HUP");
    // What it came to is a row of its own, which takes as long again.
    eventually("it is asked for", || count("registry.reload.asked") == 1);
    stop(daemon);
    assert_eq!((count("registry.reload.asked"), count("registry.reloaded")), (1, 1));
}

#[test]
fn who_asks_for_a_change_is_told_why_it_was_refused_though_that_cannot_be_journaled() {
    const ASKED: usize = 20;
    let mut untold = 0;
    // One of the two meets the row of a refusal, the other that of a change.
    for sound in [20, 21] {
        let root = state_root();
        let faults = format!("journal::append={sound}*off->1*panic->off");
        let daemon = Daemon::start_with(root.path(), &[], &[("FAILPOINTS", &faults)]);
        let retire =
            || daemon.console(root.path(), "POST", "/console/v1/vault/global%2Fnone/retire", b"").status;
        let answers: Vec<u16> = (0..ASKED).map(|_| retire()).collect();
        let rows = |name| events_named(root.path(), name).len();
        let (asked, refused) = (rows("vault.secret.retire"), rows("vault.secret.retire.refused"));
        let not_found = answers.iter().filter(|status| **status == 404).count();
        assert_eq!(not_found, asked, "{answers:?}");
        untold += asked - refused;
    }
    assert_eq!(untold, 1);
}
