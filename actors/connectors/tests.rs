mod closing;
mod misbehaving;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::clock::ManualClock;
use crate::journal::{Cursor, EventFilter, JournalActor, JournalConfig, JournalFiles, JournalReader};
use crate::limits::{CONNECTOR_PAUSE_MS_MIN, EMITS_IN_FLIGHT_MAX};
use crate::supervision::DoorError;

/// A connector that emits, stops and panics on demand.
struct Puppet {
    link: ConnectorLink,
}

impl Actor for Puppet {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
enum Pull {
    Stop,
    Panic,
}

impl Handler<Pull> for Puppet {
    type Result = ();

    fn handle(&mut self, pull: Pull, ctx: &mut Self::Context) {
        match pull {
            Pull::Stop => ctx.stop(),
            Pull::Panic => panic!("a planted panic"),
        }
    }
}

impl Handler<Close> for Puppet {
    type Result = Ended;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Ended {
        ctx.stop();
        self.link.closing()
    }
}

struct House {
    door: Door<ConnectorSupervisor>,
    journal: JournalHandle,
    clock: SharedClock,
    roster: Roster,
    reader: JournalReader,
    puppets: Arc<std::sync::Mutex<Vec<Addr<Puppet>>>>,
    emitters: Arc<std::sync::Mutex<Vec<Emitter>>>,
    _dir: TempDir,
}

fn house() -> House {
    static BITS: AtomicUsize = AtomicUsize::new(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let clock = ManualClock::at(1_700_000_000_000);
    let config = JournalConfig {
        files: JournalFiles::in_folder(dir.path()),
        accept_rollback: false,
        clock: clock.clone(),
        random: || BITS.fetch_add(1, Ordering::SeqCst) as u128,
        head: watch::channel(0).0,
    };
    let journal = JournalHandle::default();
    journal.door.open(JournalActor::open(config, WatchGuard::unwatched()).unwrap().start());
    let house = House {
        door: Door::default(),
        journal,
        clock,
        roster: Roster::default(),
        reader: JournalReader::open(&path).unwrap(),
        puppets: Arc::default(),
        emitters: Arc::default(),
        _dir: dir,
    };
    house.rebuild();
    house
}

impl House {
    /// Replaces the supervisor by a new incarnation.
    fn rebuild(&self) {
        let (roster, journal, clock) = (self.roster.clone(), self.journal.clone(), Arc::clone(&self.clock));
        let supervisor =
            ConnectorSupervisor::new(roster, journal, clock, self.door.clone(), WatchGuard::unwatched());
        self.door.open(supervisor.start());
    }

    async fn register(&self, name: &str) -> Result<(), ConnectorError> {
        let (puppets, emitters) = (Arc::clone(&self.puppets), Arc::clone(&self.emitters));
        let factory: ConnectorFactory = Box::new(move |link| {
            emitters.lock().unwrap().push(link.emitter());
            let puppet = Puppet { link }.start();
            puppets.lock().unwrap().push(puppet.clone());
            puppet.recipient()
        });
        self.door.ask(Register { name: name.into(), factory }).await.unwrap()
    }

    fn emitter(&self) -> Emitter {
        self.emitters.lock().unwrap()[0].clone()
    }

    async fn pull(&self, pull: Pull) {
        let newest = self.puppets.lock().unwrap().last().unwrap().clone();
        // A puppet that panics does not answer.
        newest.send(pull).await.unwrap_or_default();
    }

    async fn restart(&self, name: &str) {
        self.door.ask(Restart(name.into())).await.unwrap().unwrap();
    }

    /// Longer than any pause of a connector that ended a few times.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }

    async fn presence(&self) -> ConnectorPresence {
        self.door.ask(Presence).await.unwrap().remove(0)
    }

    async fn presence_of(&self, name: &str) -> ConnectorPresence {
        let all = self.door.ask(Presence).await.unwrap();
        all.into_iter().find(|one| one.name == name).unwrap()
    }

    async fn backs_off(&self) {
        while self.presence().await.state != ConnectorState::BackingOff {
            tokio::task::yield_now().await;
        }
    }

    async fn incarnations(&self, count: usize) -> bool {
        for _ in 0..1_000 {
            if self.puppets.lock().unwrap().len() == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    fn names(&self) -> Vec<String> {
        let page = self.reader.page(&EventFilter::default(), Cursor::After(0), 100).unwrap();
        page.events.into_iter().map(|event| format!("{} by {}", event.name, event.principal)).collect()
    }
}

#[actix::test]
async fn an_emitted_event_is_committed_in_the_connectors_own_name() {
    let house = house();
    house.register("billing").await.unwrap();
    let receipt = house.emitter().emit(SystemEvent::new("invoice.sent", "sent").by("root")).await.unwrap();
    assert_eq!(receipt.seq, 1);
    assert_eq!(house.names(), ["connector.invoice.sent by connector:billing"]);
    assert_eq!(house.presence().await.emitted_total, 1);
}

#[actix::test]
async fn an_event_the_journal_refuses_is_told_to_its_connector() {
    let house = house();
    house.register("billing").await.unwrap();
    for name in ["", "Not A Name", &"n".repeat(65)] {
        let refused = house.emitter().emit(SystemEvent::new(name, "sent")).await;
        assert!(matches!(refused, Err(ConnectorError::Journal(_))), "{refused:?}");
    }
    assert!(house.emitter().emit(SystemEvent::new("n".repeat(64), "sent")).await.is_ok());
}

#[actix::test]
async fn a_connector_has_a_bounded_number_of_events_under_way_and_others_have_their_own() {
    let house = house();
    house.register("billing").await.unwrap();
    house.register("calm").await.unwrap();
    let emit = |of: usize| {
        let emitter = house.emitters.lock().unwrap()[of].clone();
        async move { emitter.emit(SystemEvent::new("tick", "ticked")).await }
    };
    let at_once = futures_util::future::join_all((0..EMITS_IN_FLIGHT_MAX + 9).map(|_| emit(0)));
    let (answers, others) = futures_util::future::join(at_once, emit(1)).await;
    let full = |answer: &Result<_, _>| matches!(answer, Err(ConnectorError::NotTaken(DoorError::Full)));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), EMITS_IN_FLIGHT_MAX, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| full(answer)).count(), 9);
    assert!(others.is_ok(), "{others:?}");
    assert!(emit(0).await.is_ok(), "there is room again");
}

#[actix::test]
async fn an_event_that_nobody_waits_for_any_more_counts_until_it_is_answered() {
    let house = house();
    house.register("billing").await.unwrap();
    for _ in 0..EMITS_IN_FLIGHT_MAX {
        let emitter = house.emitter();
        let mut emit = Box::pin(emitter.emit(SystemEvent::new("tick", "ticked")));
        assert!(futures_util::poll!(&mut emit).is_pending());
    }
    let one_more = house.emitter().emit(SystemEvent::new("tick", "ticked")).await;
    assert!(matches!(one_more, Err(ConnectorError::NotTaken(DoorError::Full))), "{one_more:?}");
}

#[test]
fn every_life_of_a_connector_shares_the_places_for_its_events() {
    let roster = Roster::default();
    roster.add("billing", Box::new(|_| unreachable!("nothing is started here"))).unwrap();
    let places = |now| roster.starting("billing", 0, now).unwrap().emits;
    let now = Instant::now();
    let (one, next) = (places(now), places(now));
    assert!(Arc::ptr_eq(&one, &next));
    assert_eq!(one.available_permits(), EMITS_IN_FLIGHT_MAX);
}

#[actix::test]
async fn a_connector_that_panics_or_stops_is_started_again_and_the_end_is_journaled() {
    tokio::time::pause();
    let house = house();
    house.register("billing").await.unwrap();
    house.pull(Pull::Panic).await;
    assert!(house.incarnations(2).await);
    house.pull(Pull::Stop).await;
    assert!(house.incarnations(3).await);

    let presence = house.presence().await;
    assert_eq!((presence.restarts, presence.state), (2, ConnectorState::Running));
    assert_eq!(presence.last_exit.as_deref(), Some("stopped without being asked"));
    assert_eq!(house.names(), ["supervision.connector.ended by palyra"; 2]);
}

#[actix::test]
async fn a_connector_closed_on_purpose_stays_closed() {
    tokio::time::pause();
    let house = house();
    house.register("billing").await.unwrap();
    let newest = house.puppets.lock().unwrap()[0].clone();
    newest.send(Close).await.unwrap();
    assert!(!house.incarnations(2).await);
    assert_eq!(house.presence().await.state, ConnectorState::Stopped);
}

#[actix::test]
async fn a_restart_replaces_the_incarnation_that_runs() {
    tokio::time::pause();
    let house = house();
    house.register("billing").await.unwrap();
    house.restart("billing").await;
    let puppets = house.puppets.lock().unwrap().clone();
    house.settle().await;
    let connected: Vec<_> = puppets.iter().map(Addr::connected).collect();
    assert_eq!(connected, [false, true]);
    assert_eq!(house.presence().await.state, ConnectorState::Running);
}

#[actix::test]
async fn a_restart_during_the_pause_starts_one_incarnation() {
    tokio::time::pause();
    let house = house();
    house.register("billing").await.unwrap();
    house.pull(Pull::Panic).await;
    house.restart("billing").await;
    house.settle().await;
    assert_eq!(house.puppets.lock().unwrap().len(), 2);
    assert!(house.puppets.lock().unwrap()[1].connected());
    assert_eq!(house.presence().await.state, ConnectorState::Running);
}

#[actix::test]
async fn a_pause_that_a_restart_cut_short_does_not_shorten_the_next_one() {
    tokio::time::pause();
    let house = house();
    let pause = Duration::from_millis(CONNECTOR_PAUSE_MS_MIN);
    house.register("billing").await.unwrap();
    house.pull(Pull::Panic).await;
    house.backs_off().await;
    tokio::time::sleep(pause / 2).await;
    house.restart("billing").await;
    house.pull(Pull::Panic).await;
    house.backs_off().await;
    let ended = Instant::now();
    assert!(house.incarnations(3).await);
    assert!(ended.elapsed() >= pause, "{:?}", ended.elapsed());
    house.settle().await;
    assert_eq!(house.puppets.lock().unwrap().len(), 3);
}

#[actix::test]
async fn a_factory_that_panics_is_called_again_after_a_pause_and_harms_nobody_else() {
    tokio::time::pause();
    let house = house();
    house.register("good").await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let factory: ConnectorFactory = Box::new(move |link| {
        assert!(counted.fetch_add(1, Ordering::SeqCst) >= 5, "a planted panic");
        Puppet { link }.start().recipient()
    });
    house.door.ask(Register { name: "bad".into(), factory }).await.unwrap().unwrap();
    let state = async || house.door.ask(Presence).await.unwrap().remove(0);
    let shown = state().await;
    assert_eq!((shown.state, shown.last_exit.as_deref()), (ConnectorState::BackingOff, Some("panicked")));
    house.settle().await;
    assert_eq!(calls.load(Ordering::SeqCst), 6);
    assert_eq!((state().await.restarts, state().await.state), (5, ConnectorState::Running));
    assert!(house.emitter().emit(SystemEvent::new("still.there", "emitted")).await.is_ok());
    assert_eq!(house.names()[..5], ["supervision.connector.ended by palyra"; 5]);
}

#[actix::test]
async fn names_are_canonical_and_unique() {
    let house = house();
    assert!(matches!(house.register("No Name").await, Err(ConnectorError::InvalidName(_))));
    house.register("billing").await.unwrap();
    assert!(matches!(house.register("billing").await, Err(ConnectorError::Exists(_))));
}
