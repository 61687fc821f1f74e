//! When the write-ahead log is copied into the database, and that it is restarted then.

use std::fs;
use std::time::Duration;

use super::acting::{Running, run};
use super::sealing::open;
use super::*;
use crate::clock::ManualClock;
use crate::journal::writing::wal;
use crate::limits::{JOURNAL_LOG_BYTES, JOURNAL_MOVE_BYTES_MIN, JOURNAL_MOVE_MS, PROBE_FRESH_MS};

/// Less than the target time for the smallest part.
const QUICK: Duration = Duration::from_millis(JOURNAL_MOVE_MS / 2);

fn growth(place: &Place) -> WalGrowth {
    drop(place.writer());
    WalGrowth::new(WalMover::open(&place.path()).unwrap())
}

/// Grows the log by the smallest part until the mover is sent out. Returns how often that was.
fn grow_until_sent(log: &mut WalGrowth) -> (u64, WalMover) {
    let mut grown = (1..).map(|times| (times, log.grow(JOURNAL_MOVE_BYTES_MIN)));
    grown.find_map(|(times, mover)| mover.map(|mover| (times, mover))).unwrap()
}

#[test]
fn the_log_is_moved_whenever_it_has_grown_enough_and_once_at_a_time() {
    let place = Place::new();
    let mut log = growth(&place);
    assert!(log.grow(JOURNAL_MOVE_BYTES_MIN - 1).is_none());
    let mover = log.grow(1).unwrap();
    assert!(log.grow(JOURNAL_MOVE_BYTES_MIN).is_none(), "it is being moved");
    log.moved(mover, QUICK);
    let mover = log.grow(1).expect("what came meanwhile counts");
    log.moved(mover, QUICK);
    assert!(log.grow(JOURNAL_MOVE_BYTES_MIN - 1).is_none(), "and counts once");
}

#[test]
fn the_log_begins_anew_after_many_parts() {
    let place = Place::new();
    let mut log = growth(&place);
    let parts = JOURNAL_LOG_BYTES / JOURNAL_MOVE_BYTES_MIN;
    for part in 1..=2 * parts {
        let (_, mover) = grow_until_sent(&mut log);
        assert_eq!(log.moved(mover, QUICK), part % parts == 0, "part {part}");
    }
}

#[test]
fn what_the_writer_moves_counts_for_no_later_part() {
    let place = Place::new();
    let mut log = growth(&place);
    for meanwhile in [3, 2, 1] {
        let mover = log.grow(JOURNAL_LOG_BYTES).unwrap();
        assert!(log.grow(meanwhile * JOURNAL_MOVE_BYTES_MIN).is_none());
        assert!(log.moved(mover, QUICK));
        assert!(log.grow(JOURNAL_MOVE_BYTES_MIN - 1).is_none());
        let mover = log.grow(1).unwrap();
        assert!(!log.moved(mover, QUICK));
    }
}

#[test]
fn a_disk_that_is_slow_to_sync_is_given_larger_parts() {
    let place = Place::new();
    let mut log = growth(&place);
    // However large a part is, this long.
    let took = [11, 11, 11, 11, 51, 51, 51, 51, 5, 5, 5, 5].map(Duration::from_millis);
    let parts = took.map(|took| {
        let (part, mover) = grow_until_sent(&mut log);
        log.moved(mover, took);
        part
    });
    assert_eq!(parts, [1, 2, 4, 4, 4, 8, 8, 8, 8, 4, 2, 1]);
}

#[test]
fn a_large_body_alone_makes_no_larger_part() {
    let place = Place::new();
    let mut log = growth(&place);
    let mover = log.grow(20 * JOURNAL_MOVE_BYTES_MIN).unwrap();
    log.moved(mover, 20 * QUICK);
    assert_eq!(grow_until_sent(&mut log).0, 1);
}

#[test]
fn a_log_that_was_moved_begins_anew() {
    let place = Place::new();
    let mut writer = place.writer();
    let mover = WalMover::open(&place.path()).unwrap();
    let body = "x".repeat(500_000);
    let wal_bytes = |writer: &mut Writer| {
        let row = NewRow { event: NewEvent::Webhook(webhook(&body)), claim: None };
        stored(append_one(writer, row, NOW));
        writer.observe().wal_bytes
    };
    let grown = wal_bytes(&mut writer);
    mover.run().unwrap();
    assert_eq!(wal_bytes(&mut writer), grown);
    writer.move_rest_of_wal().unwrap();
    assert_eq!(wal_bytes(&mut writer), grown);
    assert!(wal_bytes(&mut writer) > grown, "it was not moved this time");
}

#[test]
fn a_log_that_cannot_be_moved_at_the_end_is_told() {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("a"), NOW));
    let reader = rusqlite::Connection::open(place.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal_events").unwrap();
    stored(append_one(&mut writer, system("b"), NOW));
    writer.db().busy_timeout(Duration::ZERO).unwrap();
    assert!(matches!(writer.empty_wal(), Err(JournalError::Read { .. })));
    drop(reader);
    writer.empty_wal().unwrap();
    assert_eq!(writer.observe().wal_bytes, 0);
}

#[test]
fn what_a_killed_writer_left_in_the_log_is_in_the_database_before_anybody_is_told_of_it() {
    let (killed, place, alone) = (Place::new(), Place::new(), Place::new());
    let mut writer = killed.writer();
    stored(append_one(&mut writer, system("a"), NOW));
    for name in ["journal.db", "journal.db-wal", "journal.key"] {
        fs::copy(killed.folder.path().join(name), place.folder.path().join(name)).unwrap();
    }
    crate::files::create_private_dir(&place.folder.path().join("anchor")).unwrap();
    fs::copy(killed.files().anchor, place.files().anchor).unwrap();
    fs::copy(killed.files().checkpoint(), place.files().checkpoint()).unwrap();
    let opened = place.writer();
    fs::copy(place.path(), alone.path()).unwrap();
    let found: i64 =
        alone.intruder().query_row("SELECT count(*) FROM journal_events", [], |row| row.get(0)).unwrap();
    assert_eq!((opened.head().seq, found), (1, 1));
}

#[test]
fn what_probes_and_checkpoints_write_counts_so_that_an_idle_log_begins_anew_too() {
    run(async {
        let place = Place::new();
        let clock = ManualClock::at(NOW);
        let running = Running::start_with(&place, clock.clone()).await;
        for _ in 0..3 * JOURNAL_LOG_BYTES / wal::PROBE_BYTES {
            clock.advance_ms(PROBE_FRESH_MS);
            running.journal.door.ask(ProbeCommit).await.unwrap().unwrap();
        }
        let logged = running.journal.door.ask(Observe).await.unwrap().wal_bytes;
        assert!(logged < 2 * JOURNAL_LOG_BYTES, "{logged}");
    });
    let place = Place::new();
    let mut journal = open(&place);
    journal.writer.take_written_beside();
    journal.grow(1).seal();
    assert_eq!(journal.writer.take_written_beside(), wal::STORED_CHECKPOINT_BYTES);
}
