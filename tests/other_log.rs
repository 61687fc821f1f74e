//! A write-ahead log that was not written for the database beside it, and one that somebody changed.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use rusqlite::config::DbConfig;

use crate::support::{Daemon, add_github, json, run, state_root, succeed};

const START: [&str; 5] = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Changes rows as somebody would who wants to hide that: the triggers that forbid it are there again afterwards, and the
/// change lies in the log only.
fn change(database: &Path, statement: &str) {
    let db = rusqlite::Connection::open(database).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    db.pragma_update(None, "ignore_check_constraints", true).unwrap();
    let triggers: Vec<(String, String)> = {
        let mut all = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let dropped: String = triggers.iter().map(|(name, _)| format!("DROP TRIGGER {name};")).collect();
    let restored: String = triggers.iter().map(|(_, sql)| format!("{sql};")).collect();
    db.execute_batch(&dropped).unwrap();
    assert_eq!(db.execute(statement, []).unwrap(), 1);
    db.execute_batch(&restored).unwrap();
}

#[test]
fn a_backup_beside_the_log_of_what_it_replaced_is_told_as_that() {
    tells_of_a_backup_beside_another_log("off");
}

#[test]
fn a_backup_beside_the_log_that_a_slow_disk_left_long_is_told_as_that() {
    tells_of_a_backup_beside_another_log("sleep(600000)");
}

/// What stands at the beginning of the log; it changes when the log begins anew.
fn log_header(root: &Path) -> Vec<u8> {
    fs::read(root.join("journal.db-wal")).unwrap()[..32].to_vec()
}

/// How long it takes to move the log decides how much of the newest part lies in it.
fn tells_of_a_backup_beside_another_log(moving: &str) {
    let (root, aside) = (state_root(), state_root());
    let root = root.path();
    let (backup, database) = (aside.path().join("backup.db"), root.join("journal.db"));
    add_github(root);
    let daemon = Daemon::start_with(root, &[], &[("FAILPOINTS", &format!("journal::move={moving}"))]);
    let deliver = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let body = format!("{{\"n\":{number},\"text\":\"{}\"}}", "x".repeat(2_000));
            assert_eq!(daemon.github("push", &number.to_string(), &body).status, 202);
        }
    };
    deliver(0..150);
    json(root, &["journal", "backup", backup.to_str().unwrap()]);
    // So many in a row that the log is not short because it has just begun anew.
    let mut next = 150;
    loop {
        let header = log_header(root);
        deliver(next..next + 25);
        next += 25;
        if next >= 200 && log_header(root) == header {
            break;
        }
    }
    daemon.kill();
    let own = fs::read(&database).unwrap();
    fs::write(&database, fs::read(&backup).unwrap()).unwrap();
    let log = fs::read(root.join("journal.db-wal")).unwrap();
    assert!(!log.is_empty());
    for args in [&["journal", "verify"][..], &START, &[&START[..], &["--accept-rollback"]].concat()] {
        let output = run(root, args, b"");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(65), "{args:?}: {said}");
        assert!(said.contains("do not belong together"), "{args:?}: {said}");
        assert!(said.contains("or the log was changed"), "{args:?}: {said}");
        assert!(
            said.contains("move the log away and start once with `palyra daemon --accept-rollback`"),
            "{said}"
        );
        let advice = String::from_utf8(output.stderr).unwrap();
        assert!(
            !advice.contains("verify again") && !advice.contains("restore the newest backup"),
            "{advice}"
        );
        assert!(fs::read(root.join("journal.db-wal")).unwrap() == log, "nothing was changed");
    }
    fs::copy(root.join("journal.db-wal"), aside.path().join("backup.db-wal")).unwrap();
    let output = run(root, &["journal", "verify", "--database", backup.to_str().unwrap()], b"");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("move that file away and verify again"), "{said}");
    assert!(!said.contains("--accept-rollback") && !said.contains("journal.db-wal"), "{said}");
    fs::write(&database, own).unwrap();
    assert_eq!(json(root, &["journal", "verify"])["missing"], 0);
    fs::copy(&backup, &database).unwrap();
    fs::rename(root.join("journal.db-wal"), aside.path().join("log")).unwrap();
    drop(Daemon::start_with(root, &["--accept-rollback"], &[]));
    succeed(root, &["journal", "verify"], b"");
}

#[test]
fn a_row_that_was_changed_in_the_log_is_no_reason_to_discard_the_log() {
    changed_in_the_log("summary = 'harmless'");
}

#[test]
fn neither_is_one_that_breaks_a_rule_of_the_schema_since() {
    changed_in_the_log("severity = 'none'");
    changed_in_the_log("event_id = 'short'");
}

/// Whatever the newest event is changed to, no command may call the log another's.
fn changed_in_the_log(to: &str) {
    let (root, aside) = (state_root(), state_root());
    let root = root.path();
    let daemon = Daemon::with_github(root);
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    let daemon = Daemon::start(root);
    for number in 2..5 {
        assert_eq!(daemon.github("push", &number.to_string(), &format!("{{\"n\":{number}}}")).status, 202);
    }
    daemon.kill();
    let (database, log) = (root.join("journal.db"), root.join("journal.db-wal"));
    let newest = "(SELECT max(seq) FROM journal_events WHERE name = 'push')";
    change(&database, &format!("UPDATE journal_events SET {to} WHERE seq = {newest}"));
    let alone = aside.path().join("alone.db");
    fs::copy(&database, &alone).unwrap();
    let verify_alone = ["journal", "verify", "--database", alone.to_str().unwrap()];
    succeed(root, &verify_alone, b"");
    let before = fs::read(&log).unwrap();
    assert!(!before.is_empty());
    let accepting = [&START[..], &["--accept-rollback"]].concat();
    for args in [&START[..], &accepting, &["webhooks", "disable", "gh"], &["journal", "verify"]] {
        let output = run(root, args, b"");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(65), "{args:?}: {said}");
        assert!(said.contains("does not verify"), "{args:?}: {said}");
        for wrong in ["belong together", "move the log away", "--accept-rollback"] {
            assert!(!said.contains(wrong), "{args:?}: {said}");
        }
        assert!(fs::read(&log).unwrap() == before, "nothing was changed");
    }
}
