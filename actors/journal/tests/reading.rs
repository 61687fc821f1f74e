//! The connections that readers share.

use super::*;
use crate::limits::JOURNAL_READERS_MAX;

#[test]
fn a_connection_is_given_back_after_each_read() {
    let place = Place::new();
    drop(place.writer());
    let reader = place.reader();
    for read in 0..2 * JOURNAL_READERS_MAX {
        assert_eq!(reader.head().unwrap(), Head::EMPTY, "read {read}");
    }
}
