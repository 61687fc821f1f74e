//! The vault resolver: secrets by reference.

mod messages;
pub use messages::*;

/// placeholder
#[derive(Debug, Clone)]
pub struct VaultRef;
/// placeholder
#[derive(Debug, Clone, thiserror::Error)]
#[error("placeholder")]
pub struct VaultError;
