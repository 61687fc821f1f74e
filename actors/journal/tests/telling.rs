//! What the actor does unasked, and which receivers it notifies.

use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};

use super::acting::{Running, checkpoints, push, run};
use super::*;
use crate::clock::ManualClock;
use crate::limits::{CHECKPOINT_BYTES, CHECKPOINT_SECONDS, EPOCH_MS, JOURNAL_LOG_BYTES};
use crate::supervision::Close;

#[test]
fn only_a_later_head_wakes_who_waits_for_one() {
    let head = watch::Sender::new(0);
    let mut waiting = head.subscribe();
    for (seq, is_news, told) in [(3, true, 3), (3, false, 3), (2, false, 3), (4, true, 4)] {
        tell_of(&head, seq);
        assert_eq!(waiting.has_changed().ok(), Some(is_news), "{seq}");
        assert_eq!(*waiting.borrow_and_update(), told);
    }
}

#[test]
fn a_checkpoint_is_signed_after_so_many_bytes() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        let large = || NewEvent::Webhook(webhook(&"x".repeat(CHECKPOINT_BYTES as usize / 4)));
        for _ in 0..4 {
            running.journal.append(large(), None).await.unwrap();
        }
        running.journal.append(push(5), None).await.unwrap();
        running.journal.door.ask(Close).await.unwrap();
        assert_eq!(checkpoints(&place), [0, 4, 5]);
    });
}

#[test]
fn the_log_begins_anew_while_the_journal_goes_on() {
    run(async {
        let (place, body, streams) = (Place::new(), "x".repeat(32 * 1024), 8);
        let running = Running::start(&place).await;
        let stream = || async {
            for _ in 0..8 * JOURNAL_LOG_BYTES / (streams * body.len() as u64) {
                running.journal.append(NewEvent::Webhook(webhook(&body)), None).await.unwrap();
            }
        };
        // Several, so that hardly ever nothing is written while the log is moved: SQLite alone would begin it anew then.
        join_all((0..streams).map(|_| stream())).await;
        let longest = running.journal.door.ask(Observe).await.unwrap().wal_bytes;
        assert!(longest < 3 * JOURNAL_LOG_BYTES, "it grew to {longest} bytes");
    });
}

#[test]
fn the_end_of_an_epoch_is_shown_and_told_like_any_event() {
    run(async {
        let (place, clock) = (Place::new(), ManualClock::at(NOW));
        let running = Running::start_with(&place, clock.clone()).await;
        running.journal.append(push(1), None).await.unwrap();
        clock.advance_ms(EPOCH_MS);
        running.journal.door.ask(Seal).await.unwrap().unwrap();
        assert_eq!(*running.config.head.borrow(), 2);
        assert_eq!(running.journal.door.ask(Observe).await.unwrap().epoch, 1);
    });
}

#[test]
fn a_head_that_is_signed_and_not_anchored_is_told_to_nobody() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        fail::cfg("journal::before_anchor", "pause").unwrap();
        let (reply, answer) = oneshot::channel();
        let reply = AppendReply::new(move |outcome, _| reply.send(outcome).unwrap());
        running.journal.door.tell(Append { event: push(1), claim: None, reply }).unwrap();
        running.journal.door.ask(Seal).await.unwrap().unwrap();
        assert_eq!((checkpoints(&place), *running.config.head.borrow()), (vec![0, 1], 0));
        fail::remove("journal::before_anchor");
        assert!(matches!(answer.await, Ok(Ok(Appended::Stored(_)))));
        assert_eq!(*running.config.head.borrow(), 1);
    });
}

#[test]
fn a_probe_tells_whether_the_journal_can_anchor() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        fail::cfg("journal::before_anchor", "pause").unwrap();
        let reply = AppendReply::new(|_, _| ());
        running.journal.door.tell(Append { event: push(1), claim: None, reply }).unwrap();
        // The group is committed and handed over before the next message is taken.
        running.journal.door.ask(Seal).await.unwrap().unwrap();
        std::fs::remove_file(place.files().anchor).unwrap();
        let probed = running.journal.door.ask(ProbeCommit).await;
        fail::remove("journal::before_anchor");
        assert!(!matches!(probed, Ok(Ok(()))), "{probed:?}");
    });
}

#[test]
fn what_is_not_signed_for_is_after_a_while() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        running.journal.append(push(1), None).await.unwrap();
        let (passed, has_passed) = oneshot::channel();
        running.arbiter.spawn(async {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(CHECKPOINT_SECONDS + 1)).await;
            tokio::time::resume();
            passed.send(()).unwrap();
        });
        has_passed.await.unwrap();
        let is_signed = async {
            while checkpoints(&place) != [0, 1] {
                running.journal.door.ask(Observe).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), is_signed).await.unwrap();
        running.journal.append(push(2), None).await.unwrap();
        running.journal.door.ask(Close).await.unwrap();
        assert_eq!(checkpoints(&place), [0, 1, 2]);
    });
}
