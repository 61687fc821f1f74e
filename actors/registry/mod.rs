//! The registry actor: the integrations of `webhooks.toml`.

mod messages;
pub use messages::*;

/// placeholder
#[derive(Debug, Clone)]
pub struct IntegrationRecord;
/// placeholder
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
pub struct RegistryError;
