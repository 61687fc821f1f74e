//! The errors between a connector and the journal.

use crate::journal::JournalError;
use crate::supervision::DoorError;

/// Why a request of a connector failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectorError {
    /// No connector of this name is registered.
    #[error("there is no connector `{0}`; register it before it emits events")]
    Unknown(String),
    /// The name is taken.
    #[error("a connector named `{0}` is already registered; choose another name")]
    Exists(String),
    /// The name is not a canonical id.
    #[error("`{0}` cannot name a connector; use 1–64 of `a-z 0-9 . _ -`, starting with a letter or digit")]
    InvalidName(String),
    /// No further connector can be registered.
    #[error("{max} connectors are already registered, the most that one supervisor takes")]
    TooMany {
        /// The maximum number of connectors.
        max: usize,
    },
    /// The supervisor is being restarted, or the maximum number of events of this connector is in flight. The event was
    /// not written.
    #[error("the connector supervisor did not accept the event; emit it again in a moment")]
    NotTaken(#[source] DoorError),
    /// The supervisor ended before it answered.
    #[error(
        "it is not known whether the event was written, because the connector supervisor ended before it answered"
    )]
    Lost,
    /// The daemon is shutting down.
    #[error("the connector supervisor is closing and starts no connectors; try again when the daemon runs")]
    Closing,
    /// The journal refused the event, or cannot say whether it was stored.
    #[error("the journal did not confirm the event")]
    Journal(#[source] JournalError),
}
