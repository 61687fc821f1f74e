//! The write-ahead log: when it is moved into the database, and that it begins anew then.

use std::time::Duration;

use super::*;
use crate::limits::{JOURNAL_LOG_BYTES, JOURNAL_MOVE_BYTES_MIN, JOURNAL_MOVE_MS};

const QUICK: Duration = Duration::from_millis(JOURNAL_MOVE_MS);
const SLOW: Duration = Duration::from_millis(JOURNAL_MOVE_MS + 1);

fn growth(place: &Place) -> LogGrowth {
    drop(place.writer());
    LogGrowth::new(LogMover::open(&place.path()).unwrap())
}

#[test]
fn the_log_is_moved_whenever_it_has_grown_enough_and_once_at_a_time() {
    let place = Place::new();
    let mut log = growth(&place);
    assert!(log.grow(JOURNAL_MOVE_BYTES_MIN - 1).is_none());
    let mover = log.grow(1).unwrap();
    assert!(log.grow(JOURNAL_MOVE_BYTES_MIN).is_none(), "it is being moved");
    log.take_back(mover, QUICK);
    let mover = log.grow(1).expect("what came meanwhile counts");
    log.take_back(mover, QUICK);
    assert!(log.grow(JOURNAL_MOVE_BYTES_MIN - 1).is_none(), "and counts once");
}

#[test]
fn the_log_begins_anew_after_many_parts() {
    let place = Place::new();
    let mut log = growth(&place);
    let mut next_part_is_last = || {
        let mover = log.grow(JOURNAL_MOVE_BYTES_MIN).unwrap();
        log.take_back(mover, QUICK)
    };
    let parts = JOURNAL_LOG_BYTES / JOURNAL_MOVE_BYTES_MIN;
    for part in 1..=2 * parts {
        assert_eq!(next_part_is_last(), part % parts == 0, "part {part}");
    }
}

#[test]
fn a_disk_that_is_slow_to_sync_is_given_larger_parts() {
    let place = Place::new();
    let mut log = growth(&place);
    let mut part_after = |took| {
        let mut part = 0;
        let mover = loop {
            part += JOURNAL_MOVE_BYTES_MIN;
            if let Some(mover) = log.grow(JOURNAL_MOVE_BYTES_MIN) {
                break mover;
            }
        };
        log.take_back(mover, took);
        part / JOURNAL_MOVE_BYTES_MIN
    };
    let parts = [SLOW, SLOW, SLOW, SLOW, SLOW, QUICK, QUICK, QUICK, QUICK, QUICK].map(&mut part_after);
    assert_eq!(parts, [1, 2, 4, 8, 8, 8, 4, 2, 1, 1]);
}

#[test]
fn a_log_that_was_moved_begins_anew() {
    let place = Place::new();
    let mut writer = place.writer();
    let mover = LogMover::open(&place.path()).unwrap();
    let body = "x".repeat(500_000);
    let wal_bytes = |writer: &mut Writer| {
        let row = NewRow { event: NewEvent::Webhook(webhook(&body)), claim: None };
        stored(append_one(writer, row, NOW));
        writer.observe().wal_bytes
    };
    let grown = wal_bytes(&mut writer);
    mover.run().unwrap();
    assert_eq!(wal_bytes(&mut writer), grown);
    writer.move_rest_of_log().unwrap();
    assert_eq!(wal_bytes(&mut writer), grown);
    assert!(wal_bytes(&mut writer) > grown, "it was not moved this time");
}
