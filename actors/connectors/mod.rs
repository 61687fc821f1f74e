//! The connector supervisor: the actor other subsystems emit events through.

mod messages;
pub use messages::*;

/// placeholder
#[derive(Debug)]
pub struct ConnectorLink;
/// placeholder
#[derive(Debug, Clone, thiserror::Error)]
#[error("placeholder")]
pub struct ConnectorError;
