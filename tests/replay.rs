//! A delivery is taken once, whatever happens in between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::seed::{fill, scaled};
use crate::support::{
    Answer, Daemon, SECRET, add_github, events, events_named, eventually, github_signature, state_root,
    succeed, try_post,
};

const COPIES: usize = 100;
const BODY: &str = r#"{"ref":"main"}"#;

/// Posts copies of one delivery at the same moment and counts the answers by status.
fn at_once(daemon: &Daemon) -> (BTreeMap<u16, usize>, BTreeSet<String>) {
    let barrier = Barrier::new(COPIES);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let copy = || {
            barrier.wait();
            daemon.github("push", "1", BODY)
        };
        let threads: Vec<_> = (0..COPIES).map(|_| scope.spawn(copy)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut statuses = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    (statuses, answers.iter().map(|answer| answer.json()["receipt"].to_string()).collect())
}

fn pushes(root: &Path) -> usize {
    events(root).iter().filter(|event| event["name"] == "push").count()
}

#[test]
fn of_100_copies_at_once_one_is_accepted_and_the_others_get_its_receipt() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let (statuses, receipts) = at_once(&daemon);
    assert_eq!(statuses, BTreeMap::from([(202, 1), (200, COPIES - 1)]));
    assert_eq!(receipts.len(), 1);

    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    let daemon = Daemon::start(root.path());
    assert_eq!(at_once(&daemon), (BTreeMap::from([(200, COPIES)]), receipts.clone()), "after a restart");

    daemon.kill();
    let daemon = Daemon::start(root.path());
    assert_eq!(at_once(&daemon), (BTreeMap::from([(200, COPIES)]), receipts), "after kill -9");
    assert_eq!(pushes(root.path()), 1);
}

/// The same bytes and signature as before, under another event.
fn relabelled(daemon: &Daemon, event: &str) -> (u16, String) {
    let answer = daemon.github(event, "2", BODY);
    (answer.status, answer.outcome())
}

#[test]
fn a_captured_delivery_that_was_left_out_is_not_taken_under_another_event() {
    let root = state_root();
    add_github(root.path());
    succeed(root.path(), &["webhooks", "set", "gh", "--allow-event", "push"], b"");
    let daemon = Daemon::start(root.path());
    assert_eq!(daemon.github("issues", "1", BODY).outcome(), "filtered");
    let conflict = (409, "conflict".to_owned());
    assert_eq!(
        [relabelled(&daemon, "push"), relabelled(&daemon, "push")],
        [conflict.clone(), conflict.clone()]
    );
    daemon.kill();
    let daemon = Daemon::start(root.path());
    assert_eq!(relabelled(&daemon, "push"), conflict, "after a restart");

    // The operator wants it after all, and has the provider deliver it again.
    succeed(root.path(), &["webhooks", "set", "gh", "--allow-event", "push", "--allow-event", "issues"], b"");
    assert_eq!(relabelled(&daemon, "push"), conflict, "nor once its own event is allowed");
    let accepted = daemon.github("issues", "1", BODY);
    assert_eq!((accepted.status, accepted.outcome().as_str()), (202, "accepted"));
    assert_eq!(relabelled(&daemon, "push"), (200, "duplicate".to_owned()));
    let told = events_named(root.path(), "webhook.conflict");
    assert_eq!(told.len(), 1, "{told:?}");
    let summary = told[0]["summary"].as_str().unwrap();
    assert!(
        summary.ends_with("an earlier delivery with the same replay key has another event or source"),
        "{summary}"
    );
    assert_eq!((pushes(root.path()), events_named(root.path(), "issues").len()), (0, 1));
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn other_keys_in_between_push_nothing_out() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let first = daemon.github("push", "1", BODY);
    for n in 0..scaled(300, 3_000) {
        assert_eq!(daemon.github("other", "1", &format!("{{\"n\":{n}}}")).status, 202);
    }
    daemon.signal("TERM");
    daemon.wait(Duration::from_secs(30));
    fill(root.path(), scaled(20_000, 1_000_000));
    let daemon = Daemon::start(root.path());
    let again = daemon.github("push", "1", BODY);
    assert_eq!((again.status, again.seq()), (200, first.seq()));
    assert_eq!(pushes_of_gh(&daemon, root.path(), first.seq()), first.json()["receipt"]["event_id"]);
}

fn pushes_of_gh(daemon: &Daemon, root: &Path, seq: u64) -> Value {
    let path = format!("/console/v1/system/events?after={}&limit=1", seq - 1);
    daemon.console(root, "GET", &path, b"").json()["events"][0]["event_id"].clone()
}

/// What was acknowledged and is not in the journal, and what is in it more than once.
fn faults(acknowledged: &BTreeSet<String>, rows: &[Value]) -> (Vec<String>, Vec<String>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["kind"] == "webhook") {
        *counts.entry(row["envelope"]["payload"]["n"].to_string()).or_default() += 1;
    }
    let lost = acknowledged.iter().filter(|n| !counts.contains_key(*n)).cloned().collect();
    let twice = counts.into_iter().filter(|(_, count)| *count > 1).map(|(n, _)| n).collect();
    (lost, twice)
}

#[test]
fn a_lost_and_a_doubled_row_would_be_seen() {
    let row = |n: u64| serde_json::json!({"kind": "webhook", "envelope": {"payload": {"n": n}}});
    let acknowledged = BTreeSet::from(["1".to_owned(), "2".to_owned()]);
    assert_eq!(faults(&acknowledged, &[row(1), row(2)]), (vec![], vec![]));
    assert_eq!(faults(&acknowledged, &[row(1), row(1)]), (vec!["2".to_owned()], vec!["1".to_owned()]));
}

