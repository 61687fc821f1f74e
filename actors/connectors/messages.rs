//! The messages of the connector supervisor.

use actix::{Message, Recipient};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{ConnectorError, ConnectorLink};
use crate::clock::UnixMs;
use crate::ids::Receipt;
use crate::journal::SystemEvent;
use crate::supervision::Close;

/// An event of a connector for the journal, sent by its [`Emitter`](super::Emitter). Answered when it is committed.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, ConnectorError>")]
pub struct Emit {
    /// Name of the connector; it becomes the event's principal and source.
    pub connector: String,
    /// The event. It is stored under the name `connector.<its name>`.
    pub event: SystemEvent,
    /// One of the [`EMITS_IN_FLIGHT_MAX`](crate::limits::EMITS_IN_FLIGHT_MAX) permits of its connector, held until it is
    /// answered.
    pub(super) place: OwnedSemaphorePermit,
}

/// Registers a connector and starts it.
#[derive(Message)]
#[rtype(result = "Result<(), ConnectorError>")]
pub struct Register {
    /// A canonical id, unique among connectors.
    pub name: String,
    /// Builds and starts a new incarnation, first at once and then after each end.
    pub factory: ConnectorFactory,
}

/// Starts one incarnation of a connector. The connector keeps the link in its actor, so that dropping the actor reports
/// its end. A factory must not block, because it runs on the supervisor's thread. One that panics has started nothing; it
/// is called again after the pause for a connector that panicked.
pub type ConnectorFactory = Box<dyn FnMut(ConnectorLink) -> Recipient<Close> + Send>;

/// Closes a connector and starts it again as soon as it has ended, or at once if it is not running. It waits at most
/// [`CONNECTOR_CLOSE_SECONDS`](crate::limits::CONNECTOR_CLOSE_SECONDS) for the end. Resets the failures of the
/// connector. If it panics while it closes, it is started after the shortest pause.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), ConnectorError>")]
pub struct Restart(pub String);

/// Asks for the state of every connector, sorted by name.
#[derive(Debug, Message)]
#[rtype(result = "Vec<ConnectorPresence>")]
pub struct Presence;

/// The state of one connector.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectorPresence {
    /// Its name.
    pub name: String,
    pub state: ConnectorState,
    /// When this incarnation started.
    pub started_at_unix_ms: UnixMs,
    /// Number of starts after the first, intended or not.
    pub restarts: u64,
    /// How it ended when it last ended unintentionally.
    pub last_exit: Option<String>,
    /// Number of its events that were committed.
    pub emitted_total: u64,
    /// When it last emitted.
    pub last_emitted_at_unix_ms: Option<UnixMs>,
}

/// The state of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    Running,
    /// It ended, and is restarted after a pause.
    BackingOff,
    /// It was closed on purpose, by itself or with the daemon.
    Stopped,
}

/// Asks for the [`ConnectorsSnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "ConnectorsSnapshot")]
pub struct Observe;

/// The state the supervisor reports.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ConnectorsSnapshot {
    /// Connectors under supervision.
    pub connectors: usize,
    /// Connectors that are running.
    pub running: usize,
    /// Events emitted and committed.
    pub emitted_total: u64,
    /// Starts of connectors after their first.
    pub restarts_total: u64,
}
