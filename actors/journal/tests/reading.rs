//! The connections that readers share.

use std::ops::ControlFlow;

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

#[test]
fn of_more_gaps_than_are_listed_all_are_counted_and_each_once() {
    let place = Place::new();
    let rows = (0..2_100).map(|n| delivery(&n.to_string(), "{}", Verdict::Accepted)).collect();
    place.writer().append(rows, NOW).unwrap();
    tamper(
        &place,
        "DELETE FROM journal_events WHERE seq % 2 = 0 AND seq < 2050 OR seq BETWEEN 2060 AND 2070",
    );
    let mut seqs = Vec::new();
    let salvaged = salvage(&place.files().database, 1, |event| {
        seqs.push(event.seq);
        ControlFlow::Continue(())
    });
    let Salvaged { gaps, gaps_total, newest } = salvaged.unwrap();
    assert_eq!((gaps.len(), gaps_total, newest), (1_000, 1_025, Some(2_100)));
    assert_eq!(gaps[999], Gap { first: 2_000, last: Some(2_000), problem: "missing".to_owned() });
    assert_eq!((seqs.len(), seqs[0], seqs.last()), (2_099 - 1_024 - 11, 3, Some(&2_100)));
}
