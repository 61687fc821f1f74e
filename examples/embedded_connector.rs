//! A subsystem of your own that emits events into Palyra's journal, as a supervised connector.
//!
//! `cargo run --example embedded_connector`

use std::time::Duration;

use actix::prelude::*;
use palyra_actors::clock::{SharedClock, SystemClock};
use palyra_actors::connectors::{
    ConnectorFactory, ConnectorLink, ConnectorSupervisor, Presence, Register, Roster,
};
use palyra_actors::journal::{
    Cursor, EventFilter, JournalActor, JournalConfig, JournalFiles, JournalHandle, JournalReader, SystemEvent,
};
use palyra_actors::supervision::{Close, Door, Ended, WatchGuard};

/// A meter that reports a reading every 50 ms. It keeps its link to the supervisor, which learns through it when the actor
/// ends, and then builds a new one.
struct Meter {
    link: ConnectorLink,
    readings: u32,
}

impl Actor for Meter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(Duration::from_millis(50), |meter, ctx| {
            meter.readings += 1;
            assert!(meter.readings != 3, "the third reading always fails, to show the restart");
            let event = SystemEvent::new("meter.reading", "a reading").detail("value", meter.readings);
            let emitter = meter.link.emitter();
            let emit = async move {
                match emitter.emit(event).await {
                    Ok(receipt) => println!("committed as seq {}", receipt.seq),
                    Err(error) => eprintln!("not committed: {error}"),
                }
            };
            ctx.spawn(emit.into_actor(meter));
        });
    }
}

impl Handler<Close> for Meter {
    type Result = Ended;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Ended {
        ctx.stop();
        self.link.closing()
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let files = JournalFiles::in_folder(folder.path());
    let path = files.database.clone();
    let clock: SharedClock = std::sync::Arc::new(SystemClock);
    let head = tokio::sync::watch::channel(0).0;
    let config =
        JournalConfig { files, accept_rollback: false, clock: clock.clone(), random: random_bits, head };
    let journal = JournalHandle::default();
    // Everything runs on this thread here. A program that has other work for it starts the journal in an arbiter of its own,
    // because commits block. The same goes for a connector that blocks.
    journal.door.open(JournalActor::open(config, WatchGuard::unwatched())?.start());

    let (door, roster) = (Door::default(), Roster::default());
    let supervisor =
        ConnectorSupervisor::new(roster, journal.clone(), clock, door.clone(), WatchGuard::unwatched());
    door.open(supervisor.start());

    let factory: ConnectorFactory = Box::new(|link| Meter { link, readings: 0 }.start().recipient());
    door.ask(Register { name: "meter".to_owned(), factory }).await??;
    tokio::time::sleep(Duration::from_millis(600)).await;

    for connector in door.ask(Presence).await? {
        println!(
            "{}: {:?}, {} restarts, {} events",
            connector.name, connector.state, connector.restarts, connector.emitted_total
        );
    }
    for event in JournalReader::open(&path)?.page(&EventFilter::default(), Cursor::Newest, 10)?.events {
        println!("{:>3} {} by {}", event.seq, event.name, event.principal);
    }
    // The connectors first, then the journal, which signs its last checkpoint.
    door.ask(Close).await?;
    journal.door.ask(Close).await?;
    Ok(())
}

/// The source of random bits for event ids. In an example, ids may repeat; in a daemon they must not.
fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap_or_default();
    u128::from_ne_bytes(bytes)
}
