//! The write-ahead log: when it is moved into the database, and that it begins anew then.

use super::*;
use crate::limits::JOURNAL_LOG_BYTES;

#[test]
fn the_log_is_moved_whenever_it_has_grown_enough_and_once_at_a_time() {
    let place = Place::new();
    drop(place.writer());
    let mut log = LogGrowth::new(LogMover::open(&place.path()).unwrap());
    assert!(log.grow(JOURNAL_LOG_BYTES - 1).is_none());
    let mover = log.grow(1);
    assert!(mover.is_some());
    assert!(log.grow(JOURNAL_LOG_BYTES).is_none(), "it is being moved");
    log.mover = mover;
    let mover = log.grow(1);
    assert!(mover.is_some(), "what came meanwhile counts");
    log.mover = mover;
    assert!(log.grow(JOURNAL_LOG_BYTES - 1).is_none(), "and counts once");
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
