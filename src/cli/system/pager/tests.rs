use proptest::prelude::*;

use super::*;

/// A journal of `1..=head` in which a filter leaves only the multiples of `every`; a page examines at most
/// `examined_max` rows.
struct Journal {
    head: u64,
    every: u64,
    examined_max: u64,
    fetches: usize,
}

impl Journal {
    fn new(head: u64, every: u64, examined_max: u64) -> Self {
        Self { head, every, examined_max, fetches: 0 }
    }

    fn fetch(&mut self, cursor: Cursor, limit: usize) -> Value {
        self.fetches += 1;
        assert!((1..=PAGE_EVENTS_MAX).contains(&limit), "a page of {limit} was asked for");
        let rows: Vec<u64> = match cursor {
            Cursor::After(after) => (after + 1..=self.head).collect(),
            Cursor::Before(before) => (1..before.min(self.head + 1)).rev().collect(),
            Cursor::Newest => (1..=self.head).rev().collect(),
        };
        let mut examined = Vec::new();
        let mut seqs = Vec::new();
        for row in rows.into_iter().take(usize::try_from(self.examined_max).unwrap()) {
            examined.push(row);
            if row % self.every == 0 {
                seqs.push(row);
            }
            if seqs.len() == limit {
                break;
            }
        }
        seqs.sort_unstable();
        let (first, last) = (examined.iter().min().copied(), examined.iter().max().copied());
        let next_after = match cursor {
            Cursor::After(after) => last.or(Some(after)),
            _ => last,
        };
        let events: Vec<Value> = seqs.into_iter().map(|seq| json!({ "seq": seq })).collect();
        json!({ "events": events, "next_after": next_after, "next_before": first.filter(|first| *first > 1) })
    }

    fn collect(&mut self, limit: usize, after: Option<u64>, before: Option<u64>) -> (Vec<u64>, Found) {
        let found =
            collect(Window { limit, after, before }, |cursor, limit| Ok(self.fetch(cursor, limit))).unwrap();
        (found.events.iter().map(seq).collect(), found)
    }
}

#[test]
fn the_newest_events_come_in_the_order_of_seq() {
    let (seqs, found) = Journal::new(10, 1, 100).collect(3, None, None);
    assert_eq!(seqs, [8, 9, 10]);
    assert_eq!((found.next_after, found.next_before), (Some(10), Some(8)));
}

#[test]
fn more_than_a_page_is_fetched_page_by_page() {
    let mut journal = Journal::new(5_000, 1, u64::MAX >> 1);
    let (seqs, _) = journal.collect(2_500, None, None);
    assert_eq!(seqs, (2_501..=5_000).collect::<Vec<_>>());
    assert_eq!(journal.fetches, 3);
    let (seqs, found) = journal.collect(2_500, Some(10), None);
    assert_eq!(seqs, (11..=2_510).collect::<Vec<_>>());
    assert_eq!(found.next_after, Some(2_510));
}

#[test]
fn an_empty_page_with_a_successor_is_not_the_end() {
    let mut journal = Journal::new(100, 50, 10);
    assert_eq!(journal.collect(5, None, None).0, [50, 100]);
    assert_eq!(journal.collect(5, Some(0), None).0, [50, 100]);
    assert_eq!(journal.collect(1, Some(0), None).0, [50]);
}

#[test]
fn a_range_between_two_seqs_stops_at_its_end() {
    let mut journal = Journal::new(100_000, 1, 50_000);
    let (seqs, found) = journal.collect(50, Some(5), Some(9));
    assert_eq!(seqs, [6, 7, 8]);
    assert_eq!(found.next_after, Some(8));
    assert_eq!(journal.fetches, 1);
    assert_eq!(journal.collect(50, None, Some(4)).0, [1, 2, 3]);
}

#[test]
fn an_empty_journal_and_a_window_past_its_end_end() {
    assert_eq!(Journal::new(0, 1, 10).collect(5, None, None).0, [0_u64; 0]);
    let (seqs, found) = Journal::new(7, 1, 10).collect(5, Some(7), None);
    assert_eq!((seqs, found.next_after), (vec![], Some(7)));
}

#[test]
fn a_console_whose_cursor_stands_still_is_not_asked_for_ever() {
    let mut fetches = 0;
    let stuck = json!({ "events": [], "next_after": 3, "next_before": 9 });
    for window in
        [Window { limit: 5, after: Some(3), before: None }, Window { limit: 5, after: None, before: Some(9) }]
    {
        let found = collect(window, |_, _| {
            fetches += 1;
            Ok(stuck.clone())
        });
        assert!(found.unwrap().events.is_empty());
    }
    assert_eq!(fetches, 2);
}

proptest! {
    #[test]
    fn any_window_holds_exactly_what_matches(
        head in 0_u64..200, every in 1_u64..20, examined_max in 1_u64..50, limit in 1_usize..60,
        after in proptest::option::of(0_u64..220), before in proptest::option::of(1_u64..220),
    ) {
        let (seqs, _) = Journal::new(head, every, examined_max).collect(limit, after, before);
        let matching = (1..=head).filter(|seq| seq % every == 0)
            .filter(|seq| after.is_none_or(|after| *seq > after) && before.is_none_or(|before| *seq < before));
        let mut expected: Vec<u64> = matching.collect();
        match after {
            Some(_) => expected.truncate(limit),
            None => drop(expected.drain(..expected.len().saturating_sub(limit))),
        }
        prop_assert_eq!(seqs, expected);
    }
}
