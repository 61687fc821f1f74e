use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use futures_util::FutureExt as _;
use futures_util::future::ready;
use tokio::time::Instant;

use super::*;
use crate::clock::ManualClock;
use crate::limits::{ACTOR_RESTART_SECONDS_MAX, RESTART_WINDOW_SECONDS, RESTARTS_MAX};

#[derive(Message)]
#[rtype(result = "u32")]
enum Order {
    Answer,
    Panic,
    Poison,
}

struct Worker {
    watch: WatchGuard,
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Order> for Worker {
    type Result = u32;

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) -> u32 {
        match order {
            Order::Answer => 7,
            Order::Panic => panic!("a planted panic"),
            Order::Poison => {
                self.watch.ends_with(Ended::Poisoned("disk on fire".into()));
                actix::ActorContext::stop(ctx);
                0
            }
        }
    }
}

type Restarts = Arc<Mutex<Vec<String>>>;

async fn supervise(door: Door<Worker>) -> (Supervisor, PresenceBoard, Restarts) {
    let board = PresenceBoard::default();
    let restarts = Restarts::default();
    let heard = Arc::clone(&restarts);
    let listener =
        Box::new(move |name: &str, how: &str| heard.lock().unwrap().push(format!("{name}: {how}")));
    let mut supervisor = Supervisor::new(ManualClock::at(5), board.clone(), listener);
    let factory = Box::new(move |watch| {
        door.open(Worker { watch }.start());
        ready(Ok(())).boxed_local()
    });
    supervisor.start("worker", factory).await.unwrap();
    (supervisor, board, restarts)
}

async fn answers_again(door: &Door<Worker>) -> bool {
    for _ in 0..1_000 {
        if door.ask(Order::Answer).await == Ok(7) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

#[actix::test]
async fn a_panicking_actor_is_rebuilt_behind_the_same_door() {
    tokio::time::pause();
    let door = Door::default();
    let (supervisor, board, restarts) = supervise(door.clone()).await;
    actix::spawn(supervisor.run());

    assert_eq!(door.ask(Order::Panic).await, Err(DoorError::Lost));
    assert!(answers_again(&door).await);

    let presence = &board.snapshot()[0];
    assert_eq!((presence.restarts, presence.state), (1, ActorState::Running));
    assert_eq!(presence.last_exit.as_deref(), Some("panicked"));
    assert_eq!(*restarts.lock().unwrap(), ["worker: panicked"]);
}

#[actix::test]
async fn the_fourth_end_within_a_minute_escalates() {
    tokio::time::pause();
    let door = Door::default();
    let (supervisor, ..) = supervise(door.clone()).await;
    let run = actix::spawn(supervisor.run());

    for _ in 0..4 {
        assert!(answers_again(&door).await);
        door.ask(Order::Panic).await.unwrap_err();
    }

    let escalation = run.await.unwrap();
    assert_eq!(escalation, Escalation::RestartsExhausted { actor: "worker".into(), how: "panicked".into() });
}

#[actix::test]
async fn a_poisoned_actor_is_never_restarted() {
    tokio::time::pause();
    let door = Door::default();
    let (supervisor, board, restarts) = supervise(door.clone()).await;
    let run = actix::spawn(supervisor.run());

    door.ask(Order::Poison).await.unwrap();

    let escalation = run.await.unwrap();
    assert_eq!(escalation, Escalation::Poisoned { actor: "worker".into(), reason: "disk on fire".into() });
    assert_eq!(board.snapshot()[0].state, ActorState::Stopped);
    assert!(restarts.lock().unwrap().is_empty());
}

#[actix::test]
async fn a_factory_that_fails_or_panics_counts_as_another_end() {
    tokio::time::pause();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let door = Door::<Worker>::default();
    let opened = door.clone();
    let mut supervisor =
        Supervisor::new(ManualClock::at(5), PresenceBoard::default(), Box::new(|_: &str, _: &str| {}));
    let factory = Box::new(move |watch| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => {
            opened.open(Worker { watch }.start());
            ready(Ok(())).boxed_local()
        }
        1 => panic!("a planted panic"),
        2 => async { panic!("a planted panic on the way") }.boxed_local(),
        _ => ready(Err("no disk".to_owned())).boxed_local(),
    });
    supervisor.start("worker", factory).await.unwrap();
    let run = actix::spawn(supervisor.run());

    door.ask(Order::Panic).await.unwrap_err();

    assert!(run.await.unwrap().to_string().contains("no disk"));
    assert_eq!(attempts.load(Ordering::SeqCst), 4);
}

#[actix::test]
async fn starts_that_fail_in_a_row_escalate_however_long_each_takes() {
    tokio::time::pause();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let door = Door::<Worker>::default();
    let opened = door.clone();
    let mut supervisor =
        Supervisor::new(ManualClock::at(5), PresenceBoard::default(), Box::new(|_: &str, _: &str| {}));
    let slow = Duration::from_secs(2 * RESTART_WINDOW_SECONDS);
    let factory = Box::new(move |watch| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => {
            opened.open(Worker { watch }.start());
            ready(Ok(())).boxed_local()
        }
        _ => async move {
            tokio::time::sleep(slow).await;
            Err("it hangs".to_owned())
        }
        .boxed_local(),
    });
    supervisor.start("worker", factory).await.unwrap();
    let run = actix::spawn(supervisor.run());

    door.ask(Order::Panic).await.unwrap_err();

    let escalated = tokio::time::timeout(10 * slow, run).await.expect("it gives up").unwrap();
    assert!(escalated.to_string().contains("it hangs"), "{escalated}");
    assert_eq!(attempts.load(Ordering::SeqCst), 1 + RESTARTS_MAX);
}

