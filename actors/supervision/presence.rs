//! The state of all actors: updated by the supervisor, read by the console.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use crate::clock::UnixMs;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    Running,
    /// It ended and is being restarted.
    Restarting,
    /// It was closed, or cannot be restarted.
    Stopped,
}

/// The state of one actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActorPresence {
    /// Its name.
    pub name: String,
    pub state: ActorState,
    /// When this incarnation started.
    pub started_at_unix_ms: UnixMs,
    /// Restarts since the process started.
    pub restarts: u64,
    /// How the previous incarnation ended.
    pub last_exit: Option<String>,
}

/// The state of all actors, written by the supervisor and shared with its readers.
#[derive(Debug, Clone, Default)]
pub struct PresenceBoard(Arc<watch::Sender<BTreeMap<String, ActorPresence>>>);

impl PresenceBoard {
    /// All actors, sorted by name.
    pub fn snapshot(&self) -> Vec<ActorPresence> {
        self.0.borrow().values().cloned().collect()
    }

    /// Waits until no actor is being restarted.
    pub async fn settled(&self) {
        let is_settled = |actors: &BTreeMap<String, ActorPresence>| {
            actors.values().all(|actor| actor.state != ActorState::Restarting)
        };
        // It fails only if all senders are gone, and this board is one.
        drop(self.0.subscribe().wait_for(is_settled).await);
    }

    pub(super) fn started(&self, name: &str, now: UnixMs) {
        self.0.send_modify(|actors| {
            let presence = actors.entry(name.to_owned()).or_insert_with(|| ActorPresence {
                name: name.to_owned(),
                state: ActorState::Running,
                started_at_unix_ms: now,
                restarts: 0,
                last_exit: None,
            });
            if presence.last_exit.is_some() {
                presence.restarts += 1;
            }
            presence.state = ActorState::Running;
            presence.started_at_unix_ms = now;
        });
    }

    pub(super) fn ended(&self, name: &str, how: String, state: ActorState) {
        self.0.send_modify(|actors| {
            if let Some(presence) = actors.get_mut(name) {
                presence.state = state;
                presence.last_exit = Some(how);
            }
        });
    }
}
