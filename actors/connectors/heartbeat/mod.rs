//! The `heartbeat` connector: journals an event at intervals, which shows that the daemon is alive and that events get
//! from a connector into the journal.

use std::time::Duration;

use actix::prelude::*;

use super::{ConnectorFactory, ConnectorLink};
use crate::causes::in_full;
use crate::clock::{SharedClock, UnixMs};
use crate::journal::SystemEvent;
use crate::supervision::{Close, Ended};

/// Emits `connector.heartbeat` every `interval`.
pub struct Heartbeat {
    link: ConnectorLink,
    interval: Duration,
    clock: SharedClock,
    started_at: UnixMs,
    beats: u64,
}

/// A factory of heartbeats. The first event follows after one interval.
pub fn factory(interval: Duration, clock: SharedClock) -> ConnectorFactory {
    Box::new(move |link| {
        let started_at = clock.now_unix_ms();
        let heartbeat = Heartbeat { link, interval, clock: clock.clone(), started_at, beats: 0 };
        heartbeat.start().recipient()
    })
}

impl Actor for Heartbeat {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.interval, |heartbeat, ctx| heartbeat.beat(ctx));
    }
}

impl Heartbeat {
    fn beat(&mut self, ctx: &mut Context<Self>) {
        self.beats += 1;
        let uptime_seconds = self.clock.now_unix_ms().saturating_sub(self.started_at) / 1_000;
        let event = SystemEvent::new("heartbeat", format!("alive for {uptime_seconds} s"))
            .detail("beat", self.beats)
            .detail("uptime_seconds", uptime_seconds);
        let emitter = self.link.emitter();
        let emit = async move {
            if let Err(error) = emitter.emit(event).await {
                tracing::warn!(error = %in_full(&error), "a heartbeat was not journaled");
            }
        };
        ctx.spawn(emit.into_actor(self));
    }
}

impl Handler<Close> for Heartbeat {
    type Result = Ended;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Ended {
        ctx.stop();
        self.link.closing()
    }
}
