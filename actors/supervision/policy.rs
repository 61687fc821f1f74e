//! When a dead actor is started again: pure decisions, the time comes in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{RESTART_WINDOW_SECONDS, RESTARTS_MAX};

/// What to do about an actor that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this pause.
    RestartAfter(Duration),
    /// It ended too often: give up on the process, so that its own supervisor starts it afresh.
    Escalate,
}

/// Counts the ends of one actor within [`RESTART_WINDOW_SECONDS`].
#[derive(Debug)]
pub struct RestartPolicy {
    first_pause: Duration,
    longest_pause: Duration,
    restarts_max: Option<usize>,
    ends: VecDeque<Instant>,
}

impl RestartPolicy {
    /// For the five actors: back within 10, 20 and 40 ms; the fourth end within a minute escalates.
    pub fn core() -> Self {
        Self::new(Duration::from_millis(10), Duration::from_secs(1), Some(RESTARTS_MAX))
    }

    /// For connectors: pauses from 100 ms to one minute, without end. A connector that cannot run
    /// must not stop deliveries from being taken in.
    pub fn connector() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(60), None)
    }

    fn new(first_pause: Duration, longest_pause: Duration, restarts_max: Option<usize>) -> Self {
        Self { first_pause, longest_pause, restarts_max, ends: VecDeque::new() }
    }

    /// Decides about an end at `now`. Ends older than the window no longer count.
    pub fn ended(&mut self, now: Instant) -> Decision {
        let window = Duration::from_secs(RESTART_WINDOW_SECONDS);
        while self.ends.front().is_some_and(|end| now.duration_since(*end) > window) {
            self.ends.pop_front();
        }
        self.ends.push_back(now);
        match self.restarts_max {
            Some(most) if self.ends.len() > most => Decision::Escalate,
            _ => Decision::RestartAfter(self.pause()),
        }
    }

    /// Doubles with every end in the window. The history is cut where the pause no longer grows.
    fn pause(&mut self) -> Duration {
        const DOUBLINGS_MAX: usize = 16;
        while self.ends.len() > DOUBLINGS_MAX {
            self.ends.pop_front();
        }
        let doublings = u32::try_from(self.ends.len()).unwrap_or(u32::MAX).saturating_sub(1);
        self.first_pause.saturating_mul(1 << doublings.min(16)).min(self.longest_pause)
    }
}