#[test]
fn starts_that_fail_count_in_a_row_only() {
    let (mut now, mut policy) = (Instant::now(), RestartPolicy::default());
    let later = Duration::from_secs(RESTART_WINDOW_SECONDS + 1);
    for _ in 0..10 {
        for _ in 1..RESTARTS_MAX {
            now += later;
            assert!(matches!(policy.start_failed(now), Decision::RestartAfter(_)));
        }
        policy.started();
    }
}

#[actix::test]
async fn a_start_that_failed_does_not_count_against_the_one_that_succeeded() {
    tokio::time::pause();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let door = Door::<Worker>::default();
    let opened = door.clone();
    let board = PresenceBoard::default();
    let mut supervisor = Supervisor::new(ManualClock::at(5), board.clone(), Box::new(|_: &str, _: &str| {}));
    let factory = Box::new(move |watch| match counted.fetch_add(1, Ordering::SeqCst) {
        1 => ready(Err("no disk, for once".to_owned())).boxed_local(),
        _ => {
            opened.open(Worker { watch }.start());
            ready(Ok(())).boxed_local()
        }
    });
    supervisor.start("worker", factory).await.unwrap();
    actix::spawn(supervisor.run());

    door.ask(Order::Panic).await.unwrap_err();
    assert!(answers_again(&door).await);
    tokio::time::sleep(Duration::from_secs(10)).await;

    assert_eq!(attempts.load(Ordering::SeqCst), 3, "nothing replaces the incarnation that lives");
    assert_eq!(door.ask(Order::Answer).await, Ok(7));
    assert_eq!((board.snapshot()[0].restarts, board.snapshot()[0].state), (1, ActorState::Running));
}

/// Starts workers behind `door`; all but the first take for ever.
fn slow_to_come_back(door: Door<Worker>) -> ActorFactory {
    let mut is_first = true;
    Box::new(move |watch| {
        if !std::mem::take(&mut is_first) {
            return std::future::pending().boxed_local();
        }
        door.open(Worker { watch }.start());
        ready(Ok(())).boxed_local()
    })
}

#[actix::test]
async fn an_end_is_heard_while_another_actor_is_being_started_again() {
    tokio::time::pause();
    let (door, slow) = (Door::default(), Door::default());
    let (mut supervisor, board, restarts) = supervise(door.clone()).await;
    supervisor.start("slow", slow_to_come_back(slow.clone())).await.unwrap();
    let run = actix::spawn(supervisor.run());

    slow.ask(Order::Panic).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let state = |of: usize| board.snapshot()[of].state;
    assert_eq!((state(0), state(1)), (ActorState::Restarting, ActorState::Running));
    door.ask(Order::Panic).await.unwrap_err();
    assert!(answers_again(&door).await);
    assert_eq!(*restarts.lock().unwrap(), ["worker: panicked"]);

    door.ask(Order::Poison).await.unwrap();
    let escalated = tokio::time::timeout(Duration::from_secs(60), run).await.expect("it is heard").unwrap();
    assert_eq!(escalated, Escalation::Poisoned { actor: "worker".into(), reason: "disk on fire".into() });
    let settled = tokio::time::timeout(Duration::from_secs(60), board.settled()).await;
    assert!(settled.is_ok(), "nobody waits for what is not started any more");
}

