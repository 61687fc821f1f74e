//! Replay keys in the journal's own transaction.

use super::Verdict::{Accepted, Conflict, Filtered, Rejected};
use super::*;

#[test]
fn a_key_is_held_unless_the_same_bytes_are_judged_higher() {
    let table = [
        (Rejected, "x", Rejected, false),
        (Rejected, "x", Filtered, true),
        (Rejected, "x", Accepted, true),
        (Rejected, "y", Accepted, false),
        (Filtered, "x", Rejected, false),
        (Filtered, "x", Filtered, false),
        (Filtered, "x", Accepted, true),
        (Filtered, "y", Accepted, false),
        (Conflict, "x", Conflict, false),
        (Accepted, "x", Accepted, false),
        (Accepted, "y", Accepted, false),
        (Accepted, "x", Filtered, false),
    ];
    for (first, body, second, stores) in table {
        let place = Place::new();
        let mut writer = place.writer();
        let held = stored(append_one(&mut writer, delivery("k", "x", first), NOW));
        let outcome = append_one(&mut writer, delivery("k", body, second), NOW).unwrap();
        let case = format!("{first:?}, then {second:?} with {body}");
        match outcome {
            Appended::Stored(receipt) => assert!(stores && receipt.seq == 2, "{case}"),
            Appended::Held(holder) => {
                assert!(!stores, "{case}");
                let expected =
                    KeyHolder { verdict: first, body: Digest::of(b"x"), receipt: held, expires_at: LATER };
                assert_eq!(holder, expected, "{case}");
            }
        }
        let holder = place.reader().find_key(&Digest::of(b"k"), NOW).unwrap().unwrap();
        assert_eq!(holder.receipt.seq, if stores { 2 } else { 1 }, "{case}");
        assert_eq!(place.problems(), [], "{case}");
    }
}

#[test]
fn a_key_is_free_again_when_its_window_ends() {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, delivery("k", "x", Accepted), NOW));
    let again = |at| NewRow {
        claim: Some(ReplayClaim { expires_at: at + 10, ..claim("k", "y", Accepted) }),
        event: NewEvent::Webhook(webhook("y")),
    };
    assert!(matches!(append_one(&mut writer, again(LATER - 1), LATER - 1), Ok(Appended::Held(_))));
    assert_eq!(stored(append_one(&mut writer, again(LATER), LATER)).seq, 2);
    let reader = place.reader();
    assert_eq!(reader.find_key(&Digest::of(b"k"), LATER).unwrap().unwrap().receipt.seq, 2);
    assert_eq!(reader.find_key(&Digest::of(b"k"), LATER + 10).unwrap(), None);
    assert_eq!(place.problems(), []);
}

#[test]
fn two_copies_in_one_group_make_one_row() {
    let place = Place::new();
    let mut writer = place.writer();
    let copies = (0..100).map(|_| delivery("k", "x", Accepted)).collect();
    let outcomes = writer.append(copies, NOW).unwrap();
    let held = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Appended::Held(holder)) if holder.receipt.seq == 1));
    assert_eq!((held.count(), writer.head().seq), (99, 1));
    assert_eq!(writer.observe().held_total, 99);
}

#[test]
fn a_key_survives_a_restart() {
    let place = Place::new();
    stored(append_one(&mut place.writer(), delivery("k", "x", Accepted), NOW));
    assert!(matches!(
        append_one(&mut place.writer(), delivery("k", "x", Accepted), NOW),
        Ok(Appended::Held(_))
    ));
}
