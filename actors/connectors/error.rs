//! What can go wrong between a connector and the journal.

use crate::journal::JournalError;
use crate::supervision::DoorError;

/// Why a connector was not served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectorError {
    /// Nobody registered a connector of this name.
    #[error("there is no connector `{0}`; register it before it emits events")]
    Unknown(String),
    /// The name is taken.
    #[error("a connector named `{0}` is already registered; choose another name")]
    Exists(String),
    /// The name is not a canonical id.
    #[error("`{0}` cannot name a connector; use 1–64 of `a-z 0-9 . _ -`, starting with a letter or digit")]
    InvalidName(String),
    /// One connector too many.
    #[error("{max} connectors are already running, the most that one daemon supervises")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The supervisor is being restarted, or as many events of the connector are under way as may be. The event was not
    /// written.
    #[error("the connector supervisor did not accept the event; emit it again")]
    NotTaken(#[source] DoorError),
    /// The supervisor ended before it answered.
    #[error(
        "it is not known whether the event was written, because the connector supervisor ended before it answered"
    )]
    Lost,
    /// The daemon is on its way out.
    #[error("the connector supervisor is closing and starts no connectors; try again when the daemon runs")]
    Closing,
    /// The journal did not take the event, or cannot say whether it did.
    #[error("the journal did not confirm the event")]
    Journal(#[source] JournalError),
}
