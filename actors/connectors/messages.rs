//! The connector supervisor's doors.

use actix::{Message, Recipient};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{ConnectorError, ConnectorLink};
use crate::clock::UnixMs;
use crate::ids::Receipt;
use crate::journal::SystemEvent;
use crate::supervision::Close;

/// An event a connector wants in the journal, sent by its [`Emitter`](super::Emitter). Answered when it is committed.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, ConnectorError>")]
pub struct Emit {
    /// Which connector; it becomes the event's principal and source.
    pub connector: String,
    /// The event. Its name is checked; `connector.` names are the connectors' own.
    pub event: SystemEvent,
    /// One of the [`EMITS_IN_FLIGHT_MAX`](crate::limits::EMITS_IN_FLIGHT_MAX) places of its connector, until it is answered.
    pub(super) place: OwnedSemaphorePermit,
}

/// Puts a connector under supervision and starts it.
#[derive(Message)]
#[rtype(result = "Result<(), ConnectorError>")]
pub struct Register {
    /// A canonical id, unique among connectors.
    pub name: String,
    /// Builds a fresh connector actor and starts it, at once and after each end.
    pub factory: ConnectorFactory,
}

/// Starts one incarnation of a connector. It keeps the link in the actor, so that the link's drop tells of its end. One
/// that panics has started nothing, and is called again after the pause of a connector that panicked.
pub type ConnectorFactory = Box<dyn FnMut(ConnectorLink) -> Recipient<Close> + Send>;

/// Closes a connector and starts it again as soon as it has ended, at once while none runs. One that does not
/// close within [`CONNECTOR_CLOSE_SECONDS`](crate::limits::CONNECTOR_CLOSE_SECONDS) is not waited for. Clears its failures.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), ConnectorError>")]
pub struct Restart(pub String);

/// Asks for the state of every connector, in the order of their names.
#[derive(Debug, Message)]
#[rtype(result = "Vec<ConnectorPresence>")]
pub struct Presence;

/// The state of one connector.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectorPresence {
    /// Its name.
    pub name: String,
    /// What it does now.
    pub state: ConnectorState,
    /// When this incarnation started.
    pub started_at_unix_ms: UnixMs,
    /// Starts after its first, asked for or not.
    pub restarts: u64,
    /// How it ended when it last did so unasked.
    pub last_exit: Option<String>,
    /// Events it emitted that were committed.
    pub emitted_total: u64,
    /// When it last emitted.
    pub last_emitted_at_unix_ms: Option<UnixMs>,
}

/// What a connector does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// It runs.
    Running,
    /// It ended and starts again after a pause.
    BackingOff,
    /// It was closed on purpose, by itself or with the daemon.
    Stopped,
}

/// Asks for the [`ConnectorsSnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "ConnectorsSnapshot")]
pub struct Observe;

/// What the supervisor shows of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ConnectorsSnapshot {
    /// Connectors under supervision.
    pub connectors: usize,
    /// Connectors that run now.
    pub running: usize,
    /// Events emitted and committed.
    pub emitted_total: u64,
    /// Starts of connectors after their first.
    pub restarts_total: u64,
}
