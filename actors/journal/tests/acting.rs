//! The actor around the writer.

use std::future::Future;

use actix::{Actor as _, Arbiter};
use fail::FailScenario;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::clock::{ManualClock, SharedClock};
use crate::limits::SEAL_WAITERS_MAX;
use crate::supervision::{Close, Door, DoorError, Ended, Exited};

/// A running journal actor, and the reports its supervisor receives.
pub(super) struct Running {
    pub(super) journal: JournalHandle,
    pub(super) config: JournalConfig,
    pub(super) arbiter: Arbiter,
    report_to: mpsc::UnboundedSender<Exited>,
    exits: mpsc::UnboundedReceiver<Exited>,
}

impl Running {
    pub(super) async fn start(place: &Place) -> Self {
        Self::start_with(place, ManualClock::at(NOW)).await
    }

    pub(super) async fn start_with(place: &Place, clock: SharedClock) -> Self {
        let config = JournalConfig {
            files: place.files(),
            accept_rollback: false,
            clock,
            random: || 7,
            head: watch::Sender::new(0),
        };
        let (report_to, exits) = mpsc::unbounded_channel();
        let journal = JournalHandle { door: Door::default() };
        let running = Self { journal, config, arbiter: Arbiter::new(), report_to, exits };
        running.reopen().await;
        running
    }

    async fn reopen(&self) {
        let guard = WatchGuard::new("journal", 1, self.report_to.clone());
        let actor = JournalActor::open(self.config.clone(), guard).unwrap();
        self.journal.door.open(JournalActor::start_in_arbiter(&self.arbiter.handle(), |_| actor));
        // The mailbox has its full size once the actor has started.
        self.journal.door.ask(Observe).await.unwrap();
    }

    async fn ended(&mut self) -> Ended {
        self.exits.recv().await.unwrap().ended
    }
}

/// Fault points are shared by the process; the scenario lets one test at a time have them.
pub(super) fn run(test: impl Future<Output = ()>) {
    let scenario = FailScenario::setup();
    actix::System::new().block_on(test);
    scenario.teardown();
}

/// Between the end of the actor and the closing of its mailbox an append may still get in; it is dropped unread.
fn comes_too_late(result: &Result<Appended, JournalError>) -> bool {
    matches!(result, Err(JournalError::Door(_) | JournalError::Unknown))
}

pub(super) fn push(n: usize) -> NewEvent {
    NewEvent::Webhook(webhook(&n.to_string()))
}

#[test]
fn appends_that_wait_together_are_committed_together_and_answered_after() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        let mut head = running.config.head.subscribe();
        let appends = (0..100).map(|n| {
            let (journal, place) = (running.journal.clone(), &place);
            async move {
                let Appended::Stored(receipt) = journal.append(push(n), None).await.unwrap() else {
                    panic!("held")
                };
                let event = place.reader().event(receipt.seq).unwrap().unwrap();
                assert_eq!(event.hash, receipt.leaf_hash, "answered before it was committed");
                receipt.seq
            }
        });
        let mut seqs = futures_util::future::join_all(appends).await;
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
        assert_eq!(*head.borrow_and_update(), 100);
        let snapshot = running.journal.door.ask(Observe).await.unwrap();
        assert_eq!(snapshot.appended_total, 100);
        assert!(snapshot.groups_total < 100, "{} groups", snapshot.groups_total);
    });
}

