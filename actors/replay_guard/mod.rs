//! The replay guard: at most one event per replay key and window.

mod messages;
pub use messages::*;

/// placeholder
#[derive(Debug)]
pub struct Lease;
/// placeholder
#[derive(Debug, Clone, thiserror::Error)]
#[error("placeholder")]
pub struct ReplayError;
