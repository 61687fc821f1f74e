//! The connector supervisor: the actor other subsystems emit events through.
//!
//! A connector is an actor of its own that holds a [`ConnectorLink`]. The supervisor starts it, hears when
//! it ends and starts it again after a pause; connectors never bring the process down.

mod error;
pub mod heartbeat;
mod link;
mod messages;
mod roster;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::PoisonError;

use actix::prelude::*;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::SharedClock;
use crate::ids::Receipt;
use crate::journal::{JournalHandle, Severity, SystemEvent};
use crate::limits::MAILBOX_MESSAGES_MAX;
use crate::supervision::{Close, Decision, Door, Exit, Exited, WatchGuard};

pub use error::ConnectorError;
pub use link::{ConnectorLink, Emitter};
pub use messages::*;
pub use roster::Roster;

/// The connector supervisor.
pub struct ConnectorSupervisor {
    roster: Roster,
    running: HashMap<String, Running>,
    started_total: u64,
    journal: JournalHandle,
    clock: SharedClock,
    door: Door<Self>,
    report_to: mpsc::UnboundedSender<Exited>,
    exits: Option<mpsc::UnboundedReceiver<Exited>>,
    watch: WatchGuard,
}

/// A connector that runs. It is closed when the supervisor drops it, so that no two incarnations overlap
/// when the supervisor itself is rebuilt.
struct Running {
    incarnation: u64,
    connector: Recipient<Close>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A connector that has ended already needs no message.
        drop(self.connector.try_send(Close));
    }
}

impl ConnectorSupervisor {
    /// A supervisor that starts every connector of `roster` once it runs. `door` must lead to it.
    pub fn new(
        roster: Roster,
        journal: JournalHandle,
        clock: SharedClock,
        door: Door<Self>,
        watch: WatchGuard,
    ) -> Self {
        let (report_to, exits) = mpsc::unbounded_channel();
        let (running, exits) = (HashMap::new(), Some(exits));
        Self { roster, running, started_total: 0, journal, clock, door, report_to, exits, watch }
    }

    fn start_connector(&mut self, name: &str) {
        let Some(factory) = self.roster.starting(name, self.clock.now_unix_ms()) else { return };
        self.started_total += 1;
        let incarnation = self.started_total;
        let emitter = Emitter::new(name.to_owned(), self.door.clone());
        let watch = WatchGuard::new(name, incarnation, self.report_to.clone());
        let link = ConnectorLink::new(emitter, watch);
        let connector = factory.lock().unwrap_or_else(PoisonError::into_inner)(link);
        self.running.insert(name.to_owned(), Running { incarnation, connector });
    }

    fn journal_restart(&self, name: &str, how: &str) {
        let event = SystemEvent::new("supervision.connector.ended", format!("connector `{name}` {how}"))
            .severity(Severity::Warn)
            .detail("connector", name);
        let journal = self.journal.clone();
        actix::spawn(async move {
            if let Err(error) = journal.append_system(event).await {
                tracing::warn!(%error, "the end of a connector was not journaled");
            }
        });
    }
}

impl Actor for ConnectorSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
        if let Some(mut exits) = self.exits.take() {
            ctx.add_stream(poll_fn(move |cx| exits.poll_recv(cx)));
        }
        for name in self.roster.names() {
            self.start_connector(&name);
        }
    }
}

impl StreamHandler<Exited> for ConnectorSupervisor {
    fn handle(&mut self, Exited { name, incarnation, exit }: Exited, ctx: &mut Self::Context) {
        if self.running.get(&name).is_none_or(|running| running.incarnation != incarnation) {
            // It was replaced, and closed for that.
            return;
        }
        self.running.remove(&name);
        if exit == Exit::Asked {
            return self.roster.closed(&name);
        }
        let how = exit.to_string();
        tracing::warn!(connector = name, how, "a connector ended");
        self.journal_restart(&name, &how);
        if let Some(Decision::RestartAfter(pause)) = self.roster.ended(&name, how, Instant::now()) {
            ctx.run_later(pause, move |supervisor, _| {
                // It may have been restarted meanwhile.
                if !supervisor.running.contains_key(&name) {
                    supervisor.start_connector(&name);
                }
            });
        }
    }
}

impl Handler<Emit> for ConnectorSupervisor {
    type Result = ResponseFuture<Result<Receipt, ConnectorError>>;

    fn handle(&mut self, Emit { connector, event }: Emit, _: &mut Self::Context) -> Self::Result {
        fail::fail_point!("connectors::emit");
        let (roster, journal, clock) = (self.roster.clone(), self.journal.clone(), self.clock.clone());
        Box::pin(async move {
            if !roster.has(&connector) {
                return Err(ConnectorError::Unknown(connector));
            }
            let event = roster::signed_by(&connector, event);
            let receipt = journal.append_system(event).await.map_err(ConnectorError::Journal)?;
            roster.emitted(&connector, clock.now_unix_ms());
            Ok(receipt)
        })
    }
}

impl Handler<Register> for ConnectorSupervisor {
    type Result = Result<(), ConnectorError>;

    fn handle(&mut self, Register { name, factory }: Register, _: &mut Self::Context) -> Self::Result {
        self.roster.add(&name, factory)?;
        self.start_connector(&name);
        Ok(())
    }
}

impl Handler<Restart> for ConnectorSupervisor {
    type Result = Result<(), ConnectorError>;

    fn handle(&mut self, Restart(name): Restart, _: &mut Self::Context) -> Self::Result {
        if !self.roster.has(&name) {
            return Err(ConnectorError::Unknown(name));
        }
        self.roster.forgive(&name);
        self.start_connector(&name);
        Ok(())
    }
}

impl Handler<Presence> for ConnectorSupervisor {
    type Result = Vec<ConnectorPresence>;

    fn handle(&mut self, _: Presence, _: &mut Self::Context) -> Self::Result {
        self.roster.presence()
    }
}

impl Handler<Observe> for ConnectorSupervisor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.roster.snapshot())
    }
}

impl Handler<Close> for ConnectorSupervisor {
    type Result = Exit;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Exit {
        for (name, _) in self.running.drain() {
            self.roster.closed(&name);
        }
        ctx.stop();
        self.watch.ends_as_asked()
    }
}
