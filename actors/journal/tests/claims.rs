//! Replay keys in the journal's own transaction.

use super::Verdict::{Accepted, Conflict, Filtered, Rejected};
use super::*;

/// The place of the event that holds the key of `claim` at `now`; `claim` takes it if there is none.
fn held_seq(writer: &mut Writer, claim: ReplayClaim, now: UnixMs) -> Option<u64> {
    let row = NewRow { claim: Some(claim), ..delivery("", "", Rejected) };
    match append_one(writer, row, now).unwrap() {
        Appended::Held { holder, .. } => Some(holder.receipt.seq),
        Appended::Stored(_) => None,
    }
}

#[test]
fn a_key_is_held_unless_it_is_judged_higher_and_no_other_body_can_have_been_put_in_its_place() {
    let (whole, part) = (true, false);
    let table = [
        (Rejected, "x", part, Rejected, false),
        (Rejected, "x", part, Filtered, true),
        (Rejected, "x", part, Accepted, true),
        // What was rejected may have been put into a form in which it cannot be taken.
        (Rejected, "y", part, Accepted, true),
        (Rejected, "y", part, Rejected, false),
        (Filtered, "x", part, Rejected, false),
        (Filtered, "x", part, Filtered, false),
        (Filtered, "x", part, Accepted, true),
        (Filtered, "y", part, Accepted, false),
        (Filtered, "y", whole, Accepted, true),
        (Filtered, "y", whole, Filtered, false),
        (Conflict, "x", part, Conflict, false),
        (Accepted, "x", part, Accepted, false),
        (Accepted, "y", part, Accepted, false),
        (Accepted, "y", whole, Accepted, false),
        (Accepted, "x", part, Filtered, false),
    ];
    for (first, body, is_whole, second, stores) in table {
        let place = Place::new();
        let mut writer = place.writer();
        let held = stored(append_one(&mut writer, delivery("k", "x", first), NOW));
        let claim = ReplayClaim { is_whole, ..claim("k", body, second) };
        let row = NewRow { claim: Some(claim), ..delivery("k", body, second) };
        let outcome = append_one(&mut writer, row, NOW).unwrap();
        let case = format!("{first:?}, then {second:?} with {body}, {is_whole}");
        match outcome {
            Appended::Stored(receipt) => assert!(stores && receipt.seq == 2, "{case}"),
            Appended::Held { holder, .. } => {
                assert!(!stores, "{case}");
                let expected =
                    KeyHolder { verdict: first, body: Digest::of(b"x"), receipt: held, expires_at: LATER };
                assert_eq!(holder, expected, "{case}");
            }
        }
        let newest = held_seq(&mut writer, self::claim("k", "z", Rejected), NOW);
        assert_eq!(newest, Some(if stores { 2 } else { 1 }), "{case}");
        assert_eq!(place.problems(), [], "{case}");
    }
}

#[test]
fn a_key_of_what_was_left_out_is_held_against_the_same_bytes_under_another_event_or_source() {
    let table = [
        (Filtered, ("push", "octo/cat"), true),
        (Rejected, ("push", "octo/cat"), true),
        (Filtered, ("issues", "octo/cat"), false),
        (Filtered, ("push", "octo/dog"), false),
        // What was rejected may have been so for its name.
        (Rejected, ("issues", "octo/cat"), true),
        (Rejected, ("push", "octo/dog"), true),
        (Rejected, ("", "octo/cat"), true),
    ];
    for (first, (event, source), stores) in table {
        let place = Place::new();
        let held = NewRow { event: left_out(first, event, source), ..delivery("k", "x", first) };
        stored(append_one(&mut place.writer(), held, NOW));
        let mut writer = place.writer();
        for higher in [Filtered, Accepted].into_iter().filter(|higher| *higher > first) {
            let outcome = append_one(&mut writer, delivery("k", "x", higher), NOW).unwrap();
            let case = format!("{first:?} as {event} from {source}, then {higher:?}: {outcome:?}");
            match outcome {
                Appended::Stored(_) => assert!(stores, "{case}"),
                Appended::Held { because, .. } => {
                    assert_eq!((because, stores), (HeldBecause::OtherNames, false), "{case}");
                }
            }
        }
        assert_eq!(place.problems(), []);
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
    assert!(matches!(append_one(&mut writer, again(LATER - 1), LATER - 1), Ok(Appended::Held { .. })));
    assert_eq!(stored(append_one(&mut writer, again(LATER), LATER)).seq, 2);
    assert_eq!(held_seq(&mut writer, claim("k", "z", Rejected), LATER + 9), Some(2));
    assert_eq!(held_seq(&mut writer, claim("k", "z", Rejected), LATER + 10), None);
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
        .filter(|outcome| matches!(outcome, Ok(Appended::Held { holder, .. }) if holder.receipt.seq == 1));
    assert_eq!((held.count(), writer.head().seq), (99, 1));
    assert_eq!(writer.observe().held_total, 99);
}

#[test]
fn a_key_survives_a_restart() {
    let place = Place::new();
    stored(append_one(&mut place.writer(), delivery("k", "x", Accepted), NOW));
    assert!(matches!(
        append_one(&mut place.writer(), delivery("k", "x", Accepted), NOW),
        Ok(Appended::Held { .. })
    ));
}

#[test]
fn every_key_of_many_runs_is_held_before_and_after_a_restart() {
    let place = Place::new();
    let mut writer = place.writer();
    let keys = 3_000;
    let row = |n: u64| delivery(&n.to_string(), "x", Accepted);
    for first in (0..keys).step_by(100) {
        let outcomes = writer.append((first..first + 100).map(row).collect(), NOW).unwrap();
        let seqs: Vec<u64> = outcomes.into_iter().map(|outcome| stored(outcome).seq).collect();
        assert_eq!(seqs, (first + 1..first + 101).collect::<Vec<_>>());
    }
    for mut writer in [writer, place.writer()] {
        let outcomes = writer.append((0..keys).map(row).collect(), NOW).unwrap();
        for (n, outcome) in (0..keys).zip(outcomes) {
            assert!(
                matches!(outcome, Ok(Appended::Held { holder, .. }) if holder.receipt.seq == n + 1),
                "{n}"
            );
        }
    }
    assert_eq!(place.problems(), []);
}

#[test]
fn a_clock_that_was_ahead_when_the_journal_was_opened_opens_no_window() {
    let place = Place::new();
    let rows = |count: u64| (0..count).map(|n| delivery(&n.to_string(), "x", Accepted)).collect();
    place.writer().append(rows(500), NOW).unwrap();
    let mut writer = Writer::open(&place.files(), || 7, false, LATER + 1).unwrap();
    let outcomes = writer.append(rows(500), NOW).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Appended::Held { .. }))));
}

