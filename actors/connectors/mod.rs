//! The connector supervisor: the actor through which other subsystems emit events.
//!
//! A connector is an actor that holds a [`ConnectorLink`]. The supervisor starts it, is notified when it ends, and
//! restarts it after a pause. A factory that panics costs nobody else anything, and neither does a connector that panics
//! in `started`, a handler, a timer or a future. Two things are up to the author of a connector:
//!
//! - `stopping`, `stopped` and destructors must not panic. They also run while a panic unwinds, and Rust ends the process
//!   at a second panic. As a panic in `stopping` makes actix call it again, that one suffices.
//! - Factories run on the supervisor's thread, and so does a connector that is started with `start()`. A connector that
//!   blocks belongs into an arbiter of its own (`start_in_arbiter`), or it holds up the supervisor and its neighbours.

mod error;
pub mod heartbeat;
mod link;
mod messages;
mod roster;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream::poll_fn;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::clock::SharedClock;
use crate::ids::Receipt;
use crate::journal::{JournalHandle, Severity, SystemEvent};
use crate::limits::{CONNECTOR_CLOSE_SECONDS, MAILBOX_MESSAGES_MAX};
use crate::supervision::{Close, Door, Ended, Exited, WatchGuard};

pub use error::ConnectorError;
pub use link::{ConnectorLink, Emitter};
pub use messages::*;
pub use roster::Roster;
use roster::Starting;

/// The actor that runs the connectors of a [`Roster`] and takes their events.
pub struct ConnectorSupervisor {
    roster: Roster,
    running: HashMap<String, Running>,
    /// Connectors waiting for their restart, with the timer of their pause.
    paused: HashMap<String, SpawnHandle>,
    /// Connectors waiting for the end of an incarnation that the supervisor before this one started, with the timer.
    succeeding: HashMap<String, SpawnHandle>,
    started_total: u64,
    journal: JournalHandle,
    clock: SharedClock,
    door: Door<Self>,
    report_to: mpsc::UnboundedSender<Exited>,
    exits: Option<mpsc::UnboundedReceiver<Exited>>,
    /// Receivers that are notified once the connectors have closed. From then on nothing is started.
    closing: Vec<oneshot::Sender<Ended>>,
    watch: WatchGuard,
}

/// A running connector. Dropping this asks it to close, so that it does not keep running beside the incarnation that a
/// restarted supervisor starts.
struct Running {
    incarnation: u64,
    connector: Recipient<Close>,
    /// Whether it was asked to close; its successor is then started after its end, or with the next supervisor.
    is_leaving: bool,
}

impl Running {
    /// Asks it to close, unless it was asked before. Returns whether this was the first time.
    fn leave(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.is_leaving, true);
        if is_first {
            self.close();
        }
        is_first
    }

    /// Sends through a fresh clone of the sender, which can queue one message even in a full mailbox. A connector that
    /// has ended needs no message.
    fn close(&self) {
        drop(self.connector.clone().try_send(Close));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close();
    }
}

impl ConnectorSupervisor {
    /// A supervisor that starts every connector of `roster` when it starts. `door` must lead to it.
    pub fn new(
        roster: Roster,
        journal: JournalHandle,
        clock: SharedClock,
        door: Door<Self>,
        watch: WatchGuard,
    ) -> Self {
        let (report_to, exits) = mpsc::unbounded_channel();
        Self {
            roster,
            running: HashMap::new(),
            paused: HashMap::new(),
            succeeding: HashMap::new(),
            started_total: 0,
            journal,
            clock,
            door,
            report_to,
            exits: Some(exits),
            closing: Vec::new(),
            watch,
        }
    }

