//! A row that somebody changed so that no event can be made of it, in the journal of a daemon that runs.

use std::path::Path;

use crate::support::{Daemon, add_github, eventually, run, state_root};

/// Changes the row of `push` behind the journal's back.
fn damage(root: &Path) {
    let journal = rusqlite::Connection::open(root.join("journal.db")).unwrap();
    let triggers: Vec<String> = {
        let mut names = journal.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for trigger in triggers {
        journal.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    let changed = journal.execute("UPDATE journal_events SET tags = 'none' WHERE name = 'push'", []).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn an_event_that_cannot_be_read_is_told_to_who_asks_and_in_the_log() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    add_github(root.path());
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &[]);
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    damage(root.path());
    let failed = |args: &[&str]| {
        let output = run(root.path(), args, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("the journal does not verify at seq"), "{args:?}: {said}");
        assert!(said.contains("palyra journal verify") && !said.contains("Deliveries"), "{args:?}: {said}");
        (said, String::from_utf8(output.stdout).unwrap())
    };
    failed(&["system", "event", "list"]);
    let (said, lines) = failed(&["journal", "export"]);
    assert!(said.contains("the export ended early, after 0 events"), "{said}");
    assert_eq!(lines, "");
    let logged = || std::fs::read_to_string(&log).unwrap();
    eventually("the log says why", || logged().contains("an export ended early"));
    let path = "/console/v1/system/events/stream?after=0";
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    let ask =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", token.trim());
    crate::support::raw(&daemon.console, ask.as_bytes());
    eventually("the log says why", || logged().contains("an event stream ended early"));
    assert_eq!(daemon.github("push", "2", "{\"n\":2}").status, 202, "deliveries are taken all the same");
}
