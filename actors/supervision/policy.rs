//! Decides when an actor that ended is restarted. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{
    CONNECTOR_HEALTHY_SECONDS, CONNECTOR_PAUSE_MS_MIN, CONNECTOR_PAUSE_SECONDS_MAX, RESTART_WINDOW_SECONDS,
    RESTARTS_MAX,
};

/// Pause after the first end of one of the five actors.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Restart it after this pause.
    RestartAfter(Duration),
    /// It ended too often: end the process, so that the service manager starts a fresh one.
    Escalate,
}

/// The policy of the five actors. It restarts after 10, 20 and 40 ms. More than [`RESTARTS_MAX`] ends within
/// [`RESTART_WINDOW_SECONDS`] escalate, and so do [`RESTARTS_MAX`] failed starts in a row, however long each took.
#[derive(Debug, Default)]
pub struct RestartPolicy {
    ends: VecDeque<Instant>,
    /// Failed starts since the last successful one.
    failed_starts: usize,
}

impl RestartPolicy {
    /// The decision for an end at `now`. Ends older than the window do not count.
    pub fn ended(&mut self, now: Instant) -> Decision {
        let window = Duration::from_secs(RESTART_WINDOW_SECONDS);
        while self.ends.front().is_some_and(|end| now.duration_since(*end) > window) {
            self.ends.pop_front();
        }
        if self.ends.len() >= RESTARTS_MAX {
            return Decision::Escalate;
        }
        let pause = FIRST_PAUSE * (1 << self.ends.len());
        self.ends.push_back(now);
        Decision::RestartAfter(pause)
    }

    /// The decision for a start that failed at `now`, which counts as an end as well.
    pub fn start_failed(&mut self, now: Instant) -> Decision {
        self.failed_starts += 1;
        if self.failed_starts >= RESTARTS_MAX { Decision::Escalate } else { self.ended(now) }
    }

    /// Records a successful start.
    pub fn started(&mut self) {
        self.failed_starts = 0;
    }
}

/// The policy of connectors. The pause doubles with each end, from [`CONNECTOR_PAUSE_MS_MIN`] to
/// [`CONNECTOR_PAUSE_SECONDS_MAX`], and is reset once a connector has run for [`CONNECTOR_HEALTHY_SECONDS`]. It never
/// escalates: a connector that cannot run must not stop the daemon from accepting deliveries.
#[derive(Debug, Default)]
pub struct BackOff {
    started: Option<Instant>,
    pause: Option<Duration>,
}

impl BackOff {
    /// Records a start at `now`.
    pub fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// How long to wait before the restart after an end at `now`.
    pub fn ended(&mut self, now: Instant) -> Duration {
        let (first, longest) =
            (Duration::from_millis(CONNECTOR_PAUSE_MS_MIN), Duration::from_secs(CONNECTOR_PAUSE_SECONDS_MAX));
        let healthy = Duration::from_secs(CONNECTOR_HEALTHY_SECONDS);
        let ran = self.started.take().map_or(Duration::ZERO, |started| now.duration_since(started));
        let before = self.pause.filter(|_| ran < healthy);
        *self.pause.insert(before.map_or(first, |pause| (pause * 2).min(longest)))
    }
}