    /// Starts a connector that is not running, and cancels its pause if there is one.
    fn start_connector(&mut self, name: &str, ctx: &mut Context<Self>) {
        if let Some(pause) = self.paused.remove(name) {
            ctx.cancel_future(pause);
        }
        let now = (self.clock.now_unix_ms(), Instant::now());
        let Some(Starting { factory, emits, life }) = self.roster.starting(name, now.0, now.1) else {
            return;
        };
        self.started_total += 1;
        let incarnation = self.started_total;
        let emitter = Emitter::new(name.to_owned(), self.door.clone(), emits);
        let watch = WatchGuard::new(name, incarnation, self.report_to.clone());
        let link = ConnectorLink::new(emitter, watch, life);
        let mut factory = factory.lock().unwrap_or_else(PoisonError::into_inner);
        match catch_unwind(AssertUnwindSafe(|| factory(link))) {
            Ok(connector) => {
                let running = Running { incarnation, connector, is_leaving: false };
                self.running.insert(name.to_owned(), running);
            }
            Err(_) => self.back_off(name, &Ended::Panicked, ctx),
        }
    }

    /// Starts a connector when the incarnation has ended that the supervisor before this one started and asked to close, or
    /// when the timeout expires.
    fn succeed(&mut self, name: String, end: impl Future<Output = ()> + 'static, ctx: &mut Context<Self>) {
        let succeeded = name.clone();
        let ended = timeout(Duration::from_secs(CONNECTOR_CLOSE_SECONDS), end);
        let start = ended.into_actor(self).map(move |ended, supervisor, ctx| {
            supervisor.succeeding.remove(&name);
            if ended.is_err() {
                warn_of_another(&name);
            }
            supervisor.start_connector(&name, ctx);
        });
        self.succeeding.insert(succeeded, ctx.spawn(start));
    }

    /// Restarts a connector that ended unintentionally, after a pause.
    fn back_off(&mut self, name: &str, ended: &Ended, ctx: &mut Context<Self>) {
        let how = ended.to_string();
        self.report_end(name, &how);
        let Some(pause) = self.roster.ended(name, how, Instant::now()) else { return };
        let paused = name.to_owned();
        let end = ctx.run_later(pause, move |supervisor, ctx| {
            supervisor.paused.remove(&paused);
            supervisor.start_connector(&paused, ctx);
        });
        self.paused.insert(name.to_owned(), end);
    }

    /// Asks the running incarnation to close. The next one is started when it has, or when the timeout expires.
    fn replace(&mut self, name: String, ctx: &mut Context<Self>) {
        // It is about to be started anew.
        if self.succeeding.contains_key(&name) {
            return;
        }
        let Some(running) = self.running.get_mut(&name) else { return self.start_connector(&name, ctx) };
        if !running.leave() {
            return;
        }
        let incarnation = running.incarnation;
        ctx.run_later(Duration::from_secs(CONNECTOR_CLOSE_SECONDS), move |supervisor, ctx| {
            if !supervisor.is_closing() && supervisor.take(&name, incarnation).is_some() {
                warn_of_another(&name);
                supervisor.start_connector(&name, ctx);
            }
        });
    }

    /// Removes and returns the running connector of that name, unless it is another incarnation.
    fn take(&mut self, name: &str, incarnation: u64) -> Option<Running> {
        self.running.get(name).filter(|running| running.incarnation == incarnation)?;
        self.running.remove(name)
    }

    fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    fn refuse_while_closing(&self) -> Result<(), ConnectorError> {
        if self.is_closing() { Err(ConnectorError::Closing) } else { Ok(()) }
    }

    fn end_if_all_have_closed(&mut self, ctx: &mut Context<Self>) {
        if self.running.is_empty() {
            self.end(ctx);
        }
    }

    /// Ends the supervisor, even if connectors have not closed yet.
    fn end(&mut self, ctx: &mut Context<Self>) {
        for name in std::mem::take(&mut self.running).into_keys() {
            tracing::warn!(
                connector = name,
                "a connector did not close in time; the daemon stops without waiting for it"
            );
            self.roster.closed(&name);
        }
        ctx.stop();
        let ended = self.watch.ends_as_asked();
        // A receiver may have given up.
        self.closing.drain(..).for_each(|closing| drop(closing.send(ended.clone())));
    }

