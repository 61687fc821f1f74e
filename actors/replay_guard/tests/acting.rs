//! The actor around the table: its mailbox, its end, its next life.

use std::future::Future;

use actix::Arbiter;
use fail::FailScenario;
use tokio::sync::mpsc;

use super::*;
use crate::clock::ManualClock;
use crate::supervision::{Door, Exited};

/// A running guard and what its supervisor hears.
struct Running {
    guard: Door<ReplayGuardActor>,
    arbiter: Arbiter,
    report_to: mpsc::UnboundedSender<Exited>,
    exits: mpsc::UnboundedReceiver<Exited>,
}

impl Running {
    async fn start() -> Self {
        let (report_to, exits) = mpsc::unbounded_channel();
        let running = Self { guard: Door::default(), arbiter: Arbiter::new(), report_to, exits };
        running.restart().await;
        running
    }

    async fn restart(&self) {
        let guard = WatchGuard::new("replay_guard", self.report_to.clone());
        let clock = ManualClock::at(NOW);
        self.guard.open(ReplayGuardActor::start(&self.arbiter.handle(), Index::default(), clock, guard));
        self.snapshot().await;
    }

    async fn reserve(&self) -> Result<Reservation, ReplayError> {
        self.guard.ask(ask("k", "x")).await.unwrap_or(Err(ReplayError::Stopped))
    }

    async fn snapshot(&self) -> ReplaySnapshot {
        self.guard.ask(Observe).await.unwrap()
    }
}

/// Fault points are shared by the process; the scenario lets one test at a time have them.
fn run(test: impl Future<Output = ()>) {
    let scenario = FailScenario::setup();
    actix::System::new().block_on(test);
    scenario.teardown();
}

#[test]
fn of_a_hundred_copies_at_once_one_is_fresh() {
    run(async {
        let running = Running::start().await;
        let copies = (0..100).map(|_| async {
            match running.reserve().await.unwrap() {
                Reservation::Fresh(lease) => {
                    lease.settle(holder(Verdict::Accepted, "x"));
                    "fresh"
                }
                other => word(&other),
            }
        });
        let mut words = futures_util::future::join_all(copies).await;
        words.sort_unstable();
        assert_eq!(words.iter().filter(|word| **word == "fresh").count(), 1);
        assert_eq!(words.iter().filter(|word| **word == "duplicate").count(), 99);
    });
}

#[test]
fn a_lease_dropped_on_another_thread_frees_its_key() {
    run(async {
        let running = Running::start().await;
        let lease = running.reserve().await.unwrap();
        let next = running.reserve();
        std::thread::spawn(move || drop(lease)).join().unwrap();
        assert_eq!(word(&next.await.unwrap()), "fresh");
    });
}

#[test]
fn every_end_of_a_lease_arrives_though_the_mailbox_is_full() {
    run(async {
        let running = Running::start().await;
        let keys: Vec<_> = (0..100).map(|n| ask(&n.to_string(), "x")).collect();
        let mut leases = Vec::new();
        for key in keys {
            leases.push(running.guard.ask(key).await.unwrap().unwrap());
        }
        let (block, blocked) = std::sync::mpsc::channel::<()>();
        running.arbiter.spawn(async move { assert!(blocked.recv().is_err()) });
        let mut queued = 0;
        while running.guard.tell(Observe).is_ok() {
            queued += 1;
        }
        assert!(queued >= MAILBOX_MESSAGES_MAX, "{queued}");
        drop(leases);
        drop(block);
        let snapshot = running.snapshot().await;
        assert_eq!((snapshot.leases, snapshot.released_total), (0, 100));
    });
}

#[test]
fn a_panic_stops_those_who_wait_and_old_leases_harm_nobody_after() {
    run(async {
        let mut running = Running::start().await;
        let old = running.reserve().await.unwrap();
        let door = running.guard.clone();
        let waiting = actix::spawn(async move { door.ask(ask("k", "x")).await });
        while running.snapshot().await.waiters == 0 {}
        fail::cfg("replay_guard::reserve", "1*panic").unwrap();
        assert!(matches!(running.reserve().await, Err(ReplayError::Stopped)));
        assert!(matches!(waiting.await.unwrap(), Err(_) | Ok(Err(ReplayError::Stopped))));
        assert_eq!(running.exits.recv().await.unwrap().exit, Exit::Panicked);
        running.restart().await;
        let new = running.reserve().await.unwrap();
        drop(old);
        assert_eq!(running.snapshot().await.leases, 1);
        assert_eq!(word(&new), "fresh");
    });
}

#[test]
fn close_answers_those_who_wait() {
    run(async {
        let mut running = Running::start().await;
        let lease = running.reserve().await.unwrap();
        let (waiting, closed) = futures_util::future::join(running.reserve(), running.guard.ask(Close)).await;
        assert!(matches!(waiting, Err(ReplayError::Stopped)));
        assert_eq!(closed, Ok(()));
        assert_eq!(running.exits.recv().await.unwrap().exit, Exit::Asked);
        drop(lease);
    });
}
