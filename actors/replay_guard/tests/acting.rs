//! The actor around the table: its mailbox, its end, its next life. The journal behind it is a real one.

use std::future::Future;
use std::path::Path;

use actix::Arbiter;
use fail::FailScenario;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::clock::ManualClock;
use crate::journal::{JournalActor, JournalConfig, JournalFiles, JournalReader};
use crate::supervision::{DoorError, Exited, WatchGuard};

/// A running guard, and the reports its supervisor receives.
struct Running {
    guard: ReplayHandle,
    journal: JournalHandle,
    arbiter: Arbiter,
    report_to: mpsc::UnboundedSender<Exited>,
    exits: mpsc::UnboundedReceiver<Exited>,
    folder: TempDir,
}

impl Running {
    async fn start() -> Self {
        let (report_to, exits) = mpsc::unbounded_channel();
        let (guard, journal, folder) =
            (ReplayHandle::default(), JournalHandle::default(), tempfile::tempdir().unwrap());
        let running = Self { guard, journal, arbiter: Arbiter::new(), report_to, exits, folder };
        let actor = journal_in(running.folder.path());
        running.journal.door.open(actix::Actor::start_in_arbiter(&running.arbiter.handle(), |_| actor));
        running.restart().await;
        running
    }

    async fn restart(&self) {
        let watch = WatchGuard::new("replay_guard", 1, self.report_to.clone());
        let (arbiter, journal) = (self.arbiter.handle(), self.journal.clone());
        self.guard.door.open(ReplayGuardActor::start(
            &arbiter,
            journal,
            Seen::default(),
            ManualClock::at(NOW),
            watch,
        ));
        self.snapshot().await;
    }

    /// An actor reports its end while it is dropped; its mailbox goes right after it, in the same turn of its thread.
    async fn arbiter_has_finished_its_turn(&self) {
        let (done, is_done) = tokio::sync::oneshot::channel();
        self.arbiter.spawn(async move { done.send(()).unwrap() });
        is_done.await.unwrap();
    }

    async fn submit(&self, key: &str) -> Result<Appended, SubmitError> {
        let event = NewEvent::System(SystemEvent::new("webhook.filtered", "judged"));
        self.guard.submit(event, claim(key, "x", Verdict::Filtered), Arc::new(())).await
    }

    async fn snapshot(&self) -> ReplaySnapshot {
        self.guard.door.ask(Observe).await.unwrap()
    }

    fn rows(&self) -> u64 {
        JournalReader::open(&self.folder.path().join("journal.db")).unwrap().head().unwrap().seq
    }
}

fn journal_in(folder: &Path) -> JournalActor {
    let config = JournalConfig {
        files: JournalFiles::in_folder(folder),
        accept_rollback: false,
        clock: ManualClock::at(NOW),
        random: || 7,
        head: watch::Sender::new(0),
    };
    JournalActor::open(config, WatchGuard::unwatched()).unwrap()
}

/// Blocks the thread of `arbiter` until the returned value is dropped.
async fn hold_up(arbiter: &Arbiter) -> std::sync::mpsc::Sender<()> {
    let (block, blocked) = std::sync::mpsc::channel::<()>();
    let (began, begins) = tokio::sync::oneshot::channel();
    arbiter.spawn(async move {
        began.send(()).unwrap();
        assert!(blocked.recv().is_err());
    });
    begins.await.unwrap();
    block
}

/// Fault points are shared by the process; the scenario lets one test at a time have them.
fn run(test: impl Future<Output = ()>) {
    let scenario = FailScenario::setup();
    actix::System::new().block_on(test);
    scenario.teardown();
}

#[test]
fn of_a_hundred_copies_at_once_one_is_stored() {
    run(async {
        let running = Running::start().await;
        let copies = (0..100).map(|_| running.submit("k"));
        let outcomes = futures_util::future::join_all(copies).await;
        let stored = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Appended::Stored(_))));
        let held = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Appended::Held { .. })));
        assert_eq!((stored.count(), held.count(), running.rows()), (1, 99, 1));
    });
}

