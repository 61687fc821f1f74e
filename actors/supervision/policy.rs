//! When a dead actor is started again: pure decisions, the time comes in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{
    CONNECTOR_HEALTHY_SECONDS, CONNECTOR_PAUSE_MS_MIN, CONNECTOR_PAUSE_SECONDS_MAX, RESTART_WINDOW_SECONDS,
    RESTARTS_MAX,
};

/// Pause after the first end of one of the five actors.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// What to do about an actor that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this pause.
    RestartAfter(Duration),
    /// It ended too often: give up on the process, so that its own supervisor starts it afresh.
    Escalate,
}

/// For the five actors: back within 10, 20 and 40 ms; one end more than [`RESTARTS_MAX`] within
/// [`RESTART_WINDOW_SECONDS`] escalates, and so do [`RESTARTS_MAX`] starts in a row that failed, however long each took.
#[derive(Debug, Default)]
pub struct RestartPolicy {
    ends: VecDeque<Instant>,
    /// Starts that failed since the last that did not.
    failed_starts: usize,
}

impl RestartPolicy {
    /// Decides about an end at `now`. Ends older than the window no longer count.
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

    /// Decides about a start that failed at `now`. It counts as an end, too.
    pub fn start_failed(&mut self, now: Instant) -> Decision {
        self.failed_starts += 1;
        if self.failed_starts >= RESTARTS_MAX { Decision::Escalate } else { self.ended(now) }
    }

    /// Notes a start that did not fail.
    pub fn started(&mut self) {
        self.failed_starts = 0;
    }
}

/// For connectors: the pause doubles with each end, from [`CONNECTOR_PAUSE_MS_MIN`] to [`CONNECTOR_PAUSE_SECONDS_MAX`],
/// until a connector has run for [`CONNECTOR_HEALTHY_SECONDS`]. It never escalates: a connector that cannot run must not
/// stop deliveries from being taken in.
#[derive(Debug, Default)]
pub struct BackOff {
    started: Option<Instant>,
    pause: Option<Duration>,
}

impl BackOff {
    /// Notes that it is started at `now`.
    pub fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// How long to wait after an end at `now`.
    pub fn ended(&mut self, now: Instant) -> Duration {
        let (first, longest) =
            (Duration::from_millis(CONNECTOR_PAUSE_MS_MIN), Duration::from_secs(CONNECTOR_PAUSE_SECONDS_MAX));
        let healthy = Duration::from_secs(CONNECTOR_HEALTHY_SECONDS);
        let ran = self.started.take().map_or(Duration::ZERO, |started| now.duration_since(started));
        let before = self.pause.filter(|_| ran < healthy);
        *self.pause.insert(before.map_or(first, |pause| (pause * 2).min(longest)))
    }
}