#[test]
fn keys_that_begin_alike_are_told_apart() {
    let place = Place::new();
    let mut writer = place.writer();
    let alike = |last: u8| {
        let mut key = Digest([3; 32]);
        key.0[31] = last;
        let claim = ReplayClaim { key, ..claim("", "x", Accepted) };
        NewRow { claim: Some(claim), ..delivery("", "x", Accepted) }
    };
    let first: Vec<Receipt> = (0..200).map(|n| stored(append_one(&mut writer, alike(n), NOW))).collect();
    for mut writer in [writer, place.writer()] {
        for n in 0..200 {
            let outcome = append_one(&mut writer, alike(n), NOW).unwrap();
            assert!(
                matches!(outcome, Appended::Held { holder, .. } if holder.receipt == first[usize::from(n)])
            );
        }
    }
}

#[test]
fn the_newest_of_several_events_of_a_key_holds_it() {
    let place = Place::new();
    let mut writer = place.writer();
    let window = |at: UnixMs| ReplayClaim { expires_at: at + 10, ..claim("k", "x", Accepted) };
    for n in 0..200_u64 {
        let at = NOW + n * 10;
        let row = NewRow { claim: Some(window(at)), ..delivery("", "x", Accepted) };
        assert_eq!(stored(append_one(&mut writer, row, at)).seq, n + 1);
        let held = held_seq(&mut writer, ReplayClaim { verdict: Filtered, ..window(at) }, at + 9);
        assert_eq!(held, Some(n + 1));
    }
    assert_eq!(place.problems(), []);
}

#[test]
fn of_several_open_windows_that_of_the_newest_event_counts() {
    let place = Place::new();
    let mut writer = place.writer();
    let held = |writer: &mut Writer| held_seq(writer, claim("k", "x", Rejected), NOW);
    let mut newest = None;
    for verdict in [Rejected, Filtered, Accepted] {
        newest = Some(stored(append_one(&mut writer, delivery("k", "x", verdict), NOW)).seq);
        // To the end of the part in memory, of a run, of the runs that share a filter.
        for others in [0, 70, 1_100] {
            writer.append((0..others).map(|_| system("a")).collect(), NOW).unwrap();
            assert_eq!(held(&mut writer), newest, "{verdict:?} and {others} others");
        }
    }
    assert_eq!(held(&mut place.writer()), newest);
}

#[test]
fn a_window_that_began_while_the_clock_was_behind_is_not_over_when_it_is_right() {
    const WINDOW: UnixMs = 1_000;
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("a"), NOW));
    let sent = |now: UnixMs, verdict| ReplayClaim { expires_at: now + WINDOW, ..claim("k", "{}", verdict) };
    let behind = NOW - 50 * WINDOW;
    let row = NewRow { claim: Some(sent(behind, Accepted)), ..delivery("k", "{}", Accepted) };
    let first = stored(append_one(&mut writer, row, behind)).seq;
    assert_eq!(held_seq(&mut writer, sent(NOW, Rejected), NOW + WINDOW - 1), Some(first));
    assert_eq!(place.problems(), []);
}