#[test]
fn what_was_submitted_is_stored_though_nobody_waits() {
    run(async {
        let running = Running::start().await;
        for key in ["a", "b"] {
            let submitted = running.submit(key);
            let mut submitted = std::pin::pin!(submitted);
            assert!(futures_util::poll!(submitted.as_mut()).is_pending());
        }
        while running.rows() < 2 {
            running.snapshot().await;
        }
        assert!(matches!(running.submit("a").await, Ok(Appended::Held { .. })));
    });
}

#[test]
fn every_end_of_a_lease_arrives_though_the_mailbox_is_full() {
    run(async {
        let running = Running::start().await;
        let block = hold_up(&running.arbiter).await;
        let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let mut submitted: Vec<_> = keys.iter().map(|key| Box::pin(running.submit(key))).collect();
        for one in &mut submitted {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
        }
        let mut queued = 0;
        while running.guard.door.tell(Observe).is_ok() {
            queued += 1;
        }
        assert!(queued + 100 >= MAILBOX_MESSAGES_MAX, "{queued}");
        assert!(matches!(running.submit("one more").await, Err(SubmitError::Replay(ReplayError::Full))));
        drop(block);
        let outcomes = futures_util::future::join_all(submitted).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Appended::Stored(_)))));
        while running.snapshot().await.leases > 0 {}
        assert_eq!(running.rows(), 100);
    });
}

#[test]
fn a_panic_costs_those_who_wait_an_answer_and_nobody_a_second_row() {
    run(async {
        let mut running = Running::start().await;
        assert!(matches!(running.submit("k").await, Ok(Appended::Stored(_))));
        fail::cfg("replay_guard::submit", "1*panic").unwrap();
        assert!(matches!(running.submit("k").await, Err(SubmitError::Journal(JournalError::Unknown))));
        assert_eq!(running.exits.recv().await.unwrap().ended, Ended::Panicked);
        assert!(running.submit("k").await.is_err());
        running.restart().await;
        assert!(matches!(running.submit("k").await, Ok(Appended::Held { .. })), "the journal knows");
        assert_eq!(running.rows(), 1);
    });
}

#[test]
fn a_journal_that_is_gone_lets_nothing_through_and_holds_nothing_up() {
    run(async {
        let running = Running::start().await;
        running.journal.door.ask(Close).await.unwrap();
        for _ in 0..2 {
            let refused = running.submit("k").await;
            let gone =
                matches!(refused, Err(SubmitError::Journal(JournalError::Door(DoorError::NotRunning))));
            assert!(gone, "{refused:?}");
            assert_eq!(running.snapshot().await.leases, 0);
        }
    });
}

#[test]
fn a_journal_whose_mailbox_is_full_is_told_as_one_that_did_not_act() {
    run(async {
        let running = Running::start().await;
        let (busy, other) = (Arbiter::new(), tempfile::tempdir().unwrap());
        let actor = journal_in(other.path());
        running.journal.door.open(actix::Actor::start_in_arbiter(&busy.handle(), |_| actor));
        let block = hold_up(&busy).await;
        while running.journal.door.tell(crate::journal::Observe).is_ok() {}
        for _ in 0..2 {
            let refused = running.submit("k").await;
            let full = matches!(refused, Err(SubmitError::Journal(JournalError::Door(DoorError::Full))));
            assert!(full, "{refused:?}");
            assert_eq!(running.snapshot().await.leases, 0);
        }
        drop(block);
    });
}

#[test]
fn close_is_told_to_those_who_come_after() {
    run(async {
        let mut running = Running::start().await;
        assert_eq!(running.guard.door.ask(Close).await, Ok(Ended::Asked));
        assert_eq!(running.exits.recv().await.unwrap().ended, Ended::Asked);
        running.arbiter_has_finished_its_turn().await;
        assert!(matches!(running.submit("k").await, Err(SubmitError::Replay(ReplayError::Stopped))));
    });
}