#[test]
fn close_commits_what_came_before_it_and_empties_the_log() {
    run(async {
        let place = Place::new();
        let mut running = Running::start(&place).await;
        let replies: Vec<_> = (0..20)
            .map(|n| {
                let (reply, answer) = tokio::sync::oneshot::channel();
                let reply = AppendReply::new(move |outcome, _| reply.send(outcome).unwrap());
                running.journal.door.tell(Append { event: push(n), claim: None, reply }).unwrap();
                answer
            })
            .collect();
        running.journal.door.ask(Close).await.unwrap();
        for reply in replies {
            assert!(matches!(reply.await, Ok(Ok(Appended::Stored(_)))));
        }
        assert_eq!(running.ended().await, Ended::Asked);
        assert!(comes_too_late(&running.journal.append(push(0), None).await));
        assert_eq!((place.reader().head().unwrap().seq, place.problems()), (20, vec![]));
        let wal = place.folder.path().join("journal.db-wal");
        assert!(!wal.try_exists().unwrap() || wal.metadata().unwrap().len() == 0);
    });
}

#[test]
fn close_is_answered_after_all_that_came_before_it() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        fail::cfg("journal::before_anchor", "1*sleep(300)").unwrap();
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let reply = AppendReply::new(move |outcome, _| reply.send(outcome).unwrap());
        running.journal.door.tell(Append { event: push(1), claim: None, reply }).unwrap();
        running.journal.door.ask(Close).await.unwrap();
        assert!(matches!(answer.try_recv(), Ok(Ok(Appended::Stored(_)))));
    });
}

#[test]
fn a_caller_that_gives_up_does_not_undo_its_append() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        drop(tokio::time::timeout(Duration::ZERO, running.journal.append(push(1), None)).await);
        running.journal.append_system(SystemEvent::new("a", "b")).await.unwrap();
        assert_eq!(place.reader().head().unwrap().seq, 2);
    });
}

#[test]
fn a_panic_costs_the_group_never_what_was_acknowledged() {
    for point in
        ["journal::append", "journal::before_commit", "journal::before_anchor", "journal::after_commit"]
    {
        run(async {
            let place = Place::new();
            let mut running = Running::start(&place).await;
            running.journal.append(push(1), None).await.unwrap();
            fail::cfg(point, "1*panic").unwrap();
            let result = running.journal.append(push(2), None).await;
            assert!(matches!(result, Err(JournalError::Unknown)), "{point}: {result:?}");
            assert_eq!(running.ended().await, Ended::Panicked);
            let mut head = running.config.head.subscribe();
            running.reopen().await;
            let receipt = running.journal.append_system(SystemEvent::new("a", "b")).await.unwrap();
            let phantom = u64::from(["journal::before_anchor", "journal::after_commit"].contains(&point));
            assert_eq!(receipt.seq, 2 + phantom, "{point}");
            assert_eq!(*head.borrow_and_update(), receipt.seq, "{point}: the streams lost the head");
            assert_eq!(place.problems(), []);
        });
    }
}

#[test]
fn a_poisoned_journal_answers_so_and_ends_for_good() {
    run(async {
        let place = Place::new();
        let mut running = Running::start(&place).await;
        running.journal.append(push(1), None).await.unwrap();
        std::fs::remove_file(place.path()).unwrap();
        let result = running.journal.append(push(2), None).await;
        assert!(matches!(result, Err(JournalError::Poisoned { .. })), "{result:?}");
        assert!(matches!(running.ended().await, Ended::Poisoned(_)));
        assert!(comes_too_late(&running.journal.append(push(3), None).await));
        assert_eq!(*running.config.head.borrow(), 1);
    });
}

#[test]
fn a_probe_tells_whether_the_journal_can_commit() {
    run(async {
        let place = Place::new();
        let clock = ManualClock::at(NOW);
        let mut running = Running::start_with(&place, clock.clone()).await;
        running.journal.door.ask(ProbeCommit).await.unwrap().unwrap();
        std::fs::remove_file(place.path()).unwrap();
        // A commit of the last second would answer for the journal.
        clock.advance_ms(1_000);
        assert!(running.journal.door.ask(ProbeCommit).await.unwrap().is_err());
        assert!(matches!(running.ended().await, Ended::Poisoned(_)));
    });
}

