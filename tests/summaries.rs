//! Refusals that leave no row of their own are summed up, and no summary is lost.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Daemon, add_github, events_named, eventually, state_root, within, write_private};

/// More than a group of the journal holds.
const INTEGRATIONS: usize = 300;

/// Adds so many integrations, and has one unsigned delivery to each refused by a daemon with these faults.
fn refused_at_each(root: &Path, faults: &str) -> Daemon {
    add_github(root);
    let registry = root.join("webhooks.toml");
    let mut text = std::fs::read_to_string(&registry).unwrap();
    for n in 0..INTEGRATIONS {
        let rest = "provider = \"github\"\nsecret_vault_ref = \"global/github\"\nenabled = true\n";
        write!(text, "\n[[webhooks]]\nintegration_id = \"i{n}\"\n{rest}").unwrap();
    }
    write_private(&registry, &text);
    let daemon = Daemon::start_with(root, &[], &[("FAILPOINTS", faults)]);
    for n in 0..INTEGRATIONS {
        assert_eq!(daemon.post(&format!("i{n}"), &[("Content-Type", "application/json")], b"{}").status, 401);
    }
    daemon
}

fn summaries(root: &Path) -> Vec<Value> {
    events_named(root, "webhook.unauthenticated")
}

fn refusals_told(root: &Path) -> u64 {
    summaries(root).iter().map(|row| row["details"]["count"].as_u64().unwrap()).sum()
}

#[test]
fn a_daemon_that_is_told_to_stop_in_the_middle_of_a_summary_tells_all_of_it() {
    let root = state_root();
    let slow_and_soon = "journaling::sums_up_soon=return;journal::before_commit=sleep(50)";
    let daemon = refused_at_each(root.path(), slow_and_soon);
    eventually("a summary has begun", || !summaries(root.path()).is_empty());
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(0));
    assert_eq!(refusals_told(root.path()), INTEGRATIONS as u64);
}

#[test]
fn the_rows_of_a_summary_share_commits_so_that_a_slow_disk_tells_all_of_them_at_a_stop() {
    let root = state_root();
    let daemon = refused_at_each(root.path(), "journal::before_commit=sleep(50)");
    let told = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    assert_eq!(refusals_told(root.path()), INTEGRATIONS as u64);
}

#[test]
fn refusals_that_cannot_be_journaled_are_told_with_the_next_summary() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    add_github(root.path());
    let soon = [("FAILPOINTS", "journaling::sums_up_soon=return")];
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &soon);
    eventually("the start is journaled", || !events_named(root.path(), "system.daemon.started").is_empty());
    let other = rusqlite::Connection::open(root.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(daemon.post("gh", &[("Content-Type", "application/json")], b"{}").status, 401);
    let is_logged = || std::fs::read_to_string(&log).unwrap().contains("refusals could not be journaled");
    within(Duration::from_secs(30), "the journal is locked", is_logged);
    other.execute_batch("ROLLBACK").unwrap();
    eventually("they are told", || !summaries(root.path()).is_empty());
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(0));
    assert_eq!((summaries(root.path()).len(), refusals_told(root.path())), (1, 1));
}
