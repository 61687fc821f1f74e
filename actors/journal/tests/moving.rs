//! The write-ahead log: when it is moved into the database, and that it begins anew then.

use super::*;
use crate::limits::{JOURNAL_LOG_BYTES, JOURNAL_MOVE_BYTES};

fn growth(place: &Place) -> LogGrowth {
    drop(place.writer());
    LogGrowth::new(LogMover::open(&place.path()).unwrap())
}

#[test]
fn the_log_is_moved_whenever_it_has_grown_enough_and_once_at_a_time() {
    let place = Place::new();
    let mut log = growth(&place);
    assert!(log.grow(JOURNAL_MOVE_BYTES - 1).is_none());
    let mover = log.grow(1).unwrap();
    assert!(log.grow(JOURNAL_MOVE_BYTES).is_none(), "it is being moved");
    log.take_back(mover);
    let mover = log.grow(1).expect("what came meanwhile counts");
    log.take_back(mover);
    assert!(log.grow(JOURNAL_MOVE_BYTES - 1).is_none(), "and counts once");
}

#[test]
fn the_log_begins_anew_after_many_parts() {
    let place = Place::new();
    let mut log = growth(&place);
    let mut next_part_is_last = || {
        let mover = log.grow(JOURNAL_MOVE_BYTES).unwrap();
        log.take_back(mover)
    };
    let parts = JOURNAL_LOG_BYTES / JOURNAL_MOVE_BYTES;
    for part in 1..=2 * parts {
        assert_eq!(next_part_is_last(), part % parts == 0, "part {part}");
    }
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