/// Checkpoints so far, as sizes.
pub(super) fn checkpoints(place: &Place) -> Vec<i64> {
    let db = place.intruder();
    let mut statement = db.prepare("SELECT size FROM journal_checkpoints ORDER BY number").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_checkpoint_is_signed_at_the_start_every_thousand_events_when_asked_and_at_the_end() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        for count in std::iter::repeat_n(100, 10).chain([10]) {
            let appends = (0..count).map(|n| running.journal.append(push(n), None));
            assert!(futures_util::future::join_all(appends).await.iter().all(Result::is_ok));
        }
        running.journal.door.ask(Seal).await.unwrap().unwrap();
        running.journal.door.ask(Seal).await.unwrap().unwrap();
        assert_eq!(checkpoints(&place), [0, 1_000, 1_010]);
        let snapshot = running.journal.door.ask(Observe).await.unwrap();
        assert_eq!((snapshot.checkpoint_size, snapshot.epoch), (1_010, 0));
        running.journal.append(push(0), None).await.unwrap();
        running.journal.door.ask(Close).await.unwrap();
        assert_eq!(checkpoints(&place), [0, 1_000, 1_010, 1_011]);
        assert_eq!(place.problems(), []);
    });
}

#[test]
fn appends_are_answered_while_a_checkpoint_is_signed() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        running.journal.append(push(0), None).await.unwrap();
        fail::cfg("journal::sign", "pause").unwrap();
        let journal = running.journal.clone();
        let asked = actix_rt::spawn(async move { journal.door.ask(Seal).await });
        for n in 1..50 {
            running.journal.append(push(n), None).await.unwrap();
        }
        assert_eq!(checkpoints(&place), [0]);
        let closed = running.journal.door.ask(Close);
        fail::remove("journal::sign");
        closed.await.unwrap();
        asked.await.unwrap().unwrap().unwrap();
        assert_eq!(*checkpoints(&place).last().unwrap(), 50, "the end waits for it and signs the rest");
        assert_eq!(place.problems(), []);
    });
}

#[test]
fn a_close_while_a_checkpoint_is_signed_and_another_is_asked_for_ends_with_the_last_checkpoint() {
    run(async {
        let place = Place::new();
        let mut running = Running::start(&place).await;
        running.journal.append(push(0), None).await.unwrap();
        fail::cfg("journal::sign", "pause").unwrap();
        let journal = running.journal.clone();
        let first = actix_rt::spawn(async move { journal.door.ask(Seal).await });
        running.journal.append(push(1), None).await.unwrap();
        running.journal.append(push(2), None).await.unwrap();
        let journal = running.journal.clone();
        let second = actix_rt::spawn(async move { journal.door.ask(Seal).await });
        running.journal.door.ask(Observe).await.unwrap();
        let journal = running.journal.clone();
        let closed = actix_rt::spawn(async move { journal.door.ask(Close).await });
        running.journal.door.ask(Observe).await.unwrap();
        // The sealer comes back while the last append is being taken in, so that it is not committed yet.
        let let_sign = || {
            fail::remove("journal::sign");
            std::thread::sleep(Duration::from_millis(300));
        };
        fail::cfg_callback("journal::append", let_sign).unwrap();
        let (reply, answer) = tokio::sync::oneshot::channel();
        let reply = AppendReply::new(move |outcome, _| reply.send(outcome).unwrap());
        running.journal.door.tell(Append { event: push(3), claim: None, reply }).unwrap();
        assert_eq!(closed.await.unwrap(), Ok(Ended::Asked));
        assert_eq!(running.ended().await, Ended::Asked);
        for seal in [first, second] {
            assert!(matches!(seal.await, Ok(Ok(Ok(())))));
        }
        assert!(matches!(answer.await, Ok(Ok(Appended::Stored(_)))));
        assert_eq!(*checkpoints(&place).last().unwrap(), 4);
        assert_eq!(place.problems(), []);
    });
}

