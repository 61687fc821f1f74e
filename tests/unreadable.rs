//! A row that somebody changed so that no event can be made of it, in the journal of a daemon that runs.

use std::path::Path;
use std::time::Duration;

use crate::support::{Daemon, add_github, eventually, run, state_root};

/// Changes the row of `push` behind the journal's back.
fn damage(root: &Path) {
    let changed =
        change(&root.join("journal.db"), "UPDATE journal_events SET tags = 'none' WHERE name = 'push'");
    assert_eq!(changed, 1);
}

/// Changes rows without the triggers that forbid it. Returns how many.
fn change(database: &Path, statement: &str) -> usize {
    let journal = rusqlite::Connection::open(database).unwrap();
    let triggers: Vec<String> = {
        let mut names = journal.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for trigger in triggers {
        journal.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    journal.execute(statement, []).unwrap()
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

/// Overwrites the page of the database in which `text` stands.
fn overwrite_page_with(database: &Path, text: &str) {
    const PAGE_BYTES: usize = 16_384;
    let mut bytes = std::fs::read(database).unwrap();
    let place = bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("it is stored");
    let start = place / PAGE_BYTES * PAGE_BYTES;
    bytes[start..start + PAGE_BYTES].fill(0xff);
    std::fs::write(database, bytes).unwrap();
}

#[test]
fn what_is_left_of_a_damaged_journal_is_exported_and_the_rest_is_named() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::start(root.path());
    for n in 0..60 {
        let body = format!(r#"{{"text":"marker-{n:03}","pad":"{}"}}"#, "x".repeat(1_200));
        assert_eq!(daemon.github("push", &n.to_string(), &body).status, 202);
    }
    daemon.tell_to_stop();
    assert!(daemon.wait(Duration::from_secs(20)).success());
    let export = |file: &Path, more: &[&str]| {
        let file = file.to_str().unwrap();
        let output = run(root.path(), &[&["journal", "export", "--database", file], more].concat(), b"");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let seqs = |lines: &str| -> Vec<u64> {
        lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect()
    };
    let sound = root.path().join("journal.db");
    let (code, all, said) = export(&sound, &[]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let by_the_console = run(root.path(), &["journal", "export", "--limit", "60"], b"").stdout;
    assert!(all.as_bytes().starts_with(&by_the_console), "a file is exported as the journal is");
    let newest = seqs(&all).len() as u64;
    assert_eq!(seqs(&all), (1..=newest).collect::<Vec<_>>());

    let (one, page, end) = ("row.db", "page.db", "end.db");
    let copies = [one, page, end].map(|name| {
        let copy = root.path().join(name);
        std::fs::copy(&sound, &copy).unwrap();
        copy
    });
    let [one, page, end] = copies;
    change(&one, "UPDATE journal_events SET body = x'7b7d' WHERE instr(body, 'marker-007')");
    change(&one, "DELETE FROM journal_events WHERE instr(body, 'marker-02')");
    overwrite_page_with(&page, "marker-030");
    overwrite_page_with(&end, "marker-059");

    let (code, lines, said) = export(&one, &[]);
    assert_eq!((code, seqs(&lines).len() as u64), (Some(65), newest - 11), "{said}");
    assert!(said.contains("its hash does not match its columns") && said.contains(": missing"), "{said}");
    let (code, lines, said) = export(&page, &["--integration", "gh"]);
    assert_eq!(code, Some(65), "{said}");
    assert!(
        lines.contains("marker-000") && lines.contains("marker-059") && !lines.contains("marker-030"),
        "{said}"
    );
    assert!(said.contains("malformed"), "{said}");
    let (code, lines, said) = export(&end, &[]);
    assert_eq!(code, Some(65), "{said}");
    assert!(lines.contains("marker-030") && said.contains("and all after it"), "{said}");
    let (code, lines, _) = export(&end, &["--after", "3", "--limit", "2"]);
    assert_eq!((code, seqs(&lines)), (Some(0), vec![4, 5]), "what was asked for is there");
    let (code, _, said) = export(&sound, &["--after", "1000"]);
    assert!(code == Some(1) && said.contains(&format!("seq {newest}")), "{said}");
    let (code, _, said) = export(&root.path().join("admin.token"), &[]);
    assert!(code == Some(78) && said.contains("is not a journal") && said.contains("journal.db"), "{said}");
}
