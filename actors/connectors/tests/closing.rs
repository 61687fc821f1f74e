use super::*;
use crate::limits::CONNECTOR_CLOSE_SECONDS;

/// A connector that owns an exclusive resource, and takes a second to release it.
struct Owner {
    link: ConnectorLink,
    owned: Arc<AtomicUsize>,
    /// Whether it closes when it is asked to.
    closes: bool,
}

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<Close> for Owner {
    type Result = Ended;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Ended {
        // The timer also keeps it when nobody can send to it any more.
        let closes_after = Duration::from_secs(if self.closes { 1 } else { 3_600 });
        ctx.run_later(closes_after, |_, ctx| ctx.stop());
        self.link.closing()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.owned.fetch_sub(1, Ordering::SeqCst);
    }
}

/// For each start of an owner, the number of owners that existed already.
async fn found_by_each(house: &House, closes: bool) -> Arc<std::sync::Mutex<Vec<usize>>> {
    let (owned, found) = (Arc::<AtomicUsize>::default(), Arc::<std::sync::Mutex<Vec<usize>>>::default());
    let told = Arc::clone(&found);
    let factory: ConnectorFactory = Box::new(move |link| {
        told.lock().unwrap().push(owned.fetch_add(1, Ordering::SeqCst));
        Owner { link, owned: Arc::clone(&owned), closes }.start().recipient()
    });
    house.door.ask(Register { name: "billing".into(), factory }).await.unwrap().unwrap();
    found
}

#[actix::test]
async fn a_restart_starts_the_next_when_the_one_before_has_let_go_of_what_it_owns() {
    tokio::time::pause();
    let house = house();
    let found = found_by_each(&house, true).await;
    house.restart("billing").await;
    house.restart("billing").await;
    house.settle().await;
    assert_eq!(*found.lock().unwrap(), [0, 0]);
    let presence = house.presence().await;
    assert_eq!((presence.restarts, presence.state), (1, ConnectorState::Running));
}

#[actix::test]
async fn a_restart_does_not_wait_for_ever_for_a_connector_that_does_not_close() {
    tokio::time::pause();
    let house = house();
    let found = found_by_each(&house, false).await;
    house.restart("billing").await;
    house.settle().await;
    house.settle().await;
    assert_eq!(*found.lock().unwrap(), [0, 1]);
}

#[actix::test]
async fn a_supervisor_has_closed_when_its_connectors_have() {
    tokio::time::pause();
    let house = house();
    house.register("prompt").await.unwrap();
    let found = found_by_each(&house, true).await;
    let (puppet, asked) = (house.puppets.lock().unwrap()[0].clone(), Instant::now());
    assert_eq!(house.door.ask(Close).await.unwrap(), Ended::Asked);
    assert!(!puppet.connected());
    assert_eq!(asked.elapsed().as_secs(), 1);
    assert_eq!(found.lock().unwrap().len(), 1);
}

#[actix::test]
async fn all_who_ask_a_supervisor_to_close_are_told_when_it_has() {
    tokio::time::pause();
    let house = house();
    found_by_each(&house, true).await;
    let (first, second) = futures_util::future::join(house.door.ask(Close), house.door.ask(Close)).await;
    assert_eq!((first.unwrap(), second.unwrap()), (Ended::Asked, Ended::Asked));
}

#[actix::test]
async fn a_supervisor_does_not_wait_for_ever_for_a_connector_that_does_not_close() {
    tokio::time::pause();
    let house = house();
    found_by_each(&house, false).await;
    let asked = Instant::now();
    assert_eq!(house.door.ask(Close).await.unwrap(), Ended::Asked);
    assert_eq!(asked.elapsed().as_secs(), CONNECTOR_CLOSE_SECONDS);
}

#[actix::test]
async fn a_supervisor_that_closes_starts_nothing_and_still_takes_events() {
    tokio::time::pause();
    let house = house();
    let found = found_by_each(&house, true).await;
    house.register("paused").await.unwrap();
    house.pull(Pull::Panic).await;
    let door = house.door.clone();
    let closed = actix::spawn(async move { door.ask(Close).await });
    tokio::task::yield_now().await;
    assert!(matches!(house.register("late").await, Err(ConnectorError::Closing)));
    let restart = house.door.ask(Restart("billing".into())).await.unwrap();
    assert!(matches!(restart, Err(ConnectorError::Closing)));
    house.emitter().emit(SystemEvent::new("last.words", "emitted")).await.unwrap();
    assert_eq!(closed.await.unwrap().unwrap(), Ended::Asked);
    house.settle().await;
    assert_eq!((house.puppets.lock().unwrap().len(), found.lock().unwrap().len()), (1, 1));
}

#[actix::test]
async fn a_supervisor_that_is_rebuilt_leaves_closed_what_was_closed_on_purpose() {
    let house = house();
    house.register("billing").await.unwrap();
    house.register("closed").await.unwrap();
    let newest = house.puppets.lock().unwrap()[1].clone();
    newest.send(Close).await.unwrap();
    while house.presence_of("closed").await.state != ConnectorState::Stopped {
        tokio::task::yield_now().await;
    }
    fall_and_rebuild(&house).await;
    assert!(house.incarnations(3).await);
    assert_eq!(house.presence_of("closed").await.state, ConnectorState::Stopped);
    assert_eq!(house.presence_of("billing").await.restarts, 1);
}

/// Makes a supervisor panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Fall;

impl Handler<Fall> for ConnectorSupervisor {
    type Result = ();

    fn handle(&mut self, _: Fall, _: &mut Self::Context) {
        panic!("a planted panic");
    }
}

/// Replaces the supervisor as after a panic.
async fn fall_and_rebuild(house: &House) {
    house.door.ask(Fall).await.unwrap_err();
    house.rebuild();
    house.door.ask(Presence).await.unwrap();
}

/// A house whose connector of the supervisor that has panicked takes a second to close, or does not. A new supervisor runs.
async fn rebuilt(closes: bool) -> (House, Arc<std::sync::Mutex<Vec<usize>>>) {
    let house = house();
    let found = found_by_each(&house, closes).await;
    fall_and_rebuild(&house).await;
    (house, found)
}

#[actix::test]
async fn a_supervisor_that_is_rebuilt_starts_the_next_when_the_one_before_has_let_go_of_what_it_owns() {
    tokio::time::pause();
    let (house, found) = rebuilt(true).await;
    house.restart("billing").await;
    fall_and_rebuild(&house).await;
    assert_eq!(found.lock().unwrap().len(), 1);
    house.settle().await;
    assert_eq!(*found.lock().unwrap(), [0, 0]);
    let presence = house.presence().await;
    assert_eq!((presence.restarts, presence.state), (1, ConnectorState::Running));
}

#[actix::test]
async fn a_supervisor_that_is_rebuilt_does_not_wait_for_ever_for_a_connector_that_does_not_close() {
    tokio::time::pause();
    let (house, found) = rebuilt(false).await;
    house.settle().await;
    house.settle().await;
    assert_eq!(*found.lock().unwrap(), [0, 1]);
}

#[actix::test]
async fn a_supervisor_that_closes_starts_none_of_those_it_was_waiting_to_succeed() {
    tokio::time::pause();
    let (house, found) = rebuilt(true).await;
    assert_eq!(house.door.ask(Close).await.unwrap(), Ended::Asked);
    house.settle().await;
    assert_eq!(found.lock().unwrap().len(), 1);
}