#[test]
fn a_journal_that_is_poisoned_while_it_closes_says_so_to_all_who_wait_for_its_end() {
    run(async {
        let place = Place::new();
        let mut running = Running::start(&place).await;
        running.journal.append(push(0), None).await.unwrap();
        fail::cfg("journal::sign", "pause").unwrap();
        let journal = running.journal.clone();
        let asked = actix_rt::spawn(async move { journal.door.ask(Seal).await });
        running.journal.append(push(1), None).await.unwrap();
        std::fs::remove_file(place.files().anchor).unwrap();
        let closed =
            futures_util::future::join(running.journal.door.ask(Close), running.journal.door.ask(Close));
        let last = running.journal.append(push(2), None);
        let ((first, second), _) = futures_util::future::join(closed, last).await;
        fail::remove("journal::sign");
        for ended in [first.unwrap(), second.unwrap(), running.ended().await] {
            assert!(matches!(ended, Ended::Poisoned(_)), "{ended}");
        }
        drop(asked.await);
    });
}

#[test]
fn a_bounded_number_of_requests_wait_for_a_checkpoint() {
    run(async {
        let place = Place::new();
        let running = Running::start(&place).await;
        running.journal.append(push(0), None).await.unwrap();
        fail::cfg("journal::sign", "pause").unwrap();
        let journal = &running.journal;
        let seals = futures_util::future::join_all((0..SEAL_WAITERS_MAX + 3).map(|_| journal.door.ask(Seal)));
        let unpaused = async {
            journal.door.ask(Observe).await.unwrap();
            fail::remove("journal::sign");
        };
        let (seals, ()) = futures_util::future::join(seals, unpaused).await;
        let full = |seal: &Result<_, _>| matches!(seal, Ok(Err(JournalError::Door(DoorError::Full))));
        assert_eq!(seals.iter().filter(|seal| full(seal)).count(), 3, "{seals:?}");
        assert_eq!(seals.iter().filter(|seal| matches!(seal, Ok(Ok(())))).count(), SEAL_WAITERS_MAX);
    });
}

#[test]
fn a_writer_that_is_opened_again_waits_for_what_its_predecessor_signs() {
    run(async {
        let place = Place::new();
        let mut running = Running::start(&place).await;
        running.journal.append(push(0), None).await.unwrap();
        fail::cfg("journal::sign", "pause").unwrap();
        let journal = running.journal.clone();
        let asked = actix_rt::spawn(async move { journal.door.ask(Seal).await });
        // The seal is under way once an append that was sent after it is answered.
        running.journal.append(push(1), None).await.unwrap();
        fail::cfg("journal::append", "1*panic").unwrap();
        drop(running.journal.append(push(2), None).await);
        assert_eq!(running.ended().await, Ended::Panicked);
        let goes_on = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            fail::remove("journal::sign");
        });
        running.reopen().await;
        goes_on.join().unwrap();
        assert!(!matches!(asked.await, Ok(Ok(Ok(())))), "nobody was told that it is stored");
        running.journal.append(push(3), None).await.unwrap();
        running.journal.door.ask(Close).await.unwrap();
        assert_eq!(place.problems(), []);
        running.reopen().await;
    });
}

#[test]
fn a_panic_while_signing_or_storing_loses_nothing() {
    for point in ["journal::sign", "journal::before_checkpoint"] {
        run(async {
            let place = Place::new();
            let mut running = Running::start(&place).await;
            running.journal.append(push(1), None).await.unwrap();
            fail::cfg(point, "1*panic").unwrap();
            let result = running.journal.door.ask(Seal).await;
            assert!(!matches!(result, Ok(Ok(()))), "{point}");
            assert_eq!(running.ended().await, Ended::Panicked, "{point}");
            running.reopen().await;
            running.journal.append(push(2), None).await.unwrap();
            running.journal.door.ask(Seal).await.unwrap().unwrap();
            assert_eq!((*checkpoints(&place).last().unwrap(), place.problems()), (2, vec![]), "{point}");
        });
    }
}
