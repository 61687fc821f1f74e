//! Which appends form one group.

use super::*;
use crate::limits::{GROUP_BYTES_MAX, GROUP_ROWS_MAX, JOURNAL_PAGE_BYTES};

fn asked(event: NewEvent) -> Append {
    Append { event, claim: None, reply: AppendReply::new(|_, _| ()) }
}

fn delivery_of(bytes: usize) -> Append {
    asked(NewEvent::Webhook(webhook(&"x".repeat(bytes))))
}

fn told() -> Append {
    asked(NewEvent::System(SystemEvent::new("a", "b").detail("k", 1)))
}

fn told_at_length() -> Append {
    let details = serde_json::json!({"ab": ["x".repeat(4_000), null]});
    asked(NewEvent::System(SystemEvent::new("a", "b").detail("kk", details)))
}

fn group(appends: impl IntoIterator<Item = Append>) -> Group {
    let mut group = Group::default();
    appends.into_iter().for_each(|append| group.add(append));
    group
}

#[test]
fn a_group_has_room_for_so_many_rows() {
    let almost = group((1..GROUP_ROWS_MAX).map(|_| told()));
    assert!(almost.has_room_for(&told()));
    assert!(!group((0..GROUP_ROWS_MAX).map(|_| told())).has_room_for(&told()));
}

#[test]
fn a_group_has_room_for_so_many_bytes() {
    let half = group([delivery_of(GROUP_BYTES_MAX / 2)]);
    assert!(half.has_room_for(&delivery_of(GROUP_BYTES_MAX / 2)));
    assert!(!half.has_room_for(&delivery_of(GROUP_BYTES_MAX / 2 + 1)));
    assert!(half.has_room_for(&told()));
}

#[test]
fn an_empty_group_takes_whatever_may_be_stored() {
    let large = delivery_of(GROUP_BYTES_MAX + 1);
    assert!(Group::default().has_room_for(&large));
    assert!(!group([told()]).has_room_for(&large));
    assert!(Group::default().is_empty() && !group([told()]).is_empty());
}

#[test]
fn a_group_knows_what_it_writes_and_what_has_to_be_signed_for() {
    let page = JOURNAL_PAGE_BYTES.unsigned_abs();
    let table = [
        (Vec::new(), page, 0),
        (vec![told()], page + 512 + 9, 9),
        (vec![told(), delivery_of(1_000), delivery_of(7)], page + 3 * 512 + 1_016, 1_016),
        (vec![told_at_length()], page + 512 + 4_012, 4_012),
    ];
    for (appends, stored, bodies) in table {
        let group = group(appends);
        assert_eq!((group.stored_bytes(), group.body_bytes()), (stored, bodies));
    }
}
