use actix_rt::Arbiter;
use futures_util::future::BoxFuture;

use super::*;
use crate::limits::CONNECTOR_CLOSE_SECONDS;

/// When the first incarnation of a connector panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panics {
    InStarted,
    InATimer,
    InAFuture,
    WhenItCloses,
    WhenItIsDropped,
}

/// A connector whose first incarnation panics.
struct Faulty {
    link: ConnectorLink,
    panics: Option<Panics>,
}

impl Actor for Faulty {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.panics {
            Some(Panics::InStarted) => panic!("a planted panic"),
            Some(Panics::InATimer) => {
                ctx.run_later(Duration::from_secs(1), |_, _| panic!("a planted panic"));
            }
            Some(Panics::InAFuture) => {
                let future: BoxFuture<'_, ()> = Box::pin(async { panic!("a planted panic") });
                ctx.spawn(future.into_actor(self));
            }
            Some(Panics::WhenItIsDropped) => ctx.stop(),
            Some(Panics::WhenItCloses) | None => {}
        }
    }
}

impl Handler<Close> for Faulty {
    type Result = Ended;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Ended {
        assert!(self.panics != Some(Panics::WhenItCloses), "a planted panic");
        ctx.stop();
        self.link.closing()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        assert!(self.panics != Some(Panics::WhenItIsDropped), "a planted panic");
    }
}

async fn register(house: &House, panics: Panics) {
    let mut panics = Some(panics);
    let factory: ConnectorFactory =
        Box::new(move |link| Faulty { link, panics: panics.take() }.start().recipient());
    house.door.ask(Register { name: "billing".into(), factory }).await.unwrap().unwrap();
}

#[actix::test]
async fn a_panic_anywhere_in_the_life_of_a_connector_is_an_end_like_any_other() {
    tokio::time::pause();
    for panics in [Panics::InStarted, Panics::InATimer, Panics::InAFuture, Panics::WhenItIsDropped] {
        let house = house();
        register(&house, panics).await;
        house.settle().await;
        let presence = house.presence().await;
        assert_eq!((presence.restarts, presence.state), (1, ConnectorState::Running), "{panics:?}");
        assert_eq!(presence.last_exit.as_deref(), Some("panicked"), "{panics:?}");
        assert_eq!(house.names(), ["supervision.connector.ended by palyra"], "{panics:?}");
    }
}

#[actix::test]
async fn a_panic_of_a_connector_that_is_asked_to_close_for_a_restart_is_journaled() {
    tokio::time::pause();
    let house = house();
    register(&house, Panics::WhenItCloses).await;
    house.restart("billing").await;
    house.settle().await;
    let presence = house.presence().await;
    assert_eq!((presence.restarts, presence.state), (1, ConnectorState::Running));
    assert_eq!(presence.last_exit.as_deref(), Some("panicked"));
    assert_eq!(house.names(), ["supervision.connector.ended by palyra"]);
}

#[actix::test]
async fn a_panic_of_a_connector_that_is_asked_to_close_for_good_is_journaled() {
    let house = house();
    register(&house, Panics::WhenItCloses).await;
    assert_eq!(house.door.ask(Close).await.unwrap(), Ended::Asked);
    house.journal.append_system(SystemEvent::new("last", "last")).await.unwrap();
    assert_eq!(house.names(), ["supervision.connector.ended by palyra", "last by palyra"]);
}

/// A connector that blocks its thread until `release` is dropped.
struct Blocker {
    _link: ConnectorLink,
    release: std::sync::mpsc::Receiver<()>,
}

impl Actor for Blocker {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.release.recv().unwrap_err();
    }
}

impl Handler<Close> for Blocker {
    type Result = Ended;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Ended {
        unreachable!("it is never free to close")
    }
}

#[actix::test]
async fn a_connector_that_blocks_a_thread_of_its_own_holds_up_neither_its_neighbours_nor_a_stop() {
    tokio::time::pause();
    let house = house();
    let arbiter = Arbiter::new();
    let (blocks, release) = std::sync::mpsc::channel();
    let (thread, mut release) = (arbiter.handle(), Some(release));
    let factory: ConnectorFactory = Box::new(move |link| {
        let release = release.take().expect("it is started once");
        Blocker::start_in_arbiter(&thread, move |_| Blocker { _link: link, release }).recipient()
    });
    house.door.ask(Register { name: "blocks".into(), factory }).await.unwrap().unwrap();
    house.register("calm").await.unwrap();
    assert!(house.emitter().emit(SystemEvent::new("tick", "ticked")).await.is_ok());
    let asked = Instant::now();
    assert_eq!(house.door.ask(Close).await.unwrap(), Ended::Asked);
    assert_eq!(asked.elapsed().as_secs(), CONNECTOR_CLOSE_SECONDS);
    arbiter.stop();
    drop(blocks);
    arbiter.join().unwrap();
}

#[actix::test]
async fn an_emitter_outlives_the_incarnation_that_had_it_but_not_the_supervisor() {
    tokio::time::pause();
    let house = house();
    house.register("billing").await.unwrap();
    let first = house.emitter();
    house.restart("billing").await;
    assert!(house.incarnations(2).await);
    first.emit(SystemEvent::new("late", "emitted")).await.unwrap();
    house.door.ask(Close).await.unwrap();
    let refused = first.emit(SystemEvent::new("too.late", "emitted")).await;
    assert!(matches!(refused, Err(ConnectorError::NotTaken(DoorError::NotRunning))), "{refused:?}");
    assert_eq!(house.names(), ["connector.late by connector:billing"]);
}

#[actix::test]
async fn a_connector_that_tries_again_at_once_makes_way_for_what_it_waits_for() {
    let house = house();
    house.register("billing").await.unwrap();
    let emitter = house.emitter();
    let mut under_way: Vec<_> = (0..EMITS_IN_FLIGHT_MAX)
        .map(|_| Box::pin(emitter.emit(SystemEvent::new("tick", "ticked"))))
        .collect();
    for emit in &mut under_way {
        assert!(futures_util::poll!(emit).is_pending());
    }
    let begun = std::time::Instant::now();
    while let Err(error) = emitter.emit(SystemEvent::new("tick", "ticked")).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
    }
}