    /// Logs and journals an unintended end.
    fn report_end(&self, name: &str, how: &str) {
        tracing::warn!(connector = name, how, "a connector ended");
        let event = SystemEvent::new("supervision.connector.ended", format!("connector `{name}` {how}"))
            .severity(Severity::Warn)
            .detail("connector", name);
        let journal = self.journal.clone();
        actix::spawn(async move { journal.append_or_log(event).await });
    }
}

fn warn_of_another(connector: &str) {
    tracing::warn!(connector, "a connector did not close in time; a new one is started beside it");
}

impl Actor for ConnectorSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
        if let Some(mut exits) = self.exits.take() {
            ctx.add_stream(poll_fn(move |cx| exits.poll_recv(cx)));
        }
        for name in self.roster.to_be_started() {
            match self.roster.end_of_newest(&name) {
                Some(end) => self.succeed(name, end, ctx),
                None => self.start_connector(&name, ctx),
            }
        }
    }
}

impl StreamHandler<Exited> for ConnectorSupervisor {
    fn handle(&mut self, Exited { name, incarnation, ended }: Exited, ctx: &mut Self::Context) {
        // Another incarnation may have been started meanwhile, or none because the factory panicked.
        let Some(connector) = self.take(&name, incarnation) else { return };
        match ended {
            ended if self.is_closing() => {
                if ended == Ended::Panicked {
                    self.report_end(&name, &ended.to_string());
                }
                self.roster.closed(&name);
                self.end_if_all_have_closed(ctx);
            }
            Ended::Panicked => self.back_off(&name, &ended, ctx),
            _ if connector.is_leaving => self.start_connector(&name, ctx),
            Ended::Asked => self.roster.closed(&name),
            ended => self.back_off(&name, &ended, ctx),
        }
    }
}

impl Handler<Emit> for ConnectorSupervisor {
    type Result = ResponseFuture<Result<Receipt, ConnectorError>>;

    fn handle(&mut self, Emit { connector, event, place }: Emit, _: &mut Self::Context) -> Self::Result {
        fail::fail_point!("connectors::emit");
        let (roster, journal, clock) = (self.roster.clone(), self.journal.clone(), self.clock.clone());
        Box::pin(async move {
            if !roster.has(&connector) {
                return Err(ConnectorError::Unknown(connector));
            }
            let event = roster::attributed_to(&connector, event).map_err(ConnectorError::Journal)?;
            let receipt = journal.append_system(event).await.map_err(ConnectorError::Journal)?;
            roster.emitted(&connector, clock.now_unix_ms());
            drop(place);
            Ok(receipt)
        })
    }
}

impl Handler<Register> for ConnectorSupervisor {
    type Result = Result<(), ConnectorError>;

    fn handle(&mut self, Register { name, factory }: Register, ctx: &mut Self::Context) -> Self::Result {
        self.refuse_while_closing()?;
        self.roster.add(&name, factory)?;
        self.start_connector(&name, ctx);
        Ok(())
    }
}

impl Handler<Restart> for ConnectorSupervisor {
    type Result = Result<(), ConnectorError>;

    fn handle(&mut self, Restart(name): Restart, ctx: &mut Self::Context) -> Self::Result {
        self.refuse_while_closing()?;
        if !self.roster.has(&name) {
            return Err(ConnectorError::Unknown(name));
        }
        self.roster.forgive(&name);
        self.replace(name, ctx);
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
    type Result = ResponseFuture<Ended>;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        self.closing.push(reply);
        for (name, waits) in self.paused.drain().chain(self.succeeding.drain()) {
            ctx.cancel_future(waits);
            self.roster.closed(&name);
        }
        for running in self.running.values_mut() {
            running.leave();
        }
        ctx.run_later(Duration::from_secs(CONNECTOR_CLOSE_SECONDS), Self::end);
        self.end_if_all_have_closed(ctx);
        // If the supervisor panics before, this is never answered.
        Box::pin(async { answer.await.unwrap_or(Ended::Stopped) })
    }
}