#[actix::test]
async fn a_restart_that_hangs_escalates_and_is_not_tried_again() {
    tokio::time::pause();
    let door = Door::default();
    let board = PresenceBoard::default();
    let mut supervisor = Supervisor::new(ManualClock::at(5), board.clone(), Box::new(|_: &str, _: &str| {}));
    supervisor.start("worker", slow_to_come_back(door.clone())).await.unwrap();
    let run = actix::spawn(supervisor.run());
    door.ask(Order::Panic).await.unwrap_err();
    let given = Duration::from_secs(2 * ACTOR_RESTART_SECONDS_MAX);
    let escalation = tokio::time::timeout(given, run).await.expect("it gives up").unwrap();
    assert_eq!(escalation, Escalation::RestartHangs { actor: "worker".into() });
    assert_eq!(board.snapshot()[0].state, ActorState::Stopped);
}

#[actix::test]
async fn an_actor_that_ends_before_its_start_is_over_is_started_again() {
    tokio::time::pause();
    let door = Door::<Worker>::default();
    let opened = door.clone();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let board = PresenceBoard::default();
    let mut supervisor = Supervisor::new(ManualClock::at(5), board.clone(), Box::new(|_: &str, _: &str| {}));
    let factory = Box::new(move |watch| {
        let addr = Worker { watch }.start();
        opened.open(addr.clone());
        let is_second = counted.fetch_add(1, Ordering::SeqCst) == 1;
        async move {
            if is_second {
                addr.send(Order::Panic).await.unwrap_err();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
        .boxed_local()
    });
    supervisor.start("worker", factory).await.unwrap();
    actix::spawn(supervisor.run());

    door.ask(Order::Panic).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(10)).await;

    assert_eq!(door.ask(Order::Answer).await, Ok(7));
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!((board.snapshot()[0].restarts, board.snapshot()[0].state), (2, ActorState::Running));
}

#[actix::test]
async fn a_first_start_that_failed_leaves_nothing_to_be_started_again() {
    tokio::time::pause();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let mut supervisor =
        Supervisor::new(ManualClock::at(5), PresenceBoard::default(), Box::new(|_: &str, _: &str| {}));
    let factory = Box::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        ready(Err("no disk".to_owned())).boxed_local()
    });
    assert_eq!(supervisor.start("worker", factory).await, Err("no disk".to_owned()));
    let ended = tokio::time::timeout(Duration::from_secs(60), supervisor.run()).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
}

#[test]
fn a_door_that_leads_nowhere_says_so() {
    let door = Door::<Worker>::default();
    assert_eq!(door.tell(Order::Answer), Err(DoorError::NotRunning));
}

#[test]
fn a_connector_that_dies_at_once_waits_longer_each_time_and_a_minute_in_the_end() {
    let (mut now, mut back_off) = (Instant::now(), BackOff::default());
    let mut pauses = Vec::new();
    for _ in 0..30 {
        back_off.started(now);
        pauses.push(back_off.ended(now));
        now += pauses[pauses.len() - 1];
    }
    let ms: Vec<_> = pauses.iter().take(11).map(Duration::as_millis).collect();
    assert_eq!(ms, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000]);
    assert!(pauses[11..].iter().all(|pause| *pause == Duration::from_secs(60)), "{pauses:?}");
}

#[test]
fn a_connector_that_ran_well_for_a_minute_is_started_again_promptly() {
    let (start, mut back_off) = (Instant::now(), BackOff::default());
    let after = |back_off: &mut BackOff, ran| {
        back_off.started(start);
        back_off.ended(start + Duration::from_secs(ran)).as_millis()
    };
    assert_eq!([0, 1, 59].map(|ran| after(&mut back_off, ran)), [100, 200, 400]);
    assert_eq!([60, 59, 600].map(|ran| after(&mut back_off, ran)), [100, 200, 100]);
}

#[test]
fn ends_outside_the_window_are_forgotten() {
    let start = Instant::now();
    let mut policy = RestartPolicy::default();
    for minute in 0..10 {
        let decision = policy.ended(start + Duration::from_secs(61 * minute));
        assert_eq!(decision, Decision::RestartAfter(Duration::from_millis(10)));
    }
}