/// Posts from several threads until `stop`, and records which were answered 2xx.
fn post_until(daemon: &Daemon, round: u64, stop: &AtomicBool, acknowledged: &Mutex<BTreeSet<String>>) {
    const WRITERS: u64 = 64;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let n = (round * WRITERS + writer) * 1_000_000 + n;
                    if send(daemon, n).is_some_and(|status| status < 300) {
                        acknowledged.lock().unwrap().insert(n.to_string());
                    }
                }
            });
        }
    });
}

/// Posts delivery number `n`; none when the daemon is gone.
fn send(daemon: &Daemon, n: u64) -> Option<u16> {
    let body = format!("{{\"n\":{n}}}");
    let signature = github_signature(SECRET, body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Hub-Signature-256", signature.as_str()),
        ("X-GitHub-Event", "push"),
    ];
    try_post(&format!("{}/hooks/gh", daemon.ingress), &headers, body.as_bytes())
}

#[test]
fn a_daemon_killed_again_and_again_loses_nothing_and_takes_nothing_twice() {
    let root = state_root();
    add_github(root.path());
    let acknowledged: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    for round in 0..scaled(4, 500) {
        let daemon = Daemon::start(root.path());
        let retried: Vec<u64> =
            acknowledged.lock().unwrap().iter().rev().take(20).map(|n: &String| n.parse().unwrap()).collect();
        for n in retried {
            assert_eq!(send(&daemon, n), Some(200), "round {round}: {n} was acknowledged");
        }
        let (stop, begun) = (AtomicBool::new(false), Instant::now());
        let enough = acknowledged.lock().unwrap().len() + 15;
        std::thread::scope(|scope| {
            scope.spawn(|| post_until(&daemon, round, &stop, &acknowledged));
            while acknowledged.lock().unwrap().len() < enough && begun.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(1));
            }
            // The instant of the kill differs from round to round, and hits every phase of a commit.
            std::thread::sleep(Duration::from_millis(round * 37 % 211));
            daemon.signal("KILL");
            stop.store(true, Ordering::Relaxed);
        });
        daemon.wait(Duration::from_secs(10));
    }
    let rows = events(root.path());
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 50, "the daemon was busy: {}", acknowledged.len());
    assert_eq!(faults(&acknowledged, &rows), (vec![], vec![]), "{} acknowledged", acknowledged.len());
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn a_commit_that_is_lost_after_all_would_be_seen() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let acknowledged: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| post_until(&daemon, 0, &stop, &acknowledged));
        eventually("the daemon is busy", || acknowledged.lock().unwrap().len() > 20);
        daemon.signal("KILL");
        stop.store(true, Ordering::Relaxed);
    });
    daemon.wait(Duration::from_secs(10));
    // What a disk that lies about its syncs would leave.
    for name in ["journal.db-wal", "journal.db-shm"] {
        std::fs::remove_file(root.path().join(name)).unwrap();
    }
    drop(Daemon::start_with(root.path(), &["--accept-rollback"], &[]));
    let (lost, twice) = faults(&acknowledged.into_inner().unwrap(), &events(root.path()));
    assert!(!lost.is_empty() && twice.is_empty(), "{} lost", lost.len());
}

/// Posts every delivery so often, from as many threads as there are copies; gives the seqs of all answers 2xx.
fn copies_of_each(daemon: &Daemon, ids: usize, copies: usize) -> Vec<BTreeSet<u64>> {
    let seqs: Vec<Mutex<BTreeSet<u64>>> = (0..ids).map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for copy in 0..copies {
            let seqs = &seqs;
            scope.spawn(move || {
                for n in 0..ids {
                    // Each thread begins elsewhere, so that copies meet at every delivery.
                    let n = (n + copy * 7) % ids;
                    let answer = daemon.github("push", "1", &format!("{{\"n\":{n}}}"));
                    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
                    seqs[n].lock().unwrap().insert(answer.seq());
                }
            });
        }
    });
    seqs.into_iter().map(|seqs| seqs.into_inner().unwrap()).collect()
}

#[test]
#[ignore = "needs faketime"]
fn each_delivery_has_one_place_through_restarts_kills_clocks_that_are_wrong_and_many_others() {
    let (ids, copies) = (scaled(20, 200), scaled(4, 20));
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let mut seqs = copies_of_each(&daemon, ids, copies);
    let mut again = |daemon: &Daemon| {
        for (all, more) in seqs.iter_mut().zip(copies_of_each(daemon, ids, copies)) {
            all.extend(more);
        }
    };
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    fill(root.path(), scaled(2_000, 200_000));
    let daemon = Daemon::start(root.path());
    again(&daemon);
    daemon.kill();
    for off_by in ["-1h", "+1h", "+0"] {
        let daemon = Daemon::with_clock(root.path(), off_by);
        again(&daemon);
        daemon.kill();
    }
    assert_eq!(seqs.len(), ids);
    assert!(seqs.iter().all(|seqs| seqs.len() == 1), "{seqs:?}");
    let places: BTreeSet<u64> = seqs.into_iter().flatten().collect();
    assert_eq!(places.len(), ids, "no two deliveries share a place");
    let daemon = Daemon::start(root.path());
    let path = "/console/v1/system/events?name=push&integration=gh&limit=1000&before=1000";
    let rows = daemon.console(root.path(), "GET", path, b"").json();
    let own = |row: &&Value| row["delivery_id"] == "1";
    assert_eq!(rows["events"].as_array().unwrap().iter().filter(own).count(), ids, "and each has one row");
    succeed(root.path(), &["journal", "verify"], b"");
    println!("{ids} deliveries, {} answers", ids * copies * 5);
}
